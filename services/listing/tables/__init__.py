"""The rows listing owns, one module per aggregate. Master data is public: no row-level security on it."""

from services.listing.tables.base import metadata
from services.listing.tables.enterprises import enterprises

__all__ = ["enterprises", "metadata"]
