"""Numbers of a workbook as the text a person would have typed.

Invariant: a number that a spreadsheet can no longer hold exactly stays in scientific form, so that no parser takes it for a code.
"""

import re
from decimal import Decimal

EXACT_BELOW = 10**15
"""Spreadsheets keep 15 digits: from here on the last digits of a whole number may be gone."""

_EXACT_DIGITS = 15
# A sum such as 12.8 × 3 is kept as 38.400000000000006: 16 or 17 digits of which only these many mean anything.
_DIGITS_OF_A_NOISY_NUMBER = 12

SCIENTIFIC = re.compile(r"[+-]?\d(?:\.\d+)?[eE]\+?\d+")
"""What is left of a long code after a spreadsheet took it for a number, as in 9.13301007043059e+17."""


def number_text(written: str) -> str:
    """The value of a number cell: `12`, `0.29`, `-5.5`, and `9.13301007043059e+17` from 10^15 on."""
    if written.isascii() and written.isdigit() and len(written) <= _EXACT_DIGITS and written[0] != "0":
        return written
    try:
        value = float(written)
    except ValueError:
        return written
    if value != value or value in {float("inf"), float("-inf")}:  # noqa: PLR0124  NaN alone differs from itself
        return written
    if abs(value) >= EXACT_BELOW:
        return _scientific(value)
    if value.is_integer():
        return str(int(value))
    return f"{Decimal(_without_noise(value)):f}"


def _without_noise(value: float) -> str:
    shortest = repr(value)
    rounded = f"{value:.{_EXACT_DIGITS}g}"
    digits = Decimal(rounded).normalize().as_tuple().digits
    return rounded if len(digits) <= _DIGITS_OF_A_NOISY_NUMBER else shortest


def _scientific(value: float) -> str:
    sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    mantissa = "".join(map(str, digits))
    power = int(exponent) + len(mantissa) - 1
    return f"{'-' if sign else ''}{mantissa[0]}.{mantissa[1:] or '0'}e+{power}"
