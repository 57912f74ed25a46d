"""Things without a deed: whoever cuts the whole life of a thing out of history leaves the thing behind."""

from collections.abc import Callable

import asyncpg

LIVES = {
    "listing": ("enterprises", "institutions", "listings", "distributions"),
    "orders": ("orders", "shipments"),
    "settlement": ("payables", "sheets", "accounts", "payment_runs", "payments"),
    "traceability": ("receipts", "documents", "anomalies", "recalls"),
    "alerts": ("alerts", "problems"),
}
"""The tables whose every row has a life: the first deed is written down with the row."""

_WITHOUT = """
SELECT count(*) AS rows, min(t.id::text) AS first FROM "{table}" t
WHERE NOT EXISTS (SELECT FROM history h WHERE h.about = t.id::text)
"""


async def without_deeds(url_of: Callable[[str], str]) -> list[str]:
    """Each table of which history has forgotten a row, with the first one; read as the owner."""
    faults: list[str] = []
    for service, tables in LIVES.items():
        database = await asyncpg.connect(url_of(service))
        try:
            for table in tables:
                (found,) = await database.fetch(_WITHOUT.format(table=table))
                if found["rows"]:
                    faults.append(
                        f"{service}: history knows no deed of {found['rows']} {table}, {found['first']} first"
                    )
        finally:
            await database.close()
    return faults
