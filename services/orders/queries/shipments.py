"""Reads shipments with their lines, and takes in what others say of shipment lines."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import sqlalchemy as sa

from services.orders.errors import ShipmentNotFound
from services.orders.queries.scope import Reach, is_institution, of_party, reach_of, scoped, within
from services.orders.rules.shipments import Load, Shipment, ShipmentLine
from services.orders.tables import shipment_lines, shipments
from shared.db import Record, Tx
from shared.values import names_of

COLUMNS = names_of(Shipment)
LINE_COLUMNS = names_of(ShipmentLine)
_ALL = sa.select(*(shipments.c[name] for name in COLUMNS))
_LINES = sa.select(*(shipment_lines.c[name] for name in LINE_COLUMNS))

# A receipt's coverage is a total: the newest version counts, an older one that comes late changes nothing.
_COVER = """
UPDATE shipment_lines AS l SET quantity_traced = given.quantity, traced_version = given.version
FROM unnest($1::uuid[], $2::int[], $3::int[]) AS given (id, quantity, version)
WHERE l.id = given.id AND l.traced_version < given.version
RETURNING l.id
"""
_ASK = """
UPDATE shipment_lines AS l SET codes_required = given.required
FROM unnest($1::uuid[], $2::boolean[]) AS given (id, required) WHERE l.id = given.id
"""
_KNOWN = """
SELECT id, order_id, order_line_id, line_number, institution_code, distributor_code, manufacturer_code, region,
    quantity_traced
FROM shipment_lines WHERE id = ANY($1::uuid[])
"""
_OF_ORDERS = """
SELECT id FROM orders WHERE id IN (SELECT order_id FROM shipment_lines WHERE id = ANY($1::uuid[])) ORDER BY id FOR UPDATE
"""


@lru_cache
def _by_ids(reach: Reach) -> sa.Executable:
    ids = sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))
    return _ALL.where(shipments.c.id == sa.any_(ids), of_party(reach, shipments))


# Each number is looked up by itself and by the index of numbers, as in queries/orders.py.
_NUMBERED = sa.text("""shipments.id = ANY (ARRAY(
    SELECT named.id FROM unnest(CAST(:codes AS text[]), CAST(:numbers AS text[])) AS asked (code, number)
    CROSS JOIN LATERAL (
        SELECT id FROM shipments WHERE shipment_number = asked.number AND distributor_code || '' = asked.code OFFSET 0
    ) AS named
))""")


@lru_cache
def _by_numbers(reach: Reach) -> sa.Executable:
    return _ALL.where(_NUMBERED, of_party(reach, shipments))


@lru_cache
def _lines_of(reach: Reach) -> sa.Executable:
    ids = sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid))
    wanted = _LINES.where(shipment_lines.c.shipment_id == sa.any_(ids), of_party(reach, shipment_lines))
    return wanted.order_by(shipment_lines.c.shipment_id, shipment_lines.c.place)


async def loads(tx: Tx, ids: Collection[UUID]) -> dict[UUID, Load]:
    """Shipments within reach with their lines. A handler locks their orders first."""
    return await _with_lines(tx, await tx.all(Shipment, _by_ids(reach_of(tx)), ids=sorted(ids), **scoped(tx)))


async def loads_by_number(tx: Tx, numbers: Collection[tuple[str, str]]) -> dict[tuple[str, str], Load]:
    """Shipments within reach by (distributor code, shipment number)."""
    codes, names = [code for code, _ in numbers], [number for _, number in numbers]
    found = await tx.all(Shipment, _by_numbers(reach_of(tx)), codes=codes, numbers=names, **scoped(tx))
    whole = await _with_lines(tx, found)
    return {(load.shipment.distributor_code, load.shipment.shipment_number): load for load in whole.values()}


async def get_load(tx: Tx, shipment_id: UUID) -> Load:
    """Raises ShipmentNotFound."""
    found = await loads(tx, [shipment_id])
    if shipment_id not in found:
        raise ShipmentNotFound("There is no shipment {shipment_id} that you may see.", shipment_id=shipment_id)
    return found[shipment_id]


async def get_load_by_number(tx: Tx, distributor_code: str, shipment_number: str) -> Load:
    """Raises ShipmentNotFound."""
    found = await loads_by_number(tx, [(distributor_code, shipment_number)])
    if not found and is_institution(distributor_code):
        raise ShipmentNotFound(
            "Shipment numbers are of distributors, and {distributor_code} is none: say with `distributor_code` whose "
            "{shipment_number!j} is meant.",
            shipment_number=shipment_number,
            distributor_code=distributor_code,
        )
    if not found:
        raise ShipmentNotFound(
            "There is no shipment {shipment_number!j} of {distributor_code} that you may see.",
            shipment_number=shipment_number,
            distributor_code=distributor_code,
        )
    return found[distributor_code, shipment_number]


async def _with_lines(tx: Tx, found: Sequence[Shipment]) -> dict[UUID, Load]:
    by_shipment: dict[UUID, list[ShipmentLine]] = defaultdict(list)
    if found:
        ids = [shipment.id for shipment in found]
        for line in await tx.all(ShipmentLine, _lines_of(reach_of(tx)), ids=ids, **scoped(tx)):
            by_shipment[line.shipment_id].append(line)
    return {shipment.id: Load(shipment, tuple(by_shipment[shipment.id])) for shipment in found}


async def shipments_page(
    tx: Tx, *, state: str | None, order_id: UUID | None, after: UUID | None, rows: int
) -> list[Shipment]:
    """Up to `rows` shipments before a key, the newest first."""
    wanted = _ALL.where(within(reach_of(tx), shipments)).order_by(shipments.c.id.desc()).limit(rows)
    if state is not None:
        wanted = wanted.where(shipments.c.state == state)
    if order_id is not None:
        wanted = wanted.where(shipments.c.order_id == order_id)
    if after is not None:
        wanted = wanted.where(shipments.c.id < after)
    return await tx.all(Shipment, wanted, **scoped(tx))


async def lock_shipment_lines(tx: Tx, ids: Collection[UUID]) -> dict[UUID, Record]:
    """The shipment lines that others speak of, whoever's they are; locked as everything of an order is, by its row."""
    wanted = sorted(ids)
    await tx.sql(_OF_ORDERS, wanted)
    return {row["id"]: row for row in await tx.sql(_KNOWN, wanted)}


async def ask_codes(tx: Tx, required: Mapping[UUID, bool]) -> None:
    """Keeps of each shipment line, which is locked already, whether it is paid only as far as codes cover it."""
    await tx.sql(_ASK, list(required), list(required.values()))


async def cover(tx: Tx, covered: Sequence[tuple[UUID, int, int]]) -> set[UUID]:
    """Keeps (shipment line, units covered, version of the receipt); returns those that were newer than what was known."""
    columns: list[list[Any]] = [list(column) for column in zip(*covered, strict=True)]
    return {row["id"] for row in await tx.sql(_COVER, *columns)}
