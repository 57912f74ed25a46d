"""Rows of a CSV, in the encoding and with the separator that the file really uses.

Invariant: the whole file is known to be in one encoding before its first row is handed out, and memory does not grow with it.
"""

import codecs
import csv
import re
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from shared.errors import Said
from shared.imports.refusals import SheetRefused
from shared.imports.sheet import NumberedRows, SheetKind, cell_too_long, checked_cell, too_many_columns
from shared.settings import SheetLimits

_CHUNK_BYTES = 2**20
_ENCODINGS = "UTF-8 or GB18030 throughout"
_SEPARATORS = (",", "\t", ";")

# Four or more Chinese characters of UTF-8 between two ASCII characters. GB18030 text looks like this in less than one
# cell of 10^8, while nearly every name is as long: found in a file that is not UTF-8, it proves two encodings.
_NOT_ASCII = bytes(range(0x80, 0x100))
_UTF8_RUN = re.compile(rb"(?<![\x80-\xff])(?:[\xe3-\xe9][\x80-\xbf]{2}){4,}(?![\x80-\xff])")


class CsvSource:
    """Reads a CSV of UTF-8 (with or without mark) or GB18030; SheetRefused for anything else, before the first row."""

    kind: SheetKind = "csv"

    def __init__(self, path: Path, limits: SheetLimits) -> None:
        self._path = path
        self._limits = limits
        self.encoding = detected_encoding(path)
        self.separator = self._detected_separator()

    def rows(self) -> NumberedRows:
        """Records by number; a cell that holds line breaks is one cell, as in a spreadsheet."""
        with self._path.open(encoding=self.encoding, newline="") as file:
            lines = _Lines(file, self._limits.row_characters)
            reader = csv.reader(lines, delimiter=self.separator, strict=True)
            number = 1
            try:
                for number, cells in enumerate(reader, start=1):
                    lines.start_row()
                    yield number, self._checked(cells, number)
            except csv.Error as error:
                if "field limit" in str(error):
                    raise cell_too_long(number + 1, self._limits) from error
                raise SheetRefused(
                    "csv_malformed",
                    "the quotation marks do not match",
                    where=Said("line {line}", line=reader.line_num),
                    allowed='cells with a comma, a quotation mark or a line break in "…", with "" for a quotation mark',
                ) from error

    def close(self) -> None:
        """Nothing is kept open between iterations."""

    def _checked(self, cells: list[str], number: int) -> list[str]:
        if len(cells) > self._limits.columns and any(cells[self._limits.columns :]):
            raise too_many_columns(number, self._limits)
        for cell in cells:
            checked_cell(cell, number, self._limits)
        return cells

    def _detected_separator(self) -> str:
        with self._path.open(encoding=self.encoding, newline="") as file:
            first = file.readline(self._limits.row_characters)
        outside_quotes = re.sub(r'"[^"]*"', "", first)
        return max(_SEPARATORS, key=outside_quotes.count)


class _Lines:
    """Lines of a file for csv.reader, refusing a row that never ends."""

    def __init__(self, file: IO[str], max_row_characters: int) -> None:
        self._file = file
        self._max = max_row_characters
        self._used = 0
        self._row = 1

    def start_row(self) -> None:
        self._used = 0
        self._row += 1

    def __iter__(self) -> Iterator[str]:
        while line := self._file.readline(self._max + 1):
            self._used += len(line)
            if self._used > self._max:
                raise SheetRefused(
                    "row_too_long",
                    Said("a row is longer than {most:,} characters; is a quotation mark left open?", most=self._max),
                    where=Said("row {number}", number=self._row),
                    allowed=Said("at most {most:,} characters a row", most=self._max),
                )
            yield line


def detected_encoding(path: Path) -> str:
    """`utf-8-sig` or `gb18030`, after the whole file was decoded with it; raises SheetRefused with byte and line."""
    with path.open("rb") as file:
        if file.read(2) in {codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE}:
            raise _unreadable("the file is UTF-16", "byte 0")
    utf8 = _first_undecodable(path, "utf-8")
    if utf8 is None:
        return "utf-8-sig"
    gb18030 = _first_undecodable(path, "gb18030")
    if gb18030 is not None:
        raise _unreadable(
            Said(
                "the text is neither UTF-8 (fails at {utf8}) nor GB18030 (fails at {gb18030})",
                utf8=_place(path, utf8),
                gb18030=_place(path, gb18030),
            ),
            _place(path, max(utf8, gb18030)),
        )
    stray = _first_utf8_run(path)
    if stray is not None:
        raise SheetRefused(
            "mixed_encodings",
            Said(
                "the file mixes encodings: UTF-8 at {utf8}, another at {other}",
                utf8=_place(path, stray),
                other=_place(path, utf8),
            ),
            where=_place(path, max(stray, utf8)),
            allowed=_ENCODINGS,
        )
    return "gb18030"


def _unreadable(detail: str, where: str) -> SheetRefused:
    return SheetRefused("unreadable_text", detail, where=where, allowed=_ENCODINGS)


def _chunks(path: Path) -> Iterator[tuple[int, bytes]]:
    offset = 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            yield offset, chunk
            offset += len(chunk)


def _first_undecodable(path: Path, encoding: str) -> int | None:
    """Byte offset of the first byte that is not of this encoding; NUL is refused on the way."""
    decoder = codecs.getincrementaldecoder(encoding)("strict")
    pending = end = 0
    for offset, chunk in _chunks(path):
        nul = chunk.find(b"\0")
        if nul >= 0:
            raise _unreadable("the file holds a NUL, so it is no CSV", _place(path, offset + nul))
        try:
            decoder.decode(chunk)
        except UnicodeDecodeError as error:
            return offset - pending + error.start
        pending = len(decoder.getstate()[0])
        end = offset + len(chunk)
    return end - pending if pending else None


def _first_utf8_run(path: Path) -> int | None:
    carried = b""
    for offset, chunk in _chunks(path):
        text = carried + chunk
        # A run that the chunk cuts is looked at again, whole, with the next chunk.
        complete = text.rstrip(_NOT_ASCII)
        if found := _UTF8_RUN.search(complete):
            return offset - len(carried) + found.start()
        carried = text[len(complete) :][-_CHUNK_BYTES:]
    found = _UTF8_RUN.search(carried)
    return path.stat().st_size - len(carried) + found.start() if found else None


def _place(path: Path, position: int) -> Said:
    line = 1
    for offset, chunk in _chunks(path):
        if position < offset + len(chunk):
            line += chunk.count(b"\n", 0, position - offset)
            break
        line += chunk.count(b"\n")
    return Said("line {line}, byte {position}", line=line, position=position)
