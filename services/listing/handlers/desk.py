"""What products and listings are written through: it holds the rows in hand, says each change, and stores them together.

A desk is filled with locked rows, decides nothing, and costs the same few statements however many rows it holds.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from services.listing.queries.listings import take_change_numbers
from services.listing.queries.products import COLUMNS
from services.listing.queries.visible import as_row
from services.listing.rules.listings import HOLDING, LIVE, Listing, State
from services.listing.rules.products import Product, difference, grams, searched
from services.listing.tables import listings, products
from shared import clock, deadlines, history, outbox
from shared.db import Tx
from shared.deadlines import Deadline
from shared.events import Event
from shared.events.listing import (
    ListedProduct,
    ProductAnnounced,
    ProductDelisted,
    ProductListed,
    ProductPriceChanged,
    ProductResumed,
    ProductRetracted,
    ProductSuspended,
)
from shared.history import Parties
from shared.identity import Caller

NOTICE_OVER = "notice_over"
"""The deadline of a public notice; about a listing's id."""


EDITED = ("state", "price_yuan", "wanted_price_yuan", "batch_code", "valid_to", "notice_until", "revision")
"""Of a listing, what its deeds tell from and to."""


class Desk:
    """Products by their code, listings by their id and by region and product; nothing is written before `store`."""

    def __init__(self, tx: Tx, caller: Caller, known: Iterable[Product], held: Iterable[Listing]) -> None:
        self.tx = tx
        self.caller = caller
        self.products = {product.code: product for product in known}
        self.listings = {listing.id: listing for listing in held}
        self.live = {
            (listing.region, listing.product_code): listing.id
            for listing in self.listings.values()
            if listing.state in LIVE
        }
        self.gtins: dict[str, str] = {}
        """The codes of the products that have these GTINs, as far as they were looked up."""
        self._products = dict(self.products)
        self._listings = dict(self.listings)
        self._notices: list[Deadline] = []

    def live_listing(self, region: str, product_code: str) -> Listing | None:
        """The one live listing of a product in a region."""
        found = self.live.get((region, product_code))
        return None if found is None else self.listings[found]

    def put_product(self, after: Product) -> None:
        """A new product, or one that changed; its listings under review and in public tell it, and the public ones are said
        again, for they carry it whole."""
        before = self.products.get(after.code)
        self.products[after.code] = after
        if after.gtin is not None:
            self.gtins.setdefault(after.gtin, after.code)
        parties = _parties(after, after.region)
        if before is None:
            known = {"generic_name": after.generic_name, "manufacturer_code": after.manufacturer_code}
            history.note(self.tx, self.caller, after.id, "registered", parties, known)
            return
        changes = difference(before, after)
        history.note(self.tx, self.caller, after.id, "changed", parties, {"changes": changes})
        for listing in list(self.listings.values()):
            if listing.product_code == after.code and listing.state in (State.SUBMITTED, *HOLDING):
                again = replace(listing, revision=listing.revision + 1)
                self.put_listing(again, "product_changed", {}, of_product=changes)

    def put_listing(
        self,
        after: Listing,
        action: str,
        detail: Mapping[str, object],
        *,
        reason: str | None = None,
        of_product: Mapping[str, tuple[object, object]] | None = None,
    ) -> Listing:
        """A new listing, or one that changed, with its event where it is or was traded; returns it as it will be kept.

        `of_product`: its product changed, from and to; whoever keeps the product need not be of the listing's region.
        """
        before = self.listings.get(after.id)
        product = self.products[after.product_code]
        fact = fact_of(before, after, product, reason or after.reason or "")
        if fact is not None and (of_product is not None or _tells(before, after, product)):
            after = replace(after, version=after.version + 1)
            outbox.record(self.tx, fact, after.version)
        self.listings[after.id] = after
        if after.state in LIVE:
            self.live[after.region, after.product_code] = after.id
        else:
            self.live.pop((after.region, after.product_code), None)
        moved = {**(of_product or {}), **history.changes(before, after, *EDITED)}
        parties = _parties(product, after.region, None if of_product is None else self.caller.organisation)
        history.note(
            self.tx, self.caller, after.id, action, parties, {"state": after.state, **detail, "changes": moved}
        )
        if after.state == State.PUBLIC_NOTICE and after.notice_until is not None:
            over_at = clock.start_of_day(after.notice_until + timedelta(days=1))
            self._notices.append(Deadline(NOTICE_OVER, str(after.id), over_at))
        return after

    async def store(self) -> None:
        """Writes every product and listing that changed."""
        fresh = [product for code, product in self.products.items() if code not in self._products]
        mended = [
            new for code, new in self.products.items() if code in self._products and new is not self._products[code]
        ]
        made = [one for key, one in self.listings.items() if key not in self._listings]
        moved = [one for key, one in self.listings.items() if key in self._listings and one is not self._listings[key]]
        await self.tx.change(products, [_product_row(product) for product in mended])
        self.tx.add(products, *(_product_row(product) for product in fresh))
        if not made and not moved:
            return
        await deadlines.put(self.tx, self._notices)
        numbers = await take_change_numbers(self.tx, len(moved) + len(made))
        rows = [
            {**as_row(listing), "change_number": number, "changed_at": clock.now()}
            for listing, number in zip([*moved, *made], numbers, strict=True)
        ]
        await self.tx.change(listings, rows[: len(moved)])
        self.tx.add(listings, *rows[len(moved) :])


def _parties(product: Product, region: str, doer: str | None = None) -> Parties:
    """Its maker, its agent and the region; and who did it, where that may be somebody else."""
    maker, agent = product.manufacturer_code, product.agent_code
    return Parties(institution_code=doer, supplier_code=maker, third_code=agent, region=region)


def _product_row(product: Product) -> dict[str, object]:
    names = searched(product)
    return {**{name: getattr(product, name) for name in COLUMNS}, "searched": names, "grams": grams(names)}


def _tells(before: Listing | None, after: Listing, product: Product) -> bool:
    """Whether the other services see a difference."""
    return before is None or before.state != after.state or _whole(before, product) != _whole(after, product)


def fact_of(before: Listing | None, after: Listing, product: Product, reason: str) -> Event | None:
    """What the other services must hear of a change; None while a listing is its parties' own affair.

    `before` None: it is new, or it is said again as it stands, which is nothing unless something was said of it before.
    """
    known: dict[str, Any] = {"listing_id": after.id, "listing": _whole(after, product)}
    fact: Event | None = None
    match before.state if before else None, after.state:
        case _, State.DELISTED:
            fact = ProductDelisted(**known, reason=reason)
        case _, State.SUSPENDED:
            fact = ProductSuspended(**known, reason=reason)
        case State.SUSPENDED, State.LISTED:
            fact = ProductResumed(**known, reason=reason)
        case State.LISTED, State.LISTED if before is not None and before.price_yuan != after.price_yuan:
            fact = ProductPriceChanged(**known, previous_price_yuan=before.price_yuan, reason=reason)
        case _, State.LISTED:
            fact = ProductListed(**known)
        case _, State.PUBLIC_NOTICE if after.notice_until is not None:
            fact = ProductAnnounced(**known, notice_until=after.notice_until)
        case None | State.PUBLIC_NOTICE, _ if after.version:
            fact = ProductRetracted(**known)
    return fact


def _whole(listing: Listing, product: Product) -> ListedProduct:
    return ListedProduct(
        listing_id=listing.id,
        region=listing.region,
        product_code=product.code,
        product_kind=product.kind,
        generic_name=product.generic_name,
        trade_name=product.trade_name,
        dosage_form=product.dosage_form,
        specification=product.specification,
        unit=product.unit,
        units_per_pack=product.units_per_pack,
        approval_number=product.approval_number,
        manufacturer_code=product.manufacturer_code,
        manufacturer_name=product.manufacturer_name,
        holder_name=product.holder_name,
        agent_code=product.agent_code,
        category=listing.category,
        batch_code=listing.batch_code,
        price_yuan=listing.price_yuan,
        valid_from=listing.valid_from,
        valid_to=listing.valid_to,
        gtin=product.gtin,
    )
