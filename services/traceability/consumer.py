"""What happens in traceability by itself: receipts come and go with shipments, and what was awaited is looked for again."""

from services.traceability.handlers import again
from services.traceability.handlers.identification_codes import when_recognise_codes
from services.traceability.handlers.organisations import on_enterprises_registered, on_institutions_registered
from services.traceability.handlers.packings import when_open_cases
from services.traceability.handlers.products import RECOGNISE_CODES, on_product_told
from services.traceability.handlers.recalls import LOOK_FOR_HOLDERS, when_look_for_holders
from services.traceability.handlers.receipts import (
    on_delivery_accepted,
    on_delivery_rejected,
    on_shipment_cancelled,
    on_shipment_dispatched,
)
from services.traceability.handlers.units import OPEN_CASES
from services.traceability.tables import organisations, products
from shared.deadlines import Deadlines
from shared.events.listing import (
    EnterpriseRegistered,
    InstitutionRegistered,
    ProductDelisted,
    ProductListed,
    ProductPriceChanged,
    ProductResumed,
    ProductSuspended,
)
from shared.events.orders import DeliveryAccepted, DeliveryRejected, ShipmentCancelled, ShipmentDispatched
from shared.inbox import Handlers
from shared.republish import Projection, Republish

HANDLERS: Handlers = {
    EnterpriseRegistered: on_enterprises_registered,
    InstitutionRegistered: on_institutions_registered,
    ProductListed: on_product_told,
    ProductPriceChanged: on_product_told,
    ProductSuspended: on_product_told,
    ProductResumed: on_product_told,
    ProductDelisted: on_product_told,
    ShipmentDispatched: on_shipment_dispatched,
    ShipmentCancelled: on_shipment_cancelled,
    DeliveryAccepted: on_delivery_accepted,
    DeliveryRejected: on_delivery_rejected,
}
DEADLINES: Deadlines = {
    RECOGNISE_CODES: when_recognise_codes,
    OPEN_CASES: when_open_cases,
    LOOK_FOR_HOLDERS: when_look_for_holders,
}
REPUBLISH: Republish = {
    "receipts": again.receipts_again,
    "recalls": again.recalls_again,
    "anomalies": again.anomalies_again,
}
PROJECTIONS = {
    "organisations": Projection((organisations,), {"listing": ("enterprises", "institutions")}),
    "products": Projection((products,), {"listing": ("listings",)}),
}
