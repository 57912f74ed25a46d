"""HTTP for the ledger, and for how far what was accepted has come."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query
from pydantic import Field

from services.settlement.queries import ledger as queries
from services.settlement.router.payables import CodeHere
from services.settlement.rules.reconciliation import check_period, differences
from services.settlement.schemas.ledger import (
    BalanceView,
    LedgerView,
    ReconciliationView,
    SumView,
    TransactionView,
)
from shared.http import Edge, Page, PagingHere, TxHere

router = APIRouter(route_class=Edge, tags=["ledger"])

DayHere = Annotated[date, Field(ge=date(2000, 1, 1), le=date(2999, 12, 31))]
KindHere = Annotated[
    Literal[
        "opened",
        "opened_released",
        "released",
        "sheeted",
        "disputed",
        "resolved",
        "sent",
        "paid",
        "refused",
        "bounced",
    ]
    | None,
    Query(),
]


@router.get("/ledger/balances")
async def get_balances(tx: TxHere, institution: CodeHere = None, distributor: CodeHere = None) -> LedgerView:
    """The balance of every account, derived from the entries alone, and their sum, which is zero."""
    found = await queries.balances(tx, institution=institution, distributor=distributor)
    return LedgerView(
        balances=[BalanceView.model_validate(balance) for balance in found],
        ledger_sum_yuan=sum((balance.balance_yuan for balance in found), Decimal(0)),
    )


@router.get("/ledger/entries")
async def list_entries(
    tx: TxHere,
    paging: PagingHere,
    payable_id: Annotated[UUID | None, Query()] = None,
    sheet_id: Annotated[UUID | None, Query()] = None,
    kind: KindHere = None,
) -> Page[TransactionView]:
    """Transactions in the order of booking, each with its two entries."""
    after = int(paging.after[0]) if paging.after else None
    found = await queries.transfers_page(
        tx, payable_id=payable_id, sheet_id=sheet_id, kind=kind, after=after, rows=paging.rows
    )
    return paging.page(found, TransactionView.of, key=lambda transfer: [transfer.id])


@router.get("/reconciliation")
async def get_reconciliation(
    tx: TxHere,
    first: Annotated[DayHere, Query(alias="from", description="first day of acceptance, in Shanghai")],
    last: Annotated[DayHere, Query(alias="to", description="last day of acceptance, inclusive")],
) -> ReconciliationView:
    """How far what was accepted in a time has come, counted from the payables and, apart from them, from the ledger."""
    check_period(first, last)
    totals = await queries.totals(tx, first, last)
    booked = await queries.booked_between(tx, first, last)
    return ReconciliationView(
        first=first,
        last=last,
        accepted_lines=SumView(count=totals.lines, yuan=totals.lines_yuan),
        payables=SumView(count=totals.payables, yuan=totals.payables_yuan),
        released=SumView(count=totals.released, yuan=totals.released_yuan),
        sheeted=SumView(count=totals.sheeted, yuan=totals.sheeted_yuan),
        held=SumView(count=totals.held, yuan=totals.held_yuan),
        paid=SumView(count=totals.paid, yuan=totals.paid_yuan),
        ledger=booked,
        ledger_sum_yuan=await queries.ledger_sum(tx),
        differences=differences(totals, booked),
    )
