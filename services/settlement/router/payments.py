"""HTTP for payments."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from services.settlement.handlers import doubts
from services.settlement.queries import payments as queries
from services.settlement.router.payables import steps
from services.settlement.schemas.payments import ConfirmPayment, DismissDoubt, PaymentView
from shared import history
from shared.history import TimelineView
from shared.http import CallerHere, Edge, Page, PagingHere, TxHere

router = APIRouter(route_class=Edge, prefix="/payments", tags=["payments"])


@router.get("")
async def list_payments(
    tx: TxHere,
    paging: PagingHere,
    run_id: Annotated[UUID | None, Query()] = None,
    sheet_id: Annotated[UUID | None, Query()] = None,
    state: Annotated[Literal["planned", "sending", "paid", "failed", "withdrawn"] | None, Query()] = None,
) -> Page[PaymentView]:
    """Payments in the order of planning."""
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.payments_page(
        tx, run_id=run_id, sheet_id=sheet_id, state=state, after=after, rows=paging.rows
    )
    return paging.page(found, PaymentView.of, key=lambda payment: [payment.id])


@router.get("/{payment_id}")
async def get_payment(payment_id: UUID, tx: TxHere) -> PaymentView:
    """One payment."""
    return PaymentView.of(await queries.get_payment(tx, payment_id))


@router.get("/{payment_id}/timeline")
async def get_payment_timeline(payment_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to a payment so far, and whom it waits for."""
    payment = await queries.get_payment(tx, payment_id)
    return await history.timeline(tx, payment_id, payment.state, steps(PaymentView.of(payment).waits_for))


@router.post("/{payment_id}/confirmation")
async def confirm_payment(payment_id: UUID, command: ConfirmPayment, caller: CallerHere, tx: TxHere) -> PaymentView:
    """The agency found out that the bank made a payment that it had called failed, and later paid: it is booked as paid. 409
    while its sheet stands in a run, or when it was paid otherwise. So is one of an approved run that the bank made before it was
    sent, as after a restore, with `paid_on` and by another person than the maker of the run: it is never sent then."""
    return PaymentView.of(await doubts.confirm_payment(tx, caller, payment_id, command))


@router.post("/{payment_id}/dismissal")
async def dismiss_doubt(payment_id: UUID, command: DismissDoubt, caller: CallerHere, tx: TxHere) -> PaymentView:
    """The agency found out that what is booked of a payment in doubt is true: one that failed may be paid again, one that is paid
    stays paid."""
    return PaymentView.of(await doubts.dismiss_doubt(tx, caller, payment_id, command))
