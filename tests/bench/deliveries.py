"""Deliveries as orders says them: three lines each unless told, of one hospital and one distributor among many."""

import random
from datetime import date
from decimal import Decimal
from uuid import UUID

from uuid_utils.compat import uuid7

from shared import clock
from shared.envelope import seal
from shared.events.orders import AcceptedLine, DeliveryAccepted

LINES = 3
HOSPITALS, DISTRIBUTORS = 200, 50
_random = random.Random(4)


def delivery(lines: int = LINES) -> DeliveryAccepted:
    hospital, distributor = _random.randrange(HOSPITALS), _random.randrange(DISTRIBUTORS)
    return DeliveryAccepted(
        shipment_id=uuid7(),
        order_id=uuid7(),
        order_number=f"PO-{_random.randrange(10**6):06}",
        institution_code=f"H330102{hospital:05}",
        institution_name=f"市第{hospital}医院",
        distributor_code=f"913301000000{distributor:05}C",
        distributor_name=f"华东医药{distributor}",
        region="330100",
        accepted_at=clock.now(),  # in a month that is over, its sheets would be made anew for each batch
        lines=tuple(_line() for _ in range(lines)),
    )


def _line() -> AcceptedLine:
    return AcceptedLine(
        shipment_line_id=uuid7(),
        order_line_id=uuid7(),
        product_code="XA01ABD075A002010100483",
        product_kind="western",
        product_name="阿莫西林胶囊",
        manufacturer_code="91350200MA31E12PXF",
        unit="盒",
        lot_number="20250101",
        expires_on=date(2027, 1, 1),
        quantity_accepted=_random.randrange(1, 500),
        unit_price_yuan=Decimal("12.3400"),
    )


def sealed(lines: int = LINES) -> tuple[UUID, bytes]:
    """A delivery's subject, and its bytes."""
    fact = delivery(lines)
    payload = seal(
        event_id=uuid7(),
        source="/orders",
        event_type=fact.TYPE,
        subject=str(fact.shipment_id),
        time=clock.now(),
        sequence=1,
        data=fact,
    )
    return fact.shipment_id, payload
