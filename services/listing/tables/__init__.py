"""The rows listing owns, one module per aggregate. Master data is public: no row-level security on it."""

from services.listing.tables.base import metadata
from services.listing.tables.distributions import distributions
from services.listing.tables.enterprises import enterprises
from services.listing.tables.institutions import delivery_points, institutions
from services.listing.tables.listings import change_counter, listings
from services.listing.tables.products import certificates, products

__all__ = [
    "certificates",
    "change_counter",
    "delivery_points",
    "distributions",
    "enterprises",
    "institutions",
    "listings",
    "metadata",
    "products",
]
