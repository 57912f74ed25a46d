"""HTTP for anomalies."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.traceability.handlers import anomalies as handlers
from services.traceability.queries import anomalies as queries
from services.traceability.queries.organisations import with_names
from services.traceability.rules.anomalies import Anomaly, AnomalyState
from services.traceability.rules.next_steps import anomaly_step
from services.traceability.schemas.anomalies import AnomalyView, CloseAnomaly, ExplainAnomaly
from shared import history
from shared.history import TimelineView
from shared.http import CallerHere, Edge, MatchNeeded, Page, PagingHere, TxHere, check_match, etag

router = APIRouter(route_class=Edge, prefix="/anomalies", tags=["anomalies"])

Kind = Literal[
    "received_elsewhere",
    "already_sold",
    "mismatch",
    "no_inbound",
    "written_off",
    "recalled",
    "expired",
    "unknown",
    "recalled_lot_held",
    "duplicate",
    "content_differs",
    "surplus",
]


@router.get("")
async def list_anomalies(
    tx: TxHere,
    paging: PagingHere,
    kind: Annotated[Kind | None, Query()] = None,
    state: Annotated[AnomalyState | None, Query()] = None,
    severity: Annotated[Literal["high", "medium"] | None, Query()] = None,
    institution_code: Annotated[str | None, Query(max_length=64)] = None,
) -> Page[AnomalyView]:
    """Codes found where they should not be, in the order they were found."""
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.anomalies_page(
        tx,
        kind=kind,
        state=state,
        severity=severity,
        institution_code=institution_code,
        after=after,
        rows=paging.rows,
    )
    return paging.page_of(AnomalyView, found, key=lambda row: [row.id])


@router.get("/{anomaly_id}")
async def get_anomaly(anomaly_id: UUID, tx: TxHere, response: Response) -> AnomalyView:
    """One anomaly."""
    return _shown(await queries.get_anomaly(tx, anomaly_id), response)


@router.get("/{anomaly_id}/timeline")
async def get_anomaly_timeline(anomaly_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to an anomaly so far, and who must answer."""
    anomaly = await queries.get_anomaly(tx, anomaly_id)
    step = anomaly_step(anomaly)
    steps = await with_names(tx, [step] if step else [])
    return await history.timeline(tx, anomaly.id, anomaly.state, steps)


@router.post("/{anomaly_id}/explanation", dependencies=[MatchNeeded])
async def explain_anomaly(
    anomaly_id: UUID, command: ExplainAnomaly, request: Request, caller: CallerHere, tx: TxHere, response: Response
) -> AnomalyView:
    """The institution says how it came about; `If-Match` guards against what changed meanwhile."""
    check_match(request, (await queries.get_anomaly(tx, anomaly_id, lock=True)).version)
    return _shown(await handlers.explain_anomaly(tx, caller, anomaly_id, command.explanation), response)


@router.post("/{anomaly_id}/close", dependencies=[MatchNeeded])
async def close_anomaly(
    anomaly_id: UUID, command: CloseAnomaly, request: Request, caller: CallerHere, tx: TxHere, response: Response
) -> AnomalyView:
    """The authority says what came of it; `If-Match` guards against what changed meanwhile."""
    check_match(request, (await queries.get_anomaly(tx, anomaly_id, lock=True)).version)
    return _shown(await handlers.close_anomaly(tx, caller, anomaly_id, command.finding), response)


def _shown(anomaly: Anomaly, response: Response) -> AnomalyView:
    response.headers["etag"] = etag(anomaly.version)
    return AnomalyView.model_validate(anomaly)
