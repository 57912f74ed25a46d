"""A province's real workbook, read in place, against its own CSV exports; skipped where the data is not at hand."""

import csv
from pathlib import Path

import pytest

from shared.imports import Row, open_sheet

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "procurement_sample"
WORKBOOK = FOLDER / "样例数据.xlsx"

# In the exports these random formulas and every \N were emptied; all else is the same, damaged codes too.
_RANDOM = ("采购数量", "采购价格", "配送数量", "配送金额", "收货数量", "收货金额", "结算金额", "结算数量")

pytestmark = pytest.mark.skipif(not WORKBOOK.exists(), reason="the sample data is not beside the project")


def _sheet(path: Path, sheet: str | None = None) -> tuple[tuple[str, ...], list[Row]]:
    with open_sheet(path, sheet=sheet) as opened:
        return opened.header, list(opened)


@pytest.mark.parametrize(
    ("sheet", "export", "count"), [("目录", "catalogue_listing.csv", 50), ("交易", "transactions.csv", 9_096)]
)
def test_workbook_says_the_same_as_its_export(sheet: str, export: str, count: int) -> None:
    header, rows = _sheet(WORKBOOK, sheet)
    exported_header, exported = _sheet(FOLDER / export)
    assert (len(rows), len(exported)) == (count, count)
    assert [row.number for row in rows] == [row.number for row in exported] == list(range(2, count + 2))
    same = [name for name in header if name not in _RANDOM]
    assert set(header) <= set(exported_header)
    differing: dict[str, int] = {}
    for row, other in zip(rows, exported, strict=True):
        mine, theirs = dict(zip(header, row.cells, strict=True)), dict(zip(exported_header, other.cells, strict=True))
        for name in same:
            if mine[name].replace("\\N", "") != theirs[name]:
                differing[name] = differing.get(name, 0) + 1
    assert differing == {}


def test_reader_of_csv_agrees_with_the_standard_library() -> None:
    _, rows = _sheet(FOLDER / "transactions.csv")
    with (FOLDER / "transactions.csv").open(encoding="utf-8-sig", newline="") as file:
        assert [list(row.cells) for row in rows] == list(csv.reader(file))[1:]


def test_codes_that_the_spreadsheet_destroyed_stay_recognisable() -> None:
    header, rows = _sheet(WORKBOOK, "交易")
    column = header.index("配送企业代码")
    damaged = [row.cells[column] for row in rows if "e+" in row.cells[column]]
    assert len(damaged) == 3_855
