"""Reads products with their makers' names; searches them by parts of names."""

from collections.abc import Collection, Sequence
from uuid import UUID

import sqlalchemy as sa

from services.listing.errors import ProductNotFound
from services.listing.rules.products import Certificate, Product, folded, searched_grams
from services.listing.tables import certificates, enterprises, products
from shared.db import Tx
from shared.values import names_of

OF_THE_MAKER = {
    "manufacturer_name": enterprises.c.name.label("manufacturer_name"),
    "manufacturer_provisional": enterprises.c.provisional.label("manufacturer_provisional"),
}
COLUMNS = tuple(name for name in names_of(Product) if name not in OF_THE_MAKER)
MADE = products.join(enterprises, enterprises.c.code == products.c.manufacturer_code)

# The codes come as a table and not as `= ANY`: so the plan goes from them to the products, whatever the statistics say.
_WANTED = (
    sa.func.unnest(sa.cast(sa.bindparam("codes"), sa.ARRAY(sa.Text)))
    .table_valued("code", name="wanted")
    .render_derived()
)
_ALL = sa.select(
    *(OF_THE_MAKER[name] if name in OF_THE_MAKER else products.c[name] for name in names_of(Product))
).select_from(MADE)
_BY_CODES = _ALL.join(_WANTED, _WANTED.c.code == products.c.code).order_by(products.c.id)
_BY_CODES_LOCKED = _BY_CODES.with_for_update(of=products)
_BY_ID = _ALL.where(products.c.id == sa.bindparam("id"))
_BY_ID_LOCKED = _BY_ID.with_for_update(of=products)
_OF_GTINS = (
    sa.select(products.c.gtin, products.c.code)
    .where(products.c.gtin == sa.any_(sa.bindparam("gtins", type_=sa.ARRAY(sa.Text))))
    .order_by(products.c.id.desc())
)
_CERTIFICATES = (
    sa.select(*(certificates.c[name] for name in names_of(Certificate)))
    .where(certificates.c.product_code == sa.bindparam("code"))
    .order_by(certificates.c.id)
)


async def products_by_code(tx: Tx, codes: Collection[str], *, locked: bool) -> dict[str, Product]:
    """The known ones among the codes."""
    found = await tx.all(Product, _BY_CODES_LOCKED if locked else _BY_CODES, codes=sorted(set(codes)))
    return {product.code: product for product in found}


async def holders_of_gtins(tx: Tx, gtins: Collection[str]) -> dict[str, str]:
    """By GTIN in 14 digits: the code of the product that has it, the oldest where it is doubled."""
    found = await tx.rows(_OF_GTINS, gtins=sorted(set(gtins))) if gtins else []
    return {row["gtin"]: row["code"] for row in found}


async def get_product(tx: Tx, product_id: UUID, *, locked: bool = False) -> Product:
    """Raises ProductNotFound."""
    found = await tx.one(Product, _BY_ID_LOCKED if locked else _BY_ID, id=product_id)
    if found is None:
        raise ProductNotFound("There is no product {product_id}.", product_id=product_id)
    return found


async def certificates_of(tx: Tx, product_code: str) -> list[Certificate]:
    """The certificates of a product, in the order they were added."""
    return await tx.all(Certificate, _CERTIFICATES, code=product_code)


def named(name: str) -> sa.ColumnElement[bool]:
    """The products whose generic or trade name holds this text: found by its grams, then looked at."""
    holds = products.c.searched.contains(folded(name), autoescape=True)
    return sa.and_(products.c.grams.bool_op("@>")(sa.literal(searched_grams(name), sa.ARRAY(sa.Text))), holds)


def made_by(maker: str) -> sa.ColumnElement[bool]:
    """The products of the makers that go by this code, or whose name holds this text."""
    known = sa.or_(enterprises.c.code == maker, enterprises.c.name.contains(maker, autoescape=True))
    return products.c.manufacturer_code.in_(sa.select(enterprises.c.code).where(known))


async def products_page(
    tx: Tx, *, code: str | None, name: str | None, manufacturer: str | None, after: UUID | None, rows: int
) -> Sequence[Product]:
    """Up to `rows` products after a key, in the order of registration."""
    wanted = _ALL.order_by(products.c.id).limit(rows)
    if code is not None:
        wanted = wanted.where(products.c.code == code)
    if name is not None:
        wanted = wanted.where(named(name))
    if manufacturer is not None:
        wanted = wanted.where(made_by(manufacturer))
    if after is not None:
        wanted = wanted.where(products.c.id > after)
    return await tx.all(Product, wanted)
