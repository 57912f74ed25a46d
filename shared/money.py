"""Exact decimal yuan: prices hold 4 places, amounts 2, and nothing is rounded except where a name says so."""

import re
from decimal import ROUND_HALF_UP, Decimal
from typing import TypeAlias

Yuan: TypeAlias = Decimal

# Used by `amount` only, the one place where a product of quantity and price is cut to fen: 四舍五入, which
# invoices use too, so that a line here and its invoice line agree.
AMOUNT_ROUNDING = ROUND_HALF_UP

PRICE_PLACES = 4
AMOUNT_PLACES = 2
PRICE_MAX_YUAN = Decimal("999999999.9999")
AMOUNT_MAX_YUAN = Decimal("9999999999999.99")

_FEN = Decimal("0.01")
_PRICE_UNIT = Decimal("0.0001")
_FEN_PER_YUAN = 100
_NO_NUMBER = Decimal("NaN")
_PLAIN_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")


def amount(quantity: int | Decimal, unit_price: Decimal) -> Decimal:
    """Quantity times price in yuan, rounded to fen by AMOUNT_ROUNDING.

    Raises ValueError when the result is beyond AMOUNT_MAX_YUAN either way.
    """
    exact = quantity * unit_price
    if not (exact.is_finite() and abs(exact) <= AMOUNT_MAX_YUAN):
        raise ValueError(f"amount too large: {quantity} x {unit_price}, allowed up to {AMOUNT_MAX_YUAN} yuan")
    rounded = exact.quantize(_FEN, rounding=AMOUNT_ROUNDING)
    return rounded + 0  # Adding 0 makes a negative zero a zero.


def parse_price(given: str | Decimal) -> Decimal:
    """A unit price above 0, exact in 4 places. Raises ValueError, also for floats and exponents."""
    allowed = f"more than 0, up to {PRICE_MAX_YUAN} yuan, at most {PRICE_PLACES} places"
    price = _exact(given, _PRICE_UNIT, PRICE_MAX_YUAN, allowed)
    if price <= 0:
        raise ValueError(f"not a price: given {_shown(given)}, allowed {allowed}")
    return price


def parse_amount(given: str | Decimal) -> Decimal:
    """An amount of 0 or more, exact in 2 places. Raises ValueError, also for floats and exponents."""
    allowed = f"0 up to {AMOUNT_MAX_YUAN} yuan, at most {AMOUNT_PLACES} places"
    parsed = _exact(given, _FEN, AMOUNT_MAX_YUAN, allowed)
    if parsed < 0:
        raise ValueError(f"not an amount: given {_shown(given)}, allowed {allowed}")
    return abs(parsed)


def price_text(price: Decimal) -> str:
    """Always 4 places. Raises ValueError rather than round."""
    return _text(price, _PRICE_UNIT, PRICE_PLACES)


def amount_text(yuan: Decimal) -> str:
    """Always 2 places. Raises ValueError rather than round."""
    return _text(yuan, _FEN, AMOUNT_PLACES)


def as_fen(yuan: Decimal) -> int:
    """Whole fen. Raises ValueError for parts of a fen."""
    return int(_held(yuan, _FEN, AMOUNT_PLACES) * _FEN_PER_YUAN)


def from_fen(fen: int) -> Decimal:
    return Decimal(fen).scaleb(-AMOUNT_PLACES)


def _exact(given: str | Decimal, unit: Decimal, maximum: Decimal, allowed: str) -> Decimal:
    match given:
        case Decimal():
            number = given
        case str() if _PLAIN_NUMBER.fullmatch(given.strip()):
            number = Decimal(given.strip())
        case _:
            number = _NO_NUMBER
    # The bound comes first: it keeps quantize inside the precision of the context.
    if number.is_finite() and number.copy_abs() <= maximum and (held := number.quantize(unit)) == number:
        return held
    raise ValueError(f"not an exact number of yuan: given {_shown(given)}, allowed {allowed}")


def _text(yuan: Decimal, unit: Decimal, places: int) -> str:
    return str(_held(yuan, unit, places))  # of a number with places never with an exponent


def _held(yuan: Decimal, unit: Decimal, places: int) -> Decimal:
    held = yuan.quantize(unit)
    if held != yuan:
        raise ValueError(f"{yuan} yuan does not fit {places} places")
    return held


def _shown(given: object) -> str:
    return repr(given)[:60]
