"""What orders refuses.

Forbidden      NotYourOrganisation
NotFound       OrderNotFound  LineNotFound  ShipmentNotFound
Conflict       OrderNumberUsed  ShipmentNumberUsed  LineDecided  NothingToCancel  LineNotOpen
               ShipmentNotOpen  AlreadyReceived
Unprocessable  OrderRefused  ConfirmationRefused  ShipmentRefused  AcceptanceRefused
"""

from shared.errors import Conflict, Forbidden, NotFound, Unprocessable


class NotYourOrganisation(Forbidden):
    title = "You may act for your own organisation"


class OrderNotFound(NotFound):
    title = "No such order, or not yours"


class LineNotFound(NotFound):
    title = "No such line in this order, or not yours"


class ShipmentNotFound(NotFound):
    title = "No such shipment, or not yours"


class OrderNumberUsed(Conflict):
    """Give the new order a number of its own; GET /orders/by-number/{order_number} reads the one that stands."""

    title = "The order number was used for another order"


class ShipmentNumberUsed(Conflict):
    """Give the new shipment a number of its own; GET /shipments/{shipment_id} reads the one that `detail` names."""

    title = "The shipment number was used for another shipment"


class LineDecided(Conflict):
    title = "The line was decided otherwise before"


class NothingToCancel(Conflict):
    title = "No line of the order awaits confirmation"


class LineNotOpen(Conflict):
    title = "The line is not open"


class ShipmentNotOpen(Conflict):
    title = "The shipment is not on its way any more"


class AlreadyReceived(Conflict):
    title = "The goods were received before, with other figures"


class OrderRefused(Unprocessable):
    title = "The order cannot be placed so"


class ConfirmationRefused(Unprocessable):
    title = "The lines cannot be confirmed so"


class ShipmentRefused(Unprocessable):
    title = "The goods cannot be shipped so"


class AcceptanceRefused(Unprocessable):
    title = "The goods cannot be received so"
