"""The shared strings of a workbook, held outside the memory once they are many.

Invariant: any string is found by its index, and 3,600,000 different ones cost no more memory than a few thousand.
"""

import tempfile
from array import array
from collections.abc import Iterator
from functools import lru_cache
from xml.parsers import expat

from shared.errors import Said
from shared.imports.refusals import SheetRefused
from shared.imports.xlsx_package import Package, broken, local
from shared.settings import SheetLimits

_STRINGS_A_BLOCK = 64
_BLOCKS_CACHED = 2_048
_BYTES_IN_MEMORY = 16 * 2**20
_SEPARATOR = "\0"  # no XML can hold it


class StringTable:
    """Strings in blocks of 64, in memory up to 16 MiB and in an unnamed temporary file beyond."""

    def __init__(self, max_strings: int) -> None:
        self._max = max_strings
        self._file = tempfile.SpooledTemporaryFile(max_size=_BYTES_IN_MEMORY)  # noqa: SIM115  closed by close()
        self._ends = array("Q", [0])
        self._open_block: list[str] = []
        self._count = 0
        self._block = lru_cache(maxsize=_BLOCKS_CACHED)(self._read_block)

    def append(self, text: str) -> None:
        if self._count >= self._max:
            raise SheetRefused(
                "too_many_strings",
                Said("the workbook has more than {most:,} different texts", most=self._max),
                allowed=Said("at most {limit}", limit=f"{self._max:,}"),
            )
        self._count += 1
        self._open_block.append(text)
        if len(self._open_block) == _STRINGS_A_BLOCK:
            self.finish()

    def finish(self) -> None:
        """Write the block that is not yet full; after this, strings can be read and none be added."""
        if self._open_block:
            data = _SEPARATOR.join(self._open_block).encode()
            self._file.write(data)
            self._ends.append(self._ends[-1] + len(data))
            self._open_block = []

    def __getitem__(self, index: int) -> str:
        if not 0 <= index < self._count:
            raise broken(Said("a cell points to text {index:,} of {count:,}", index=index, count=self._count))
        block, place = divmod(index, _STRINGS_A_BLOCK)
        return self._block(block)[place]

    def close(self) -> None:
        self._block.cache_clear()
        self._file.close()

    def _read_block(self, block: int) -> list[str]:
        start, end = self._ends[block], self._ends[block + 1]
        self._file.seek(start)
        return self._file.read(end - start).decode().split(_SEPARATOR)


class _StringParser:
    """Collects the text of each <si>; what is said about its pronunciation (<rPh>) is no part of it."""

    def __init__(self, table: StringTable, limits: SheetLimits) -> None:
        self._table = table
        self._limits = limits
        self._parts: list[str] = []
        self._length = 0
        self._in_text = False
        self._in_phonetic = False

    def start(self, name: str, _given: dict[str, str]) -> None:
        tag = local(name)
        if tag == "t":
            self._in_text = not self._in_phonetic
        elif tag == "si":
            self._parts = []
            self._length = 0
        elif tag == "rPh":
            self._in_phonetic = True

    def end(self, name: str) -> None:
        tag = local(name)
        if tag == "t":
            self._in_text = False
        elif tag == "si":
            self._table.append("".join(self._parts))
        elif tag == "rPh":
            self._in_phonetic = False

    def text(self, data: str) -> None:
        if self._in_text:
            self._length += len(data)
            if self._length > self._limits.cell_characters:
                raise SheetRefused(
                    "cell_too_long",
                    Said(
                        "a text of the workbook is longer than {most:,} characters", most=self._limits.cell_characters
                    ),
                    allowed=Said("at most {most:,} characters a cell", most=self._limits.cell_characters),
                )
            self._parts.append(data)

    def run(self, package: Package, part: str) -> Iterator[None]:
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text
        yield from package.feed(part, parser)


def shared_strings(package: Package, limits: SheetLimits) -> StringTable:
    """The table of an open package, still escaped; the caller closes it."""
    table = StringTable(limits.shared_strings)
    part = package.names.shared_strings
    try:
        if part is not None:
            for _ in _StringParser(table, limits).run(package, part):
                pass
        table.finish()
    except SheetRefused:
        table.close()
        raise
    return table
