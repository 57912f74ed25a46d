"""HTTP for products and their certificates."""

from functools import partial
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Response

from services.listing.handlers import products as handlers
from services.listing.queries import products as queries
from services.listing.queries.timelines import get_timeline
from services.listing.schemas.products import AddCertificate, CertificateView, ProductView, RegisterProduct
from shared.history import TimelineView
from shared.http import BulkAnswer, CallerHere, Edge, Items, Page, PagingHere, TxHere, answers, etag, only

router = APIRouter(route_class=Edge, prefix="/products", tags=["products"])


@router.post("", status_code=201)
async def register_product(command: RegisterProduct, caller: CallerHere, tx: TxHere, response: Response) -> ProductView:
    """Registers a product, or changes what is known of one."""
    product = only(await handlers.register_products(tx, caller, [command]))
    response.headers["etag"] = etag(product.version)
    return ProductView.model_validate(product)


@router.post("/bulk")
async def register_products_in_bulk(
    commands: Items[RegisterProduct], caller: CallerHere, tx: TxHere
) -> BulkAnswer[ProductView]:
    """Up to 1,000 registrations, each answered by itself."""
    outcomes = await commands.each(partial(handlers.register_products, tx, caller))
    return answers(outcomes, ProductView.model_validate, success=201)


@router.get("")
async def list_all_products(
    tx: TxHere,
    paging: PagingHere,
    code: Annotated[str | None, Query(max_length=64)] = None,
    name: Annotated[
        str | None, Query(min_length=1, max_length=100, description="part of generic or trade name")
    ] = None,
    manufacturer: Annotated[
        str | None, Query(min_length=1, max_length=200, description="code, or part of name")
    ] = None,
) -> Page[ProductView]:
    """Products in the order of registration, listed or not."""
    after = UUID(paging.after[0]) if paging.after else None
    found = await queries.products_page(
        tx, code=code, name=name, manufacturer=manufacturer, after=after, rows=paging.rows
    )
    return paging.page_of(ProductView, found, key=lambda row: [row.id])


@router.get("/{product_id}")
async def get_product(product_id: UUID, tx: TxHere, response: Response) -> ProductView:
    """One product."""
    product = await queries.get_product(tx, product_id)
    response.headers["etag"] = etag(product.version)
    return ProductView.model_validate(product)


@router.post("/{product_id}/certificates", status_code=201)
async def add_certificate(product_id: UUID, command: AddCertificate, caller: CallerHere, tx: TxHere) -> CertificateView:
    """Adds a certificate, or renews the one of this number."""
    return CertificateView.model_validate(await handlers.add_certificate(tx, caller, product_id, command))


@router.get("/{product_id}/certificates")
async def list_certificates(product_id: UUID, tx: TxHere) -> list[CertificateView]:
    """The certificates of a product."""
    product = await queries.get_product(tx, product_id)
    return [CertificateView.model_validate(one) for one in await queries.certificates_of(tx, product.code)]


@router.get("/{product_id}/timeline")
async def get_product_timeline(product_id: UUID, tx: TxHere) -> TimelineView:
    """What happened to a product so far; its listings have timelines of their own."""
    product = await queries.get_product(tx, product_id)
    return await get_timeline(tx, product.id, "registered")
