"""The floor to compare with: bare FastAPI and one hand-written asyncpg statement a request, without any of the walls.

Its tables are those of orders and the outbox, with the same keys, checks and indexes, in a database of its own.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import asyncpg
import orjson
from fastapi import FastAPI, Request, Response
from pydantic import BaseModel
from uuid_utils.compat import uuid7

HOSPITAL, NAME, REGION = "H33010200059", "医院 H33010200059", "330102"
LISTING = UUID("00000000-0000-0000-0000-00000000c0de")
MAKER = ("91350200MA31E12PXF", "青禾制药有限公司")
PRODUCT = ("western", "阿司匹林肠溶片", "100mg", "盒")
PRICE = Decimal("12.3450")
ORDER = [
    "id",
    "order_number",
    "institution_code",
    "institution_name",
    "region",
    "distributor_codes",
    "manufacturer_codes",
    "placed_at",
    "confirm_by",
    "line_count",
    "lines_pending",
    "lines_active",
    "lines_cancelled",
    "version",
]
LINE = [
    "id",
    "order_id",
    "line_number",
    "institution_code",
    "distributor_code",
    "distributor_name",
    "manufacturer_code",
    "manufacturer_name",
    "region",
    "listing_id",
    "product_code",
    "product_kind",
    "product_name",
    "specification",
    "unit",
    "unit_price_yuan",
    "amount_yuan",
    "state",
    "quantity_ordered",
]
EVENT = ["event_id", "type", "subject", "sequence", "payload"]

PLACE = f"""
WITH placed AS (
    INSERT INTO orders ({", ".join(ORDER)}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, 0, 0, 1)
), lines AS (
    INSERT INTO order_lines ({", ".join(LINE)})
    SELECT u.id, $1, u.number, $3, u.distributor, u.distributor, $11, $12, $5, $13, u.product, $14, $15, $16, $17, $18::numeric,
        round(u.quantity * $18::numeric, 2), 'pending', u.quantity
    FROM unnest($19::uuid[], $20::int[], $21::text[], $22::text[], $23::int[])
        AS u (id, number, distributor, product, quantity)
)
INSERT INTO outbox ({", ".join(EVENT)}) VALUES ($24, 'placed', $25, 1, $26)
"""

READ = """
SELECT json_build_object('id', o.id, 'order_number', o.order_number, 'institution_code', o.institution_code,
    'institution_name', o.institution_name, 'region', o.region, 'delivery_point', o.delivery_point, 'placed_at', o.placed_at,
    'confirm_by', o.confirm_by, 'line_count', o.line_count, 'lines_pending', o.lines_pending,
    'lines_active', o.lines_active, 'lines_cancelled', o.lines_cancelled,
    'lines', (SELECT json_agg(l ORDER BY l.line_number) FROM order_lines AS l WHERE l.order_id = o.id))::text
FROM orders AS o WHERE o.id = $1
"""
LIST = """
SELECT json_build_object('items', json_agg(o), 'next', null)::text FROM (
    SELECT id, order_number, institution_code, institution_name, region, delivery_point, placed_at, confirm_by,
        line_count, lines_pending, lines_active, lines_cancelled
    FROM orders WHERE institution_code = $1 ORDER BY id DESC LIMIT 50) AS o
"""


class AnchorLine(BaseModel):
    """One line."""

    product_code: str
    quantity: int
    distributor_code: str


class AnchorOrder(BaseModel):
    """An order as it comes in."""

    order_number: str
    lines: list[AnchorLine]


def anchor_app(url: str) -> FastAPI:
    """The bare app on the anchor's own database."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with asyncpg.create_pool(url, min_size=1, max_size=10) as app.state.pool:
            yield

    app = FastAPI(lifespan=lifespan)
    app.add_api_route("/orders", _place, methods=["POST"], status_code=201)
    app.add_api_route("/orders/bulk", _place_in_bulk, methods=["POST"], response_class=Response)
    app.add_api_route("/orders", _list, methods=["GET"], response_class=Response)
    app.add_api_route("/orders/{order_id}", _read, methods=["GET"], response_class=Response)
    return app


async def _place(request: Request, order: AnchorOrder) -> dict[str, str]:
    order_id, now = uuid7(), datetime.now(UTC)
    lines = order.lines
    distributors = [line.distributor_code for line in lines]
    await request.app.state.pool.execute(
        PLACE,
        *(order_id, order.order_number, HOSPITAL, NAME, REGION, list(set(distributors)), [MAKER[0]]),
        *(now, now + timedelta(hours=24), len(lines), *MAKER, LISTING, *PRODUCT, PRICE),
        *([uuid7() for _ in lines], list(range(1, len(lines) + 1)), distributors),
        *([line.product_code for line in lines], [line.quantity for line in lines]),
        *(uuid7(), str(order_id), order.model_dump_json().encode()),
    )
    return {"id": str(order_id)}


async def _place_in_bulk(request: Request) -> Response:
    orders, lines, events = [], [], []
    now = datetime.now(UTC)
    for order in orjson.loads(await request.body()):
        order_id, count = uuid7(), len(order["lines"])
        sellers = list({line["distributor_code"] for line in order["lines"]})
        told = (order_id, order["order_number"], HOSPITAL, NAME, REGION, sellers, [MAKER[0]], now)
        orders.append((*told, now + timedelta(hours=24), count, count, 0, 0, 1))
        for number, line in enumerate(order["lines"], 1):
            seller, quantity = line["distributor_code"], line["quantity"]
            amount = (quantity * PRICE).quantize(Decimal("0.01"))
            told = (uuid7(), order_id, number, HOSPITAL, seller, seller, *MAKER, REGION, LISTING, line["product_code"])
            lines.append((*told, *PRODUCT, PRICE, amount, "pending", quantity))
        events.append((uuid7(), "placed", str(order_id), 1, orjson.dumps(order)))
    async with request.app.state.pool.acquire() as connection, connection.transaction():
        await connection.copy_records_to_table("orders", records=orders, columns=ORDER)
        await connection.copy_records_to_table("order_lines", records=lines, columns=LINE)
        await connection.copy_records_to_table("outbox", records=events, columns=EVENT)
    return Response(orjson.dumps([order[0] for order in orders]), media_type="application/json")


async def _read(request: Request, order_id: UUID) -> Response:
    return Response(await request.app.state.pool.fetchval(READ, order_id), media_type="application/json")


async def _list(request: Request) -> Response:
    return Response(await request.app.state.pool.fetchval(LIST, HOSPITAL), media_type="application/json")
