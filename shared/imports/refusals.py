"""What was refused, said so that a person can mend it, and the sheet that carries it back.

Invariant: a refused sheet holds the original cells unchanged, runs no formula when opened, and is read back as it was sent.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from openpyxl import Workbook
from openpyxl.cell.cell import Cell, WriteOnlyCell

from shared.errors import Said, say
from shared.values import frozen

MAX_GIVEN_CHARACTERS = 200

REFUSAL_COLUMNS = (
    "退回·行 row",
    "退回·列 column",
    "退回·原值 given",
    "退回·规则 rule",
    "退回·可接受 accepted",
)
"""Headers of the columns added behind the original ones; a reader leaves out columns of these names at the end."""

# What a spreadsheet may take for a formula, in the narrow and the wide form, after spaces too.
_FORMULA = r"(?:\s*[=+\-@＝＋－＠]|[\t\r\n])"
_DANGEROUS = re.compile(rf"'*{_FORMULA}")
_QUOTED = re.compile(rf"'+{_FORMULA}")

# ECMA-376 part 1, 22.9.2.19: characters that XML cannot carry are written _xHHHH_ in a workbook.
_XML_FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")


@frozen
class Refusal:
    """One fault of one row: `row` is the number in the sheet as it was sent, `column` the name in its header."""

    row: int
    column: str
    given: str
    rule: str
    allowed: str

    def __post_init__(self) -> None:
        say(self, "rule", "allowed")


class SheetRefused(ValueError):
    """A whole file, mapping or header that cannot be taken; `where` is a row, byte, part or key, or empty.

    `found` is what the file holds instead; `faults` are the parts of a refusal that has several.
    """

    def __init__(
        self,
        code: str,
        detail: str,
        *,
        where: str = "",
        allowed: str = "",
        found: str = "",
        faults: tuple[Refusal, ...] = (),
    ) -> None:
        self.code = code
        self.detail = detail
        self.where = where
        self.allowed = allowed
        self.found = found
        self.faults = faults
        say(self, "detail", "where", "allowed")
        super().__init__(told(self))


def told(refused: SheetRefused) -> Said:
    """Why a sheet cannot be taken, in a sentence that can be said in the reader's language."""
    return Said(
        "{detail}{place}{found}{accepted}",
        detail=refused.detail,
        place=Said(" ({where})", where=refused.where) if refused.where else "",
        found=Said("; found: {found}", found=refused.found) if refused.found else "",
        accepted=Said("; accepted: {allowed}", allowed=refused.allowed) if refused.allowed else "",
    )


def shortened(given: str) -> str:
    """What was given, cut to MAX_GIVEN_CHARACTERS, so that a report stays readable."""
    return given if len(given) <= MAX_GIVEN_CHARACTERS else given[: MAX_GIVEN_CHARACTERS - 1] + "…"


def neutralised(cell: str) -> str:
    """The cell for a CSV, with an apostrophe before what could run as a formula."""
    return "'" + cell if _DANGEROUS.match(cell) else cell


def restored(cell: str) -> str:
    """The cell of a sheet that was sent back, without the apostrophe that `neutralised` or a workbook put there."""
    return cell[1:] if _QUOTED.match(cell) else cell


def write_refused(
    path: Path,
    header: Sequence[str],
    rows_with_refusals: Iterable[tuple[Sequence[str], Sequence[Refusal]]],
    *,
    sheet: str = "退回",
) -> int:
    """Write the rows to be mended to an .xlsx or .csv, row by row; returns how many.

    `sheet` names the workbook's sheet: give the name that the mapping asks for. Prefer xlsx for people: opened in Excel,
    a CSV loses the digits of 18-digit codes. Raises SheetRefused for another suffix.
    """
    full_header = [*header, *REFUSAL_COLUMNS]
    rows = _with_reasons(len(header), rows_with_refusals)
    match path.suffix.lower():
        case ".csv":
            return _write_csv(path, full_header, rows)
        case ".xlsx":
            return _write_xlsx(path, full_header, rows, sheet)
        case other:
            raise SheetRefused(
                "unknown_sheet_type",
                Said("cannot write a sheet of type {suffix!j}", suffix=other),
                allowed=".xlsx, .csv",
            )


def _with_reasons(width: int, rows: Iterable[tuple[Sequence[str], Sequence[Refusal]]]) -> Iterator[list[str]]:
    for cells, refusals in rows:
        padded = [*cells[:width], *[""] * (width - len(cells))]
        reasons = [
            dict.fromkeys(str(r.row) for r in refusals),
            [r.column for r in refusals],
            [r.given for r in refusals],
            [r.rule for r in refusals],
            [r.allowed for r in refusals],
        ]
        yield [*padded, *("\n".join(lines) for lines in reasons)]


def _write_csv(path: Path, header: list[str], rows: Iterator[list[str]]) -> int:
    written = 0
    # The byte order mark makes Excel read UTF-8.
    with path.open("w", encoding="utf-8-sig", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([neutralised(cell) for cell in header])
        for row in rows:
            writer.writerow([neutralised(cell) for cell in row])
            written += 1
    return written


def _write_xlsx(path: Path, header: list[str], rows: Iterator[list[str]], sheet: str) -> int:
    book = Workbook(write_only=True)
    page = book.create_sheet(sheet)

    def as_text(value: str) -> Cell:
        cell = WriteOnlyCell(page, _escaped(value))
        cell.data_type = "s"
        # Format "text": a code typed in while mending keeps its digits.
        cell.number_format = "@"
        return cell

    written = 0
    page.append([as_text(name) for name in header])
    for row in rows:
        page.append([as_text(cell) if cell else None for cell in row])
        written += 1
    book.save(path)
    return written


def _escaped(cell: str) -> str:
    quoted = "'" + cell if _QUOTED.match(cell) else cell
    return _XML_FORBIDDEN.sub(lambda found: f"_x{ord(found[0]):04X}_", quoted)
