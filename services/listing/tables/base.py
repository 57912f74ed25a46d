"""The collection of listing's tables."""

from collections.abc import Iterable

from shared import db

metadata = db.metadata()


def among(column: str, values: Iterable[str]) -> str:
    """The condition that a column holds one of these words, as a constraint, an index or a statement says it."""
    return f"{column} IN ({', '.join(repr(str(value)) for value in values)})"
