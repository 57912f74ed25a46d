"""Reads recalls, and who received goods of a recalled lot."""

from collections.abc import Collection, Iterable, Sequence
from uuid import UUID

import sqlalchemy as sa

from services.traceability.errors import RecallNotFound
from services.traceability.rules.recalls import Recall
from services.traceability.rules.units import Lots
from services.traceability.tables import recalls
from shared.db import Tx
from shared.values import frozen

_ALL = sa.select(*(recalls.c[name] for name in Recall.__annotations__))
_BY_ID = _ALL.where(recalls.c.id == sa.bindparam("id"))
_LOCK = _BY_ID.with_for_update()
_OF_PRODUCTS = _ALL.where(recalls.c.product_code == sa.any_(sa.bindparam("codes", type_=sa.ARRAY(sa.Text)))).order_by(
    recalls.c.opened_at, recalls.c.id
)
_OPEN = _OF_PRODUCTS.where(recalls.c.state == "open")
_OPEN_BY_IDS = _ALL.where(
    recalls.c.state == "open", recalls.c.id == sa.any_(sa.bindparam("ids", type_=sa.ARRAY(sa.Uuid)))
)
_HOLDERS = """
SELECT c.id AS recall_id, r.institution_code, min(r.region) AS region, sum(r.quantity_accepted)::int AS packs
FROM recalls c JOIN receipts r ON r.product_code = c.product_code AND r.lot_number = ANY(c.lot_numbers)
WHERE c.id = ANY($1::uuid[]) AND r.quantity_accepted > 0
  AND NOT EXISTS (SELECT FROM anomalies a WHERE a.recall_id = c.id AND a.institution_code = r.institution_code)
GROUP BY c.id, r.institution_code ORDER BY 1, 2
"""


@frozen
class RecalledStock:
    """An institution that received goods of a recalled lot; `packs` sale units were accepted."""

    recall_id: UUID
    institution_code: str
    region: str
    packs: int


async def open_recalls(tx: Tx, product_codes: Iterable[str]) -> list[Recall]:
    """The open recalls of these products."""
    codes = sorted(set(product_codes))
    return await tx.all(Recall, _OPEN, codes=codes) if codes else []


async def recalled_lots(tx: Tx, product_codes: Iterable[str]) -> Lots:
    """The lots of these products that are under recall."""
    by_product: dict[str, frozenset[str]] = {}
    for recall in await open_recalls(tx, product_codes):
        by_product[recall.product_code] = by_product.get(recall.product_code, frozenset()).union(recall.lot_numbers)
    return Lots(by_product)


async def recalls_of_lots(tx: Tx, lots: Collection[tuple[str | None, str | None]]) -> list[Recall]:
    """The recalls of these (product, lot), open and closed, oldest first; none of goods that are not known yet."""
    products = sorted({product for product, lot in lots if product is not None and lot is not None})
    found = await tx.all(Recall, _OF_PRODUCTS, codes=products) if products else []
    return [one for one in found if any((one.product_code, lot) in lots for lot in one.lot_numbers)]


async def open_recalls_by_id(tx: Tx, ids: Sequence[UUID]) -> dict[UUID, Recall]:
    """Those of the recalls that are open."""
    return {recall.id: recall for recall in await tx.all(Recall, _OPEN_BY_IDS, ids=list(ids))}


async def holders_of_recalled(tx: Tx, ids: Sequence[UUID]) -> list[RecalledStock]:
    """Who accepted goods of these recalls' lots and was not found yet; for the worker, who sees all."""
    return [RecalledStock(**row) for row in await tx.sql(_HOLDERS, list(ids))]


async def get_recall(tx: Tx, recall_id: UUID, *, lock: bool = False) -> Recall:
    """Raises RecallNotFound."""
    found = await tx.one(Recall, _LOCK if lock else _BY_ID, id=recall_id)
    if found is None:
        raise RecallNotFound("There is no recall {recall_id}.", recall_id=recall_id)
    return found


async def recalls_page(
    tx: Tx, *, state: str | None, product_code: str | None, after: UUID | None, rows: int
) -> list[Recall]:
    """Up to `rows` recalls after a key, in the order of their opening."""
    wanted = _ALL.order_by(recalls.c.id).limit(rows)
    if state is not None:
        wanted = wanted.where(recalls.c.state == state)
    if product_code is not None:
        wanted = wanted.where(recalls.c.product_code == product_code)
    if after is not None:
        wanted = wanted.where(recalls.c.id > after)
    return await tx.all(Recall, wanted)
