"""Rows of one sheet of an xlsx workbook, as text, in the sheet's own numbers.

Invariant: a cell's text is what the file holds: no digit is invented, and a number that has lost digits keeps showing it.
A formula whose value the file does not hold is given as it stands, with its `=`: it is not an empty cell.

Read by a parser of its own, as a stream, since a file of 300,000 rows of 12 columns must stay under 300 MB. Measured on it
(2 cores; repeated names · all texts different · inline texts): python-calamine 0.9, which holds the sheet whole,
298 · 433 · 403 MB in 7-8 s; openpyxl 3.1 read-only, which holds the texts, 121 · 571 · 49 MB in 50-124 s;
this module, which streams both and spills the texts to a file, 49 · 42 · 26 MB in 24-41 s.
"""

import datetime as dt
import re
from pathlib import Path
from xml.parsers import expat

from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel

from shared.errors import Said
from shared.imports.numbers import number_text
from shared.imports.refusals import SheetRefused
from shared.imports.sheet import NumberedRows, SheetKind, cell_too_long, too_many_columns
from shared.imports.xlsx_package import Package, broken, local
from shared.imports.xlsx_strings import StringTable, shared_strings
from shared.settings import SheetLimits

_ESCAPED = re.compile("_x([0-9A-Fa-f]{4})_")
_DIGITS = "0123456789"
_COMPUTED_TEXT = "str"
"""The kind of a cell whose formula came to a text, which may be empty (ECMA-376 part 1, 18.18.11)."""
_NO_CHARACTERS = frozenset([0, *range(0xD800, 0xE000)])  # NUL and the halves of a surrogate pair


class XlsxSource:
    """Reads the named sheet, or the first visible one; SheetRefused with the names there are when it is missing."""

    kind: SheetKind = "xlsx"

    def __init__(self, path: Path, sheet: str | None, limits: SheetLimits) -> None:
        self._limits = limits
        self._package = Package(path, limits)
        try:
            self._part = _part_of(sheet, self._package.names.sheets)
            self._dates = self._package.date_styles()
            self._strings = shared_strings(self._package, limits)
        except SheetRefused:
            self._package.close()
            raise

    def rows(self) -> NumberedRows:
        texts = _CellTexts(self._strings, self._dates, counts_from_1904=self._package.names.counts_from_1904)
        rows = _RowParser(texts, self._limits)
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = rows.start
        parser.EndElementHandler = rows.end
        parser.CharacterDataHandler = rows.text
        for _ in self._package.feed(self._part, parser):
            yield from rows.taken()
        yield from rows.taken()

    def close(self) -> None:
        self._package.close()
        self._strings.close()


class _CellTexts:
    """What a cell says, from its type, its value as written in the file, and its style."""

    def __init__(self, strings: StringTable, dates: frozenset[int], *, counts_from_1904: bool) -> None:
        self._strings = strings
        self._dates = {str(style) for style in dates}
        self._epoch = CALENDAR_MAC_1904 if counts_from_1904 else CALENDAR_WINDOWS_1900

    def text(self, kind: str, value: str, style: str) -> str:
        match kind:
            case "s":
                if not value.strip().isdecimal():
                    raise broken(Said("a cell points to text {value!j}", value=value))
                return _unescaped(self._strings[int(value)])
            case "n":
                return self._date(value) if style in self._dates else number_text(value)
            case "b":
                return "TRUE" if value == "1" else "FALSE"
            case "d":
                return value.replace("T", " ").removesuffix("Z")
            case _:
                return _unescaped(value)

    def _date(self, value: str) -> str:
        try:
            moment = from_excel(float(value), self._epoch)
        except (ValueError, OverflowError):
            return number_text(value)
        if isinstance(moment, dt.datetime):
            if moment.time() == dt.time():
                return moment.date().isoformat()
            return moment.isoformat(" ", "seconds")
        return moment.isoformat() if isinstance(moment, dt.time) else number_text(value)


class _RowParser:
    """Expat's handlers for a worksheet: full rows wait in a list until taken."""

    def __init__(self, texts: _CellTexts, limits: SheetLimits) -> None:
        self._texts = texts
        self._limits = limits
        self._ready: list[tuple[int, list[str]]] = []
        self._columns: dict[str, int] = {}
        self._number = 0
        self._cells: list[str] = []
        self._column = 0
        self._kind = self._style = ""
        self._parts: list[str] = []
        self._formula: list[str] = []
        self._has_formula = False
        self._length = 0
        self._hears: list[str] | None = None
        self._in_phonetic = False

    def taken(self) -> list[tuple[int, list[str]]]:
        ready, self._ready = self._ready, []
        return ready

    def start(self, name: str, given: dict[str, str]) -> None:
        tag = local(name)
        if tag == "c":
            self._start_cell(given)
        elif tag in {"v", "t"}:
            self._hears = None if self._in_phonetic else self._parts
        elif tag == "f":
            self._has_formula, self._hears = True, self._formula
        elif tag == "row":
            self._start_row(given)
        elif tag == "rPh":
            self._in_phonetic = True

    def end(self, name: str) -> None:
        tag = local(name)
        if tag == "c":
            self._end_cell()
        elif tag in {"v", "t", "f"}:
            self._hears = None
        elif tag == "row":
            if self._cells:
                self._ready.append((self._number, self._cells))
        elif tag == "rPh":
            self._in_phonetic = False

    def text(self, data: str) -> None:
        if self._hears is not None:
            self._length += len(data)
            if self._length > self._limits.cell_characters:
                raise cell_too_long(self._number, self._limits)
            self._hears.append(data)

    def _start_row(self, given: dict[str, str]) -> None:
        number = given.get("r", "")
        following = int(number) if number.isdecimal() else self._number + 1
        if following <= self._number:
            raise broken("rows are out of order", Said("row {number}", number=following))
        self._number = following
        self._cells = []
        self._column = -1

    def _start_cell(self, given: dict[str, str]) -> None:
        reference = given.get("r")
        column = self._column + 1 if reference is None else self._column_of(reference)
        if column <= self._column:
            raise broken("cells are out of order", Said("row {number}", number=self._number))
        self._column = column
        self._kind = given.get("t", "n")
        self._style = given.get("s", "")
        self._parts = []
        self._formula = []
        self._has_formula = False
        self._length = 0

    def _end_cell(self) -> None:
        if self._parts:
            text = self._texts.text(self._kind, "".join(self._parts), self._style)
        elif self._has_formula and self._kind != _COMPUTED_TEXT:  # nobody has computed it so far
            text = "=" + "".join(self._formula)
        else:
            return
        if not text:
            return
        missing = self._column - len(self._cells)
        if missing:
            if self._column >= self._limits.columns:
                raise too_many_columns(self._number, self._limits)
            self._cells.extend([""] * missing)
        self._cells.append(text)

    def _column_of(self, reference: str) -> int:
        letters = reference.rstrip(_DIGITS)
        column = self._columns.get(letters)
        if column is None:
            column = self._columns[letters] = _column_number(letters)
        return column


def _column_number(letters: str) -> int:
    if not (letters.isascii() and letters.isupper() and letters.isalpha() and len(letters) <= len("XFD")):
        raise broken(Said("a cell stands in column {letters!j}", letters=letters))
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - ord("A") + 1
    return number - 1


def _unescaped(text: str) -> str:
    """Characters written _xHHHH_ (ECMA-376 part 1, 22.9.2.19), save NUL and halves of a pair, which no text may hold."""
    return _ESCAPED.sub(_character, text) if "_x" in text else text


def _character(escape: re.Match[str]) -> str:
    code = int(escape[1], 16)
    return escape[0] if code in _NO_CHARACTERS else chr(code)


def _part_of(name: str | None, sheets: dict[str, str]) -> str:
    if name is None:
        return next(iter(sheets.values()))
    if name not in sheets:
        raise SheetRefused(
            "unknown_sheet", Said("the workbook has no sheet named {name!j}", name=name), allowed=", ".join(sheets)
        )
    return sheets[name]
