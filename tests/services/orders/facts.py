"""A small market for the tests of orders: one city, two hospitals, two distributors, facts as listing says them."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4, uuid5

from shared.events.listing import (
    DeliveryPoint,
    DistributionConfirmed,
    DistributionEnded,
    EnterpriseRegistered,
    InstitutionRegistered,
    ListedProduct,
    ProductAnnounced,
    ProductDelisted,
    ProductListed,
    ProductPriceChanged,
    ProductResumed,
    ProductRetracted,
    ProductSuspended,
)
from shared.inbox import Received

SPACE = UUID("00000000-0000-0000-0000-00000000c0de")
NOW = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)
TODAY = date(2026, 3, 2)
HOSPITAL, OTHER_HOSPITAL = "H33010200059", "H33010600001"
DISTRIBUTOR, OTHER_DISTRIBUTOR = "91330100MA27XF6Q6M", "91330100MA2AXB1R2T"
PROVISIONAL = "PROV-0123456789AB"
MAKER, OTHER_MAKER = "91350200MA31E12PXF", "91350200MA31E99999"
ASPIRIN, STATIN, UNKNOWN = "XA02BCA030A001010100001", "XC07ABB040A001020100002", "XZ99ZZZ999Z999999999999"


def received(fact: Any, sequence: int) -> Received[Any]:
    """A fact as a handler is given it, without the way it came."""
    ways: dict[str, Any] = dict.fromkeys(Received.__dataclass_fields__)
    return Received(
        **{**ways, "data": fact, "id": uuid4(), "sequence": sequence, "time": datetime(2026, 3, 2, tzinfo=UTC)}
    )


def listed(product: str = ASPIRIN, price: str = "12.3450", **changes: Any) -> ListedProduct:
    """A product listed for the province, open-ended."""
    values: dict[str, Any] = {
        "listing_id": uuid5(SPACE, f"listing {product} {changes.get('region', '330000')}"),
        "region": "330000",
        "product_code": product,
        "product_kind": "western",
        "generic_name": "阿司匹林肠溶片",
        "trade_name": None,
        "dosage_form": "片剂",
        "specification": "100mg",
        "unit": "盒",
        "units_per_pack": 30,
        "approval_number": None,
        "manufacturer_code": MAKER if product == ASPIRIN else OTHER_MAKER,
        "manufacturer_name": "青禾制药有限公司",
        "holder_name": None,
        "agent_code": None,
        "category": "national_vbp",
        "batch_code": None,
        "price_yuan": Decimal(price),
        "valid_from": date(2026, 1, 1),
        "valid_to": None,
    }
    return ListedProduct(**{**values, **changes})


def product_listed(listing: ListedProduct) -> ProductListed:
    return ProductListed(listing_id=listing.listing_id, listing=listing)


def announced(listing: ListedProduct, until: date = TODAY) -> ProductAnnounced:
    return ProductAnnounced(listing_id=listing.listing_id, listing=listing, notice_until=until)


def retracted(listing: ListedProduct) -> ProductRetracted:
    return ProductRetracted(listing_id=listing.listing_id, listing=listing)


def suspended(listing: ListedProduct) -> ProductSuspended:
    return ProductSuspended(listing_id=listing.listing_id, listing=listing, reason="certificate expired")


def resumed(listing: ListedProduct) -> ProductResumed:
    return ProductResumed(listing_id=listing.listing_id, listing=listing, reason="certificate renewed")


def delisted(listing: ListedProduct) -> ProductDelisted:
    return ProductDelisted(listing_id=listing.listing_id, listing=listing, reason="contract ended")


def repriced(listing: ListedProduct, before: str = "12.3450") -> ProductPriceChanged:
    return ProductPriceChanged(
        listing_id=listing.listing_id, listing=listing, previous_price_yuan=Decimal(before), reason="own wish"
    )


def institution(code: str = HOSPITAL, *, active: bool = True, points: tuple[str, ...] = ("河坊街院区",)) -> Any:
    return InstitutionRegistered(
        institution_id=uuid5(SPACE, code),
        institution_code=code,
        name=f"医院 {code}",
        aliases=("第一医院（总院）",),
        kind="hospital",
        grade="三级甲等",
        region="330102",
        active=active,
        delivery_points=tuple(DeliveryPoint(delivery_point_id=uuid5(SPACE, code + name), name=name) for name in points),
    )


def enterprise(code: str = DISTRIBUTOR, *, active: bool = True, uscc: str | None = None) -> EnterpriseRegistered:
    return EnterpriseRegistered(
        enterprise_id=uuid5(SPACE, code),
        enterprise_code=code,
        name=f"医药公司 {code[-4:]}",
        aliases=(),
        kinds=("distributor",),
        provisional=code.startswith("PROV-") and uscc is None,
        active=active,
        region="330100",
        uscc=uscc,
    )


def relation(product: str = ASPIRIN, distributor: str = DISTRIBUTOR, **changes: Any) -> DistributionConfirmed:
    values: dict[str, Any] = {
        "distribution_id": uuid5(SPACE, f"{product} {distributor}"),
        "region": "330100",
        "product_code": product,
        "manufacturer_code": MAKER,
        "distributor_code": distributor,
        "distributor_name": f"医药公司 {distributor[-4:]}",
        "valid_from": date(2026, 1, 1),
        "valid_to": None,
    }
    return DistributionConfirmed(**{**values, **changes})


def relation_ended(confirmed: DistributionConfirmed, on: date) -> DistributionEnded:
    return DistributionEnded(
        distribution_id=confirmed.distribution_id,
        region=confirmed.region,
        product_code=confirmed.product_code,
        manufacturer_code=confirmed.manufacturer_code,
        distributor_code=confirmed.distributor_code,
        ended_on=on,
        reason="contract ended",
    )


def market() -> list[Any]:
    """Everything that the orders of these tests need."""
    return [
        institution(HOSPITAL),
        institution(OTHER_HOSPITAL),
        enterprise(DISTRIBUTOR),
        enterprise(OTHER_DISTRIBUTOR),
        enterprise(PROVISIONAL),
        product_listed(listed(ASPIRIN)),
        product_listed(listed(STATIN, "8.7600")),
        relation(ASPIRIN, DISTRIBUTOR),
        relation(STATIN, DISTRIBUTOR),
        relation(STATIN, OTHER_DISTRIBUTOR),
        relation(ASPIRIN, PROVISIONAL),
    ]


def wanted(product: str = ASPIRIN, quantity: Any = 100, distributor: str = DISTRIBUTOR, **more: Any) -> dict[str, Any]:
    """A line of a PlaceOrder."""
    return {"product_code": product, "quantity": quantity, "distributor_code": distributor, **more}


def order(number: str = "CG-1", *lines: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A PlaceOrder: of one line unless said otherwise."""
    return {"order_number": number, "lines": list(lines) or [wanted()], **more}


def goods(line_number: int = 1, quantity: int = 100, lot: str = "A1", **more: Any) -> dict[str, Any]:
    """A line of a DispatchShipment, made a month ago and good for two years."""
    return {
        "line_number": line_number,
        "lot_number": lot,
        "produced_on": str(TODAY - timedelta(days=30)),
        "expires_on": str(TODAY + timedelta(days=700)),
        "quantity": quantity,
        **more,
    }
