"""Unified social credit code 统一社会信用代码: form is required, a failing check digit is only told."""

import re
from enum import StrEnum

from stdnum.cn import uscc as stdnum_uscc

from shared.codes.refused import CodeRefused, code_text, spreadsheet_number
from shared.errors import Said
from shared.values import frozen

LENGTH = 18
_ALLOWED = "18 characters of 0-9 and A-Z without I, O, S, V, Z, with 6 region digits from the third on"
_CHARSET = re.compile(r"[0-9A-HJ-NPQRTUWXY]*")
_REGION = slice(2, 8)


class UsccCategory(StrEnum):
    ENTERPRISE = "enterprise"
    SELF_EMPLOYED = "self_employed"
    COOPERATIVE = "cooperative"
    GOVERNMENT = "government"
    PUBLIC_INSTITUTION = "public_institution"
    ASSOCIATION = "association"
    PRIVATE_NON_ENTERPRISE = "private_non_enterprise"
    FOUNDATION = "foundation"
    RURAL_COLLECTIVE = "rural_collective"
    OTHER = "other"


_CATEGORIES = {
    "91": UsccCategory.ENTERPRISE,
    "92": UsccCategory.SELF_EMPLOYED,
    "93": UsccCategory.COOPERATIVE,
    "11": UsccCategory.GOVERNMENT,
    "12": UsccCategory.PUBLIC_INSTITUTION,
    "51": UsccCategory.ASSOCIATION,
    "52": UsccCategory.PRIVATE_NON_ENTERPRISE,
    "53": UsccCategory.FOUNDATION,
}


@frozen
class Uscc:
    code: str
    check_ok: bool
    expected_digit: str
    category: UsccCategory


def parse_uscc(text: str) -> Uscc:
    """Normal form, check digit and category of a credit code.

    A failing check digit is `check_ok=False` and no error: codes of the early pilots were issued so.
    Source: GB 32100-2015; domain rules 2.5. Raises CodeRefused on length, characters, region digits, and on
    numbers a spreadsheet has changed.
    """
    code = code_text(text, _ALLOWED)
    if len(code) != LENGTH:
        raise CodeRefused(text, Said("a credit code has 18 characters, this has {count}", count=len(code)), _ALLOWED)
    if not _CHARSET.fullmatch(code):
        raise CodeRefused(text, "a character outside the credit code's alphabet", _ALLOWED)
    if not code[_REGION].isdigit():
        raise CodeRefused(text, "characters 3 to 8 are region digits", _ALLOWED)
    expected = stdnum_uscc.calc_check_digit(code[:-1])
    check_ok = expected == code[-1]
    # A spreadsheet keeps 15 digits and writes zeros for the rest.
    if not check_ok and code.isdigit() and code.endswith("000"):
        raise spreadsheet_number(text, _ALLOWED)
    return Uscc(code, check_ok, expected, _category(code))


def _category(code: str) -> UsccCategory:
    if code[0] == "N":
        return UsccCategory.RURAL_COLLECTIVE
    return _CATEGORIES.get(code[:2], UsccCategory.OTHER)
