"""What listing says: who takes part, what may be bought at which price, and who may deliver it where.

Events about enterprises, institutions and listings carry the whole present state, so that a projection needs no history;
`sequence` tells the newer from the older. Organisations go by their code: USCC, institution code, or a provisional code.
"""

from datetime import date
from typing import Annotated
from uuid import UUID

from shared.codes import InstitutionKind, ProductKind
from shared.events.base import Event, Price, Value, event, one_of

CATEGORIES = (
    *("national_vbp", "alliance_vbp", "provincial_vbp", "negotiated", "linked_lowest", "direct", "filing"),
    *("shortage", "reference", "tcm_slice"),
)


@event("cn.jicai.listing.enterprise.registered.v1", subject="enterprise_id")
class EnterpriseRegistered(Event, frozen=True, kw_only=True):
    """An enterprise takes part, or what is known of it has changed. `provisional`: known by its exact name alone.

    It goes by `enterprise_code` for good, also when its USCC becomes known later."""

    enterprise_id: UUID
    enterprise_code: str
    name: str
    aliases: tuple[str, ...]
    kinds: tuple[Annotated[str, one_of("manufacturer", "distributor", "agent")], ...]
    provisional: bool
    active: bool
    region: str
    """GB/T 2260, six digits"""
    uscc: str | None = None
    """None: not known, or told by a version that did not say it"""


class DeliveryPoint(Value, frozen=True, kw_only=True):
    """Where goods are received: a branch or ward of an institution, by its name."""

    delivery_point_id: UUID
    name: str


@event("cn.jicai.listing.institution.registered.v1", subject="institution_id")
class InstitutionRegistered(Event, frozen=True, kw_only=True):
    """A hospital, community station, village clinic or pharmacy takes part, or what is known of it has changed."""

    institution_id: UUID
    institution_code: str
    name: str
    aliases: tuple[str, ...]
    kind: Annotated[str, one_of(*InstitutionKind)]
    grade: str | None
    region: str
    active: bool
    delivery_points: tuple[DeliveryPoint, ...]


class ListedProduct(Value, frozen=True, kw_only=True):
    """A product at a price in a region: what an order needs of it."""

    listing_id: UUID
    region: str
    product_code: str
    product_kind: Annotated[str, one_of(*ProductKind)]
    generic_name: str
    trade_name: str | None
    dosage_form: str | None
    specification: str | None
    unit: str
    """the smallest sale unit: 盒, 支, kg"""
    units_per_pack: int
    """smallest preparation units in one sale unit"""
    approval_number: str | None
    manufacturer_code: str
    manufacturer_name: str
    holder_name: str | None
    agent_code: str | None
    category: Annotated[str, one_of(*CATEGORIES)]
    """how it came to be listed"""
    batch_code: str | None
    price_yuan: Price
    valid_from: date
    valid_to: date | None
    """last day, inclusive"""
    gtin: str | None = None
    """of the sale unit, in 14 digits; None: not known, or told by a version that did not say it"""


@event("cn.jicai.listing.product.announced.v1", subject="listing_id")
class ProductAnnounced(Event, frozen=True, kw_only=True):
    """On public notice until `notice_until`, inclusive; may not be ordered yet. It is listed the day after, unless the
    authority objects."""

    listing_id: UUID
    listing: ListedProduct
    notice_until: date


@event("cn.jicai.listing.product.retracted.v1", subject="listing_id")
class ProductRetracted(Event, frozen=True, kw_only=True):
    """The public notice ended and the product was not listed: the authority returned it to its maker, or rejected it."""

    listing_id: UUID
    listing: ListedProduct


@event("cn.jicai.listing.product.listed.v1", subject="listing_id")
class ProductListed(Event, frozen=True, kw_only=True):
    """From `valid_from` on this product may be bought in the region at this price."""

    listing_id: UUID
    listing: ListedProduct


@event("cn.jicai.listing.product.price_changed.v1", subject="listing_id")
class ProductPriceChanged(Event, frozen=True, kw_only=True):
    """Orders placed from `changed_at` on are at the new price."""

    listing_id: UUID
    listing: ListedProduct
    previous_price_yuan: Price
    reason: str


@event("cn.jicai.listing.product.suspended.v1", subject="listing_id")
class ProductSuspended(Event, frozen=True, kw_only=True):
    """May not be ordered until it is resumed."""

    listing_id: UUID
    listing: ListedProduct
    reason: str


@event("cn.jicai.listing.product.resumed.v1", subject="listing_id")
class ProductResumed(Event, frozen=True, kw_only=True):
    """May be ordered again."""

    listing_id: UUID
    listing: ListedProduct
    reason: str


@event("cn.jicai.listing.product.delisted.v1", subject="listing_id")
class ProductDelisted(Event, frozen=True, kw_only=True):
    """May not be ordered any more."""

    listing_id: UUID
    listing: ListedProduct
    reason: str


@event("cn.jicai.listing.distribution.confirmed.v1", subject="distribution_id")
class DistributionConfirmed(Event, frozen=True, kw_only=True):
    """The distributor accepted to deliver the product in the region."""

    distribution_id: UUID
    region: str
    product_code: str
    manufacturer_code: str
    distributor_code: str
    distributor_name: str
    valid_from: date
    valid_to: date | None


@event("cn.jicai.listing.distribution.ended.v1", subject="distribution_id")
class DistributionEnded(Event, frozen=True, kw_only=True):
    """From `ended_on` on the distributor may not take new orders for the product in the region."""

    distribution_id: UUID
    region: str
    product_code: str
    manufacturer_code: str
    distributor_code: str
    ended_on: date
    reason: str
