"""The parts of an xlsx file, read as streams of XML: which sheets it has, which styles are dates.

Invariant: no part is expanded beyond the limits, whatever the zip directory claims, and no XML may define entities.
"""

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from xml.parsers import expat

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format

from shared.errors import Said
from shared.imports.refusals import SheetRefused
from shared.settings import SheetLimits
from shared.values import frozen

_CHUNK_BYTES = 2**16
_ENCRYPTED = 0x1
_MIN_RATIO_BYTES = 2**20

# ECMA-376 part 1, 18.8.30: the formats that mean dates in Chinese workbooks without being written out.
_CHINESE_DATE_FORMATS = frozenset([*range(27, 37), *range(50, 59)])

StartHandler = Callable[[str, dict[str, str]], None]


@frozen
class PartNames:
    sheets: dict[str, str]
    """Part of each visible worksheet by its name, in the workbook's order."""
    shared_strings: str | None
    styles: str | None
    counts_from_1904: bool


def broken(detail: str, where: str = "") -> SheetRefused:
    return SheetRefused(
        "sheet_broken",
        detail,
        where=where,
        allowed="a workbook that Excel or WPS opens, saved again as .xlsx",
    )


@contextmanager
def damage_refused(part: str) -> Iterator[None]:
    """What the zip and XML libraries raise for a damaged file becomes a SheetRefused that names the part."""
    try:
        yield
    except expat.ExpatError as error:
        rule = Said("the XML is damaged at line {line}, column {column}", line=error.lineno, column=error.offset)
        raise broken(rule, part) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, OSError) as error:
        raise broken("the file is damaged", part) from error


def local(name: str) -> str:
    """An element's name without the prefix of its namespace."""
    return name.rpartition(":")[2] if ":" in name else name


class Package:
    """An open xlsx file. Its directory is checked against the limits before anything is expanded."""

    def __init__(self, path: Path, limits: SheetLimits) -> None:
        self._limits = limits
        with damage_refused("zip directory"):
            self._zip = zipfile.ZipFile(path)
        try:
            self._check_directory(path.stat().st_size)
            self.names = self._part_names()
        except SheetRefused:
            self.close()
            raise

    def close(self) -> None:
        self._zip.close()

    def feed(self, part: str, parser: expat.XMLParserType) -> Iterator[None]:
        """Give the part to the parser piece by piece, yielding after each."""
        parser.StartDoctypeDeclHandler = _refuse_doctype
        limit = self._limits.uncompressed_bytes
        fed = 0
        with damage_refused(part), self._zip.open(part) as stream:
            for chunk in _chunks(stream):
                fed += len(chunk)
                if fed > limit:
                    raise _too_large(
                        Said("{part} expands to more than {most:,} bytes", part=part, most=limit),
                        Said("{most:,} bytes", most=limit),
                    )
                parser.Parse(chunk)
                if fed - parser.CurrentByteIndex > self._limits.xml_token_bytes:
                    raise broken(
                        Said("an XML token is longer than {most:,} bytes", most=self._limits.xml_token_bytes), part
                    )
                yield
            parser.Parse(b"", True)  # noqa: FBT003  expat's parameters have no names

    def date_styles(self) -> frozenset[int]:
        """Indices of the cell styles that show a number as a date or a time of day."""
        part = self.names.styles
        if part is None:
            return frozenset()
        styles = _Styles(self._limits)
        self._read(part, styles.start, styles.end)
        return styles.dates()

    def _check_directory(self, file_bytes: int) -> None:
        entries = self._zip.infolist()
        if len(entries) > self._limits.zip_entries:
            raise _too_large(
                Said("the file has {count:,} parts", count=len(entries)),
                Said("{count:,} parts", count=self._limits.zip_entries),
            )
        if any(entry.flag_bits & _ENCRYPTED for entry in entries):
            raise SheetRefused("sheet_encrypted", "the file is protected by a password", allowed="without one")
        total = sum(entry.file_size for entry in entries)
        if total > self._limits.uncompressed_bytes:
            limit = Said("{most:,} bytes", most=self._limits.uncompressed_bytes)
            raise _too_large(Said("the file expands to {total:,} bytes", total=total), limit)
        ratio = self._limits.expansion_ratio
        if total > max(ratio * file_bytes, _MIN_RATIO_BYTES):
            raise _too_large(
                Said("the file of {size:,} bytes expands to {total:,} bytes", size=file_bytes, total=total),
                Said("{ratio} times", ratio=ratio),
            )

    def _part_names(self) -> PartNames:
        workbook = self._target("_rels/.rels", "/officeDocument")
        if workbook is None:
            raise SheetRefused("unknown_sheet_type", "the file is a zip, but no workbook", allowed=".xlsx, .csv")
        folder, _, name = workbook.rpartition("/")
        relations = self._relations(f"{folder}/_rels/{name}.rels".lstrip("/"), folder)
        book = _Workbook()
        self._read(workbook, book.start)
        sheets: dict[str, str] = {}
        for title, relation in book.sheets:
            kind, target = relations.get(relation, ("", ""))
            if kind.endswith("/worksheet"):
                sheets[title] = self._present(target)
        if not sheets:
            raise broken("the workbook has no visible sheet", workbook)
        by_kind = {kind.rpartition("/")[2]: target for kind, target in relations.values()}
        return PartNames(
            sheets=sheets,
            shared_strings=self._present_or_none(by_kind.get("sharedStrings")),
            styles=self._present_or_none(by_kind.get("styles")),
            counts_from_1904=book.counts_from_1904,
        )

    def _target(self, part: str, kind_ends: str) -> str | None:
        if part not in self._zip.NameToInfo:
            return None
        targets = self._relations(part, "").values()
        return next((self._present(target) for kind, target in targets if kind.endswith(kind_ends)), None)

    def _present(self, part: str) -> str:
        if part not in self._zip.NameToInfo:
            raise broken("a part named by the workbook is missing", part)
        return part

    def _present_or_none(self, part: str | None) -> str | None:
        return None if part is None else self._present(part)

    def _relations(self, part: str, folder: str) -> dict[str, tuple[str, str]]:
        relations: dict[str, tuple[str, str]] = {}

        def start(name: str, given: dict[str, str]) -> None:
            if local(name) == "Relationship" and given.get("TargetMode") != "External":
                target = given.get("Target", "")
                path = target[1:] if target.startswith("/") else f"{folder}/{target}".lstrip("/")
                relations[given.get("Id", "")] = (given.get("Type", ""), path)

        self._read(self._present(part), start)
        return relations

    def _read(self, part: str, start: StartHandler, end: Callable[[str], None] | None = None) -> None:
        parser = expat.ParserCreate()
        parser.StartElementHandler = start
        parser.EndElementHandler = end
        for _ in self.feed(part, parser):
            pass


class _Workbook:
    def __init__(self) -> None:
        self.sheets: list[tuple[str, str]] = []
        self.counts_from_1904 = False

    def start(self, name: str, given: dict[str, str]) -> None:
        tag = local(name)
        if tag == "workbookPr":
            self.counts_from_1904 = given.get("date1904") in {"1", "true"}
        elif tag == "sheet" and given.get("state", "visible") == "visible":
            relation = next((value for key, value in given.items() if key.endswith(":id")), "")
            self.sheets.append((given.get("name", ""), relation))


class _Styles:
    def __init__(self, limits: SheetLimits) -> None:
        self._limits = limits
        self._formats: dict[int, str] = {}
        self._cells: list[int] = []
        self._inside_cells = False

    def start(self, name: str, given: dict[str, str]) -> None:
        tag = local(name)
        if tag == "cellXfs":
            self._inside_cells = True
        elif tag == "xf" and self._inside_cells:
            self._cells.append(_number(given.get("numFmtId", "0")))
            if len(self._cells) > self._limits.cell_styles:
                raise _too_large("too many cell styles", f"{self._limits.cell_styles:,}")
        elif tag == "numFmt":
            self._formats[_number(given.get("numFmtId", "0"))] = given.get("formatCode", "")

    def end(self, name: str) -> None:
        if local(name) == "cellXfs":
            self._inside_cells = False

    def dates(self) -> frozenset[int]:
        return frozenset(index for index, format_id in enumerate(self._cells) if self._is_date(format_id))

    def _is_date(self, format_id: int) -> bool:
        written = self._formats.get(format_id, BUILTIN_FORMATS.get(format_id))
        if written is None:
            return format_id in _CHINESE_DATE_FORMATS
        return is_date_format(written) and not is_timedelta_format(written)


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(_CHUNK_BYTES):
        yield chunk


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0


def _too_large(detail: str, limit: str) -> SheetRefused:
    return SheetRefused("sheet_too_large", detail, allowed=Said("at most {limit}", limit=limit))


def _refuse_doctype(name: str, system_id: str | None, public_id: str | None, has_subset: int) -> None:
    raise broken(Said("the XML declares a document type ({name}), which no workbook needs", name=name))
