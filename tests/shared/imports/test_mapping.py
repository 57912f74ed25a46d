"""Mappings: what is not understood is named, with what is near it."""

from pathlib import Path

import pytest

from shared.imports import Mapping, Row, SheetRefused, load_mapping

GOOD = """
given = ["listed_price"]
[sheet]
name = "目录"
[columns]
product_code = "医保药品代码"
price_yuan = { column = "挂网价格（元）", null = ["\\\\N", "无"] }
name = { column = "配送企业名称", derive = ["normal_width", "normal_spaces"] }
code = { column = "配送企业代码", derive = ["no_damaged_code", "without_spaces", "upper"] }
origin = { column = "来源", values = { "国产" = "domestic", "进口" = "imported" } }
valid_from = { value = "2022-01-01", why = "the catalogue is a later snapshot than the orders" }
quantity = { derive = "divide", by = ["price_yuan", "listed_price"] }
party = { derive = "first_of", by = ["code", "quantity", "name"] }
"""
HEADER = ("来源", "医保药品代码", "挂网价格 (元)", "配送企业名称", "配送企业代码", "不用")


def _load(tmp_path: Path, text: str) -> Mapping:
    (tmp_path / "m.toml").write_text(text, encoding="utf-8")
    return load_mapping(tmp_path / "m.toml")


def _refusal(tmp_path: Path, text: str) -> SheetRefused:
    with pytest.raises(SheetRefused) as caught:
        _load(tmp_path, text)
    return caught.value


def test_row_becomes_fields(tmp_path: Path) -> None:
    mapping = _load(tmp_path, GOOD)
    binder = mapping.bind(HEADER)
    row = Row(2, ("国产", " X1 ", "4360", "浙江（英特）  药业", "9.13301007043059e+17", "x"))
    assert mapping.sheet == "目录"
    assert binder(row, {"listed_price": "436.0"}) == {
        "product_code": "X1",
        "price_yuan": "4360",
        "name": "浙江(英特) 药业",
        "code": None,
        "origin": "domestic",
        "valid_from": "2022-01-01",
        "quantity": "10",
        "party": "10",
    }
    assert binder.columns["price_yuan"] == "挂网价格 (元)"
    assert binder.columns["quantity"] == "挂网价格 (元) / listed_price"


def test_empty_and_null_cells_are_missing_and_unknown_values_stay(tmp_path: Path) -> None:
    binder = _load(tmp_path, GOOD).bind(HEADER)
    fields = binder(Row(2, ("国产 ", "  ", "\\N", "\u3000", " 91a b", "")))
    assert [fields[name] for name in ("product_code", "price_yuan", "name", "quantity")] == [None] * 4
    assert (fields["origin"], fields["code"], fields["party"]) == ("domestic", "91AB", "91AB")
    assert binder(Row(3, ("自制", "", "", "", "", "")))["origin"] == "自制"


@pytest.mark.parametrize(
    ("dividend", "divisor", "quotient"),
    [
        ("4360", "436.0", "10"),
        ("0.3", "0.1", "3"),
        ("1", "8", "0.125"),
        ("-1", "40", "-0.025"),
        ("4361", "436.0", "4361/436.0"),
        ("1", "0.00", "1/0.00"),
        ("many", "2", "many/2"),
        ("9.1e+17", "2", "9.1e+17/2"),
    ],
)
def test_division_is_exact_or_left_as_it_was(tmp_path: Path, dividend: str, divisor: str, quotient: str) -> None:
    binder = _load(tmp_path, GOOD).bind(HEADER)
    assert binder(Row(2, ("", "", dividend, "", "", "")), {"listed_price": divisor})["quantity"] == quotient


@pytest.mark.parametrize(
    ("text", "code", "said"),
    [
        ("[colums]\na = 'x'", "unknown_key", "near: columns"),
        ("[sheet]\nnmae = 'x'\n[columns]\na = 'x'", "unknown_key", "near: name"),
        ("[columns]\na = { colunm = 'x' }", "unknown_key", "near: column"),
        ("[columns]\na = { column = 'x', value = 'y' }", "unknown_key", "column"),
        ("[columns]\na = { value = 'y' }", "mapping_broken", "why"),
        ("[columns]\na = { value = 1, why = 'x' }", "mapping_broken", "value"),
        ("[columns]\na = { column = 'x', null = 'y' }", "mapping_broken", "null"),
        ("[columns]\na = { column = 'x', values = 'y' }", "mapping_broken", "values"),
        ("[columns]\na = { column = 'x', values = { y = 1 } }", "mapping_broken", "values"),
        ("[columns]\na = { column = 'x', derive = ['normal_space'] }", "unknown_derivation", "near: normal_spaces"),
        ("[columns]\nb = 'x'\na = { derive = 'devide', by = ['b', 'b'] }", "unknown_derivation", "near: divide"),
        ("[columns]\nb = 'x'\na = { derive = 'divide', by = ['b'] }", "mapping_broken", "2 fields"),
        ("[columns]\nb = 'x'\na = { derive = 'first_of', by = ['b'] }", "mapping_broken", "two or more"),
        ("[columns]\nbase = 'x'\na = { derive = 'divide', by = ['base', 'bese'] }", "unknown_field", "near: base"),
        ("[columns]\na = { derive = 'divide', by = ['a', 'a'] }", "unknown_field", '"a"'),
        ("[columns]\na = 3", "mapping_broken", "table"),
        ("[columns]", "mapping_broken", "no columns"),
        ("columns = 1", "mapping_broken", "columns"),
        ("[columns", "mapping_broken", "TOML"),
    ],
)
def test_what_is_not_understood_is_named(tmp_path: Path, text: str, code: str, said: str) -> None:
    refusal = _refusal(tmp_path, text)
    assert refusal.code == code
    assert said in str(refusal)


def test_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.toml").write_bytes("[columns]\na = '价格'".encode("gb18030"))
    with pytest.raises(SheetRefused, match="no TOML"):
        load_mapping(tmp_path / "m.toml")


def test_missing_column_names_the_header_and_what_is_near(tmp_path: Path) -> None:
    mapping = _load(tmp_path, "[columns]\na = '医保药品代码'")
    with pytest.raises(SheetRefused, match=r"医保药品代码 \(near: 药品代码\).*found: 药品代码, 价格") as caught:
        mapping.bind(("药品代码", "价格"))
    assert caught.value.code == "missing_column"
    assert "accepted" not in str(caught.value)


def test_all_missing_columns_are_named_at_once_with_what_each_accepts(tmp_path: Path) -> None:
    mapping = _load(tmp_path, "[columns]\na = '医保编码'\nb = '价格'\nc = '批次'\nd = '企业代码'\ne = '企业名称'")
    with pytest.raises(SheetRefused) as caught:
        mapping.bind(("别的", "批次"), optional=("c", "d", "e"), either=("d", "e"))
    assert str(caught.value) == (
        "3 columns missing from the header: 医保编码, 价格, 企业代码 or 企业名称 (row 1); found: 别的, 批次"
    )
    said = [(fault.rule, fault.allowed) for fault in caught.value.faults]
    assert said == [
        ("no column gives a", "a header 医保编码, whatever its width, case and spaces"),
        ("no column gives b", "a header 价格, whatever its width, case and spaces"),
        ("no column gives d or e", "a header 企业代码 or 企业名称, whatever its width, case and spaces"),
    ]


def test_an_optional_column_may_be_absent_and_one_of_two_is_enough(tmp_path: Path) -> None:
    mapping = _load(tmp_path, "[columns]\na = '医保编码'\nc = '批次'\nd = '企业代码'\ne = '企业名称'")
    binder = mapping.bind(("企业名称", "医保编码", "备注"), optional=("c", "d", "e"), either=("d", "e"))
    assert binder(Row(2, ("甲", "X1", "!"))) == {"a": "X1", "c": None, "d": None, "e": "甲"}
    assert (binder.absent, binder.unread) == (["c", "d"], ["备注"])
    assert binder.columns["c"] == "批次"


@pytest.mark.parametrize("header", [("价格", "价格"), ("价格(元)", "价格（元）")])
def test_column_that_stands_twice_is_refused(tmp_path: Path, header: tuple[str, ...]) -> None:
    mapping = _load(tmp_path, f"[columns]\na = '{header[0].replace('(元)', '( 元 )')}'")
    with pytest.raises(SheetRefused) as caught:
        mapping.bind(header)
    assert caught.value.code == "ambiguous_column"


def test_exact_name_wins_over_one_of_another_width(tmp_path: Path) -> None:
    binder = _load(tmp_path, "[columns]\na = '价格（元）'").bind(("价格(元)", "价格（元）"))
    assert binder(Row(2, ("1", "2"))) == {"a": "2"}


def test_importer_says_which_fields_it_takes(tmp_path: Path) -> None:
    mapping = _load(tmp_path, GOOD)
    optional = ["name", "code", "origin", "valid_from", "quantity", "party"]
    mapping.expect(["product_code", "price_yuan"], optional)
    mapping.expect(["product_code"], optional)
    with pytest.raises(SheetRefused, match=r"says nothing of batch"):
        mapping.expect(["product_code", "batch"], [*optional, "price_yuan"])
    with pytest.raises(SheetRefused, match='"product_code" is not known; near: products_code'):
        mapping.expect(["products_code"], optional)
