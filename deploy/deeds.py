"""Things of which history says otherwise than their rows, or nothing: changed behind their deeds, or without a deed left."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg

LIVES = {
    "listing": ("enterprises", "institutions", "products", "listings", "distributions"),
    "orders": ("orders", "shipments"),
    "settlement": ("payables", "sheets", "accounts", "payment_runs", "payments"),
    "traceability": ("receipts", "documents", "anomalies", "recalls"),
    "alerts": ("alerts", "problems"),
}
"""The tables whose every row has a life: the first deed is written down with the row."""

TOLD = {
    "payables": (
        *("institution_code", "distributor_code", "region", "quantity", "unit_price_yuan", "amount_yuan", "due_on"),
        *("codes_required", "quantity_released", "quantity_uncovered", "released_yuan", "held_yuan", "held_reason"),
    ),
    "sheets": (
        *("institution_code", "distributor_code", "region", "amount_yuan", "line_count", "disputed_yuan", "state"),
        *("confirm_by", "due_on", "return_reason"),
    ),
    "accounts": ("supplier_code", "region", "holder_name", "bank_name", "cnaps_code", "state"),
    "payment_runs": ("region", "amount_yuan", "state"),
    "payments": (
        *("institution_code", "distributor_code", "region", "run_id", "sheet_id", "account_id", "amount_yuan"),
        *("state", "paid_at"),
    ),
}
"""Of settlement's tables the columns of which deeds tell all: the first how the thing began, each later one from and to."""

_WITHOUT = """
SELECT count(*) AS rows, min(t.id::text) AS first FROM "{table}" t
WHERE NOT EXISTS (SELECT FROM history h WHERE h.about = t.id::text)
"""

# Lays what the deeds told last over the row, so that the database reads both alike. Deeds of earlier versions tell less.
_OTHERWISE = """
SELECT t.id, told.key AS name, told.value #>> '{{}}' AS told, to_jsonb(t) ->> told.key AS found
FROM "{table}" AS t CROSS JOIN LATERAL (
  SELECT jsonb_object_agg(key, value ORDER BY id) AS last FROM (
    (SELECT h.id, first.key, first.value FROM history AS h, jsonb_each(h.detail || jsonb_build_object(
        'institution_code', h.institution_code, 'distributor_code', h.supplier_code, 'supplier_code', h.supplier_code,
        'region', h.region)) AS first
      WHERE h.id = (SELECT min(id) FROM history WHERE about = t.id::text))
    UNION ALL
    SELECT h.id, moved.key, moved.value -> 1 FROM history AS h, jsonb_each(h.detail -> 'changes') AS moved
    WHERE h.about = t.id::text
  ) AS said WHERE key = ANY($1)
) AS deeds CROSS JOIN LATERAL jsonb_each(deeds.last) AS told
WHERE to_jsonb(jsonb_populate_record(t, deeds.last)) -> told.key IS DISTINCT FROM to_jsonb(t) -> told.key
ORDER BY t.id, told.key LIMIT {shown}
"""
SHOWN = 20
"""Of each table so many differences are named."""


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """One connection, closed at the end."""
    database = await asyncpg.connect(url)
    try:
        yield database
    finally:
        await database.close()


async def without_deeds(url_of: Callable[[str], str]) -> list[str]:
    """Each table of which history has forgotten a row, with the first one; read as the owner."""
    faults: list[str] = []
    for service, tables in LIVES.items():
        async with connected(url_of(service)) as database:
            for table in tables:
                (found,) = await database.fetch(_WITHOUT.format(table=table))
                if found["rows"]:
                    faults.append(
                        f"{service}: history knows no deed of {found['rows']} {table}, {found['first']} first"
                    )
    return faults


async def otherwise_told(database: asyncpg.Connection) -> list[str]:
    """What rows of settlement say otherwise than the last deeds about them; up to SHOWN of each table."""
    found = {
        table: await database.fetch(_OTHERWISE.format(table=table, shown=SHOWN), names) for table, names in TOLD.items()
    }
    return [
        f"settlement: {row['name']} of {row['id']} in {table} is {row['found']}, its deeds say {row['told']}"
        for table, rows in found.items()
        for row in rows
    ]
