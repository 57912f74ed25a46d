"""Numbers of banks: the check digit of a branch, and the one form of an account's number."""

import pytest

from shared.codes import CodeRefused, parse_account_number, parse_cnaps

PUBLISHED = (
    "102100099996 103100000026 104100000004 105100000017 301290000007 302100011000 303100000006 305100000013 306581000003"
    " 307584007998 308584000013 309391000011 310290000013 403100000004"
)
"""Numbers of head offices and clearing centres as the banks publish them."""


@pytest.mark.parametrize("code", PUBLISHED.split())
def test_a_published_number_of_a_branch_has_the_right_check_digit_and_no_other(code: str) -> None:
    assert parse_cnaps(f" {code} ") == code
    for digit in range(10):
        if str(digit) != code[-1]:
            with pytest.raises(CodeRefused, match="check digit"):
                parse_cnaps(code[:-1] + str(digit))


@pytest.mark.parametrize("given", ["", "10210009999", "1021000999966", "10210009999X", "102100099996.0"])
def test_what_is_no_number_of_a_branch_is_refused(given: str) -> None:
    with pytest.raises(CodeRefused):
        parse_cnaps(given)


@pytest.mark.parametrize("given", ["12345678", "1234-5678", "1234 5678", "１２３４５６７８"])
def test_a_number_of_an_account_has_one_form(given: str) -> None:
    assert parse_account_number(given) == "12345678"


@pytest.mark.parametrize("given", ["1234567", "1" * 33, "1234567A", "--------", "1.2E+18"])
def test_what_is_no_number_of_an_account_is_refused(given: str) -> None:
    with pytest.raises(CodeRefused):
        parse_account_number(given)
