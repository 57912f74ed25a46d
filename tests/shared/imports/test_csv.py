"""CSV as it is sent: encodings, separators, quotation marks, and what is wrong with them."""

import codecs
from pathlib import Path

import pytest

from shared.imports import Row, SheetRefused, open_sheet
from shared.settings import SheetLimits

NAMES = ["浙江英特药业有限责任公司", "联通", "片", "华东医药股份有限公司", "㐀𠀀"]
TEXT = "医保药品代码,配送企业名称\n" + "".join(f"XA{i},{NAMES[i % len(NAMES)]}\n" for i in range(50))


@pytest.fixture
def sheet_file(tmp_path: Path) -> Path:
    return tmp_path / "sheet.csv"


def _rows(path: Path, limits: SheetLimits | None = None) -> list[Row]:
    with open_sheet(path, limits=limits or SheetLimits()) as sheet:
        return list(sheet)


def _refusal(path: Path, limits: SheetLimits | None = None) -> SheetRefused:
    with pytest.raises(SheetRefused) as caught:
        _rows(path, limits)
    return caught.value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_each_encoding_gives_the_same_rows(sheet_file: Path, encoding: str) -> None:
    sheet_file.write_bytes(TEXT.encode(encoding))
    with open_sheet(sheet_file) as sheet:
        assert sheet.kind == "csv"
        assert sheet.header == ("医保药品代码", "配送企业名称")
        assert [row.cells[1] for row in sheet] == NAMES * 10
        assert [row.number for row in sheet] == list(range(2, 52)), "a second iteration starts at the top"


@pytest.mark.parametrize(
    ("first", "second"), [("utf-8", "gb18030"), ("gb18030", "utf-8")], ids=["utf-8 first", "gb18030 first"]
)
def test_two_encodings_in_one_file_are_refused_with_the_place(sheet_file: Path, first: str, second: str) -> None:
    sheet_file.write_bytes(TEXT.encode(first) + "XB1,浙江英特药业有限责任公司\n".encode(second))
    refusal = _refusal(sheet_file)
    assert refusal.code in {"mixed_encodings", "unreadable_text"}
    assert "line 52" in refusal.where
    assert "byte" in refusal.where


def test_mixed_encodings_are_found_where_gb18030_decodes_them_all(sheet_file: Path) -> None:
    mixed = "代码,名称\n".encode() + "X1,浙江英特药业有限责任公司\n".encode() + "X2,片剂\n".encode("gb18030")
    mixed.decode("gb18030")
    sheet_file.write_bytes(mixed)
    assert _refusal(sheet_file).code == "mixed_encodings"


@pytest.mark.parametrize("padding", [2**20 - 20, 2**20 - 7, 2**20 - 6, 2**20 - 5, 2**20])
def test_encodings_are_told_apart_across_chunks(sheet_file: Path, padding: int) -> None:
    lead = (b"a\n" + (b"y" * 999 + b"\n") * 2_000)[: padding - 1] + b"\n"
    sheet_file.write_bytes(lead + "浙江英特药业有限责任\n".encode() + "片剂\n".encode("gb18030"))
    assert _refusal(sheet_file).code == "mixed_encodings"
    sheet_file.write_bytes(lead + "浙江英特药业有限责任公司\n".encode("gb18030"))
    assert _rows(sheet_file)[-1].cells == ("浙江英特药业有限责任公司",)


@pytest.mark.parametrize("tail", [b"\xff\xff", b"\xe6"], ids=["no text", "cut character"])
def test_undecodable_bytes_are_refused_with_line_and_byte(sheet_file: Path, tail: bytes) -> None:
    sheet_file.write_bytes(b"a,b\n1,2\n3," + tail)
    refusal = _refusal(sheet_file)
    assert (refusal.code, refusal.where) == ("unreadable_text", "line 3, byte 10")
    assert "UTF-8 or GB18030" in refusal.allowed


@pytest.mark.parametrize(
    "content",
    [codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), b"a,b\n1,\0\n", b"", b"\n\n", b"%PDF-1.7 x", b"\x89PNG\r\n"],
    ids=["utf-16", "nul", "empty", "blank", "pdf", "png"],
)
def test_what_is_no_csv_is_refused(sheet_file: Path, content: bytes) -> None:
    sheet_file.write_bytes(content)
    assert _refusal(sheet_file).code in {"unreadable_text", "sheet_empty", "no_header", "unknown_sheet_type"}


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_separator_is_detected_from_the_header(sheet_file: Path, separator: str) -> None:
    sheet_file.write_text(f'"x,;\ty"{separator}b\n"1{separator}1"{separator}2\n', newline="")
    assert _rows(sheet_file) == [Row(2, ("1" + separator + "1", "2"))]


def test_quoted_cells_keep_commas_quotes_and_line_breaks_and_count_as_one_row(sheet_file: Path) -> None:
    sheet_file.write_text('a,b\r\n"1,5","say ""x""\r\ntwice"\r\n\r\n3,4\r\n', newline="")
    assert _rows(sheet_file) == [Row(2, ("1,5", 'say "x"\r\ntwice')), Row(4, ("3", "4"))]


def test_header_loses_spaces_and_marks_at_its_edges_only(sheet_file: Path) -> None:
    sheet_file.write_text("\u3000 挂网 价格\u200b, b ,,\n1,2\n", encoding="utf-8")
    with open_sheet(sheet_file) as sheet:
        assert sheet.header == ("挂网 价格", "b")


def test_short_rows_are_filled_and_surplus_cells_are_kept_apart(sheet_file: Path) -> None:
    sheet_file.write_text("a,b\n1\n1,2,,3\n")
    assert _rows(sheet_file) == [Row(2, ("1", "")), Row(3, ("1", "2"), ("3",))]


@pytest.mark.parametrize("content", ['a,b\n"1"x,2\n', 'a,b\n"1,2\n3,4\n'], ids=["text behind", "left open"])
def test_quotation_marks_that_do_not_match_are_refused(sheet_file: Path, content: str) -> None:
    sheet_file.write_text(content)
    assert _refusal(sheet_file).code == "csv_malformed"


@pytest.mark.parametrize(
    ("limits", "content", "code"),
    [
        (SheetLimits(rows=2), "a\n1\n2\n3\n", "too_many_rows"),
        (SheetLimits(columns=2), "a,b,c\n", "too_many_columns"),
        (SheetLimits(columns=2), "a,b\n1,2,3\n", "too_many_columns"),
        (SheetLimits(cell_characters=3), "a\n1234\n", "cell_too_long"),
        (SheetLimits(row_characters=9), "a\n" + "x" * 10, "row_too_long"),
        (SheetLimits(row_characters=9), 'a\n"1\n2\n3\n4\n5\n6\n', "row_too_long"),
        (SheetLimits(file_bytes=5), "a\n1234\n", "sheet_too_large"),
        (SheetLimits(), 'a\n"' + "x" * 200_000, "cell_too_long"),
    ],
)
def test_each_limit_is_refused_by_name(sheet_file: Path, limits: SheetLimits, content: str, code: str) -> None:
    sheet_file.write_text(content)
    assert _refusal(sheet_file, limits).code == code


def test_limits_are_inclusive(sheet_file: Path) -> None:
    sheet_file.write_text("a,b\n123,2\n4,5\n")
    assert len(_rows(sheet_file, SheetLimits(rows=2, columns=2, cell_characters=3))) == 2
