"""HTTP for receiving accounts (指定账户)."""

from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from services.settlement.handlers import accounts as handlers
from services.settlement.queries import accounts as queries
from services.settlement.router.payables import CodeHere, steps
from services.settlement.rules.accounts import Account, next_step
from services.settlement.schemas.accounts import (
    AccountView,
    ConfirmAccount,
    NameAccount,
    RefuseAccount,
    WholeAccountView,
)
from shared import history
from shared.history import TimelineView
from shared.http import (
    BulkAnswer,
    CallerHere,
    Edge,
    Items,
    MatchNeeded,
    Page,
    PagingHere,
    Region,
    TxHere,
    answers,
    check_match,
    etag,
    only,
)

router = APIRouter(route_class=Edge, prefix="/accounts", tags=["receiving accounts"])


@router.post("", status_code=201)
async def name_account(command: NameAccount, caller: CallerHere, tx: TxHere, response: Response) -> AccountView:
    """The caller names where it is paid in a region; nothing is paid there before the agency has confirmed it."""
    account = await handlers.name_account(tx, caller, command)
    response.headers["location"] = f"/accounts/{account.id}"
    return _shown(account, response)


@router.get("")
async def list_accounts(
    tx: TxHere,
    paging: PagingHere,
    supplier: CodeHere = None,
    region: Annotated[Region | None, Query()] = None,
    state: Annotated[Literal["named", "confirmed", "refused", "replaced"] | None, Query()] = None,
) -> Page[AccountView]:
    """Accounts in the order of naming, their numbers masked."""
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.accounts_page(
        tx, supplier=supplier, region=region, state=state, after=after, rows=paging.rows
    )
    return paging.page(found, AccountView.of, key=lambda account: [account.id])


@router.get("/{account_id}")
async def get_account(account_id: UUID, tx: TxHere, response: Response) -> WholeAccountView:
    """One account with its whole number; its ETag is what the agency's word on it asks for."""
    account = await queries.get_account(tx, account_id)
    response.headers["etag"] = etag(account.version)
    return WholeAccountView.of(account)


@router.get("/{account_id}/timeline")
async def get_account_timeline(account_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to an account so far, and whom it waits for."""
    account = await queries.get_account(tx, account_id)
    return await history.timeline(tx, account_id, account.state, steps(next_step(account)))


@router.post("/{account_id}/confirmation", dependencies=[MatchNeeded])
async def confirm_account(
    account_id: UUID, caller: CallerHere, tx: TxHere, request: Request, response: Response
) -> AccountView:
    """The agency found the account to be the supplier's: it is paid to from now on; needs If-Match."""
    version = await _read(tx, account_id, request)
    item = ConfirmAccount(account_id=account_id, version=version)
    return _shown(only(await handlers.confirm_accounts(tx, caller, [item])), response)


@router.post("/{account_id}/refusal", dependencies=[MatchNeeded])
async def refuse_account(
    account_id: UUID, command: RefuseAccount, caller: CallerHere, tx: TxHere, request: Request, response: Response
) -> AccountView:
    """The agency does not pay to this account; the supplier names another. Needs If-Match."""
    version = await _read(tx, account_id, request)
    return _shown(await handlers.refuse_account(tx, caller, account_id, version, command.reason), response)


@router.post("/confirmations/bulk")
async def confirm_accounts_in_bulk(
    commands: Items[ConfirmAccount], caller: CallerHere, tx: TxHere
) -> BulkAnswer[AccountView]:
    """Up to 1,000 confirmations, each answered by itself."""
    return answers(await commands.each(partial(handlers.confirm_accounts, tx, caller)), AccountView.of)


async def _read(tx: TxHere, account_id: UUID, request: Request) -> int:
    """The version that the caller read; compared once more when the account is locked."""
    account = await queries.get_account(tx, account_id)
    check_match(request, account.version)
    return account.version


def _shown(account: Account, response: Response) -> AccountView:
    response.headers["etag"] = etag(account.version)
    return AccountView.of(account)
