"""HTTP for what hospitals accept and reject."""

from functools import partial
from uuid import UUID

from fastapi import APIRouter

from services.orders.handlers.acceptances import accept_shipments
from services.orders.schemas.shipments import AcceptShipment, AcceptShipmentOf, ShipmentView
from shared.http import BulkAnswer, CallerHere, Edge, Items, TxHere, answers, only

router = APIRouter(route_class=Edge, tags=["acceptances"])


@router.post("/shipments/{shipment_id}/acceptance")
async def accept_shipment(shipment_id: UUID, command: AcceptShipment, caller: CallerHere, tx: TxHere) -> ShipmentView:
    """Accepts or rejects lines of a shipment, each once; the same figures again change nothing."""
    named = AcceptShipmentOf(shipment_id=shipment_id, lines=command.lines)
    return ShipmentView.of(only(await accept_shipments(tx, caller, [named])))


@router.post("/acceptances/bulk")
async def accept_shipments_in_bulk(
    commands: Items[AcceptShipmentOf], caller: CallerHere, tx: TxHere
) -> BulkAnswer[ShipmentView]:
    """Decisions on up to 1,000 shipments, each answered by itself."""
    return answers(await commands.each(partial(accept_shipments, tx, caller)), ShipmentView.of)
