"""Whom a recall concerns: the recall itself, and every institution that accepted goods of its lots."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from services.alerts.rules.alerts import About, Cause, Kind
from shared.codes import NATION
from shared.errors import Said
from shared.values import frozen


@frozen
class RecalledLot:
    """One lot of a recall; `opened_at` is None while only its end has arrived, `opened_by` where that was not told."""

    recall_id: UUID
    lot_number: str
    product_code: str
    reason: str | None
    opened_by: str | None
    opened_by_name: str | None
    manufacturer_code: str | None
    opened_at: datetime | None
    closed_at: datetime | None
    opened_event: UUID | None


@frozen
class HeldLot:
    """Goods of one lot that an institution accepted."""

    institution_code: str
    supplier_code: str
    region: str
    product_code: str
    lot_number: str


def of_recalls(lots: Sequence[RecalledLot]) -> list[Cause]:
    """One cause per recall, seen by the nation and the operator."""
    first = {lot.recall_id: lot for lot in lots if lot.opened_at is not None}
    return [_cause(lot, About.RECALL, str(lot.recall_id), None) for lot in first.values()]


def of_holders(lots: Sequence[RecalledLot], held: Sequence[HeldLot]) -> list[Cause]:
    """One cause per recall and institution that holds one of its lots."""
    causes: dict[str, Cause] = {}
    for goods in held:
        for lot in lots:
            if lot.opened_at and (lot.product_code, lot.lot_number) == (goods.product_code, goods.lot_number):
                about_id = f"{lot.recall_id}:{goods.institution_code}"
                causes.setdefault(about_id, _cause(lot, About.INSTITUTION, about_id, goods))
    return list(causes.values())


def _cause(lot: RecalledLot, about: About, about_id: str, goods: HeldLot | None) -> Cause:
    assert lot.opened_at is not None  # noqa: S101  only opened recalls come here
    told = {"lot": lot.lot_number, "product": lot.product_code, "reason": lot.reason}
    return Cause(
        kind=Kind.RECALL,
        about=about,
        about_id=about_id,
        cause=str(lot.recall_id),
        remedy_key=str(lot.recall_id),
        institution_code=goods.institution_code if goods else None,
        supplier_code=goods.supplier_code if goods else None,
        region=goods.region if goods else NATION,
        product_code=lot.product_code,
        happened_at=lot.opened_at,
        detail=(
            Said("Lot {lot} of {product} accepted by {by} is recalled: {reason}", by=goods.institution_code, **told)
            if goods
            else Said("Lot {lot} of {product} is recalled: {reason}", **told)
        ),
        evidence={
            "recall_id": str(lot.recall_id),
            "lot_number": lot.lot_number,
            "opened_at": lot.opened_at,
            "events": [str(lot.opened_event)],
        },
        manufacturer_code=lot.manufacturer_code,
    )
