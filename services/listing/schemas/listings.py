"""What is said about listings and their prices over HTTP."""

from datetime import date, datetime
from typing import ClassVar, Literal
from uuid import UUID

from pydantic import ConfigDict, Field, computed_field
from pydantic.config import JsonDict

from services.listing.rules.listings import Category, Listing, State, in_force
from services.listing.rules.products import Product
from services.listing.schemas.fields import Coded, Day, Forms, Region, ShortText
from services.listing.schemas.products import PRODUCT_EXAMPLE, RegisterProduct
from shared import clock
from shared.codes import parse_region
from shared.http import Code, Command, Price, Reason, View
from shared.values import names_of

TERMS_EXAMPLE: JsonDict = {
    "region": "330000",
    "price_yuan": "12.3400",
    "category": "direct",
    "price_origin": "非集采、谈判药品正常挂网",
    "valid_from": "2026-01-01",
}

DelistReason = Literal[
    "certificate_cancelled", "contract_ended", "authority_order", "voluntary", "credit", "supply", "quality", "price"
]
SuspendReason = Literal[
    "certificate_expired", "price_evidence", "price_red", "credit", "supply", "quality", "voluntary"
]


class ListProduct(RegisterProduct):
    """Lists a product straight away, and registers it where it is not known; said again, changes what is new."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**PRODUCT_EXAMPLE, **TERMS_EXAMPLE}]})

    FORMS: ClassVar[Forms] = {**RegisterProduct.FORMS, "region": parse_region}

    region: Region
    price_yuan: Price
    category: Category
    batch_code: Code | None = None
    price_origin: ShortText | None = Field(None, description="how the price came about")
    valid_from: Day | None = Field(None, description="leave out for today")
    valid_to: Day | None = Field(None, description="last day, inclusive")


class ProposeListing(Coded):
    """Proposes to list a product in a region at a price; a draft until it is submitted."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"product_code": PRODUCT_EXAMPLE["code"], **TERMS_EXAMPLE}]}
    )

    FORMS: ClassVar[Forms] = {"region": parse_region}

    product_code: Code
    region: Region
    price_yuan: Price
    category: Category
    batch_code: Code | None = None
    price_origin: ShortText | None = Field(None, description="how the price came about")
    valid_from: Day | None = Field(None, description="leave out for today")
    valid_to: Day | None = Field(None, description="last day, inclusive")


class ReviseListing(Coded):
    """Changes a draft, or a listing that the authority returned; all terms are given anew."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"price_yuan": "11.9000", "category": "direct", "valid_from": "2026-01-01"}]}
    )

    price_yuan: Price
    category: Category
    batch_code: Code | None = None
    price_origin: ShortText | None = None
    valid_from: Day
    valid_to: Day | None = None


class Why(Command):
    """Why it is done; the other side reads it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "价格依据缺第三个省份的挂网截图"}]})

    reason: Reason


class Suspend(Why):
    """Why a listing is suspended."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason_kind": "supply", "reason": "连续三次未配送"}]})

    reason_kind: SuspendReason


class Delist(Why):
    """Why a product leaves."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"reason_kind": "contract_ended", "reason": "采购周期届满"}]}
    )

    reason_kind: DelistReason


class DelistOne(Delist):
    """A listing of many that leave at once."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "listing_id": "01990000-0000-7000-8000-000000000001",
                    "reason_kind": "credit",
                    "reason": "拒不履行供应承诺",
                }
            ]
        }
    )

    listing_id: UUID


class ChangePrice(Command):
    """Another price. The authority sets it; a manufacturer lowers it at once, and asks when it would raise it."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"price_yuan": "9.8000", "reason": "联动全国最低价"}]})

    price_yuan: Price
    reason: Reason


class ChangePriceOf(ChangePrice):
    """Another price of one listing of many."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "listing_id": "01990000-0000-7000-8000-000000000001",
                    "price_yuan": "9.8000",
                    "reason": "联动全国最低价",
                }
            ]
        }
    )

    listing_id: UUID


class ListingView(View):
    """A product at a price in a region; `reason` says why it is suspended, returned, rejected or delisted."""

    id: UUID
    region: str
    product_code: str
    product_kind: str
    generic_name: str
    trade_name: str | None
    dosage_form: str | None
    specification: str | None
    unit: str
    units_per_pack: int
    approval_number: str | None
    manufacturer_code: str
    manufacturer_name: str
    manufacturer_provisional: bool
    holder_name: str | None
    agent_code: str | None
    category: str
    batch_code: str | None
    price_origin: str | None
    price_yuan: Price
    valid_from: date
    valid_to: date | None
    state: State
    reason: str | None
    notice_until: date | None
    wanted_price_yuan: Price | None
    revision: int = Field(description="raised by every change; the ETag")
    version: int = Field(description="how many events have told of it: 0 before its public notice")

    @computed_field(description="whether it can be ordered today: `listed`, and its term has begun and is not over")  # type: ignore[prop-decorator]
    @property
    def in_force(self) -> bool:
        """Whether it is listed and holds today."""
        return in_force(self.state, self.valid_from, self.valid_to, clock.today())

    @classmethod
    def of(cls, listing: Listing, product: Product) -> "ListingView":
        """The view of a listing in hand."""
        own = {name: getattr(listing, name) for name in _OF_LISTING}
        its = {name: getattr(product, name) for name in _OF_PRODUCT}
        return cls(**its, **own, product_kind=product.kind)


_OF_LISTING = tuple(name for name in ListingView.model_fields if name in names_of(Listing))
_OF_PRODUCT = tuple(name for name in ListingView.model_fields if name in names_of(Product) and name not in _OF_LISTING)


class ChangedListing(ListingView):
    """A listing that changed, under the number of its latest change."""

    change_number: int
    changed_at: datetime


class ChangesView(View):
    """What changed, oldest first; ask again with `after=next`. `more`: there is more now."""

    items: list[ChangedListing]
    next: int
    more: bool
