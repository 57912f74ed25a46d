"""Keeps what listings say of products; the latest word stands, whichever listing of the product said it.

The GTIN of a sale unit is an identification code of level 1, as if its maker had uploaded it; what was said first of one stays.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import datetime

from services.traceability.errors import NotYourProduct, ProductNotKnownYet
from services.traceability.queries.identification_codes import meanings
from services.traceability.queries.products import Product, tell_products
from services.traceability.rules.identification_codes import SALE_UNIT, Meaning
from services.traceability.settings import COME_AGAIN_SECONDS
from services.traceability.tables import identification_codes
from shared import clock, deadlines, history
from shared.db import Tx
from shared.deadlines import Deadline
from shared.events.listing import (
    ListedProduct,
    ProductDelisted,
    ProductListed,
    ProductPriceChanged,
    ProductResumed,
    ProductSuspended,
)
from shared.history import BY_ITSELF, Parties
from shared.inbox import Received

RECOGNISE_CODES = "recognise_codes"

Told = ProductListed | ProductPriceChanged | ProductSuspended | ProductResumed | ProductDelisted
"""Each carries the whole product: goods of one that is not for sale any more are still received."""


async def on_product_told(tx: Tx, events: Sequence[Received[Told]]) -> None:
    """Natural key: the product code. A word older than what is known changes nothing."""
    latest: dict[str, tuple[datetime, ListedProduct]] = {}
    for event in events:
        listing = event.data.listing
        known = latest.get(listing.product_code)
        if known is None or known[0] <= event.time:
            latest[listing.product_code] = (event.time, listing)
    rows = [
        (
            listing.product_code,
            listing.product_kind,
            listing.generic_name,
            listing.unit,
            listing.units_per_pack,
            listing.manufacturer_code,
            listing.agent_code,
            told_at,
        )
        for _, (told_at, listing) in sorted(latest.items())
    ]
    await tell_products(tx, [list(column) for column in zip(*rows, strict=True)])
    await _keep_gtins(tx, [listing for _, (_, listing) in sorted(latest.items())])


async def _keep_gtins(tx: Tx, listings: Sequence[ListedProduct]) -> None:
    told = {
        listing.gtin: (Meaning(listing.gtin, listing.product_code, *SALE_UNIT), listing.manufacturer_code)
        for listing in listings
        if listing.gtin is not None
    }
    known = await meanings(tx, told)
    fresh = [ident for ident in told if ident not in known]
    for meaning, maker in (told[ident] for ident in fresh):
        row = {**asdict(meaning), "uploaded_by": maker, "uploaded_at": clock.now()}
        tx.add(identification_codes, row, skip_repeated=True)
        history.note(tx, BY_ITSELF, meaning.ident, "listed", Parties(supplier_code=maker), asdict(meaning))
    await await_meanings(tx, fresh)


async def await_meanings(tx: Tx, idents: Iterable[str]) -> None:
    """Lets the worker look, after this transaction, whether waiting codes of these can be read."""
    await deadlines.put(tx, [Deadline(RECOGNISE_CODES, ident, clock.now()) for ident in idents])


def permitted(tx: Tx, product: Product | None, product_code: str) -> Product:
    """The product, if the caller speaks for it: its manufacturer, its agent, or who may see all.

    Raises ProductNotKnownYet, NotYourProduct.
    """
    if product is None:
        raise ProductNotKnownYet(
            "{product_code} is not known here: a product is known some seconds after it was listed, not while it is on public"
            " notice. If it is listed, send it again in {seconds:#second}.",
            headers={"Retry-After": str(COME_AGAIN_SECONDS)},
            seconds=COME_AGAIN_SECONDS,
            product_code=product_code,
        )
    if not tx.scope.covers(product.manufacturer_code, product.agent_code):
        raise NotYourProduct(
            "{product_code} is made by {manufacturer_code}.",
            product_code=product_code,
            manufacturer_code=product.manufacturer_code,
        )
    return product
