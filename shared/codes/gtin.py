"""GTIN: the 69 code of a package and the UDI-DI of a device; its check digit must be right."""

import re

from stdnum import ean

from shared.codes.refused import CodeRefused, code_text
from shared.errors import Said
from shared.values import frozen

_ALLOWED = "8, 12, 13 or 14 digits, the last a GS1 mod-10 check digit"
_FORM = re.compile(r"[0-9]{8}|[0-9]{12,14}")
_GTIN14_LENGTH = 14


@frozen
class Gtin:
    """`code` as given, and the same number in 14 digits, in which two GTINs may be compared."""

    code: str
    gtin14: str


def parse_gtin(text: str) -> Gtin:
    """Source: GS1 General Specifications; domain rules 2.4. A UDI is not always GS1. Raises CodeRefused."""
    code = code_text(text, _ALLOWED)
    if not _FORM.fullmatch(code):
        raise CodeRefused(text, "a GTIN is 8, 12, 13 or 14 digits", _ALLOWED)
    if wrong := wrong_check_digit(code):
        raise CodeRefused(text, wrong, _ALLOWED)
    return Gtin(code, code.zfill(_GTIN14_LENGTH))


def to_gtin14(text: str) -> str:
    """The GTIN in 14 digits, padded with zeros on the left. Raises CodeRefused."""
    return parse_gtin(text).gtin14


def check_digit_ok(digits: str) -> bool:
    """GS1 mod-10 over ASCII digits, the last of which is the check digit."""
    return bool(ean.calc_check_digit(digits[:-1]) == digits[-1])


def wrong_check_digit(gtin: str) -> Said | None:
    """What is wrong with the last digit of a GTIN; None: nothing."""
    if check_digit_ok(gtin):
        return None
    expected = ean.calc_check_digit(gtin[:-1])
    return Said(
        "the check digit of the GTIN is wrong: {given} stands where {expected} should",
        given=gtin[-1],
        expected=expected,
    )
