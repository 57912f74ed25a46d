"""Keeps which lots are recalled, and reads them."""

from collections.abc import Collection, Iterable, Sequence
from typing import Protocol

from services.orders.rules.recalls import Lot, Recalled, RecalledLot, open_now
from shared import history
from shared.db import Tx
from shared.history import Deed
from shared.values import names_of

_NAMES = names_of(RecalledLot)
# What is known of a recall is never unlearnt: its end may arrive before its beginning.
_FILL = (
    f"INSERT INTO recalled_lots AS t ({', '.join(_NAMES)}) SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[],"  # noqa: S608  names are declared
    " $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[], $9::timestamptz[]) ORDER BY 1, 2"
    " ON CONFLICT (recall_id, lot_number) DO UPDATE SET "
    + ", ".join(f"{name} = coalesce(t.{name}, excluded.{name})" for name in _NAMES[3:])
)
_OF_LOTS = (
    f"SELECT {', '.join(_NAMES)} FROM recalled_lots"  # noqa: S608  names are declared
    " WHERE product_code = ANY($1::text[]) AND lot_number = ANY($2::text[]) ORDER BY opened_at, recall_id"
)


async def fill_recalled_lots(tx: Tx, rows: Sequence[RecalledLot]) -> None:
    """Keeps what one kind of event tells of recalled lots."""
    lots = {(one.recall_id, one.lot_number): one for one in rows}.values()
    await tx.sql(_FILL, *([getattr(one, name) for one in lots] for name in _NAMES))


async def recalls_of(tx: Tx, product_codes: Collection[str], lot_numbers: Collection[str]) -> list[RecalledLot]:
    """Every recall of lots of these numbers of these products, the earliest first, closed ones too."""
    return [RecalledLot(**row) for row in await tx.sql(_OF_LOTS, sorted(product_codes), sorted(lot_numbers))]


async def recalled_now(tx: Tx, product_codes: Collection[str], lot_numbers: Collection[str]) -> Recalled:
    """The open recalls of lots of these numbers of these products. One that is told while the transaction goes on is
    overlooked: goods that left are stopped at their acceptance, and money for what was accepted by settlement."""
    return open_now(await recalls_of(tx, product_codes, lot_numbers))


class OfLot(Protocol):
    """Goods of a lot for a line of an order."""

    @property
    def line_number(self) -> int: ...
    @property
    def lot(self) -> Lot: ...


def deeds_of(recalls: Iterable[RecalledLot], goods: Collection[OfLot]) -> list[Deed]:
    """Those of the recalls that are of these goods, as deeds about their lines; which person did it, traceability tells."""
    deeds: list[Deed] = []
    for one in recalls:
        lines = sorted({its.line_number for its in goods if its.lot == (one.product_code, one.lot_number)})
        told = {"recall_opened": one.opened_at, "recall_closed": one.closed_at} if lines else {}
        detail = {
            "recall_id": str(one.recall_id),
            "lot_number": one.lot_number,
            "reason": one.reason,
            "opened_by": one.opened_by,
            "lines": lines,
        }
        deeds += [history.heard(at, action, **detail) for action, at in told.items() if at is not None]
    return deeds
