"""The kinds of sheets that listing takes: their fields, what a row means, and which bulk handler it goes through.

A row becomes a command or a refusal with all its faults; nothing in it is guessed. Whoever may write one such thing may send
a sheet of them, and its rows are held to the same rules.
"""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import ValidationError

import shared.imports
from services.listing.errors import ImportRefused
from services.listing.handlers.catalogue import list_products, propose_products
from services.listing.handlers.distributions import propose_distributions, record_distributions
from services.listing.handlers.enterprises import register_enterprises
from services.listing.handlers.institutions import register_institutions
from services.listing.rules.listings import Category
from services.listing.schemas.distributions import ProposeDistribution
from services.listing.schemas.enterprises import RegisterEnterprise
from services.listing.schemas.fields import Coded
from services.listing.schemas.institutions import RegisterInstitution
from services.listing.schemas.listings import ListProduct
from shared import money
from shared.access import Access, RoleMayNot
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
from shared.identity import Caller
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
from shared.values import frozen

MAPPINGS = Path(shared.imports.__file__).parent / "mappings"
"""The shipped mappings: `listing_<kind>.toml`, and `listing_<kind>_<name>.toml` for sheets of other senders."""
STANDARD = "standard"

_SPLIT = re.compile(r"[、,，;；|/\s]+")
_REASON = text(max_characters=1_000)
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
        "name_reason": fields.take("name_reason", _REASON),
        "uscc": fields.take("uscc", lambda given: parse_uscc(given).code),
        "override_reason": fields.take("override_reason", _REASON),
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
        "override_reason": fields.take("override_reason", _REASON),
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


Land = Callable[..., Awaitable[Sequence[object | ServiceError]]]


@frozen
class SheetKind:
    """What a kind of sheet holds.

    `ways`: the bulk handler that lands its rows, by the write that a row is, the farthest-reaching first.
    `code_or_name`: a row has either; where both stand in it, they agree.
    `one_row`: the fields that name the thing a row is about, where a sheet may say one thing of it.
    """

    command: type[Coded]
    needed: tuple[str, ...]
    read: Callable[[RowReader], dict[str, Any]]
    ways: Mapping[str, Land]
    code_or_name: str | None = None
    one_row: tuple[str, ...] = ()

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
        "enterprises": SheetKind(
            RegisterEnterprise,
            ("name", "kinds", "region"),
            _enterprise,
            {"register_enterprise": register_enterprises},
        ),
        "institutions": SheetKind(
            RegisterInstitution, ("code", "name"), _institution, {"register_institution": register_institutions}
        ),
        "products": SheetKind(
            ListProduct,
            ("code", "generic_name", "unit", "region", "price_yuan", "category"),
            _product,
            {"put_catalogue": list_products, "propose_listing": propose_products},
            "manufacturer",
            ("code", "region"),
        ),
        "distributions": SheetKind(
            ProposeDistribution,
            ("product_code", "region"),
            _distribution,
            {"record_distributions": record_distributions, "propose_distribution": propose_distributions},
            "distributor",
        ),
    }
)


def way_of(access: Access, caller: Caller, kind: str) -> str:
    """The write that each row of a sheet of this caller is; raises RoleMayNot where it may do none of them."""
    ways = KINDS[kind].ways
    for operation in ways:
        if access.may(operation, caller):
            return operation
    raise RoleMayNot(
        "Sheets of {kind} are for {roles}; the token's roles are {held}.",
        kind=kind,
        roles=", ".join(dict.fromkeys(role for operation in ways for role in access.matrix[operation])),
        held=", ".join(sorted(caller.roles)),
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
    """What a row asks for; raises RowRefused with every fault, where its cells are wrong also of the rules that need no more
    than the row."""
    try:
        cells = binder(row)
        with RowReader(row, cells, binder.columns) as fields:
            given = {name: value for name, value in kind.read(fields).items() if value is not None}
            for fault in kind.command.judged(given, cells) if fields.faulty else ():
                name = fault.pointer[1:]
                cell = _given(row, binder, name, fault.given) if name else ""
                fields.refuse(_column_of(kind, binder, name), cell, fault.rule, fault.allowed)
        return kind.command(**given)
    except RowRefused as error:
        raise RowRefused(tuple(_of_sheet(binder, refusal) for refusal in error.refusals)) from error
    except ValidationError as error:
        raise RowRefused(tuple(_invalid(kind, row, binder, dict(fault)) for fault in error.errors())) from error


class FirstRows:
    """Which row of a sheet spoke of a thing first; a later one that says something else of it is refused, so that the order
    of the rows decides nothing. Kept as two whole numbers a thing, about 33 MiB for 300,000."""

    def __init__(self, kind: SheetKind) -> None:
        self._kind = kind
        self._first: dict[int, int] = {}

    def check(self, row: Row, binder: Binder, command: Command) -> None:
        """Raises RowRefused, naming the first row of the same thing."""
        thing = [getattr(command, name) for name in self._kind.one_row]
        if not thing:
            return
        said = hash(tuple(command.__dict__.values())) & 0xFFFF_FFFF
        number, first_said = divmod(self._first.setdefault(hash(tuple(thing)), row.number << 32 | said), 1 << 32)
        if said == first_said:
            return
        columns = ", ".join(binder.columns[name] for name in self._kind.one_row if name in binder.columns)
        rule = Said(
            "row {number} of this sheet has the same {columns} and says something else", number=number, columns=columns
        )
        allowed = Said("one row for each: leave out this row, or row {number}", number=number)
        raise RowRefused((Refusal(row.number, columns, ", ".join(map(str, thing)), rule, allowed),))


def _invalid(kind: SheetKind, row: Row, binder: Binder, fault: dict[str, Any]) -> Refusal:
    found = fault_of(fault)
    name = str(fault["loc"][0]) if fault["loc"] else ""
    given = _given(row, binder, name, fault["input"]) if name and fault["type"] != "missing" else ""
    return _of_sheet(binder, Refusal(row.number, _column_of(kind, binder, name), given, found.rule, found.allowed))


def _column_of(kind: SheetKind, binder: Binder, name: str) -> str:
    """The column of a field; those of which a row has at least one, where a fault names none."""
    if not name:
        return ", ".join(binder.columns[one] for one in kind.either if one in binder.columns)
    return binder.columns.get(name, name)


def refusals_of(row: Row, binder: Binder, error: ServiceError) -> tuple[Refusal, ...]:
    """A handler's refusal of a row, in the words of the sheet."""
    if not error.faults:
        return (Refusal(row.number, "", "", error.detail, title(error.code, error.title)),)
    return tuple(_of_sheet(binder, _refusal(row, binder, fault)) for fault in error.faults)


def _refusal(row: Row, binder: Binder, fault: Fault) -> Refusal:
    name = fault.pointer.strip("/").split("/")[0]
    given = "" if fault.given is None else _given(row, binder, name, fault.given)
    return Refusal(row.number, binder.columns.get(name, name), given, fault.rule, fault.allowed)


def _given(row: Row, binder: Binder, field: str, value: object) -> str:
    """The cell as it stands in the sheet; the value, where it does not come from one cell."""
    return shown(binder.cell(row, field) or value)


def _of_sheet(binder: Binder, refusal: Refusal) -> Refusal:
    """The refusal with the names of columns, where its sentences name fields: as values called `…_field`."""
    return replace(refusal, rule=_with_columns(binder, refusal.rule), allowed=_with_columns(binder, refusal.allowed))


def _with_columns(binder: Binder, said: str) -> str:
    if not isinstance(said, Said):
        return said
    named = {name: _column(binder, field) for name, field in said.values.items() if name.endswith("_field")}
    return Said(said.sentence, **{**said.values, **named}) if named else said


def _column(binder: Binder, field: str) -> str:
    if field not in binder.columns:
        return field
    if field in binder.absent:
        return Said("a new column {column} ({field})", column=binder.columns[field], field=field)
    return Said("the column {column}", column=binder.columns[field])


def import_refused(error: SheetRefused) -> ImportRefused:
    """A sheet that cannot be taken, as an answer."""
    faults = [Fault(str(error.where), None, one.rule, one.allowed, error.code) for one in error.faults]
    whole = Fault(str(error.where) or "sheet", None, error.detail, error.allowed, error.code)
    return ImportRefused(told(error), faults=faults or [whole])
