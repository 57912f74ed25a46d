"""Which column of a sender's sheet means which field, so that another sheet needs another mapping and no code.

Invariant: a mapping that loads and binds has no key, derivation or column that was not understood.

A mapping is a TOML file:

    given = ["listed_price"]                      # what the importer itself knows and a derivation may use
    [sheet]
    name = "目录"                                  # for workbooks; optional
    [columns]
    product_code = "医保药品代码"
    price_yuan = { column = "挂网价格", null = ["\\\\N"] }
    supplier_name = { column = "配送企业名称", derive = ["normal_spaces"] }
    origin = { column = "产品来源", values = { "国产" = "domestic" } }
    valid_from = { value = "2022-01-01", why = "the catalogue is a later snapshot than the orders" }
    quantity = { derive = "divide", by = ["purchase_amount", "listed_price"] }
"""

import difflib
import tomllib
from collections.abc import Collection, Sequence
from collections.abc import Mapping as Lookup
from pathlib import Path

from shared.errors import Said
from shared.imports.derive import OF_ONE, OF_SEVERAL
from shared.imports.folding import folded
from shared.imports.refusals import Refusal, SheetRefused
from shared.imports.sheet import Row
from shared.values import frozen

_EMPTY: Lookup[str, str | None] = {}


@frozen
class FromColumn:
    """A column's text, stripped; missing when empty or listed in `null`; then translated, then derived."""

    column: str
    null: tuple[str, ...] = ()
    values: tuple[tuple[str, str], ...] = ()
    derive: tuple[str, ...] = ()


@frozen
class Fixed:
    """The same value for every row, with the reason."""

    value: str
    why: str


@frozen
class Derived:
    """Computed of other fields, of which the derived ones stand earlier in the file, or of what the importer gives."""

    derive: str
    by: tuple[str, ...]


FieldSource = FromColumn | Fixed | Derived


class Mapping:
    """A mapping that was understood; `bind` ties it to the header of one sheet."""

    def __init__(self, fields: dict[str, FieldSource], given: tuple[str, ...], sheet: str | None) -> None:
        self.fields = fields
        self.given = given
        self.sheet = sheet

    def expect(self, required: Collection[str], optional: Collection[str] = ()) -> None:
        """Raises SheetRefused when a required field is not mapped, or a mapped one is not known to the importer.

        Fields that only feed a derivation may have any name.
        """
        known = [*required, *optional]
        operands = {name for source in self.fields.values() if isinstance(source, Derived) for name in source.by}
        for name in self.fields:
            if name not in known and name not in operands:
                raise _unknown("unknown_field", "field", name, known)
        missing = [name for name in required if name not in self.fields]
        if missing:
            raise SheetRefused(
                "unmapped_field",
                Said("the mapping says nothing of {fields}", fields=", ".join(missing)),
                allowed=Said("all of {fields}", fields=", ".join(required)),
            )

    def bind(self, header: Sequence[str], optional: Collection[str] = (), either: Sequence[str] = ()) -> "Binder":
        """The columns of `optional` fields may be missing, but not those of all fields of `either`.

        Raises SheetRefused naming all columns that are missing, or one that stands in the header twice.
        """
        binder = Binder(self, header)
        _refuse_missing(self, binder, header, optional, either)
        return binder


class Binder:
    """Turns rows of one sheet into fields; `columns` says which column each field came from, for refusals.

    `absent` are the fields whose column is missing, which every row is without; `unread` the columns nobody asked for.
    """

    def __init__(self, mapping: Mapping, header: Sequence[str]) -> None:
        self._fixed: dict[str, str | None] = {}
        self._columns: list[tuple[str, int, FromColumn, dict[str, str]]] = []
        self._derived: list[tuple[str, Derived]] = []
        self.columns: dict[str, str] = {}
        self.absent: list[str] = []
        for name, source in mapping.fields.items():
            match source:
                case FromColumn(column=column):
                    place = _place_of(column, header)
                    self.columns[name] = column if place is None else header[place]
                    if place is None:
                        self.absent.append(name)
                        self._fixed[name] = None
                    else:
                        self._columns.append((name, place, source, dict(source.values)))
                case Fixed(value=value):
                    self._fixed[name] = value
                case Derived(by=by):
                    self._derived.append((name, source))
                    self.columns[name] = " / ".join(self.columns.get(part, part) for part in by)
        read = {place for _, place, _, _ in self._columns}
        self.unread = [name for place, name in enumerate(header) if place not in read and name]

    def cell(self, row: Row, field: str) -> str | None:
        """The cell that a field comes from, as it stands in the sheet; None where it does not come from one."""
        return next((row.cells[place] for name, place, _, _ in self._columns if name == field), None)

    def __call__(self, row: Row, given: Lookup[str, str | None] = _EMPTY) -> dict[str, str | None]:
        """Fields of a row. A derivation that needs what is not in `given` (yet) is None."""
        fields = dict(self._fixed)
        for name, place, source, translated in self._columns:
            text = row.cells[place].strip()
            fields[name] = None if not text or text in source.null else _refined(text, source, translated)
        for name, derived in self._derived:
            compute, _ = OF_SEVERAL[derived.derive]
            operands = [fields[part] if part in fields else given.get(part) for part in derived.by]
            fields[name] = compute(operands)
        return fields


def load_mapping(path: Path) -> Mapping:
    """Raises SheetRefused for a mapping with a key, derivation or field that is not understood, naming the near ones."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SheetRefused("mapping_broken", Said("{name} is no TOML: {error}", name=path.name, error=error)) from error
    return mapping_of(document)


def mapping_of(document: Lookup[str, object]) -> Mapping:
    """The same of what stands in a larger TOML document, which may hold the mappings of several sheets."""
    _check_keys(document, "", ("given", "sheet", "columns"))
    sheet = _table(document, "sheet")
    _check_keys(sheet, "sheet", ("name",))
    columns = _table(document, "columns")
    given = _texts(document, "given", "given")
    fields: dict[str, FieldSource] = {}
    for name, source in columns.items():
        field = _field_source(name, source)
        if isinstance(field, Derived):
            _check_operands(name, field, [*_plain(columns), *fields, *given])
        fields[name] = field
    if not fields:
        raise SheetRefused("mapping_broken", "the mapping has no columns", where="columns")
    return Mapping(fields, given, _text(sheet, "name", "sheet") if "name" in sheet else None)


def _plain(columns: Lookup[str, object]) -> list[str]:
    return [name for name, source in columns.items() if not (isinstance(source, dict) and "by" in source)]


def _field_source(name: str, source: object) -> FieldSource:
    if isinstance(source, str):
        return FromColumn(source)
    if not isinstance(source, dict):
        raise _wrong(f"columns.{name}", "the name of a column, or a table")
    if "by" in source:
        _check_keys(source, f"columns.{name}", ("derive", "by"))
        return Derived(_text(source, "derive", f"columns.{name}"), _texts(source, "by", f"columns.{name}.by"))
    if "value" in source:
        _check_keys(source, f"columns.{name}", ("value", "why"))
        return Fixed(_text(source, "value", f"columns.{name}"), _text(source, "why", f"columns.{name}"))
    _check_keys(source, f"columns.{name}", ("column", "null", "values", "derive", "value", "why", "by"))
    derive = _texts(source, "derive", f"columns.{name}.derive")
    for derivation in derive:
        if derivation not in OF_ONE:
            raise _unknown("unknown_derivation", "derivation", derivation, [*OF_ONE], f"columns.{name}")
    values = _table(source, "values")
    return FromColumn(
        _text(source, "column", f"columns.{name}"),
        _texts(source, "null", f"columns.{name}.null"),
        tuple((key, _text(values, key, f"columns.{name}.values")) for key in values),
        derive,
    )


def _check_operands(name: str, field: Derived, known: list[str]) -> None:
    where = f"columns.{name}"
    if field.derive not in OF_SEVERAL:
        raise _unknown("unknown_derivation", "derivation", field.derive, [*OF_SEVERAL], where)
    _, count = OF_SEVERAL[field.derive]
    enough = len(field.by) == count if count else len(field.by) > 1
    if not enough:
        raise _wrong(f"{where}.by", f"{count or 'two or more'} fields")
    for operand in field.by:
        if operand not in known:
            raise _unknown("unknown_field", "field", operand, known, f"{where}.by")


def _refined(text: str, source: FromColumn, translated: dict[str, str]) -> str | None:
    value: str | None = translated.get(text, text)
    for derivation in source.derive:
        if value is None:
            return None
        value = OF_ONE[derivation](value)
    return value or None


def _place_of(column: str, header: Sequence[str]) -> int | None:
    """The column of this name, or else the only one that differs from it in width, case and spaces alone."""
    for same in (str, folded):
        places = [place for place, name in enumerate(header) if same(name) == same(column)]
        if len(places) > 1:
            raise SheetRefused(
                "ambiguous_column",
                Said("the header has {count} columns named {column!j}", count=len(places), column=column),
                where=Said("row {number}", number=1),
                allowed="each mapped column once",
            )
        if places:
            return places[0]
    return None


def _refuse_missing(
    mapping: Mapping, binder: Binder, header: Sequence[str], optional: Collection[str], either: Sequence[str]
) -> None:
    """Raises SheetRefused with a fault for each column that must be there and is not."""
    needed: list[tuple[str, ...]] = [(name,) for name in binder.absent if name not in optional]
    if either and all(name in binder.absent for name in either if name in mapping.fields):
        needed.append(tuple(name for name in either if name in mapping.fields))
    if not needed:
        return
    missing = [_Missing(names, [binder.columns[name] for name in names], binder.unread) for names in needed]
    raise SheetRefused(
        "missing_column",
        Said("{count:#column} missing from the header: {names}", count=len(missing), names=_listed(missing)),
        where=Said("row {number}", number=1),
        found=", ".join(header),
        faults=tuple(one.fault() for one in missing),
    )


@frozen
class _Missing:
    """A field, or several of which one would do, that no column of the header gives."""

    fields: Sequence[str]
    columns: Sequence[str]
    unread: Sequence[str]

    def said(self) -> Said:
        near = difflib.get_close_matches(self.columns[0], self.unread, n=3, cutoff=0.5)
        hint = Said(" (near: {names})", names=", ".join(near)) if near else ""
        return Said("{column}{hint}", column=_either(self.columns), hint=hint)

    def fault(self) -> Refusal:
        column = _either(self.columns)
        rule = Said("no column gives {fields}", fields=_either(self.fields))
        return Refusal(
            1, column, "", rule, Said("a header {column}, whatever its width, case and spaces", column=column)
        )


def _either(names: Sequence[str]) -> Said:
    """A or B; a mapping has no more."""
    first, *other = names
    return Said("{first} or {other}", first=first, other=other[0]) if other else Said(first)


def _listed(missing: Sequence[_Missing]) -> Said:
    first, *rest = (one.said() for one in missing)
    return Said("{first}, {rest}", first=first, rest=_listed(missing[1:])) if rest else first


def _unknown(code: str, what: str, given: str, known: Sequence[str], where: str = "") -> SheetRefused:
    near = difflib.get_close_matches(given, known, n=3, cutoff=0.5)
    hint = Said("; near: {names}", names=", ".join(near)) if near else ""
    said = Said("{what} {given!j} is not known{hint}", what=Said(what), given=given, hint=hint)
    return SheetRefused(code, said, where=where, allowed=", ".join(known))


def _wrong(where: str, allowed: str) -> SheetRefused:
    return SheetRefused(
        "mapping_broken", Said("{where} is not as it should be", where=where), where=where, allowed=allowed
    )


def _check_keys(table: Lookup[str, object], where: str, allowed: Sequence[str]) -> None:
    for key in table:
        if key not in allowed:
            raise _unknown("unknown_key", "key", key, allowed, where or "top of the mapping")


def _table(document: Lookup[str, object], key: str) -> dict[str, object]:
    found = document.get(key, {})
    if not isinstance(found, dict):
        raise _wrong(key, "a table")
    return found


def _text(table: Lookup[str, object], key: str, where: str) -> str:
    found = table.get(key)
    if not isinstance(found, str) or not found.strip():
        raise _wrong(f"{where}.{key}", "a text in quotation marks")
    return found


def _texts(table: Lookup[str, object], key: str, where: str) -> tuple[str, ...]:
    found = table.get(key, [])
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise _wrong(where, "a list of texts")
    return tuple(str(text) for text in found)
