"""NHSA drug codes 医保药品编码: letter and length are strict, the characters inside are not interpreted."""

import re
from enum import StrEnum

from shared.codes.refused import CodeRefused, code_text
from shared.errors import Said
from shared.values import frozen

WESTERN_LENGTH = 23
CHINESE_LENGTH = 20
# Slices have no sourced length, only that it is shorter than a granule's; 19 is a granule code cut by one.
SLICE_LENGTHS = range(6, 19)

_ALLOWED = (
    f"X and {WESTERN_LENGTH - 1} digits or letters, Z or T and {CHINESE_LENGTH - 1}, "
    f"or T and {SLICE_LENGTHS.start - 1} to {SLICE_LENGTHS.stop - 2} for slices"
)
_FORM = re.compile(r"[XZT][0-9A-Z]+")


class DrugKind(StrEnum):
    WESTERN = "western"
    PATENT_CHINESE = "patent_chinese"
    GRANULE = "granule"
    SLICE = "slice"


_KINDS = {
    ("X", WESTERN_LENGTH): DrugKind.WESTERN,
    ("Z", CHINESE_LENGTH): DrugKind.PATENT_CHINESE,
    ("T", CHINESE_LENGTH): DrugKind.GRANULE,
}


@frozen
class DrugCode:
    code: str
    kind: DrugKind


def parse_drug(text: str) -> DrugCode:
    """The kind of a drug code: X western or biological, Z patent Chinese, T granule or slice.

    Source: NHSA coding rules; domain rules 2.1. No check digit is known. Raises CodeRefused.
    """
    code = code_text(text, _ALLOWED)
    if not _FORM.fullmatch(code):
        raise CodeRefused(text, "a drug code is X, Z or T and then digits or letters", _ALLOWED)
    kind = _kind(code[0], len(code))
    if kind is None:
        raise CodeRefused(
            text,
            Said("no drug code beginning with {letter} has {count} characters", letter=code[0], count=len(code)),
            _ALLOWED,
        )
    return DrugCode(code, kind)


def _kind(letter: str, length: int) -> DrugKind | None:
    if letter == "T" and length in SLICE_LENGTHS:
        return DrugKind.SLICE
    return _KINDS.get((letter, length))
