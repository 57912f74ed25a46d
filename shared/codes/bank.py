"""Bank numbers: the 12 digits by which a branch is known in the payment system (联行号), and the number of an account.

The last digit of a branch's number is a check digit; account numbers have none that all banks share.
"""

import re

from stdnum.iso7064 import mod_11_10

from shared.codes.refused import CodeRefused, code_text

_CNAPS_ALLOWED = "12 digits: 3 of the bank, 4 of the city, 4 of the branch, 1 check digit (ISO 7064 MOD 11,10)"
_CNAPS = re.compile(r"[0-9]{12}")
_ACCOUNT_ALLOWED = "8 to 32 digits; spaces and hyphens between them are left out"
_ACCOUNT = re.compile(r"[0-9]{8,32}")
_BETWEEN = re.compile(r"[ -]")


def parse_cnaps(text: str) -> str:
    """The number of a bank's branch in CNAPS (支付系统行号).

    Source: the numbers that the People's Bank of China publishes (行名行号), of which the last digit is that of GB/T 17710
    (ISO 7064), system MOD 11,10. Raises CodeRefused.
    """
    code = code_text(text, _CNAPS_ALLOWED)
    if not _CNAPS.fullmatch(code):
        raise CodeRefused(text, "the number of a bank's branch is 12 digits", _CNAPS_ALLOWED)
    if not mod_11_10.is_valid(code):
        raise CodeRefused(text, "the check digit of the branch's number is wrong", _CNAPS_ALLOWED)
    return code


def parse_account_number(text: str) -> str:
    """The number of a bank account, digits alone. Raises CodeRefused."""
    code = _BETWEEN.sub("", code_text(text, _ACCOUNT_ALLOWED))
    if not _ACCOUNT.fullmatch(code):
        raise CodeRefused(text, "the number of an account is 8 to 32 digits", _ACCOUNT_ALLOWED)
    return code
