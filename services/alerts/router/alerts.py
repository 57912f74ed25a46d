"""HTTP for alerts: what is late, short or wrong, for those concerned."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator

from services.alerts.handlers.alerts import acknowledge_alert as acknowledge
from services.alerts.handlers.alerts import resolve_by_hand
from services.alerts.queries import alerts as queries
from services.alerts.queries.problems import names_of
from services.alerts.queries.watches import (
    recalls_of_receipts,
    receipts_of_payables,
    seen_lines,
    seen_sheets,
    sheets_between,
)
from services.alerts.rules.alerts import About, Alert, Kind, State
from services.alerts.rules.next_steps import Around, alert_steps
from services.alerts.rules.recalls import RecalledLot
from services.alerts.rules.receipts import WatchedReceipt, as_known
from services.alerts.rules.sheets import WatchedSheet
from services.alerts.rules.watches import late_as_known
from services.alerts.schemas.alerts import (
    Acknowledge,
    AcknowledgementView,
    AlertView,
    CountView,
    Resolve,
    SummaryView,
)
from shared import clock, history
from shared.codes import parse_region
from shared.db import Tx
from shared.history import TimelineView
from shared.http import CallerHere, Edge, Page, PagingHere, TxHere, etag
from shared.http.schemas import Code
from shared.next_steps import NextStep

router = APIRouter(route_class=Edge, prefix="/alerts", tags=["alerts"])

Day = Annotated[date, Query(ge=date(2000, 1, 1), le=date(2200, 1, 1), description="a day in Shanghai")]
Region = Annotated[str, AfterValidator(parse_region), Query(max_length=6, description="GB/T 2260, six digits")]


@router.get("")
async def list_alerts(
    tx: TxHere,
    paging: PagingHere,
    kind: Annotated[Kind | None, Query()] = None,
    state: Annotated[State | None, Query()] = None,
    about: Annotated[About | None, Query(description="the kind of thing")] = None,
    about_id: Annotated[Code | None, Query()] = None,
    institution: Annotated[Code | None, Query()] = None,
    supplier: Annotated[Code | None, Query()] = None,
    product_code: Annotated[Code | None, Query()] = None,
    raised_from: Day | None = None,
    raised_to: Day | None = None,
) -> Page[AlertView]:
    """Alerts, newest first; `raised_to` is the last day."""
    wanted = queries.Wanted(
        kind=kind,
        state=state,
        about=about,
        about_id=about_id,
        institution=institution,
        supplier=supplier,
        product_code=product_code,
        raised_from=_start(raised_from),
        raised_before=_start(raised_to, days=1),
    )
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.alerts_page(tx, wanted, after, paging.rows)
    known = await queries.acknowledgements_of(tx, [alert.id for alert in found])
    now = await now_of(tx, found)
    return paging.page(found, lambda alert: shown(now[alert.id], known.get(alert.id, [])), key=lambda alert: [alert.id])


@router.get("/summary")
async def summarise_alerts(tx: TxHere, region: Region | None = None) -> SummaryView:
    """Counts by kind and state, of what the caller sees or of one region in it."""
    counts = await queries.counts(tx, region)
    return SummaryView(
        open=sum(count.count for count in counts if count.state == State.OPEN),
        resolved=sum(count.count for count in counts if count.state == State.RESOLVED),
        counts=[CountView.model_validate(count) for count in counts],
    )


@router.get("/{alert_id}")
async def get_alert(alert_id: UUID, tx: TxHere, response: Response) -> AlertView:
    """One alert with its evidence."""
    alert = await queries.get_alert(tx, alert_id)
    known = await queries.acknowledgements_of(tx, [alert_id])
    response.headers["etag"] = etag(alert.version)
    return shown((await now_of(tx, [alert]))[alert_id], known.get(alert_id, []))


@router.get("/{alert_id}/timeline")
async def get_alert_timeline(alert_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to an alert so far, and who must act."""
    alert = await queries.get_alert(tx, alert_id)
    now = (await now_of(tx, [alert]))[alert.id]
    return await history.timeline(tx, alert.id, alert.state, now.steps)


@router.post("/{alert_id}/acknowledgement", status_code=201)
async def acknowledge_alert(
    alert_id: UUID, command: Acknowledge, caller: CallerHere, tx: TxHere, response: Response
) -> AlertView:
    """A party concerned has seen the alert; it stays open until its cause is gone."""
    alert, known = await acknowledge(tx, caller, alert_id, command)
    response.headers["etag"] = etag(alert.version)
    return shown((await now_of(tx, [alert]))[alert_id], known)


@router.post("/{alert_id}/resolution")
async def resolve_alert(
    alert_id: UUID, command: Resolve, caller: CallerHere, tx: TxHere, response: Response
) -> AlertView:
    """The authority ends supply trouble or a flagged code with a reason; other kinds resolve by themselves."""
    alert = await resolve_by_hand(tx, caller, alert_id, command)
    known = await queries.acknowledgements_of(tx, [alert_id])
    response.headers["etag"] = etag(alert.version)
    return shown((await now_of(tx, [alert]))[alert_id], known.get(alert_id, []))


class Now(NamedTuple):
    """An alert as it stands now, and everybody who must act on it."""

    alert: Alert
    steps: list[NextStep]


async def now_of(tx: Tx, found: Sequence[Alert]) -> dict[UUID, Now]:
    """These alerts, by id; those that are open with names, and with what is known of payables now."""
    waiting = [alert for alert in found if alert.state == State.OPEN]
    names = await names_of(tx, [code for one in waiting for code in (one.institution_code, one.supplier_code)])
    payables = [UUID(alert.about_id) for alert in waiting if alert.about == About.PAYABLE]
    receipts = await receipts_of_payables(tx, payables) if payables else {}
    late = [UUID(one.about_id) for one in waiting if one.kind == Kind.DELIVERY_OVERDUE and sees_shipments(tx, one)]
    lines = await seen_lines(tx, late) if late else {}
    failed = [UUID(alert.about_id) for alert in waiting if alert.kind == Kind.PAYMENT_FAILED]
    unpaid = await seen_sheets(tx, failed) if failed else {}
    around: dict[str, Around] = {}
    if receipts:
        recalls = await recalls_of_receipts(tx, list(receipts.values()))
        sheets = await sheets_between(tx, list(receipts.values()))
        around = {about_id: _around(tx, receipt, recalls, sheets) for about_id, receipt in receipts.items()}
    standing = {alert.id: Now(alert, []) for alert in found}
    for alert in waiting:
        known, line = around.get(alert.about_id), lines.get(alert.about_id)
        shown_as = alert if known is None else as_known(alert, known.receipt)
        shown_as = shown_as if line is None else late_as_known(alert, line)
        sheet = unpaid.get(alert.about_id) if alert.kind == Kind.PAYMENT_FAILED else None
        standing[alert.id] = Now(shown_as, alert_steps(alert, names, known or line or sheet))
    return standing


def sees_shipments(tx: Tx, alert: Alert) -> bool:
    """Whether the caller may know what is on the way: not as the maker of the goods alone."""
    return tx.scope.covers(alert.institution_code, alert.supplier_code, region=alert.region)


def _around(tx: Tx, receipt: WatchedReceipt, recalls: Sequence[RecalledLot], sheets: Sequence[WatchedSheet]) -> Around:
    """What is about a payable, with the terms that settlement tells for it too."""
    if receipt.accepted_at is None:
        return Around(receipt, recalls, sheets)
    codes_by, sheet_by = (
        term(receipt.region, receipt.accepted_at) for term in (tx.policy.codes_by, tx.policy.sheet_by)
    )
    return Around(receipt, recalls, sheets, codes_by, sheet_by)


def shown(now: Now, known: list[queries.Acknowledgement]) -> AlertView:
    """An alert as it is shown."""
    fields = {name: getattr(now.alert, name) for name in AlertView.model_fields if hasattr(now.alert, name)}
    views = [AcknowledgementView.model_validate(one) for one in known]
    waits_for = now.steps[0] if now.steps else None
    return AlertView(**fields, waits_for=waits_for, next=now.steps, acknowledgements=views)


def _start(day: date | None, days: int = 0) -> datetime | None:
    return None if day is None else clock.start_of_day(day + timedelta(days=days))
