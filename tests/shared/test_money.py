"""Money: both sides of each bound and of the rounding, and never a float."""

from decimal import Decimal

import pytest

from shared import money


@pytest.mark.parametrize(
    ("quantity", "price", "expected"),
    [
        (1, "0.0049", "0.00"),
        (1, "0.0050", "0.01"),
        (1, "0.0149", "0.01"),
        (1, "0.0150", "0.02"),
        (3, "0.3333", "1.00"),
        (-1, "0.0050", "-0.01"),
        (-1, "0.0049", "0.00"),
        (10, "436.0000", "4360.00"),
        (Decimal("2.5"), "0.0020", "0.01"),
        (0, "9.9", "0.00"),
    ],
)
def test_an_amount_is_rounded_half_up_to_fen(quantity: int | Decimal, price: str, expected: str) -> None:
    assert str(money.amount(quantity, Decimal(price))) == expected


def test_an_amount_beyond_the_limit_is_refused_and_the_limit_itself_is_not() -> None:
    assert money.amount(1, money.AMOUNT_MAX_YUAN) == money.AMOUNT_MAX_YUAN
    with pytest.raises(ValueError, match=r"allowed up to 9999999999999\.99"):
        money.amount(1, money.AMOUNT_MAX_YUAN + Decimal("0.01"))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0.0001", "0.0001"),
        ("318.83", "318.8300"),
        (" 5 ", "5.0000"),
        ("5.00000", "5.0000"),
        (Decimal("5E+1"), "50.0000"),
        ("999999999.9999", "999999999.9999"),
    ],
)
def test_a_price_keeps_four_places(given: str | Decimal, expected: str) -> None:
    assert str(money.parse_price(given)) == expected


@pytest.mark.parametrize(
    "given",
    [
        "0",
        "-1",
        "0.0000",
        "0.00001",
        "1.00001",
        "1000000000",
        "",
        "NaN",
        "Infinity",
        "1e3",
        "1,000",
        "１２",
        "٣",
        "+1",
        "1" * 50,
        ".5",
        "5.",
        "1_000",
        "0x1",
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("-Infinity"),
        Decimal("1E+9999999"),
        Decimal("1E-9999999"),
        1.5,
        5,
        None,
        True,
    ],
)
def test_what_is_no_price_is_refused_with_what_is_allowed(given: str | Decimal) -> None:
    with pytest.raises(ValueError, match=r"allowed more than 0, up to 999999999\.9999 yuan, at most 4 places"):
        money.parse_price(given)


@pytest.mark.parametrize(
    ("given", "expected"),
    [("0", "0.00"), ("-0.00", "0.00"), ("0.01", "0.01"), ("9999999999999.99", "9999999999999.99")],
)
def test_an_amount_keeps_two_places(given: str, expected: str) -> None:
    assert str(money.parse_amount(given)) == expected


@pytest.mark.parametrize("given", ["-0.01", "0.001", "10000000000000", "1e2", "NaN", 0.1, Decimal("1E+9999999")])
def test_what_is_no_amount_is_refused_with_what_is_allowed(given: str | Decimal) -> None:
    with pytest.raises(ValueError, match=r"allowed 0 up to 9999999999999\.99 yuan, at most 2 places"):
        money.parse_amount(given)


def test_text_has_all_places_and_never_an_exponent() -> None:
    assert money.price_text(Decimal("2.6569")) == "2.6569"
    assert money.price_text(Decimal("1E+3")) == "1000.0000"
    assert money.amount_text(Decimal("5")) == "5.00"
    with pytest.raises(ValueError, match=r"1\.001 yuan does not fit 2 places"):
        money.amount_text(Decimal("1.001"))


@pytest.mark.parametrize(
    ("yuan", "fen"), [("0.01", 1), ("-1.10", -110), ("0", 0), ("9999999999999.99", 999999999999999)]
)
def test_fen_and_yuan_are_the_same_money(yuan: str, fen: int) -> None:
    assert money.as_fen(Decimal(yuan)) == fen
    assert money.from_fen(fen) == Decimal(yuan)
    assert money.from_fen(fen).as_tuple().exponent == -2


def test_a_part_of_a_fen_is_refused() -> None:
    with pytest.raises(ValueError, match=r"0\.005 yuan does not fit 2 places"):
        money.as_fen(Decimal("0.005"))
