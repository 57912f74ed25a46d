"""The kinds of sheets that listing takes: their fields, what a row means, and which bulk handler it goes through.

A row becomes a command or a refusal with all its faults; nothing in it is guessed.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

import shared.imports
from services.listing.errors import ImportRefused
from services.listing.handlers.catalogue import list_products
from services.listing.handlers.distributions import record_distributions
from services.listing.handlers.enterprises import register_enterprises
from services.listing.handlers.institutions import register_institutions
from services.listing.rules.listings import Category
from services.listing.schemas.distributions import ProposeDistribution
from services.listing.schemas.enterprises import RegisterEnterprise
from services.listing.schemas.institutions import RegisterInstitution
from services.listing.schemas.listings import ListProduct
from shared import money
from shared.codes import (
    parse_approval,
    parse_gtin,
    parse_institution,
    parse_product,
    parse_region,
    parse_standard,
    parse_uscc,
)
from shared.errors import Fault, Said, ServiceError, shown
from shared.http import Command
from shared.http.invalid import fault_of
from shared.http.schemas import LARGEST_QUANTITY
from shared.http.words import title
from shared.imports import (
    Binder,
    FieldRefused,
    Refusal,
    Row,
    RowReader,
    RowRefused,
    SheetRefused,
    choice,
    date,
    decimal,
    load_mapping,
    text,
    told,
    whole_number,
    yes_no,
)
from shared.imports import Mapping as ColumnMapping

MAPPINGS = Path(shared.imports.__file__).parent / "mappings"
"""The shipped mappings: `listing_<kind>.toml`, and `listing_<kind>_<name>.toml` for sheets of other senders."""
STANDARD = "standard"

_SPLIT = re.compile(r"[、,，;；|/\s]+")
_KIND = choice(
    {"生产企业": "manufacturer", "配送企业": "distributor", "代理企业": "agent"}
    | {"manufacturer": "manufacturer", "distributor": "distributor", "agent": "agent"}
)
_CATEGORY = choice(
    {
        "国家带量": Category.NATIONAL_VBP,
        "联盟带量": Category.ALLIANCE_VBP,
        "省级带量": Category.PROVINCIAL_VBP,
        "国谈": Category.NEGOTIATED,
        "联动最低价": Category.LINKED_LOWEST,
        "直接挂网": Category.DIRECT,
        "备案采购": Category.FILING,
        "短缺": Category.SHORTAGE,
        "参比制剂": Category.REFERENCE,
        "中药饮片": Category.TCM_SLICE,
    }
    | {category.value: category for category in Category}
)


def _kinds(given: str) -> list[str]:
    return list(dict.fromkeys(_KIND(part) for part in _SPLIT.split(given) if part))


def _names(given: str) -> list[str]:
    name = text()
    return [name(part) for part in re.split(r"[|;；\n]", given) if part.strip()]


def _organisation(given: str) -> str:
    """A USCC or a provisional code; whether anybody goes by it, the handler says."""
    return given.strip().upper() if given.strip().upper().startswith("PROV-") else parse_uscc(given).code


def _price(given: str) -> Decimal:
    price = decimal(places=money.PRICE_PLACES)(given)
    if not 0 < price <= money.PRICE_MAX_YUAN:
        raise FieldRefused(given, "not a price", Said("more than 0, up to {most} yuan", most=money.PRICE_MAX_YUAN))
    return price


def _enterprise(fields: RowReader) -> dict[str, Any]:
    return {
        "name": fields.need("name", text()),
        "kinds": fields.need("kinds", _kinds),
        "region": fields.need("region", parse_region),
        "uscc": fields.take("uscc", lambda given: parse_uscc(given).code),
        "override_reason": fields.take("override_reason", text(max_characters=1_000)),
    }


def _institution(fields: RowReader) -> dict[str, Any]:
    return {
        "code": fields.need("code", lambda given: parse_institution(given).code),
        "name": fields.need("name", text()),
        "grade": fields.take("grade", text(max_characters=40)),
        "region": fields.take("region", parse_region),
        "active": fields.take("active", yes_no),
        "delivery_points": fields.take("delivery_points", _names),
    }


def _product(fields: RowReader) -> dict[str, Any]:
    whole = whole_number(minimum=1, maximum=LARGEST_QUANTITY)
    return {
        "code": fields.need("code", lambda given: parse_product(given).code),
        "generic_name": fields.need("generic_name", text(max_characters=500)),
        "trade_name": fields.take("trade_name", text(max_characters=500)),
        "dosage_form": fields.take("dosage_form", text(max_characters=100)),
        "specification": fields.take("specification", text(max_characters=500)),
        "unit": fields.need("unit", text(max_characters=20)),
        "units_per_pack": fields.take("units_per_pack", whole),
        "approval_number": fields.take("approval_number", lambda given: parse_approval(given).number),
        "standard_code": fields.take("standard_code", lambda given: parse_standard(given).code),
        "override_reason": fields.take("override_reason", text(max_characters=1_000)),
        "gtin": fields.take("gtin", lambda given: parse_gtin(given).code),
        "manufacturer_code": fields.take("manufacturer_code", _organisation),
        "manufacturer_name": fields.take("manufacturer_name", text()),
        "holder_name": fields.take("holder_name", text()),
        "agent_code": fields.take("agent_code", _organisation),
        "region": fields.need("region", parse_region),
        "price_yuan": fields.need("price_yuan", _price),
        "category": fields.need("category", _CATEGORY),
        "batch_code": fields.take("batch_code", text(max_characters=64)),
        "price_origin": fields.take("price_origin", text(max_characters=500)),
        "valid_from": fields.take("valid_from", date),
        "valid_to": fields.take("valid_to", date),
    }


def _distribution(fields: RowReader) -> dict[str, Any]:
    return {
        "product_code": fields.need("product_code", lambda given: parse_product(given).code),
        "region": fields.need("region", parse_region),
        "distributor_code": fields.take("distributor_code", _organisation),
        "distributor_name": fields.take("distributor_name", text()),
        "valid_from": fields.take("valid_from", date),
        "valid_to": fields.take("valid_to", date),
    }


@dataclass(frozen=True, slots=True)
class SheetKind:
    """What a kind of sheet holds. `code_or_name`: a row has either; where both stand in it, they agree."""

    command: type[Command]
    needed: tuple[str, ...]
    read: Callable[[RowReader], dict[str, Any]]
    land: Callable[..., Awaitable[Sequence[object | ServiceError]]]
    code_or_name: str | None = None

    @property
    def optional(self) -> tuple[str, ...]:
        """Fields that a mapping, or a sheet, may leave out."""
        return tuple(name for name in self.command.model_fields if name not in self.needed)

    @property
    def either(self) -> tuple[str, ...]:
        """Fields of which a sheet has at least one."""
        return (f"{self.code_or_name}_code", f"{self.code_or_name}_name") if self.code_or_name else ()

    def bind(self, mapping: ColumnMapping, header: Sequence[str]) -> Binder:
        """The mapping tied to a sheet; raises SheetRefused with every column that is missing."""
        return mapping.bind(header, self.optional, self.either)


KINDS: Mapping[str, SheetKind] = MappingProxyType(
    {
        "enterprises": SheetKind(RegisterEnterprise, ("name", "kinds", "region"), _enterprise, register_enterprises),
        "institutions": SheetKind(RegisterInstitution, ("code", "name"), _institution, register_institutions),
        "products": SheetKind(
            ListProduct,
            ("code", "generic_name", "unit", "region", "price_yuan", "category"),
            _product,
            list_products,
            "manufacturer",
        ),
        "distributions": SheetKind(
            ProposeDistribution, ("product_code", "region"), _distribution, record_distributions, "distributor"
        ),
    }
)


def mapping_of(kind: str, name: str) -> ColumnMapping:
    """A shipped mapping, checked against the kind's fields; raises ImportRefused for a name that is not shipped."""
    path = _mapping_path(kind, name)
    if not path.is_file():
        shipped = ", ".join(mapping_names(kind))
        fault = Fault("query/mapping", name, Said("no mapping of this name is shipped for {kind}", kind=kind), shipped)
        raise ImportRefused(
            "There is no mapping {name!j} for {kind}; shipped are {shipped}.",
            faults=[fault],
            name=name,
            kind=kind,
            shipped=shipped,
        )
    mapping = load_mapping(path)
    mapping.expect(KINDS[kind].needed, KINDS[kind].optional)
    return mapping


def mapping_names(kind: str) -> list[str]:
    """The names of the shipped mappings of a kind."""
    begin = f"listing_{kind}"
    return sorted(path.stem.removeprefix(begin).lstrip("_") or STANDARD for path in MAPPINGS.glob(f"{begin}*.toml"))


def _mapping_path(kind: str, name: str) -> Path:
    return MAPPINGS / (f"listing_{kind}.toml" if name == STANDARD else f"listing_{kind}_{name}.toml")


def command_of(kind: SheetKind, row: Row, binder: Binder) -> Command:
    """What a row asks for; raises RowRefused with every fault."""
    with RowReader(row, binder(row), binder.columns) as fields:
        given = {name: value for name, value in kind.read(fields).items() if value is not None}
    try:
        return kind.command(**given)
    except ValidationError as error:
        raise RowRefused(tuple(_invalid(row, binder, dict(fault)) for fault in error.errors())) from error


def _invalid(row: Row, binder: Binder, fault: dict[str, Any]) -> Refusal:
    name = str(fault["loc"][0]) if fault["loc"] else ""
    given = shown(fault["input"]) if name and fault["type"] != "missing" else ""
    found = fault_of(fault)
    return Refusal(row.number, binder.columns.get(name, name), given, found.rule, found.allowed)


def refusals_of(row: Row, binder: Binder, error: ServiceError) -> tuple[Refusal, ...]:
    """A handler's refusal of a row, in the words of the sheet."""
    if not error.faults:
        return (Refusal(row.number, "", "", error.detail, title(error.code, error.title)),)
    return tuple(
        Refusal(row.number, _column(binder, fault.pointer), _cell(fault.given), fault.rule, fault.allowed)
        for fault in error.faults
    )


def _cell(given: object) -> str:
    return "" if given is None else shown(given)


def _column(binder: Binder, pointer: str) -> str:
    name = pointer.strip("/").split("/")[0]
    return binder.columns.get(name, name)


def import_refused(error: SheetRefused) -> ImportRefused:
    """A sheet that cannot be taken, as an answer."""
    faults = [Fault(error.where, None, one.rule, one.allowed, error.code) for one in error.faults]
    whole = Fault(error.where or "sheet", None, error.detail, error.allowed, error.code)
    return ImportRefused(told(error), faults=faults or [whole])
