"""A sheet as importers see it, whatever its file: a header and rows of text under the sheet's own row numbers.

Invariant: rows come one at a time, every limit is checked before a row is handed out, and no cell is guessed or dropped.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from types import TracebackType
from typing import Literal, NamedTuple, Protocol, Self

from shared.errors import Said
from shared.imports.refusals import REFUSAL_COLUMNS, SheetRefused, restored
from shared.settings import SheetLimits

SheetKind = Literal["csv", "xlsx"]
NumberedRows = Generator[tuple[int, list[str]], None, None]

# Space of every width, and the marks that have none: byte order mark, zero-width space and joiners.
_EDGES = " \t\r\n\v\f\x85\xa0\u3000\ufeff\u200b\u200c\u200d\u2060\u2002\u2003\u2009\u202f"


class Row(NamedTuple):
    """`cells` has one text for each name of the header; `surplus` what stood behind them, where nothing should."""

    number: int
    cells: tuple[str, ...]
    surplus: tuple[str, ...] = ()


class RowSource(Protocol):
    """Where a sheet's rows come from: each call of `rows` starts again at the top, with the row's number."""

    kind: SheetKind

    def rows(self) -> NumberedRows: ...

    def close(self) -> None: ...


class Sheet:
    """Iterate it for the rows under the header, blank ones left out; each iteration reads from the top.

    `mended` says that the sheet is one of ours come back: its reasons are left out and its apostrophes undone.
    """

    def __init__(self, source: RowSource, limits: SheetLimits) -> None:
        self._source = source
        self._limits = limits
        header = _header_of(source, limits)
        self.header: tuple[str, ...] = _without_reasons(header)
        self.mended: bool = len(self.header) < len(header)
        self.kind: SheetKind = source.kind
        self._full_width = len(header)

    def __iter__(self) -> Iterator[Row]:
        count = 0
        with closing(self._source.rows()) as rows:
            for number, cells in rows:
                if number == 1 or not any(cells):
                    continue
                count += 1
                if count > self._limits.rows:
                    raise _too_many_rows(number, self._limits)
                yield self._row(number, cells)

    def _row(self, number: int, cells: list[str]) -> Row:
        width = len(self.header)
        surplus = tuple(cell for cell in cells[self._full_width :] if cell)
        own = cells[:width]
        if len(own) < width:
            own.extend([""] * (width - len(own)))
        if self.mended:
            own = [restored(cell) for cell in own]
        return Row(number, tuple(own), surplus)

    def close(self) -> None:
        """Give back the open file and its temporary space; iterating is over then."""
        self._source.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def checked_cell(cell: str, number: int, limits: SheetLimits) -> str:
    """The cell, or SheetRefused when it is longer than the limit."""
    if len(cell) > limits.cell_characters:
        raise cell_too_long(number, limits)
    return cell


def cell_too_long(number: int, limits: SheetLimits) -> SheetRefused:
    return SheetRefused(
        "cell_too_long",
        Said("a cell is longer than {most:,} characters; is a quotation mark left open?", most=limits.cell_characters),
        where=Said("row {number}", number=number),
        allowed=Said("at most {most:,} characters a cell", most=limits.cell_characters),
    )


def too_many_columns(number: int, limits: SheetLimits) -> SheetRefused:
    return SheetRefused(
        "too_many_columns",
        Said("the sheet has more than {most} columns", most=limits.columns),
        where=Said("row {number}", number=number),
        allowed=Said("at most {most} columns", most=limits.columns),
    )


def _too_many_rows(number: int, limits: SheetLimits) -> SheetRefused:
    return SheetRefused(
        "too_many_rows",
        Said("the sheet has more than {most:,} rows", most=limits.rows),
        where=Said("row {number}", number=number),
        allowed=Said("at most {most:,} rows a file", most=limits.rows),
    )


def _header_of(source: RowSource, limits: SheetLimits) -> tuple[str, ...]:
    with closing(source.rows()) as rows:
        number, cells = next(rows, (1, []))
    names = [restored(cell).strip(_EDGES) for cell in cells]
    while names and not names[-1]:
        names.pop()
    if number != 1 or not names:
        raise SheetRefused(
            "no_header",
            "the first row is empty",
            where=Said("row {number}", number=1),
            allowed="the names of the columns in row 1",
        )
    if len(names) > limits.columns:
        raise too_many_columns(1, limits)
    return tuple(names)


def _without_reasons(header: tuple[str, ...]) -> tuple[str, ...]:
    width = len(header)
    while width and header[width - 1] in REFUSAL_COLUMNS:
        width -= 1
    if not width:
        raise SheetRefused(
            "no_header", "the sheet has only the columns of a refusal", where=Said("row {number}", number=1)
        )
    return header[:width]
