"""The sheet that goes back: harmless when opened, mended by hand, sent again as it is."""

import csv
from collections.abc import Iterator
from pathlib import Path

import pytest
from openpyxl import load_workbook
from openpyxl.worksheet.worksheet import Worksheet

from shared.imports import REFUSAL_COLUMNS, Refusal, SheetRefused, open_sheet, write_refused

HOSTILE = [
    "=1+1",
    '=HYPERLINK("http://x")',
    "+1",
    "-5",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    " =1",
    "＝1",
    "'=1",
    "''-1",
    "'plain",
    "_x0041_",
    "a\r\nb",
    " edges ",
    "\x01",
    "913301007043059000",
    "",
]
HEADER = ("代码", "=名称")


@pytest.fixture(params=[".csv", ".xlsx"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / f"refused{request.param}"


def _rows() -> Iterator[tuple[tuple[str, str], list[Refusal]]]:
    for number, cell in enumerate(HOSTILE, start=2):
        yield (
            ("X1", cell),
            [Refusal(number, "=名称", cell, "not a name", "=a name"), Refusal(number, "代码", "X1", "unknown", "")],
        )


def test_refused_sheet_is_read_back_as_it_was_sent(path: Path) -> None:
    assert write_refused(path, HEADER, _rows()) == len(HOSTILE)
    with open_sheet(path) as sheet:
        assert sheet.mended
        assert sheet.header == HEADER
        assert [row.cells[1] for row in sheet] == HOSTILE
        assert not any(row.surplus for row in sheet)


def test_mended_sheet_can_be_refused_again_without_growing(path: Path, tmp_path: Path) -> None:
    write_refused(path, HEADER, _rows())
    again = tmp_path / f"again{path.suffix}"
    with open_sheet(path) as sheet:
        write_refused(again, sheet.header, ((row.cells, []) for row in sheet))
    with open_sheet(again) as sheet:
        assert [row.cells for row in sheet] == [("X1", cell) for cell in HOSTILE]


def test_no_cell_of_a_workbook_is_a_formula_and_codes_keep_their_digits(tmp_path: Path) -> None:
    write_refused(tmp_path / "r.xlsx", HEADER, _rows(), sheet="目录")
    page = load_workbook(tmp_path / "r.xlsx")["目录"]
    assert isinstance(page, Worksheet)
    cells = [cell for row in page.iter_rows() for cell in row if cell.value is not None]
    assert {cell.data_type for cell in cells} == {"s"}
    assert {cell.number_format for cell in cells} == {"@"}


def test_no_cell_of_a_csv_begins_as_a_formula(tmp_path: Path) -> None:
    write_refused(tmp_path / "r.csv", HEADER, _rows())
    data = (tmp_path / "r.csv").read_bytes()
    assert data.startswith(b"\xef\xbb\xbf")
    with (tmp_path / "r.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = [cell for row in csv.reader(file) for cell in row]
    assert not [cell for cell in cells if cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r", "＝"))]


def test_reasons_stand_behind_the_row_one_line_each(tmp_path: Path) -> None:
    faults = [Refusal(7, "a", "x", "not a number", "1"), Refusal(7, "b", "", "missing", "text")]
    write_refused(tmp_path / "r.xlsx", ("a", "b"), [(("x",), faults)])
    page = load_workbook(tmp_path / "r.xlsx").worksheets[0]
    assert [cell.value for cell in page[1]][2:] == list(REFUSAL_COLUMNS)
    assert [cell.value for cell in page[2]] == ["x", None, "7", "a\nb", "x\n", "not a number\nmissing", "1\ntext"]


def test_csv_saved_by_excel_in_gb18030_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    write_refused(path, HEADER, [(("X1", "=1"), [])])
    path.write_bytes(path.read_text(encoding="utf-8-sig").encode("gb18030"))
    with open_sheet(path) as sheet:
        assert [row.cells for row in sheet] == [("X1", "=1")]


def test_sheet_that_was_never_refused_keeps_its_apostrophes(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text("a,row\n'=1,2\n")
    with open_sheet(path) as sheet:
        assert (sheet.mended, sheet.header) == (False, ("a", "row"))
        assert [row.cells for row in sheet] == [("'=1", "2")]


def test_mended_row_with_cells_behind_the_reasons_says_so(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(",".join(["a", *REFUSAL_COLUMNS]) + "\n1,2,3,4,5,6,7\n", encoding="utf-8")
    with open_sheet(path) as sheet:
        assert [(row.cells, row.surplus) for row in sheet] == [(("1",), ("7",))]


def test_only_reasons_and_no_column_is_no_sheet(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    path.write_text(",".join(REFUSAL_COLUMNS), encoding="utf-8")
    with pytest.raises(SheetRefused, match="only the columns of a refusal"):
        open_sheet(path)


def test_other_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SheetRefused, match=r"\.ods"):
        write_refused(tmp_path / "r.ods", HEADER, [])
