"""The collection of settlement's tables, and what each of them carries: its parties and its region."""

import sqlalchemy as sa

from shared import db

metadata = db.metadata()

PARTIES = db.private(("institution_code", "distributor_code"), "region")
PRICE = sa.Numeric(18, 4)
YUAN = sa.Numeric(18, 2)


def party_columns() -> list[sa.Column[str]]:
    """Who owes, who is owed, and where: on every private row, so that row-level security can see it."""
    return [
        sa.Column("institution_code", sa.Text, nullable=False),
        sa.Column("distributor_code", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
    ]


def one_of(column: str, words: tuple[str, ...]) -> str:
    """The condition that a column holds one of these words."""
    return f"{column} IN ({', '.join(f'{word!r}' for word in words)})"
