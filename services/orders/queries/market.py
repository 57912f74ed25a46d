"""Reads the market for some orders in one statement, and writes the projections of listing."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert

from services.orders.rules.market import Distribution, Distributor, Institution, Listing, Market
from services.orders.tables import (
    distribution_ends,
    distributions,
    enterprises,
    institutions,
    listing_states,
    listings,
)
from shared.db import Tx

# A listing or relation holds for a region and those under it: the district, its city, its province, the nation.
_GATHER = """
WITH buyers AS MATERIALIZED (
    SELECT code, name, region, active, receives_at FROM institutions WHERE code = ANY($1::text[])
), areas AS MATERIALIZED (
    SELECT DISTINCT unnest(ARRAY[region, left(region, 4) || '00', left(region, 2) || '0000', '000000']) AS region FROM buyers
)
SELECT
    ARRAY(SELECT ROW(code, name, region, active, receives_at) FROM buyers) AS institutions,
    ARRAY(
        SELECT ROW(code, name, provisional, active, uscc) FROM enterprises
        WHERE code = ANY($4::text[]) OR uscc = ANY($4::text[])
    ) AS distributors,
    ARRAY(
        SELECT ROW(l.listing_id, l.region, l.product_code, l.product_kind, l.product_name, l.specification, l.unit,
            l.manufacturer_code, l.manufacturer_name, l.price_yuan, l.valid_from, l.valid_to,
            coalesce(s.state, 'listed'), s.since, s.notice_until)
        FROM listings AS l LEFT JOIN listing_states AS s USING (listing_id)
        WHERE l.product_code = ANY($3::text[]) AND l.region IN (SELECT region FROM areas)
    ) AS listings,
    ARRAY(
        SELECT ROW(d.region, d.product_code, d.distributor_code, d.valid_from, d.valid_to, e.ended_on)
        FROM distributions AS d
        LEFT JOIN distribution_ends AS e ON e.distribution_id = d.distribution_id AND e.version > d.version
        WHERE d.product_code = ANY($3::text[]) AND d.distributor_code = ANY($4::text[])
            AND d.region IN (SELECT region FROM areas)
    ) AS distributions,
    ARRAY(
        SELECT ROW(o.id, asked.code, asked.number)
        FROM unnest($1::text[], $2::text[]) AS asked (code, number)
        CROSS JOIN LATERAL (
            SELECT id FROM orders WHERE order_number = asked.number AND institution_code || '' = asked.code OFFSET 0
        ) AS o
    ) AS known
"""


async def gather(
    tx: Tx, orders: Sequence[tuple[str, str]], products: Collection[str], distributors: Collection[str]
) -> tuple[Market, dict[tuple[str, str], UUID]]:
    """All that bears on orders of (institution code, order number): the market, and the orders that stand already."""
    codes, numbers = [code for code, _ in orders], [number for _, number in orders]
    (row,) = await tx.sql(_GATHER, codes, numbers, list(products), list(distributors))
    by_product: dict[str, list[Listing]] = defaultdict(list)
    for record in row["listings"]:
        listing = Listing(*record)
        by_product[listing.product_code].append(listing)
    by_pair: dict[tuple[str, str], list[Distribution]] = defaultdict(list)
    for record in row["distributions"]:
        distribution = Distribution(*record)
        by_pair[distribution.product_code, distribution.distributor_code].append(distribution)
    market = Market(
        institutions={
            code: Institution(code, name, region, active, tuple(names))
            for code, name, region, active, names in row["institutions"]
        },
        distributors={
            named: Distributor(code, name, provisional, active)
            for code, name, provisional, active, uscc in row["distributors"]
            for named in (code, uscc)
            if named is not None
        },
        listings=by_product,
        distributions=by_pair,
    )
    return market, {(code, number): order_id for order_id, code, number in row["known"]}


def _newest(table: sa.Table) -> sa.Executable:
    """Rows by their key, of which a newer version replaces an older one and never the reverse."""
    arrays = [sa.bindparam(column.name, type_=sa.ARRAY(column.type)) for column in table.c]
    given = sa.func.unnest(*arrays).table_valued(*table.c.keys()).render_derived(name="given")
    adding = insert(table).from_select(table.c.keys(), sa.select(*given.c))
    return adding.on_conflict_do_update(
        index_elements=list(table.primary_key),
        set_={name: adding.excluded[name] for name in table.c.keys()},  # noqa: SIM118  the columns, by name
        where=table.c.version < adding.excluded.version,
    )


_NEWEST = {
    table: _newest(table)
    for table in (institutions, enterprises, listings, listing_states, distributions, distribution_ends)
}


async def keep_newest(tx: Tx, table: sa.Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Keeps facts in a projection, one statement however many; of several about one thing the newest stays.

    The key of the table is what makes a redelivered fact harmless, its version what makes an old one harmless. Where listing
    was restored to an earlier hour, its versions count anew: `jicai audit` names what it is not believed, `rebuild` mends it.
    """
    (key,) = table.primary_key.columns.keys()
    newest: dict[Any, Mapping[str, Any]] = {}
    for row in rows:
        if row[key] not in newest or newest[row[key]]["version"] < row["version"]:
            newest[row[key]] = row
    ordered = [
        newest[place] for place in sorted(newest)
    ]  # one order for all, so that two of us cannot lock each other out
    await tx.rows(_NEWEST[table], **{name: [row[name] for row in ordered] for name in table.c.keys()})  # noqa: SIM118
