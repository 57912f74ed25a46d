"""HTTP for payment runs, and the files that go to the bank and come from it."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.settlement.errors import AnswerRefused, RunNotSent
from services.settlement.gateways import payment_file, result_limits
from services.settlement.handlers.payments import read_result_file
from services.settlement.handlers.runs import approve_run, check_content, make_run, reject_run
from services.settlement.queries import payments as payment_queries
from services.settlement.queries import runs as queries
from services.settlement.router.payables import steps
from services.settlement.rules import payments as payment_rules
from services.settlement.rules.payments import Payment
from services.settlement.schemas.payments import RefusedResult, ResultFileView
from services.settlement.schemas.runs import MakePaymentRun, RejectRun, RunView
from shared import history
from shared.errors import Fault, Said, ServiceError
from shared.history import TimelineView
from shared.http import CallerHere, Edge, Page, PagingHere, TxHere, etag
from shared.http.problems import fault_view
from shared.http.uploads import UploadTooLarge
from shared.tongue import spoken

router = APIRouter(route_class=Edge, prefix="/payment-runs", tags=["payment runs"])


class Csv(Response):
    media_type = "text/csv"


RESULT_FILE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {
                "schema": {"type": "string"},
                "example": "payment_id,result,paid_at,amount_yuan,bank_reference\n"
                "01890a5d-ac96-774b-bcce-b302099a8057,paid,2026-04-08 10:00:00,1234.00,2026040800012345\n",
            }
        },
    }
}


@router.post("", status_code=201)
async def make_payment_run(command: MakePaymentRun, caller: CallerHere, tx: TxHere, response: Response) -> RunView:
    """Takes reviewed sheets into a payment run: those named, or all of the region; another person approves it."""
    run = await make_run(tx, caller, command)
    response.headers["etag"] = etag(run.version)
    response.headers["location"] = f"/payment-runs/{run.id}"
    return RunView.of(run)


@router.get("")
async def list_payment_runs(
    tx: TxHere,
    paging: PagingHere,
    state: Annotated[Literal["made", "approved", "done", "rejected"] | None, Query()] = None,
) -> Page[RunView]:
    """Payment runs in the order of making."""
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.runs_page(tx, state=state, after=after, rows=paging.rows)
    return paging.page(found, RunView.of, key=lambda run: [run.id])


@router.get("/{run_id}")
async def get_payment_run(run_id: UUID, tx: TxHere, response: Response) -> RunView:
    """One payment run, with its payments by state."""
    run = await queries.get_run(tx, run_id)
    response.headers["etag"] = etag(run.version)
    return RunView.of(run, await payment_queries.count_by_state(tx, run_id))


@router.get("/{run_id}/timeline")
async def get_payment_run_timeline(run_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to a payment run so far, and whom it waits for."""
    run = await queries.get_run(tx, run_id)
    return await history.timeline(tx, run_id, run.state, steps(RunView.of(run).waits_for))


@router.post("/{run_id}/approval", status_code=202)
async def approve_payment_run(run_id: UUID, caller: CallerHere, tx: TxHere, response: Response) -> RunView:
    """Approves a run that another person made; a job then sends each payment to the bank."""
    run = await approve_run(tx, caller, run_id)
    response.headers["location"] = f"/jobs/{run.job_id}"
    return RunView.of(run)


@router.post("/{run_id}/rejection")
async def reject_payment_run(run_id: UUID, command: RejectRun, caller: CallerHere, tx: TxHere) -> RunView:
    """Rejects a run that was not approved; its sheets may enter another."""
    return RunView.of(await reject_run(tx, caller, run_id, command))


@router.get("/{run_id}/payment-file", response_class=Csv)
async def get_payment_file(
    run_id: UUID,
    tx: TxHere,
    only: Annotated[
        Literal["unanswered"] | None, Query(description="leaves out what the bank has said paid or failed of")
    ] = None,
) -> Response:
    """What the bank is asked to pay, as CSV: the same bytes each time, whatever it has answered since; 409 until all of it has
    been reserved, and where it is not what was approved. A payment is known to the bank by its `payment_id`, under which it
    pays once, however often it is sent."""
    run = await queries.get_run(tx, run_id)
    counts = await payment_queries.count_by_state(tx, run_id)
    if planned := counts.get(payment_rules.PLANNED, 0):
        raise RunNotSent(
            "Run {run_id} is {state}; of {payment_count:#payment}, {planned} not reserved yet.",
            headers={"Retry-After": "1"},
            run_id=run_id,
            state=run.state,
            planned=planned,
            payment_count=run.payment_count,
        )
    await check_content(tx, run_id)
    states = [payment_rules.SENDING] if only else payment_rules.SENT
    known = await payment_queries.payments_of_run(tx, run_id, states)
    orders = [payment for payment in known if payment.sent_at]  # the others were made before, and are not asked for
    headers = {"content-disposition": f'attachment; filename="payments-{run_id}.csv"'}
    return Csv(payment_file(orders), headers=headers)


@router.post("/{run_id}/result-file", openapi_extra=RESULT_FILE)
async def put_result_file(run_id: UUID, caller: CallerHere, tx: TxHere, request: Request) -> ResultFileView:
    """Takes the bank's answers as CSV (payment_id, result, paid_at, reason, amount_yuan, bank_reference; the first two always);
    good rows land, each bad one is named. An amount must be that of the payment, and a time not before it was sent."""
    body = await request.body()
    most = result_limits().file_bytes
    if len(body) > most:
        raise UploadTooLarge(
            "The file has {count} bytes, at most {most} are read.",
            count=len(body),
            most=most,
        )
    outcomes = await read_result_file(tx, caller, run_id, body)
    refused = [
        _refused(row.number, outcome, row.faults) for row, outcome in outcomes if isinstance(outcome, ServiceError)
    ]
    settled = [outcome.state for _, outcome in outcomes if isinstance(outcome, Payment)]
    return ResultFileView(
        paid=settled.count(payment_rules.PAID),
        failed=settled.count(payment_rules.FAILED),
        unchanged=sum(outcome is None for _, outcome in outcomes),
        refused=refused,
    )


def _refused(number: int, refusal: ServiceError, faults: Sequence[Fault]) -> RefusedResult:
    own = [replace(fault, pointer=f"/{number}{fault.pointer}") for fault in refusal.faults]
    errors = [fault_view(fault) for fault in (*faults, *own)]
    if faults or isinstance(refusal, AnswerRefused):
        detail = spoken(Said("{count:#fault} in row {row}; the row was not taken.", count=len(errors), row=number))
        return RefusedResult(row=number, code="invalid_row", detail=detail, errors=errors)
    return RefusedResult(row=number, code=refusal.code, detail=spoken(refusal.detail), errors=errors)
