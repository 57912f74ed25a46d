"""Keeps what listings say of products; the latest word stands, whichever listing of the product said it."""

from collections.abc import Sequence
from datetime import datetime

from services.traceability.errors import NotYourProduct, ProductNotKnownYet
from services.traceability.queries.products import Product, tell_products
from shared.db import Tx
from shared.events.listing import (
    ListedProduct,
    ProductDelisted,
    ProductListed,
    ProductPriceChanged,
    ProductResumed,
    ProductSuspended,
)
from shared.inbox import Received

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


def permitted(tx: Tx, product: Product | None, product_code: str) -> Product:
    """The product, if the caller speaks for it: its manufacturer, its agent, or who may see all.

    Raises ProductNotKnownYet, NotYourProduct.
    """
    if product is None:
        raise ProductNotKnownYet(
            "No listing of {product_code} has reached traceability yet; send it again in a moment.",
            headers={"Retry-After": "1"},
            product_code=product_code,
        )
    if not tx.scope.covers(product.manufacturer_code, product.agent_code):
        raise NotYourProduct(
            "{product_code} is made by {manufacturer_code}.",
            product_code=product_code,
            manufacturer_code=product.manufacturer_code,
        )
    return product
