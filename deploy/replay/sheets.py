"""Reads a catalogue and months of trade: each row becomes what it says, or is refused with its number and one reason.

Invariant: every row and every fen of the trade is either in `rows` or in `refused`; nothing is repaired or guessed.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path

from deploy.replay.mapping import ReplayMapping, SheetMapping
from shared import money
from shared.imports import (
    Binder,
    FieldRefused,
    Refusal,
    Row,
    RowReader,
    RowRefused,
    Sheet,
    date,
    decimal,
    local_time,
    open_sheet,
    text,
    whole_number,
)
from shared.values import frozen

REPEATED, UNLISTED, QUANTITY, FAULTY = "repeated", "unlisted", "quantity", "faulty"
IMPORTER, API = "importer", "api"

_money = decimal(places=2, minimum=0)
_price = decimal(places=4, minimum=0)
_name = text()
_words = text(max_characters=500)


@frozen
class CatalogueRow:
    """A product as the catalogue lists it; `price_yuan` None: it has none."""

    number: int
    product_code: str
    generic_name: str
    trade_name: str | None
    dosage_form: str | None
    specification: str | None
    unit: str
    units_per_pack: int
    approval_number: str | None
    holder_name: str | None
    manufacturer_name: str
    agent_name: str | None
    price_yuan: Decimal | None
    category: str
    origin: str | None
    price_origin: str | None
    region: str
    valid_from: dt.date
    published_on: dt.date | None


@frozen
class Named:
    """An enterprise as a row names it; `uscc` None: the row has no code, or one that a spreadsheet destroyed."""

    name: str
    uscc: str | None


@frozen
class Mention:
    """Who is named in one row, whatever becomes of it: the master data of the sheet."""

    number: int
    province: str
    region: str
    institution_code: str
    institution_name: str
    institution_grade: str | None
    product_code: str
    distributor: Named
    agent: Named | None
    manufacturer: Named | None


@frozen
class TradeRow:
    """One line that a hospital ordered."""

    mention: Mention
    order_number: str
    ordered_at: dt.datetime
    amount_yuan: Decimal
    quantity: int


@frozen
class RefusedRow:
    """A row that did not become a line, as it was given."""

    number: int
    reason: str
    by: str
    yuan: Decimal
    cells: tuple[str, ...]
    faults: tuple[Refusal, ...]


@dataclass(slots=True)
class Trade:
    """The whole sheet of trade: what is ordered, what is refused, and everybody who is named in it."""

    header: tuple[str, ...]
    rows: list[TradeRow] = field(default_factory=list)
    refused: list[RefusedRow] = field(default_factory=list)
    yuan: Decimal = Decimal(0)
    cells: dict[int, tuple[str, ...]] = field(default_factory=dict)
    named: list[Mention] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Rows of the sheet."""
        return len(self.cells)


def read_catalogue(data: Path, mapping: ReplayMapping) -> list[CatalogueRow]:
    """Every row of the catalogue; raises SheetRefused or RowRefused, because trade without its prices is nothing."""
    with _opened(data, mapping.catalogue) as sheet:
        binder = mapping.catalogue.mapping.bind(sheet.header)
        return [_catalogue_row(row, binder) for row in sheet]


def _opened(data: Path, mapping: SheetMapping) -> Sheet:
    path = mapping.path(data)
    return open_sheet(path, sheet=mapping.mapping.sheet if path == data else None)


def _catalogue_row(row: Row, binder: Binder) -> CatalogueRow:
    with RowReader(row, binder(row), binder.columns) as fields:
        return CatalogueRow(
            number=row.number,
            product_code=fields.need("product_code", _name),
            generic_name=fields.need("generic_name", _words),
            trade_name=fields.take("trade_name", _words),
            dosage_form=fields.take("dosage_form", _name),
            specification=fields.take("specification", _words),
            unit=fields.need("unit", _name),
            units_per_pack=fields.need("units_per_pack", whole_number(minimum=1)),
            approval_number=fields.take("approval_number", _name),
            holder_name=fields.take("holder_name", _name),
            manufacturer_name=fields.need("manufacturer_name", _name),
            agent_name=fields.take("agent_name", _name),
            price_yuan=fields.take("price_yuan", _price),
            category=fields.need("category", _name),
            origin=fields.take("origin", _name),
            price_origin=fields.take("price_origin", _words),
            region=fields.need("region", _name),
            valid_from=fields.need("valid_from", date),
            published_on=fields.take("published_on", date),
        )


def read_trade(data: Path, mapping: ReplayMapping, prices: Mapping[str, Decimal]) -> Trade:
    """Every row of the trade, against the prices of the catalogue; raises SheetRefused for a sheet that is none."""
    with _opened(data, mapping.trade) as sheet:
        binder = mapping.trade.mapping.bind(sheet.header)
        compared = [place for place, name in enumerate(sheet.header) if name not in mapping.trade.not_compared]
        trade = Trade(sheet.header)
        first: dict[tuple[str, ...], int] = {}
        for row in sheet:
            key = tuple(row.cells[place] for place in compared)
            earlier = first.setdefault(key, row.number)
            trade.cells[row.number] = row.cells
            _take(trade, row, binder, prices, earlier)
        return trade


def _take(trade: Trade, row: Row, binder: Binder, prices: Mapping[str, Decimal], earlier: int) -> None:
    """Decides one row: repeated, faulty, unlisted, quantity, or a line."""
    values = binder(row)
    yuan = _amount(values.get("amount_yuan"))
    trade.yuan += yuan

    def refuse(reason: str, *faults: Refusal) -> None:
        trade.refused.append(RefusedRow(row.number, reason, IMPORTER, yuan, row.cells, faults))

    if earlier != row.number:
        rule, allowed = f"equal to row {earlier} in every column", "each row once"
        refuse(REPEATED, Refusal(row.number, "", "", rule, allowed))
        return
    try:
        with RowReader(row, values, binder.columns) as fields:
            mention = _mention(row, fields)
            order_number = fields.need("order_number", _name)
            ordered_at = fields.need("ordered_at", local_time)
            amount = fields.need("amount_yuan", _money)
    except RowRefused as faulty:
        refuse(FAULTY, *faulty.refusals)
        return
    trade.named.append(mention)
    column = binder.columns["product_code"]
    price = prices.get(mention.product_code)
    if price is None:
        rule, allowed = "no row of the catalogue has this code with a price", "a code that is listed at a price"
        refuse(UNLISTED, Refusal(row.number, column, mention.product_code, rule, allowed))
        return
    try:
        with RowReader(row, binder(row, {"listed_price": f"{price:f}"}), binder.columns) as fields:
            quantity = fields.need("quantity", whole_number(minimum=1))
    except RowRefused as uneven:
        refuse(QUANTITY, *(_priced(fault, price) for fault in uneven.refusals))
        return
    if (listed := money.amount(quantity, price)) != amount:
        rule, allowed = f"{quantity} sale units at the listed price {price:f} are {listed} yuan", "the listed price"
        refuse(QUANTITY, Refusal(row.number, binder.columns["amount_yuan"], f"{amount:f}", rule, allowed))
        return
    trade.rows.append(TradeRow(mention, order_number, ordered_at, amount, quantity))


def _mention(row: Row, fields: RowReader) -> Mention:
    return Mention(
        number=row.number,
        province=fields.need("province", _name),
        region=fields.need("region", _name),
        institution_code=fields.need("institution_code", _name),
        institution_name=fields.need("institution_name", _name),
        institution_grade=fields.take("institution_grade", _name),
        product_code=fields.need("product_code", _name),
        distributor=Named(fields.need("distributor_name", _name), fields.take("distributor_code", _name)),
        agent=_named(fields, "agent"),
        manufacturer=_named(fields, "manufacturer"),
    )


def _named(fields: RowReader, role: str) -> Named | None:
    name, uscc = fields.take(f"{role}_name", _name), fields.take(f"{role}_code", _name)
    return Named(name, uscc) if name else None


def _priced(fault: Refusal, price: Decimal) -> Refusal:
    return Refusal(
        fault.row, fault.column, fault.given, f"{fault.rule} of sale units at the listed price {price:f}", fault.allowed
    )


def _amount(given: str | None) -> Decimal:
    """The yuan of a row for the sums; what is no amount counts as nothing and is a fault of its row."""
    try:
        return _money(given) if given else Decimal(0)
    except FieldRefused:
        return Decimal(0)


def by_reason(refused: Sequence[RefusedRow]) -> dict[str, int]:
    """How many rows were refused, by reason."""
    counts: dict[str, int] = {}
    for one in refused:
        counts[one.reason] = counts.get(one.reason, 0) + 1
    return counts
