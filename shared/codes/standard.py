"""National drug standard code 药品本位码: 14 digits; form is required, a failing check digit is only told."""

import re

from stdnum import ean

from shared.codes.refused import CodeRefused, code_text
from shared.values import frozen

_ALLOWED = "14 digits beginning with 869"
_FORM = re.compile(r"869[0-9]{11}")


@frozen
class StandardCode:
    code: str
    check_ok: bool
    expected_digit: str


def parse_standard(text: str) -> StandardCode:
    """Form and GS1 mod-10 check of a standard code.

    A failing check digit is `check_ok=False` and no error: the regulator's own register holds such codes.
    Source: GB 18937; domain rules 2.3. Raises CodeRefused.
    """
    code = code_text(text, _ALLOWED)
    if not _FORM.fullmatch(code):
        raise CodeRefused(text, "a standard code is 14 digits beginning with 869", _ALLOWED)
    expected = ean.calc_check_digit(code[:-1])
    return StandardCode(code, expected == code[-1], expected)
