"""Workbooks: exact cells, and every way in which a file can be broken or hostile."""

import contextlib
import datetime as dt
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

from shared.imports import Row, SheetRefused, open_sheet
from shared.settings import SheetLimits

MakeWorkbook = Callable[..., Path]

HEADER = '<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v>1</v></c></row>'
STYLES = (
    '<numFmts><numFmt numFmtId="164" formatCode="yyyy&quot;年&quot;m&quot;月&quot;d&quot;日&quot;"/>'
    '<numFmt numFmtId="165" formatCode="0.00&quot;day&quot;"/><numFmt numFmtId="166" formatCode="[h]:mm"/></numFmts>'
    '<cellStyleXfs><xf numFmtId="14"/></cellStyleXfs>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="14"/><xf numFmtId="22"/><xf numFmtId="31"/><xf numFmtId="164"/>'
    '<xf numFmtId="165"/><xf numFmtId="166"/><xf numFmtId="20"/></cellXfs>'
)


def _rows(path: Path, limits: SheetLimits | None = None, sheet: str | None = None) -> list[Row]:
    with open_sheet(path, sheet=sheet, limits=limits or SheetLimits()) as opened:
        return list(opened)


def _refusal(path: Path, limits: SheetLimits | None = None, sheet: str | None = None) -> SheetRefused:
    with pytest.raises(SheetRefused) as caught:
        _rows(path, limits, sheet)
    return caught.value


def _cell(make_workbook: MakeWorkbook, cell: str, **given: str) -> str:
    [row] = _rows(make_workbook(HEADER + f'<row r="2">{cell}<c r="B2"><v>1</v></c></row>', **given))
    return row.cells[0]


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('<c r="A2"><f>DATE(2027,6,30)</f></c>', "=DATE(2027,6,30)"),
        ('<c r="A2"><f>DATE(2027,6,30)</f><v/></c>', "=DATE(2027,6,30)"),
        ('<c r="A2"><f t="shared" si="0"/><v></v></c>', "="),
        ('<c r="A2" t="str"><f>IF(C2="","","x")</f><v></v></c>', ""),
    ],
)
def test_a_formula_counts_by_its_value_and_is_shown_itself_where_the_file_holds_none(
    make_workbook: MakeWorkbook, cell: str, text: str
) -> None:
    assert _cell(make_workbook, cell) == text


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("12", "12"),
        ("12.0", "12"),
        ("007", "7"),
        ("0", "0"),
        ("-5.5", "-5.5"),
        ("0.28999999999999998", "0.29"),
        ("38.400000000000006", "38.4"),
        ("2.6569", "2.6569"),
        ("1E-05", "0.00001"),
        ("123456.123456789", "123456.123456789"),
        ("1234567.8901234567", "1234567.8901234567"),
        ("330000000000000", "330000000000000"),
        ("999999999999999", "999999999999999"),
        ("1000000000000000", "1.0e+15"),
        ("913301007043059000", "9.13301007043059e+17"),
        ("9.13301007043059E+17", "9.13301007043059e+17"),
        ("-9.13301007043059E+17", "-9.13301007043059e+17"),
        ("1e999", "1e999"),
        ("no number", "no number"),
    ],
)
def test_number_is_the_text_that_was_typed(make_workbook: MakeWorkbook, written: str, text: str) -> None:
    assert _cell(make_workbook, f'<c r="A2"><v>{written}</v></c>') == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        ('<c r="A2" t="str"><f>1+1</f><v>cached</v></c>', "cached"),
        ('<c r="A2"><f>1+1</f><v>2</v></c>', "2"),
        ('<c r="A2" t="b"><v>1</v></c>', "TRUE"),
        ('<c r="A2" t="b"><v>0</v></c>', "FALSE"),
        ('<c r="A2" t="e"><v>#N/A</v></c>', "#N/A"),
        ('<c r="A2" t="d"><v>2023-06-29T10:00:00Z</v></c>', "2023-06-29 10:00:00"),
        ('<c r="A2" t="inlineStr"><is><t> a </t><r><t>b</t></r><rPh><t>no</t></rPh></is></c>', " a b"),
        (
            '<c r="A2" t="inlineStr"><is><t>x_x000D_y_x005F_x0041__x0000__xD800_</t></is></c>',
            "x\ry_x0041__x0000__xD800_",
        ),
        ("<c t='inlineStr'><is><t>no address</t></is></c>", "no address"),
    ],
)
def test_each_type_of_cell_becomes_text(make_workbook: MakeWorkbook, cell: str, text: str) -> None:
    assert _cell(make_workbook, cell) == text


@pytest.mark.parametrize(
    ("style", "written", "text"),
    [
        (0, "45106", "45106"),
        (1, "45106", "2023-06-29"),
        (2, "45075.474317129629", "2023-05-29 11:23:01"),
        (3, "45106", "2023-06-29"),
        (4, "45106", "2023-06-29"),
        (5, "45106", "45106"),
        (6, "1.5", "1.5"),
        (7, "0.5", "12:00:00"),
        (1, "99999999999", "99999999999"),
    ],
)
def test_number_with_a_date_style_is_an_iso_date(
    make_workbook: MakeWorkbook, style: int, written: str, text: str
) -> None:
    assert _cell(make_workbook, f'<c r="A2" s="{style}"><v>{written}</v></c>', styles=STYLES) == text


def test_workbook_that_counts_from_1904_has_its_own_dates(make_workbook: MakeWorkbook) -> None:
    cell = '<c r="A2" s="1"><v>43644</v></c>'
    assert _cell(make_workbook, cell, styles=STYLES, workbook='<workbookPr date1904="1"/>') == "2023-06-29"


def test_gaps_in_rows_and_cells_keep_the_numbers_of_the_sheet(make_workbook: MakeWorkbook) -> None:
    path = make_workbook(
        HEADER + '<row r="4"><c r="B4"><v>1</v></c><c r="D4"><v>2</v></c></row><row r="6"><c r="A6" s="1"/></row>'
        "<row><c><v>3</v></c></row>"
    )
    assert _rows(path) == [Row(4, ("", "1"), ("2",)), Row(7, ("3", ""))]


def test_names_with_a_namespace_prefix_are_read(make_workbook: MakeWorkbook) -> None:
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    rows = HEADER + '<row r="2"><c r="A2"><v>1</v></c></row>'
    prefixed = re.sub(r"<(/?)(row|c|v)\b", r"<\1x:\2", rows)
    prefixed = f'<x:worksheet xmlns:x="{main}"><x:sheetData>{prefixed}</x:sheetData></x:worksheet>'
    assert _rows(make_workbook("", parts={"xl/worksheets/sheet1.xml": prefixed})) == [Row(2, ("1", ""))]


def test_sheet_is_chosen_by_name_and_by_default_the_first_visible(tmp_path: Path) -> None:
    book = Workbook()
    book.worksheets[0].title = "说明"
    book.worksheets[0].append(["a"])
    book.create_sheet("目录").append(["b"])
    book.save(tmp_path / "two.xlsx")
    with open_sheet(tmp_path / "two.xlsx") as first, open_sheet(tmp_path / "two.xlsx", sheet="目录") as second:
        assert (first.header, second.header) == (("a",), ("b",))
    refusal = _refusal(tmp_path / "two.xlsx", sheet="目 录")
    assert (refusal.code, refusal.allowed) == ("unknown_sheet", "说明, 目录")


def test_what_openpyxl_writes_is_read_back(tmp_path: Path) -> None:
    book = Workbook()
    page = book.worksheets[0]
    page.append(["a", "b", "c", "d"])
    page.append([1.5, dt.datetime(2023, 6, 29, 1, 2, 3), dt.date(2023, 6, 29), True])  # noqa: DTZ001
    book.save(tmp_path / "w.xlsx")
    assert _rows(tmp_path / "w.xlsx") == [Row(2, ("1.5", "2023-06-29 01:02:03", "2023-06-29", "TRUE"))]


@pytest.mark.parametrize(
    "rows",
    [
        HEADER + HEADER,
        '<row r="1"><c r="B1"><v>1</v></c><c r="A1"><v>1</v></c></row>',
        '<row r="1"><c r="A1" t="s"><v>99</v></c></row>',
        '<row r="1"><c r="A1" t="s"><v>-1</v></c></row>',
        '<row r="1"><c r="ABCDE1"><v>1</v></c></row>',
        '<row r="1"><c r="11"><v>1</v></c></row>',
        "<row><c></row>",
        HEADER + "<row",
    ],
)
def test_damaged_cells_are_refused(make_workbook: MakeWorkbook, rows: str) -> None:
    assert _refusal(make_workbook(rows)).code == "sheet_broken"


@pytest.mark.parametrize(
    ("parts", "code"),
    [
        ({"xl/worksheets/sheet1.xml": None}, "sheet_broken"),
        ({"xl/sharedStrings.xml": None}, "sheet_broken"),
        ({"xl/sharedStrings.xml": "<sst><si>"}, "sheet_broken"),
        ({"xl/_rels/workbook.xml.rels": None}, "sheet_broken"),
        ({"xl/_rels/workbook.xml.rels": "<Relationships/>"}, "sheet_broken"),
        ({"xl/workbook.xml": None}, "sheet_broken"),
        ({"_rels/.rels": None}, "unknown_sheet_type"),
        ({"_rels/.rels": "<Relationships/>"}, "unknown_sheet_type"),
        ({"xl/styles.xml": "not xml"}, "sheet_broken"),
    ],
)
def test_missing_or_damaged_parts_are_refused(make_workbook: MakeWorkbook, parts: dict[str, str], code: str) -> None:
    assert _refusal(make_workbook(HEADER, parts=parts)).code == code


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9, 0.99])
def test_truncated_workbook_is_refused(make_workbook: MakeWorkbook, cut: float) -> None:
    path = make_workbook(HEADER)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * cut)])
    assert _refusal(path).code == "sheet_broken"


def test_any_flipped_byte_gives_rows_or_a_refusal_and_never_another_error(make_workbook: MakeWorkbook) -> None:
    path = make_workbook(HEADER + '<row r="2"><c r="A2"><v>1</v></c></row>', styles=STYLES)
    data = path.read_bytes()
    for place in range(0, len(data), 3):
        damaged = bytearray(data)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        with contextlib.suppress(SheetRefused):
            _rows(path)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 2**20 + "EncryptedPackage".encode("utf-16-le"),
            "sheet_encrypted",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, "unknown_sheet_type"),
        (b"PK\x03\x04 and no more", "sheet_broken"),
    ],
    ids=["password", "xls", "no zip"],
)
def test_other_files_are_refused_by_what_they_are(tmp_path: Path, content: bytes, code: str) -> None:
    path = tmp_path / "sheet.xlsx"
    path.write_bytes(content)
    assert _refusal(path).code == code


def test_zip_entry_with_a_password_is_refused(make_workbook: MakeWorkbook) -> None:
    path = make_workbook(HEADER)
    data = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = data.find(mark)
        while place >= 0:
            data[place + flags] |= 1
            place = data.find(mark, place + 4)
    path.write_bytes(data)
    assert _refusal(path).code == "sheet_encrypted"


def test_zip_bomb_is_refused_by_its_directory(make_workbook: MakeWorkbook) -> None:
    path = make_workbook(HEADER, parts={"xl/media/zeros.bin": "0" * 20_000_000})
    refusal = _refusal(path)
    assert refusal.code == "sheet_too_large"
    assert "200 times" in refusal.allowed
    assert _refusal(path, SheetLimits(uncompressed_bytes=10_000_000)).code == "sheet_too_large"


def test_zip_bomb_that_lies_about_its_size_is_refused_while_reading(make_workbook: MakeWorkbook) -> None:
    path = make_workbook(HEADER + " " * 20_000_000)
    with zipfile.ZipFile(path) as file:
        entry = file.getinfo("xl/worksheets/sheet1.xml")
    true_size, claimed = entry.file_size.to_bytes(4, "little"), (3_000).to_bytes(4, "little")
    path.write_bytes(path.read_bytes().replace(true_size, claimed))
    assert _refusal(path).code == "sheet_broken"


@pytest.mark.parametrize(
    "rows",
    [
        f'<row r="1" x="{"y" * 6_000_000}">',
        f"<!-- {'y' * 6_000_000} -->",
        f'<row r="1"><c r="A1" t="str"><v>{"y" * 6_000_000}</v></c></row>',
    ],
    ids=["attribute", "comment", "text"],
)
def test_endless_xml_token_is_refused_before_it_fills_memory(make_workbook: MakeWorkbook, rows: str) -> None:
    limits = SheetLimits(expansion_ratio=10_000)
    assert _refusal(make_workbook(rows), limits).code in {"sheet_broken", "cell_too_long"}


def test_entities_are_refused(make_workbook: MakeWorkbook) -> None:
    bomb = '<!DOCTYPE s [<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;&a;">]><sst><si><t>&b;</t></si></sst>'
    refusal = _refusal(make_workbook(HEADER, parts={"xl/sharedStrings.xml": bomb}))
    assert (refusal.code, "document type" in refusal.detail) == ("sheet_broken", True)


@pytest.mark.parametrize(
    ("limits", "code"),
    [
        (SheetLimits(shared_strings=1), "too_many_strings"),
        (SheetLimits(zip_entries=3), "sheet_too_large"),
        (SheetLimits(cell_styles=3), "sheet_too_large"),
        (SheetLimits(rows=1), "too_many_rows"),
        (SheetLimits(columns=1), "too_many_columns"),
        (SheetLimits(cell_characters=1), "cell_too_long"),
        (SheetLimits(cell_characters=2), "cell_too_long"),
    ],
)
def test_each_limit_is_refused_by_name(make_workbook: MakeWorkbook, limits: SheetLimits, code: str) -> None:
    rows = HEADER + '<row r="2"><c r="A2"><v>123</v></c></row><row r="3"><c r="A3"><v>1</v></c></row>'
    assert _refusal(make_workbook(rows, styles=STYLES), limits).code == code


def test_column_far_away_is_refused_before_the_row_is_filled_up(make_workbook: MakeWorkbook) -> None:
    rows = HEADER + '<row r="2"><c r="XFD2"><v>1</v></c></row>'
    assert _refusal(make_workbook(rows)).code == "too_many_columns"


def test_many_strings_are_found_again_after_they_left_the_memory(make_workbook: MakeWorkbook) -> None:
    count = 200_000
    strings = "".join(f"<si><t>text {'长' * 40} {number}</t></si>" for number in range(count))
    wanted = [0, count - 1, 63, 64, 150_000, 1]
    cells = "".join(f'<row r="{i + 2}"><c r="A{i + 2}" t="s"><v>{n}</v></c></row>' for i, n in enumerate(wanted))
    path = make_workbook(HEADER + cells, strings=strings)
    assert [row.cells[0].split()[-1] for row in _rows(path)] == [str(number) for number in wanted]


def test_missing_header_is_refused(make_workbook: MakeWorkbook) -> None:
    assert _refusal(make_workbook('<row r="2"><c r="A2"><v>1</v></c></row>')).code == "no_header"
    assert _refusal(make_workbook("")).code == "no_header"
