"""Codes of designated hospitals and pharmacies 定点医药机构编码: there is no check digit to test."""

import re
from enum import StrEnum

from shared.codes.refused import CodeRefused, code_text
from shared.codes.region import PROVINCES
from shared.values import frozen

_ALLOWED = "H (hospital) or P (pharmacy), 6 region digits of a known province, 5 digits"
_FORM = re.compile(r"([HP])([0-9]{6})[0-9]{5}")


class InstitutionKind(StrEnum):
    HOSPITAL = "hospital"
    PHARMACY = "pharmacy"


@frozen
class Institution:
    code: str
    kind: InstitutionKind
    region6: str


def parse_institution(text: str) -> Institution:
    """Kind and region of an institution code; of the region only the province is checked.

    Source: pattern of 医保办函〔2022〕39号 part 2; domain rules 2.6. Raises CodeRefused.
    """
    code = code_text(text, _ALLOWED)
    match = _FORM.fullmatch(code)
    if match is None:
        raise CodeRefused(text, "an institution code is H or P and 11 digits", _ALLOWED)
    letter, region6 = match.groups()
    if region6[:2] not in PROVINCES:
        raise CodeRefused(text, "the first two region digits name no province", _ALLOWED)
    kind = InstitutionKind.HOSPITAL if letter == "H" else InstitutionKind.PHARMACY
    return Institution(code, kind, region6)
