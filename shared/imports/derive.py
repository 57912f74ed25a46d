"""The closed set of derivations that a mapping may name.

Invariant: a derivation computes exactly or leaves its input as it was given, so that a parser can refuse it by name.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from types import MappingProxyType

from shared.imports.numbers import SCIENTIFIC

_SPACES = re.compile(r"\s+")
_NUMBER = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?")


def _normal_spaces(text: str) -> str | None:
    return _SPACES.sub(" ", text).strip() or None


def _normal_width(text: str) -> str | None:
    return unicodedata.normalize("NFKC", text)


def _without_spaces(text: str) -> str | None:
    return _SPACES.sub("", text) or None


def _upper(text: str) -> str | None:
    return text.upper()


def _no_damaged_code(text: str) -> str | None:
    return None if SCIENTIFIC.fullmatch(text) else text


OF_ONE: Mapping[str, Callable[[str], str | None]] = MappingProxyType(
    {
        "normal_spaces": _normal_spaces,
        "normal_width": _normal_width,
        "without_spaces": _without_spaces,
        "upper": _upper,
        "no_damaged_code": _no_damaged_code,
    }
)
"""Derivations of one text, in the order a mapping lists them; `no_damaged_code` makes 9.13301007043059e+17 missing."""


def _divide(operands: Sequence[str | None]) -> str | None:
    """The exact quotient: `120`, `0.25`, or `4361/436` where no decimal is exact, which number parsers refuse."""
    dividend, divisor = operands
    if dividend is None or divisor is None:
        return None
    if not (_NUMBER.fullmatch(dividend) and _NUMBER.fullmatch(divisor)) or Fraction(divisor) == 0:
        return f"{dividend}/{divisor}"
    quotient = Fraction(dividend) / Fraction(divisor)
    if quotient.denominator == 1:
        return str(quotient.numerator)
    places = _decimal_places(quotient.denominator)
    if places is None:
        return f"{dividend}/{divisor}"
    scaled = str(abs(quotient.numerator) * 10**places // quotient.denominator).zfill(places + 1)
    return f"{'-' if quotient < 0 else ''}{scaled[:-places]}.{scaled[-places:]}"


def _decimal_places(denominator: int) -> int | None:
    twos = fives = 0
    while denominator % 2 == 0:
        denominator, twos = denominator // 2, twos + 1
    while denominator % 5 == 0:
        denominator, fives = denominator // 5, fives + 1
    return max(twos, fives) if denominator == 1 else None


def _first_of(operands: Sequence[str | None]) -> str | None:
    return next((operand for operand in operands if operand is not None), None)


OF_SEVERAL: Mapping[str, tuple[Callable[[Sequence[str | None]], str | None], int | None]] = MappingProxyType(
    {"divide": (_divide, 2), "first_of": (_first_of, None)}
)
"""Derivations of several fields, and how many they take (None: two or more)."""
