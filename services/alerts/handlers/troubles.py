"""Troubles that are told as such: a line refused, a payment failed, a code flagged, a lot recalled.

A trouble and its remedy are different subjects and come in any order: both tell it at one row, and the later of the two
by its own time decides. A trouble that was remedied before it arrived is raised and resolved together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

from services.alerts.handlers.alerts import add_evidence, raise_alerts, resolve_alerts
from services.alerts.queries import watches
from services.alerts.queries.alerts import Meeting, lock_alerts_about, meet
from services.alerts.rules.alerts import Alert, Cause, Kind, Remedy
from services.alerts.rules.recalls import HeldLot, of_holders, of_recalls
from services.alerts.rules.troubles import (
    flagged,
    flagged_key,
    found_again,
    payment_failed,
    refused,
    supply_key,
    unpaid_key,
)
from shared import clock
from shared.db import Tx
from shared.errors import Said
from shared.events.orders import LineConfirmed, LineRefused
from shared.events.settlement import PaymentFailed, PaymentPaid
from shared.events.traceability import CodeCleared, CodeFlagged, RecallClosed, RecallOpened
from shared.inbox import Received


async def raise_refused(tx: Tx, events: Sequence[Received[LineRefused]], makers: Mapping[UUID, str | None]) -> None:
    """Supply trouble: raised at once. `makers`: of each line, as far as they are known."""
    await _raise(tx, [refused(one.data, one.id, one.time, makers.get(one.data.line_id)) for one in events])


async def remedy_refused(tx: Tx, events: Sequence[Received[LineConfirmed]]) -> None:
    """A line of the product at the institution is confirmed: earlier refusals there are no trouble any more."""
    await _remedy(
        tx,
        [
            Meeting(
                Kind.LINE_REFUSED,
                supply_key(event.data.institution_code, event.data.product_code),
                event.time,
                Said(
                    "Line {line_id} of order {number} was confirmed later.",
                    line_id=event.data.line_id,
                    number=event.data.order_number,
                ),
                str(event.data.line_id),
                event.data.institution_code,
                event.data.region,
            )
            for event in events
        ],
    )


async def on_payments_failed(tx: Tx, events: Sequence[Received[PaymentFailed]]) -> None:
    """The bank did not pay a sheet: raised at once."""
    await _raise(tx, [payment_failed(event.data, event.id, event.time) for event in events])


async def remedy_failed(tx: Tx, events: Sequence[Received[PaymentPaid]]) -> None:
    """The sheet was paid: earlier failures are no trouble any more. Of one instant, what the bank did not pay it paid later, for
    a sheet that is paid is not paid again; and what came back it had paid before."""
    await _remedy(
        tx,
        [
            Meeting(
                Kind.PAYMENT_FAILED,
                unpaid_key(event.data.sheet_id, returned=returned),
                before,
                Said("Payment {payment_id} of the sheet was made later.", payment_id=event.data.payment_id),
                None,
                event.data.institution_code,
                event.data.region,
            )
            for event in events
            for returned, before in ((False, event.time + timedelta.resolution), (True, event.time))
        ],
    )


async def on_codes_flagged(tx: Tx, events: Sequence[Received[CodeFlagged]]) -> None:
    """A code of a kind that policy calls severe: raised at once, until its anomaly is closed or the authority ends it with a
    reason; found again, it is evidence of the same alert. Each distributor that delivers it has an alert of its own."""
    severe = [
        event
        for event in events
        if event.data.kind
        in tx.policy.find("alerts.severe_code_kinds", event.data.region, clock.local_date(event.time)).value
    ]
    if not severe:
        return
    first = {event.data.anomaly_id: event for event in reversed(severe)}
    await _raise(tx, [flagged(event.data, event.id, event.time) for event in first.values()])
    await _found_again(tx, [event for event in severe if event.data.finds > 1])


async def _found_again(tx: Tx, events: Sequence[Received[CodeFlagged]]) -> None:
    """Adds to the alert of the distributor who delivered the code this time, which is raised if there is none."""
    standing = await lock_alerts_about(tx, Kind.CODE_FLAGGED, [str(event.data.anomaly_id) for event in events])
    first = {event.id: standing[str(event.data.anomaly_id)] for event in events}
    others = [one for one in events if one.data.distributor_code not in (None, first[one.id].supplier_code)]
    new = {flagged_key(event.data): event for event in reversed(others)}
    await _raise(tx, [flagged(event.data, event.id, event.time, key) for key, event in new.items()])
    own = await lock_alerts_about(tx, Kind.CODE_FLAGGED, list(new))
    changed: dict[str, Alert] = {}
    for event in events:
        known = own.get(flagged_key(event.data), first[event.id])
        alert = changed.get(known.about_id, known)
        evidence = found_again(alert.evidence, event.data, event.id, event.time)
        if evidence is not None:
            changed[alert.about_id] = replace(alert, evidence=evidence)
    await add_evidence(tx, list(changed.values()))


async def on_codes_cleared(tx: Tx, events: Sequence[Received[CodeCleared]]) -> None:
    """The anomaly is closed, and never opens again: what was told of it, or is told later, is no trouble any more."""
    await _remedy(
        tx,
        [
            Meeting(
                Kind.CODE_FLAGGED,
                str(event.data.anomaly_id),
                event.data.cleared_at,
                Said("The anomaly was closed: {finding}", finding=event.data.finding),
                None,
                event.data.institution_code,
                event.data.region,
            )
            for event in events
        ],
    )


async def on_recalls_opened(tx: Tx, events: Sequence[Received[RecallOpened]]) -> None:
    """A recall concerns every institution that accepted goods of its lots, before or after."""
    await watches.recall_lock(tx, alone=True)
    lots = await watches.fill_recalled_lots(
        tx,
        [
            {
                "recall_id": event.data.recall_id,
                "lot_number": lot_number,
                "product_code": event.data.product_code,
                "reason": event.data.reason,
                "opened_by": event.data.opened_by,
                "opened_by_name": event.data.opened_by_name,
                "manufacturer_code": event.data.manufacturer_code,
                "opened_at": event.data.opened_at,
                "opened_event": event.id,
            }
            for event in events
            for lot_number in event.data.lot_numbers
        ],
    )
    causes = [*of_recalls(lots), *of_holders(lots, await watches.holders(tx, lots))]
    await raise_alerts(tx, causes)
    await resolve_alerts(tx, [_closed(str(lot.recall_id)) for lot in lots if lot.closed_at is not None])


async def on_recalls_closed(tx: Tx, events: Sequence[Received[RecallClosed]]) -> None:
    """The recall is over, for everybody."""
    await watches.recall_lock(tx, alone=True)
    await watches.fill_recalled_lots(
        tx,
        [
            {
                "recall_id": event.data.recall_id,
                "lot_number": lot_number,
                "product_code": event.data.product_code,
                "closed_at": event.data.closed_at,
            }
            for event in events
            for lot_number in event.data.lot_numbers
        ],
    )
    await resolve_alerts(tx, [_closed(str(event.data.recall_id)) for event in events])


async def meet_recalls(tx: Tx, held: Sequence[HeldLot]) -> None:
    """Goods that were accepted just now may be of a recalled lot."""
    if held:
        await raise_alerts(tx, of_holders(await watches.recalls_of(tx, held), held))


async def _raise(tx: Tx, causes: Sequence[Cause]) -> None:
    meetings = [
        Meeting(cause.kind, cause.remedy_key, None, None, None, cause.institution_code, cause.region)
        for cause in causes
    ]
    remedies = await _meet(tx, meetings)
    await raise_alerts(tx, causes)
    await resolve_alerts(tx, remedies)


async def _remedy(tx: Tx, meetings: Sequence[Meeting]) -> None:
    await resolve_alerts(tx, await _meet(tx, meetings))


async def _meet(tx: Tx, meetings: Sequence[Meeting]) -> list[Remedy]:
    """The remedies known of these; that of a code holds whenever it was flagged, for a closed anomaly never opens again."""
    return [replace(one, before=None) if one.kind == Kind.CODE_FLAGGED else one for one in await meet(tx, meetings)]


def _closed(recall_id: str) -> Remedy:
    return Remedy(Kind.RECALL, recall_id, Said("The recall is closed."))
