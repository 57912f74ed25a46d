"""From text to values: both sides of each boundary, and all faults of a row at once."""

import datetime as dt
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from shared.imports import (
    FieldRefused,
    Parser,
    Refusal,
    Row,
    RowReader,
    RowRefused,
    choice,
    choice_of,
    date,
    decimal,
    local_time,
    text,
    whole_number,
    yes_no,
)

DAY = dt.date(2023, 6, 29)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("29.35", "29.35"),
        ("29.3500000", "29.35"),
        ("２９．３５", "29.35"),
        ("1,234,567.8", "1234567.8"),
        ("+1", "1"),
        ("0", "0"),
        ("999999999999999999", "999999999999999999"),
        ("0.0001", "0.0001"),
    ],
)
def test_decimal_is_exact(given: str, value: str) -> None:
    assert decimal(places=4, minimum=0)(given) == Decimal(value)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("29.35001", "more than 4 decimal places"),
        ("-0.0001", "less than 0"),
        ("1000000000000000000", "more than 18 digits"),
        ("1,23", "not a number"),
        ("1.", "not a number"),
        ("NaN", "not a number"),
        ("Infinity", "not a number"),
        ("1_000", "not a number"),
        ("¥5", "not a number"),
        ("४", "not a number"),
        ("9.13301007043059e+17", "a number in scientific form has lost digits"),
        ("1E5", "a number in scientific form has lost digits"),
        ("4361/436", "not a number"),
    ],
)
def test_decimal_refuses_by_name(given: str, rule: str) -> None:
    with pytest.raises(FieldRefused) as caught:
        decimal(places=4, minimum=0)(given)
    assert (caught.value.rule, caught.value.given) == (rule, given)
    assert caught.value.allowed == "a number of at most 4 decimal places, at least 0"


def test_whole_number_takes_zeros_behind_the_point_and_no_fraction() -> None:
    parse = whole_number(minimum=1, maximum=1000)
    assert [parse(given) for given in ("1", "12.0", "1,000")] == [1, 12, 1000]
    for given in ("0", "1001", "12.5", "x", "-1", "1" + "0" * 18):
        with pytest.raises(FieldRefused, match="a whole number, at least 1, at most 1000"):
            parse(given)
    with pytest.raises(FieldRefused, match="more than 18 digits"):
        whole_number()("1" + "0" * 18)


@pytest.mark.parametrize(
    "given",
    [
        "2023-06-29",
        "2023-6-29",
        "2023/6/29",
        "2023.06.29",
        "20230629",
        "2023年6月29日",
        "2023年6月29",
        "２０２３-06-29",
        "2023-06-29 00:00:00",
        "2023-06-29T11:23:01",
        "2023/6/29 11:23",
        "2023-06-29 11:23:01.123",
    ],
)
def test_date_is_read_in_the_usual_forms(given: str) -> None:
    assert date(given) == DAY


@pytest.mark.parametrize(
    "given",
    [
        "45106",
        "2023-02-30",
        "2023-13-01",
        "06/29/2023",
        "29.6.2023",
        "2023-06/29",
        "2023-06-29 25:00",
        "2023-06-29 x",
        "x",
    ],
)
def test_date_refuses_what_is_not_certain(given: str) -> None:
    with pytest.raises(FieldRefused, match="2023年6月29日"):
        date(given)


def test_local_time_is_of_shanghai() -> None:
    moment = local_time("2023-05-29 11:23:01")
    assert moment == dt.datetime(2023, 5, 29, 3, 23, 1, tzinfo=dt.UTC)
    assert moment.tzinfo == ZoneInfo("Asia/Shanghai")


def test_choices_are_closed() -> None:
    assert [yes_no(given) for given in ("是", "否", "YES", "n", "TRUE", "０")] == [
        True,
        False,
        True,
        False,
        True,
        False,
    ]
    assert choice({"国产": 1, "进口 分包装": 2})("进口分包装") == 2
    assert choice_of(["X", "Z"])(" x") == "X"
    with pytest.raises(FieldRefused, match="accepted: X, Z"):
        choice_of(["X", "Z"])("T")


@pytest.mark.parametrize("given", ["浙江英特药业（有限）", "Novo Nordisk A/S ®", "㎡℃𠀀"])
def test_text_is_kept(given: str) -> None:
    assert text()(given) == given


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ("a\nb", "U+000A"),
        ("a\0", "U+0000"),
        ("a\ud800", "U+D800"),
        ("a\u202eb", "U+202E"),
        ("药\U0001f48a", "U+1F48A"),
        ("x" * 201, "201 characters"),
    ],
)
def test_text_refuses_what_cannot_be_seen(given: str, rule: str) -> None:
    with pytest.raises(FieldRefused) as caught:
        text()(given)
    assert rule in caught.value.rule
    assert text(max_characters=201)("x" * 201)


class CodeRefused(ValueError):
    def __init__(self, rule: str, allowed: object) -> None:
        super().__init__(rule)
        self.rule = rule
        self.allowed = allowed


def _refusing(error: ValueError) -> Parser[str]:
    def parse(given: str) -> str:
        raise error

    return parse


def test_row_reports_all_its_faults_at_once() -> None:
    values: dict[str, str | None] = {
        "code": "1",
        "kind": "2",
        "price": "x",
        "name": None,
        "note": None,
        "day": "20230629",
    }
    with pytest.raises(RowRefused) as caught, RowReader(Row(7, (), ("surplus",)), values, {"code": "代码"}) as fields:  # noqa: PT012
        fields.need("code", _refusing(CodeRefused("23 characters", "X, Z or T and 22 more")))
        fields.need("kind", _refusing(CodeRefused("unknown", ("20", "27"))))
        fields.take("price", _refusing(ValueError("plain")))
        fields.need("name", text())
        fields.need("day", date)
        assert fields.take("note", text()) is None
        fields.refuse("price", "x" * 300, "differs", "29.35")
    assert caught.value.refusals == (
        Refusal(7, "", "surplus", "more cells than columns", "one cell for each column"),
        Refusal(7, "代码", "1", "23 characters", "X, Z or T and 22 more"),
        Refusal(7, "kind", "2", "unknown", "20, 27"),
        Refusal(7, "price", "x", "plain", ""),
        Refusal(7, "name", "", "a value is missing", "a value that is not empty"),
        Refusal(7, "price", "x" * 199 + "…", "differs", "29.35"),
    )


def test_good_row_gives_its_values() -> None:
    with RowReader(Row(2, ()), {"day": "20230629", "price": "1.5"}, {}) as fields:
        day = fields.need("day", date)
        price = fields.take("price", decimal(places=2))
        missing = fields.take("nothing", text())
    assert (day, price, missing) == (DAY, Decimal("1.5"), None)


def test_programming_error_in_a_row_is_not_hidden_by_its_refusals() -> None:
    with pytest.raises(ZeroDivisionError), RowReader(Row(2, ()), {}, {}) as fields:  # noqa: PT012
        fields.need("name", text())
        raise ZeroDivisionError
