"""The statements of the longest table: receive many codes, load and change those held, recognise those that waited.

Statements that lock do it in the order of the codes, after the receipts, so that two documents never lock each other out.
Plans are made once, maybe while the table is empty, so each statement names its codes by `= ANY`, which goes by the index.
"""

from collections.abc import Iterable, Mapping, Sequence
from uuid import UUID

from services.traceability.rules.identification_codes import Meaning
from services.traceability.rules.units import Unit
from shared.db import Tx
from shared.values import frozen


@frozen
class Arrival:
    """A code to be received; it counts for `packs` sale units, or for none until `awaiting_ident` has a meaning.

    `came_in`: the case that was scanned for it."""

    code: str
    document_id: UUID
    institution_code: str
    region: str
    packs: int
    awaiting_ident: str | None
    came_in: str | None = None


@frozen
class Holder:
    """Where a code is already; the institution is for telling own from foreign, never for showing."""

    institution_code: str
    sold: bool


@frozen
class Recognised:
    """A waiting code whose meaning is known now: it counts, or it is of another product than its line."""

    code: str
    document_id: UUID
    receipt_id: UUID | None
    institution_code: str
    region: str
    packs: int
    meant: str
    line_product_code: str | None


# Of a bill's own facts only its place travels with each code, and only what did not land comes back.
_RECEIVE = """
WITH asked AS (
  SELECT u.code, b.document_id, b.institution_code, b.region, u.packs, w.ident, c.came_in
  FROM unnest($1::text[], $2::int[], $3::int[]) AS u (code, bill, packs)
  JOIN unnest($4::uuid[], $5::text[], $6::text[]) WITH ORDINALITY AS b (document_id, institution_code, region, bill)
    ON b.bill = u.bill
  LEFT JOIN unnest($7::text[], $8::text[]) AS w (code, ident) ON w.code = u.code
  LEFT JOIN unnest($9::text[], $10::text[]) AS c (code, came_in) ON c.code = u.code),
landed AS (
  INSERT INTO units (code, document_id, institution_code, region, packs, awaiting_ident, came_in)
  SELECT * FROM asked ORDER BY code ON CONFLICT DO NOTHING RETURNING code)
SELECT code FROM asked WHERE code NOT IN (SELECT code FROM landed)
"""
_HELD = """
SELECT u.code, u.document_id, u.institution_code, u.region, u.packs, u.awaiting_ident, u.state, u.sold_quantity,
  d.receipt_id, r.product_code, r.lot_number, r.expires_on
FROM units u JOIN documents d ON d.id = u.document_id LEFT JOIN receipts r ON r.id = d.receipt_id
WHERE u.code = ANY($1::text[])
  AND ($2 = 'all' OR u.institution_code = $3 OR ($2 = 'region' AND u.region ^@ $4))
ORDER BY u.code FOR UPDATE OF u
"""
_LANDED = """
SELECT code FROM units WHERE code = ANY($1::text[])
  AND ($2 = 'all' OR institution_code = $3 OR ($2 = 'region' AND region ^@ $4))
"""
_CHANGE = """
UPDATE units SET state = n.state, sold_quantity = n.sold_quantity
FROM unnest($1::text[], $2::text[], $3::int[]) AS n (code, state, sold_quantity)
WHERE units.code = ANY($1::text[]) AND units.code = n.code
"""
_LEAVE = "DELETE FROM units WHERE code = ANY($1::text[])"
_ANYWHERE = (
    "SELECT code, institution_code, state = 'O' OR sold_quantity > 0 AS sold FROM units WHERE code = ANY($1::text[])"
)
_AWAITING_RECEIPTS = """
SELECT DISTINCT d.receipt_id FROM units u JOIN documents d ON d.id = u.document_id
WHERE u.awaiting_ident = ANY($1::text[]) AND d.receipt_id IS NOT NULL
"""
_RECOGNISE = """
UPDATE units u SET awaiting_ident = NULL, packs = m.packs
FROM unnest($1::text[], $2::text[], $3::int[]) AS m (ident, product_code, packs), documents d
  LEFT JOIN receipts r ON r.id = d.receipt_id
WHERE u.awaiting_ident = ANY($1::text[]) AND u.awaiting_ident = m.ident AND d.id = u.document_id
RETURNING u.code, u.document_id, d.receipt_id, u.institution_code, u.region, u.packs, m.product_code AS meant,
  r.product_code AS line_product_code
"""
_UNPACK = """
WITH opened AS (
  DELETE FROM units WHERE code = ANY($1::text[])
  RETURNING code, document_id, institution_code, region, packs, state, sold_quantity)
SELECT o.code, o.document_id, o.institution_code, o.region, o.packs, o.state, o.sold_quantity, d.receipt_id
FROM opened o JOIN documents d ON d.id = o.document_id ORDER BY o.document_id, o.code
"""
_GIVE = """
UPDATE units SET document_id = n.document_id, institution_code = n.institution_code, region = n.region,
  came_in = n.came_in
FROM unnest($1::text[], $2::uuid[], $3::text[], $4::text[], $5::text[]) AS n
  (code, document_id, institution_code, region, came_in)
WHERE units.code = ANY($1::text[]) AND units.code = n.code
"""


@frozen
class Opened:
    """A case that was received whole, and is now known by what lies in it."""

    code: str
    document_id: UUID
    institution_code: str
    region: str
    packs: int
    state: str
    sold_quantity: int
    receipt_id: UUID | None


async def receive(tx: Tx, arrivals: Sequence[Arrival]) -> set[str]:
    """Adds the codes that are nowhere yet; returns the others, which stay where they are."""
    if not arrivals:
        return set()
    bills: dict[tuple[UUID, str, str], int] = {}
    places = [bills.setdefault((one.document_id, one.institution_code, one.region), len(bills) + 1) for one in arrivals]
    waiting = [one for one in arrivals if one.awaiting_ident is not None]
    packed = [one for one in arrivals if one.came_in is not None]
    rows = await tx.sql(
        _RECEIVE,
        [one.code for one in arrivals],
        places,
        [one.packs for one in arrivals],
        *([bill[part] for bill in bills] for part in range(3)),
        [one.code for one in waiting],
        [one.awaiting_ident for one in waiting],
        [one.code for one in packed],
        [one.came_in for one in packed],
    )
    return {row["code"] for row in rows}


async def units_held(tx: Tx, codes: Sequence[str]) -> dict[str, Unit]:
    """Those of the codes that the caller may see, locked."""
    scope = tx.scope
    rows = await tx.sql(_HELD, codes, scope.reach, scope.organisation, scope.region_prefix) if codes else []
    return {row["code"]: Unit(**row) for row in rows}


async def landed_of(tx: Tx, codes: Sequence[str]) -> set[str]:
    """Those of the codes that are received where the caller may see it."""
    scope = tx.scope
    rows = await tx.sql(_LANDED, codes, scope.reach, scope.organisation, scope.region_prefix) if codes else []
    return {row["code"] for row in rows}


async def holders(tx: Tx, codes: Sequence[str]) -> dict[str, Holder]:
    """Where codes are on the whole platform. It looks over the wall on purpose: a second receipt or sale is one wherever
    the first was; only whether it is one's own, and whether it was sold, may be told."""
    if not codes:
        return {}
    async with tx.over_the_wall():
        rows = await tx.sql(_ANYWHERE, codes)
    return {row["code"]: Holder(row["institution_code"], row["sold"]) for row in rows}


async def change_units(tx: Tx, changed: Sequence[Unit]) -> None:
    """Stores state and what was sold of the packages."""
    if changed:
        await tx.sql(
            _CHANGE,
            [unit.code for unit in changed],
            [unit.state for unit in changed],
            [unit.sold_quantity for unit in changed],
        )


async def release_units(tx: Tx, codes: Sequence[str]) -> None:
    """The packages left, or were none: their codes may be received elsewhere."""
    if codes:
        await tx.sql(_LEAVE, codes)


async def receipts_awaiting(tx: Tx, idents: Iterable[str]) -> list[UUID]:
    """The receipts on which codes wait for the meaning of these."""
    return [row["receipt_id"] for row in await tx.sql(_AWAITING_RECEIPTS, sorted(idents))]


async def recognise(tx: Tx, known: Mapping[str, Meaning]) -> list[Recognised]:
    """Lets the waiting codes of these count."""
    said = list(known.values())
    rows = await tx.sql(
        _RECOGNISE,
        [one.ident for one in said],
        [one.product_code for one in said],
        [one.packs_per_unit for one in said],
    )
    return [Recognised(**row) for row in rows]


async def open_cases(tx: Tx, cases: Sequence[str]) -> list[Opened]:
    """Takes the cases out that were received whole; the earliest document first."""
    return [Opened(**row) for row in await tx.sql(_UNPACK, cases)]


async def give_units(tx: Tx, cases: Mapping[str, Opened]) -> None:
    """Lets packages belong to the document by which the case they lie in came; the rows are locked already."""
    if cases:
        given = sorted(cases.items())
        await tx.sql(
            _GIVE,
            [code for code, _ in given],
            [case.document_id for _, case in given],
            [case.institution_code for _, case in given],
            [case.region for _, case in given],
            [case.code for _, case in given],
        )
