"""Expects a receipt for each shipment line, and says how far codes cover it; the row is locked before it changes.

Natural key: the shipment line. Facts are learnt once, so a repeated event, or events in any order, come to the same row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from uuid_utils.compat import uuid7

from services.traceability.handlers.anomalies import watch_surplus
from services.traceability.handlers.recalls import look_for_holders
from services.traceability.queries.receipts import receipts_by_line
from services.traceability.rules.receipts import (
    Receipt,
    ReceiptState,
    coverage_news,
    excuse,
    is_complete,
    learn,
    withdraw,
)
from services.traceability.tables import receipts
from shared import clock, history, outbox
from shared.db import Tx
from shared.events.orders import DeliveryAccepted, DeliveryRejected, ShipmentCancelled, ShipmentDispatched
from shared.events.traceability import CoverageShort, CoverageVerified, ReceiptExpected
from shared.history import BY_ITSELF, Parties
from shared.identity import Caller
from shared.inbox import Received
from shared.values import names_of

Shipment = ShipmentDispatched | ShipmentCancelled | DeliveryAccepted | DeliveryRejected
Change = Callable[[Receipt], Receipt]

EDITED = (
    *("state", "quantity_shipped", "quantity_accepted", "quantity_rejected"),
    *("packs_captured", "quantity_covered", "exempt", "withdrawn"),
)
"""Of a receipt, what its deeds tell from and to."""
_KEPT = set(names_of(Receipt)) - {
    "shipment_line_id",
    "order_id",
    "institution_code",
    "distributor_code",
}


async def on_shipment_dispatched(tx: Tx, events: Sequence[Received[ShipmentDispatched]]) -> None:
    """Goods are on the way: codes are expected for each line."""
    changes: list[tuple[Shipment, UUID, Change]] = []
    for fact in (event.data for event in events):
        for line in fact.lines:
            facts = {
                "order_line_id": line.order_line_id,
                "product_code": line.product_code,
                "product_kind": line.product_kind,
                "product_name": line.product_name,
                "unit": line.unit,
                "lot_number": line.lot_number,
                "expires_on": line.expires_on,
                "quantity_shipped": line.quantity,
                "dispatched_at": fact.dispatched_at,
            }
            exempt = _exempt(tx, line.product_kind, fact.region, fact.dispatched_at)
            changes.append((fact, line.shipment_line_id, _learning(facts, exempt=exempt)))
    await _apply(tx, "expected", changes)


async def on_delivery_accepted(tx: Tx, events: Sequence[Received[DeliveryAccepted]]) -> None:
    """The hospital took goods: what codes were captured before now covers a known quantity."""
    changes: list[tuple[Shipment, UUID, Change]] = []
    for fact in (event.data for event in events):
        for line in fact.lines:
            facts = {
                "order_line_id": line.order_line_id,
                "product_code": line.product_code,
                "product_kind": line.product_kind,
                "product_name": line.product_name,
                "unit": line.unit,
                "lot_number": line.lot_number,
                "expires_on": line.expires_on,
                "quantity_accepted": line.quantity_accepted,
                "accepted_at": fact.accepted_at,
            }
            exempt = _exempt(tx, line.product_kind, fact.region, fact.accepted_at)
            changes.append((fact, line.shipment_line_id, _learning(facts, exempt=exempt)))
    await _apply(tx, "accepted", changes)
    await look_for_holders(tx, {(line.product_code, line.lot_number) for one in events for line in one.data.lines})


async def on_delivery_rejected(tx: Tx, events: Sequence[Received[DeliveryRejected]]) -> None:
    """The hospital refused goods on arrival; a line refused as a whole expects nothing any more."""
    changes: list[tuple[Shipment, UUID, Change]] = []
    for fact in (event.data for event in events):
        for line in fact.lines:
            facts = {
                "order_line_id": line.order_line_id,
                "product_code": line.product_code,
                "lot_number": line.lot_number,
                "quantity_rejected": line.quantity_rejected,
            }
            changes.append((fact, line.shipment_line_id, _learning(facts)))
    await _apply(tx, "rejected", changes)


async def on_shipment_cancelled(tx: Tx, events: Sequence[Received[ShipmentCancelled]]) -> None:
    """The distributor took the shipment back: its receipts are withdrawn, also those that are not known yet."""
    changes = [(event.data, line_id, withdraw) for event in events for line_id in event.data.shipment_line_ids]
    await _apply(tx, "withdrawn", changes)


def _learning(facts: Mapping[str, Any], *, exempt: bool | None = None) -> Change:
    def change(receipt: Receipt) -> Receipt:
        excused = receipt if exempt is None else excuse(receipt, exempt=exempt)
        return learn(excused, **facts)

    return change


def _exempt(tx: Tx, product_kind: str, region: str, at: datetime) -> bool:
    return product_kind in tx.policy.texts("traceability.capture_exempt_kinds", region, clock.local_date(at))


async def _apply(tx: Tx, action: str, changes: Sequence[tuple[Shipment, UUID, Change]]) -> None:
    before = await receipts_by_line(tx, [line_id for _, line_id, _ in changes])
    after = dict(before)
    for fact, line_id, change in changes:
        receipt = after.get(line_id)
        if receipt is None:
            receipt = Receipt(
                id=uuid7(),
                shipment_line_id=line_id,
                order_id=fact.order_id,
                institution_code=fact.institution_code,
                distributor_code=fact.distributor_code,
                region=fact.region,
            )
        after[line_id] = change(receipt)
    await settle(tx, BY_ITSELF, action, before, after)


async def settle(
    tx: Tx,
    caller: Caller,
    action: str,
    before: Mapping[UUID, Receipt],
    after: Mapping[UUID, Receipt],
) -> None:
    """Writes down one deed of each receipt that changed, and stores them; keys as in `before`."""
    for key, wanted in after.items():
        if before.get(key) != wanted:
            tell(tx, caller, action, before.get(key), wanted)
    await store(tx, before, after)


def tell(tx: Tx, who: Caller, action: str, before: Receipt | None, after: Receipt, **detail: Any) -> None:
    """Writes down one deed of a receipt: what it changed, from and to."""
    detail["changes"] = history.changes(before, after, *EDITED)
    history.note(tx, who, after.id, action, parties_of(after), detail)


async def store(tx: Tx, before: Mapping[UUID, Receipt], after: Mapping[UUID, Receipt]) -> None:
    """Stores receipts that changed, and says what there is to say; keys as in `before`."""
    changed: list[dict[str, Any]] = []
    moved: list[tuple[Receipt | None, Receipt]] = []
    for key, wanted in after.items():
        known = before.get(key)
        if known == wanted:
            continue
        receipt = _say(tx, known, wanted)
        moved.append((known, receipt))
        if known is None:
            tx.add(receipts, asdict(receipt))
        else:
            changed.append({name: value for name, value in asdict(receipt).items() if name in _KEPT})
    await tx.change(receipts, changed)
    await watch_surplus(tx, moved)


def parties_of(receipt: Receipt) -> Parties:
    """Whose receipt it is."""
    return Parties(receipt.institution_code, receipt.distributor_code, receipt.region)


def _say(tx: Tx, before: Receipt | None, after: Receipt) -> Receipt:
    """Records what the change means to others; each event raises the version by one."""
    if after.version == 0 and after.product_kind is not None and after.state != ReceiptState.WITHDRAWN:
        after = replace(after, version=1)
        outbox.record(tx, expected_fact(after), 1)
    if after.version > 0 and coverage_news(before, after):
        after = replace(after, version=after.version + 1)
        outbox.record(tx, coverage_fact(after, clock.now()), after.version)
    return after


def expected_fact(receipt: Receipt) -> ReceiptExpected:
    """That codes are awaited for a line, or that none are."""
    return ReceiptExpected(
        **_naming(receipt),
        lot_number=receipt.lot_number or "",
        quantity_shipped=receipt.quantity_shipped or receipt.quantity_accepted or 0,
        exempt=receipt.exempt,
    )


def coverage_fact(receipt: Receipt, verified_at: datetime) -> CoverageVerified | CoverageShort:
    """How far codes cover a line."""
    covered: dict[str, Any] = {
        "quantity_accepted": receipt.quantity_accepted,
        "quantity_covered": receipt.quantity_covered,
    }
    if is_complete(receipt):
        return CoverageVerified(**_naming(receipt), **covered, verified_at=verified_at)
    return CoverageShort(**_naming(receipt), **covered)


def _naming(receipt: Receipt) -> dict[str, Any]:
    return {
        "receipt_id": receipt.id,
        "shipment_line_id": receipt.shipment_line_id,
        "order_id": receipt.order_id,
        "order_line_id": receipt.order_line_id,
        "institution_code": receipt.institution_code,
        "distributor_code": receipt.distributor_code,
        "region": receipt.region,
        "product_code": receipt.product_code,
    }
