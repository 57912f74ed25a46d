"""HTTP for the answers of distributors."""

from functools import partial
from uuid import UUID

from fastapi import APIRouter

from services.orders.handlers.confirmations import confirm_lines as confirm
from services.orders.schemas.lines import ConfirmLines, ConfirmLinesOf
from services.orders.schemas.orders import OrderView
from shared.http import BulkAnswer, CallerHere, Edge, Items, TxHere, answers, only

router = APIRouter(route_class=Edge, tags=["confirmations"])


@router.post("/orders/{order_id}/confirmation")
async def confirm_lines(order_id: UUID, command: ConfirmLines, caller: CallerHere, tx: TxHere) -> OrderView:
    """Confirms lines, in part too, or refuses them; the same answer again changes nothing."""
    named = ConfirmLinesOf(order_id=order_id, lines=command.lines, distributor_code=command.distributor_code)
    return OrderView.of(only(await confirm(tx, caller, [named])))


@router.post("/confirmations/bulk")
async def confirm_lines_in_bulk(
    commands: Items[ConfirmLinesOf], caller: CallerHere, tx: TxHere
) -> BulkAnswer[OrderView]:
    """Answers to up to 1,000 orders, each answered by itself."""
    return answers(await commands.each(partial(confirm, tx, caller)), OrderView.of)
