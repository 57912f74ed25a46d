"""What a product is: its codes in their normal forms, its pack, its maker.

A product is one for all regions. It is changed by its manufacturer, its agent, or the authority that keeps it, and once a
listing holds it, what makes the goods by that authority alone; anybody else may name it again with what is known of it, and
changes nothing.
"""

import unicodedata
from datetime import date
from uuid import UUID

from services.listing.rules.faults import Faults
from shared.codes import CodeRefused, parse_approval, parse_gtin, parse_product, parse_standard
from shared.values import frozen


@frozen
class Product:
    """A product as it stands; `region` is that of the authority that keeps it, `version` is raised by every change."""

    id: UUID
    code: str
    kind: str
    generic_name: str
    trade_name: str | None
    dosage_form: str | None
    specification: str | None
    unit: str
    units_per_pack: int
    approval_number: str | None
    standard_code: str | None
    override_reason: str | None
    gtin: str | None
    manufacturer_code: str
    manufacturer_name: str
    manufacturer_provisional: bool
    holder_name: str | None
    agent_code: str | None
    region: str
    version: int


@frozen
class Certificate:
    """A certificate of a product: registration, consistency evaluation, production licence; `valid_to` is its last day."""

    id: UUID
    product_code: str
    number: str
    valid_to: date | None


@frozen
class Codes:
    """The codes of a product in their normal forms."""

    code: str
    kind: str
    approval_number: str | None
    standard_code: str | None
    gtin: str | None


def checked_codes(
    faults: Faults,
    code: str,
    approval_number: str | None,
    standard_code: str | None,
    gtin: str | None,
    override_reason: str | None = None,
) -> Codes:
    """The codes as they are kept; every one that is not what it should be is a fault. A failing check digit of a 本位码 is
    one unless a reason is given to override it, for the regulator's own register holds such codes (GB 18937)."""
    product = faults.parsed("/code", code, parse_product)
    approval = approval_number and faults.parsed("/approval_number", approval_number, parse_approval)
    standard = standard_code and faults.parsed("/standard_code", standard_code, parse_standard)
    if standard and not standard.check_ok and not override_reason:
        faults.check_digit("/standard_code", standard.code, standard.expected_digit)
    package = gtin and faults.parsed("/gtin", gtin, parse_gtin)
    return Codes(
        code=product.code if product else "",
        kind=product.kind if product else "",
        approval_number=approval.number if approval else None,
        standard_code=standard.code if standard else None,
        gtin=package.gtin14 if package else None,
    )


def gtin_of(given: str | None) -> str | None:
    """A GTIN as it is kept; None where it is none."""
    try:
        return given and parse_gtin(given).gtin14
    except CodeRefused:
        return None


CHANGEABLE = (
    "generic_name",
    "trade_name",
    "dosage_form",
    "specification",
    "unit",
    "units_per_pack",
    "approval_number",
    "standard_code",
    "override_reason",
    "gtin",
    "manufacturer_code",
    "holder_name",
    "agent_code",
)
LISTED_AS = (
    "generic_name",
    "dosage_form",
    "specification",
    "unit",
    "units_per_pack",
    "approval_number",
    "manufacturer_code",
    "holder_name",
)
"""What makes the goods that a listing puts up at a price (domain rules 3.1: 通用名, 厂牌, 剂型, 规格); the rest is how they are
called, found and spoken for."""


def difference(before: Product, after: Product) -> dict[str, tuple[object, object]]:
    """What would change, from and to."""
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in CHANGEABLE}
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}


def folded(text: str) -> str:
    """Text as it is searched: width, case and spaces make no difference."""
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())


def searched(product: Product) -> str:
    """The names of a product as they are searched."""
    return "\n".join(folded(name) for name in (product.generic_name, product.trade_name) if name)


def grams(text: str) -> list[str]:
    """Single characters and pairs of neighbours of a text, by which any part of it is found in an index."""
    pairs = (text[start : start + 2] for start in range(len(text) - 1))
    return sorted({*text, *pairs} - {"\n"})


def searched_grams(text: str) -> list[str]:
    """The grams that every name holding this text has."""
    plain = folded(text)
    return [plain] if len(plain) == 1 else sorted({plain[start : start + 2] for start in range(len(plain) - 1)})
