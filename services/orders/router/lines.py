"""HTTP for lists of lines: the distributor's inbox, the hospital's open lines."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query

from services.orders.queries.lines import InboxLine, lines_page
from services.orders.rules.lines import LineState
from services.orders.schemas.lines import InboxLineView, LineView
from shared.http import Code, Edge, Page, PagingHere, TxHere

router = APIRouter(route_class=Edge, prefix="/lines", tags=["lines"])


def _show(found: InboxLine) -> InboxLineView:
    return InboxLineView(
        **dict(LineView.model_validate(found.line)),
        order_number=found.order_number,
        institution_name=found.institution_name,
        delivery_point=found.delivery_point,
        placed_at=found.placed_at,
        confirm_by=found.confirm_by,
    )


@router.get("")
async def list_lines(
    tx: TxHere,
    paging: PagingHere,
    state: Annotated[LineState | None, Query(description="`pending`: the distributor's inbox")] = None,
    product_code: Annotated[Code | None, Query()] = None,
) -> Page[InboxLineView]:
    """Lines, the oldest first."""
    after = UUID(paging.after[0]) if paging.after else None
    found = await lines_page(tx, state=state, product_code=product_code, after=after, rows=paging.rows)
    return paging.page(found, _show, key=lambda row: [row.line.id])
