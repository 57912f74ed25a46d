"""What becomes of what the sheets say, decided without asking anybody: catalogue, parties, relations, orders.

Invariant: a code is a key only when it is intact; an enterprise without one goes by its exact name, and both come out the
same whatever the order of the rows.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal

from deploy.replay.sheets import CatalogueRow, Mention, Named, TradeRow
from shared.codes import normal_name
from shared.values import frozen

MANUFACTURER, DISTRIBUTOR, AGENT = "manufacturer", "distributor", "agent"
NAMED_BY = (DISTRIBUTOR, AGENT, MANUFACTURER)
"""Whose name an enterprise of several names goes by: sheets put an agent's code beside a foreign maker's name."""


@frozen
class Catalogue:
    """`listed` by code; `merged` rows with the row that stands for them; `unlisted` rows with the reason."""

    listed: dict[str, CatalogueRow]
    merged: list[tuple[int, int]]
    unlisted: list[tuple[CatalogueRow, str]]

    @property
    def prices(self) -> dict[str, Decimal]:
        """The listed price of each code."""
        return {code: row.price_yuan for code, row in self.listed.items() if row.price_yuan is not None}


def catalogue_of(rows: Sequence[CatalogueRow]) -> Catalogue:
    """Rows that differ only in their origin are one product; a row without a price, or at odds with another of its
    code, is not listed."""
    listed: dict[str, CatalogueRow] = {}
    merged: list[tuple[int, int]] = []
    unlisted = [(row, "no price") for row in rows if row.price_yuan is None]
    by_code: dict[str, list[CatalogueRow]] = defaultdict(list)
    for row in rows:
        if row.price_yuan is not None:
            by_code[row.product_code].append(row)
    for code, same in by_code.items():
        if len({replace(row, number=0, origin=None) for row in same}) > 1:
            unlisted += [(row, f"rows {', '.join(str(one.number) for one in same)} contradict") for row in same]
            continue
        listed[code] = same[0]
        merged += [(row.number, same[0].number) for row in same[1:]]
    return Catalogue(listed, merged, unlisted)


@frozen
class Enterprise:
    """To be registered: under its USCC, or as provisional under its exact name; `names[0]` is what it is called."""

    key: str
    uscc: str | None
    names: tuple[str, ...]
    kinds: tuple[str, ...]
    region: str


class Enterprises:
    """Everybody named in either sheet; `key_of` finds whom a row of the trade means, `maker_of` whom the catalogue does."""

    def __init__(self, catalogued: Iterable[tuple[str, str, str]], told: Iterable[tuple[str, Named, str]]) -> None:
        told = [*told]
        codes: dict[str, set[str]] = defaultdict(set)
        for _, who, _ in told:
            if who.uscc:
                codes[normal_name(who.name)].add(who.uscc)
        self._by_name = {name: min(intact) for name, intact in codes.items() if len(intact) == 1}
        self._known: dict[str, Enterprise] = {}
        for role in NAMED_BY:
            for kind, who, region in told:
                if kind == role:
                    self._add(kind, who, region)
        for kind, name, region in catalogued:
            self._add(kind, Named(name, self._by_name.get(normal_name(name))), region)

    @staticmethod
    def key_of(who: Named) -> str:
        """The intact code of the row, else the exact name: a damaged code is neither repaired nor looked up."""
        return who.uscc or normal_name(who.name)

    def maker_of(self, name: str) -> str:
        """The code that some row of the trade has beside exactly this name, intact and only one; else the name."""
        return self._by_name.get(normal_name(name)) or normal_name(name)

    def __iter__(self) -> Iterator[Enterprise]:
        return iter(self._known.values())

    def _add(self, kind: str, who: Named, region: str) -> None:
        key = self.key_of(who)
        before = self._known.get(key) or Enterprise(key, who.uscc, (who.name,), (), region)
        names = before.names
        if normal_name(who.name) not in map(normal_name, names):
            names = (*names, who.name)
        kinds = before.kinds if kind in before.kinds else (*before.kinds, kind)
        self._known[key] = replace(before, names=names, kinds=kinds)


def enterprises_of(catalogue: Iterable[CatalogueRow], mentions: Iterable[Mention]) -> Enterprises:
    """The enterprises of both sheets; the catalogue has names alone."""
    makers: dict[tuple[str, str, str], None] = {}
    told: dict[tuple[str, Named, str], None] = {}
    for row in catalogue:
        makers[MANUFACTURER, row.manufacturer_name, row.region] = None
        if row.agent_name:
            makers[AGENT, row.agent_name, row.region] = None
    for mention in mentions:
        told[DISTRIBUTOR, mention.distributor, mention.province] = None
        if mention.agent:
            told[AGENT, mention.agent, mention.province] = None
        if mention.manufacturer and mention.manufacturer.uscc:
            told[MANUFACTURER, mention.manufacturer, mention.province] = None
    return Enterprises(makers, told)


@frozen
class Institution:
    """To be registered; the other names are aliases and delivery points."""

    code: str
    name: str
    others: tuple[str, ...]
    grade: str | None
    region: str


def institutions_of(mentions: Iterable[Mention]) -> dict[str, Institution]:
    """By code; the name that most rows have is the institution's own."""
    names: dict[str, Counter[str]] = defaultdict(Counter)
    first: dict[str, Mention] = {}
    for mention in mentions:
        names[mention.institution_code][mention.institution_name] += 1
        first.setdefault(mention.institution_code, mention)
    known: dict[str, Institution] = {}
    for code, mention in first.items():
        distinct: dict[str, str] = {}
        for name, _ in names[code].most_common():
            distinct.setdefault(normal_name(name), name)
        own, *others = distinct.values()
        known[code] = Institution(code, own, tuple(others), mention.institution_grade, mention.region)
    return known


@frozen
class Relation:
    """A distributor delivers a product in a region."""

    product_code: str
    distributor: str
    region: str
    valid_from: date


def relations_of(catalogue: Catalogue, mentions: Iterable[Mention], enterprises: Enterprises) -> list[Relation]:
    """One for each pair of a listed product and a distributor that any row names."""
    found: dict[Relation, None] = {}
    for mention in mentions:
        listed = catalogue.listed.get(mention.product_code)
        if listed:
            key = enterprises.key_of(mention.distributor)
            found[Relation(mention.product_code, key, listed.region, listed.valid_from)] = None
    return [*found]


@frozen
class Line:
    """One line to be ordered; `row` is its number in the sheet, `first_serial` where the codes of its units begin."""

    row: int
    product_code: str
    quantity: int
    amount_yuan: Decimal
    distributor: str
    first_serial: int


@frozen
class Order:
    """An order at its own time, with all its lines."""

    institution_code: str
    order_number: str
    region: str
    ordered_at: datetime
    received_by: str
    lines: tuple[Line, ...]

    @property
    def key(self) -> tuple[str, str]:
        """What makes rows the lines of one order."""
        return self.institution_code, self.order_number


def orders_of(rows: Iterable[TradeRow], enterprises: Enterprises) -> list[Order]:
    """Rows with the same institution code and order number are one order, whatever the drug; oldest order first."""
    together: dict[tuple[str, str], list[TradeRow]] = defaultdict(list)
    for row in rows:
        together[row.mention.institution_code, row.order_number].append(row)
    taken: Counter[str] = Counter()
    orders: list[Order] = []
    for same in sorted(
        together.values(), key=lambda same: (min(row.ordered_at for row in same), same[0].mention.number)
    ):
        lines: list[Line] = []
        for row in same:
            product, distributor = row.mention.product_code, enterprises.key_of(row.mention.distributor)
            lines.append(Line(row.mention.number, product, row.quantity, row.amount_yuan, distributor, taken[product]))
            taken[product] += row.quantity
        first = same[0]
        orders.append(
            Order(
                institution_code=first.mention.institution_code,
                order_number=first.order_number,
                region=first.mention.region,
                ordered_at=min(row.ordered_at for row in same),
                received_by=first.mention.institution_name,
                lines=tuple(lines),
            )
        )
    return orders
