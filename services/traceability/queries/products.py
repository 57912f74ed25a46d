"""Reads what listings said of products."""

from collections.abc import Iterable

import sqlalchemy as sa

from services.traceability.tables import products
from shared.db import Tx
from shared.values import frozen


@frozen
class Product:
    """What traceability needs of a product."""

    product_code: str
    name: str
    units_per_pack: int
    manufacturer_code: str
    agent_code: str | None


_BY_CODES = sa.select(*(products.c[name] for name in Product.__annotations__)).where(
    products.c.product_code == sa.any_(sa.bindparam("codes", type_=sa.ARRAY(sa.Text)))
)

_MAKERS = (products.c.manufacturer_code, products.c.agent_code)
_REACH = sa.func.current_setting("app.reach")
_ORGANISATION = sa.func.current_setting("app.org")
# Products are public, so no row-level security stands behind the first wall: the second is said here.
_OWN = sa.select(products.c.product_code).where(
    products.c.product_code == sa.any_(sa.bindparam("codes", type_=sa.ARRAY(sa.Text))),
    sa.or_(
        sa.bindparam("scope_reach", type_=sa.Text) == "all",
        *(maker == sa.bindparam("scope_organisation", type_=sa.Text) for maker in _MAKERS),
    ),
    sa.or_(_REACH == "all", *(maker == _ORGANISATION for maker in _MAKERS)),
)

_TELL = """
INSERT INTO products (product_code, kind, name, unit, units_per_pack, manufacturer_code, agent_code, told_at)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::text[], $7::text[], $8::timestamptz[])
ON CONFLICT (product_code) DO UPDATE SET kind = excluded.kind, name = excluded.name, unit = excluded.unit,
  units_per_pack = excluded.units_per_pack, manufacturer_code = excluded.manufacturer_code,
  agent_code = excluded.agent_code, told_at = excluded.told_at
WHERE products.told_at < excluded.told_at
"""


async def products_by_code(tx: Tx, codes: Iterable[str]) -> dict[str, Product]:
    """The known ones among the codes."""
    found = await tx.all(Product, _BY_CODES, codes=sorted(set(codes)))
    return {product.product_code: product for product in found}


async def find_product(tx: Tx, code: str) -> Product | None:
    """One product, if a listing has told of it."""
    return (await products_by_code(tx, [code])).get(code)


async def own_among(tx: Tx, codes: Iterable[str]) -> set[str]:
    """Those of the products that the caller makes, or whose maker's agent it is; all of them for who sees all."""
    wanted = sorted(set(codes))
    scope = {"scope_reach": tx.scope.reach, "scope_organisation": tx.scope.organisation}
    return {row["product_code"] for row in await tx.rows(_OWN, codes=wanted, **scope)} if wanted else set()


async def tell_products(tx: Tx, columns: list[list[object]]) -> None:
    """Keeps the latest word on each product; several listings of one product have versions of their own, so time decides."""
    await tx.sql(_TELL, *columns)
