"""HTTP for shipments."""

from functools import partial
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Query

from services.orders.handlers.shipments import CallingBack, cancel_shipments, dispatch_shipments
from services.orders.queries import shipments as queries
from services.orders.queries.recalls import deeds_of, recalls_of
from services.orders.rules.recalls import open_now
from services.orders.rules.shipments import next_steps
from services.orders.schemas.shipments import CancelShipment, DispatchShipment, ShipmentHeadView, ShipmentView
from shared import history
from shared.history import TimelineView
from shared.http import BulkAnswer, CallerHere, Code, Edge, Items, Page, PagingHere, TxHere, answers, only

router = APIRouter(route_class=Edge, prefix="/shipments", tags=["shipments"])


@router.post("", status_code=201)
async def dispatch_shipment(command: DispatchShipment, caller: CallerHere, tx: TxHere) -> ShipmentView:
    """Sends goods; the same number with the same content answers the same shipment again."""
    return ShipmentView.of(only(await dispatch_shipments(tx, caller, [command])))


@router.post("/bulk")
async def dispatch_shipments_in_bulk(
    commands: Items[DispatchShipment], caller: CallerHere, tx: TxHere
) -> BulkAnswer[ShipmentView]:
    """Up to 1,000 shipments, each answered by itself."""
    return answers(await commands.each(partial(dispatch_shipments, tx, caller)), ShipmentView.of, success=201)


@router.get("")
async def list_shipments(
    tx: TxHere,
    paging: PagingHere,
    state: Annotated[Literal["dispatched", "receiving", "received", "cancelled"] | None, Query()] = None,
    order_id: Annotated[UUID | None, Query()] = None,
) -> Page[ShipmentHeadView]:
    """Shipments, the newest first; `state=dispatched` is what the hospital awaits."""
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.shipments_page(tx, state=state, order_id=order_id, after=after, rows=paging.rows)
    return paging.page_of(ShipmentHeadView, found, key=lambda shipment: [shipment.id])


@router.get("/by-number/{shipment_number:path}")
async def get_shipment_by_number(
    shipment_number: Code,
    caller: CallerHere,
    tx: TxHere,
    distributor_code: Annotated[Code | None, Query(description="the caller's own when left out")] = None,
) -> ShipmentView:
    """The shipment of a number: what to ask after a time-out."""
    code = distributor_code or caller.organisation
    return ShipmentView.of(await queries.get_load_by_number(tx, code, shipment_number))


@router.get("/{shipment_id}")
async def get_shipment(shipment_id: UUID, tx: TxHere) -> ShipmentView:
    """One shipment with its lines."""
    return ShipmentView.of(await queries.get_load(tx, shipment_id))


@router.get("/{shipment_id}/timeline")
async def get_shipment_timeline(shipment_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to a shipment so far, and who must act."""
    load = await queries.get_load(tx, shipment_id)
    products, lots = {line.product_code for line in load.lines}, {line.lot_number for line in load.lines}
    recalls = await recalls_of(tx, products, lots)
    steps = next_steps(load, open_now(recalls))
    return await history.timeline(tx, shipment_id, load.shipment.state, steps, also=deeds_of(recalls, load.lines))


@router.post("/{shipment_id}/cancellation")
async def cancel_shipment(shipment_id: UUID, command: CancelShipment, caller: CallerHere, tx: TxHere) -> ShipmentView:
    """Calls goods back of which nothing was received."""
    return ShipmentView.of(only(await cancel_shipments(tx, caller, [CallingBack(shipment_id, command.reason)])))
