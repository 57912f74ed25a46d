"""Everything the sheets come to, decided before the first request: what will be registered, ordered, refused.

Invariant: the same data and mapping give the same plan, so that a replay that was killed goes on with the same one.
"""

import datetime as dt
from collections import Counter
from decimal import Decimal
from pathlib import Path

from deploy.embedded import CannotStart
from deploy.replay import rules
from deploy.replay.mapping import ReplayMapping
from deploy.replay.rules import Catalogue, Enterprises, Institution, Order, Relation
from deploy.replay.sheets import RefusedRow, Trade, read_catalogue, read_trade
from shared import clock
from shared.imports import RowRefused, SheetRefused
from shared.values import frozen


class SheetsRefused(CannotStart):
    """The sheets cannot be read; says where and what is accepted."""


@frozen
class Plan:
    """What will be played; `region` is the one whose catalogue it is."""

    region: str
    catalogue: Catalogue
    trade: Trade
    enterprises: Enterprises
    institutions: dict[str, Institution]
    relations: list[Relation]
    orders: list[Order]

    @property
    def first(self) -> dt.date:
        """The first day of trade."""
        return clock.local_date(self.orders[0].ordered_at)

    @property
    def last(self) -> dt.date:
        """The last day of trade."""
        return clock.local_date(self.orders[-1].ordered_at)

    @property
    def days(self) -> dict[dt.date, list[Order]]:
        """The orders of each day, in the order of their time."""
        days: dict[dt.date, list[Order]] = {}
        for order in self.orders:
            days.setdefault(clock.local_date(order.ordered_at), []).append(order)
        return days

    @property
    def months(self) -> list[dt.date]:
        """The months that have orders."""
        return sorted({day.replace(day=1) for day in self.days})

    @property
    def rows_of_provisional(self) -> int:
        """Rows of the trade whose distributor has no intact code."""
        return sum(mention.distributor.uscc is None for mention in self.trade.named)


def read(data: Path, mapping: ReplayMapping) -> Plan:
    """Reads both sheets and decides; raises SheetsRefused."""
    try:
        rows = read_catalogue(data, mapping)
        catalogue = rules.catalogue_of(rows)
        trade = read_trade(data, mapping, catalogue.prices)
    except FileNotFoundError as missing:
        raise SheetsRefused(
            f"There is no {missing.filename}; name the folder with the sheets, or a workbook."
        ) from missing
    except (SheetRefused, RowRefused) as refused:
        raise SheetsRefused(f"The sheets in {data} cannot be played: {refused}") from refused
    enterprises = rules.enterprises_of(rows, trade.named)
    orders = rules.orders_of(trade.rows, enterprises)
    regions = {row.region for row in catalogue.listed.values()}
    if not orders or len(regions) != 1:
        raise SheetsRefused(
            f"The sheets in {data} hold {len(orders)} orders and a catalogue of {len(regions)} regions;"
            " at least one order and one region are needed."
        )
    return Plan(
        region=regions.pop(),
        catalogue=catalogue,
        trade=trade,
        enterprises=enterprises,
        institutions=rules.institutions_of(trade.named),
        relations=rules.relations_of(catalogue, trade.named, enterprises),
        orders=orders,
    )


def yuan_of(refused: list[RefusedRow]) -> Decimal:
    """The sum of what was refused."""
    return sum((one.yuan for one in refused), Decimal(0))


def quantities(orders: list[Order]) -> Counter[str]:
    """Sale units ordered, by product."""
    counted: Counter[str] = Counter()
    for order in orders:
        for line in order.lines:
            counted[line.product_code] += line.quantity
    return counted
