"""Drug trace codes 药品追溯码: every readable one has a family, and one unit one normal form."""

import re
from enum import StrEnum

from biip import ParseError
from biip.gs1_messages import GS1Message

from shared.codes.gtin import wrong_check_digit
from shared.codes.refused import (
    LONGEST_CODE_CHARS,
    CodeRefused,
    half_width,
    refuse_spreadsheet_number,
    refuse_too_long,
)
from shared.values import frozen

SPLIT_PLACEHOLDER = "9" * 20
IDENT_LENGTH = 7

_ALLOWED = f"1 to {LONGEST_CODE_CHARS} digits, letters or symbols, without control characters"
_GTIN_ALLOWED = "(01) and a GTIN of 14 digits, the last a GS1 mod-10 check digit, (21) and a serial"
_TWENTY_DIGITS = re.compile(r"[0-9]{20}")
_SEPARATORS = re.compile(r"[ \xa0\-\u2010-\u2015\u2212]")
_GROUP_SEPARATOR = "\x1d"
_SYMBOLOGY = re.compile(r"^\](C1|d2|Q3|e0)")
# Every bracket must be an application identifier's: the library would drop the rest in silence.
_BRACKETED = re.compile(r"(\([0-9]{2,4}\)[^()\x1d]+)+")
# GTIN and serial alone, as stored and as most often scanned, need no parser: it takes 30 times as long.
_TWO_PARTS = re.compile(r"(?:\(01\)([0-9]{14})\(21\)|01([0-9]{14})21)([!\"%&'*+,./0-9:;<=>?A-Z_a-z]{1,20})")
_UNBRACKETED = re.compile(r"01[0-9]{14}[^()]+|[0-9]{2}[^()]*\x1d[^()]+")


class Family(StrEnum):
    SPLIT_PLACEHOLDER = "split_placeholder"
    MSFX20 = "msfx20"
    NUM20_OTHER = "num20_other"
    GS1 = "gs1"
    OWN = "own"


@frozen
class TraceCode:
    """`ident` is 7 digits or, for GS1, the GTIN in 14; a code of the makers' own has neither part."""

    code: str
    family: Family
    ident: str | None
    serial: str | None


def classify(text: str) -> TraceCode:
    """The family of a trace code and its parts, after spaces, hyphens and full-width forms are removed.

    The placeholder of split packs comes first. The last 4 of 20 digits are the issuer's secret and not
    checked here. A GS1 code keeps GTIN and serial only and is written `(01)…(21)…`; without a serial it counts as
    the maker's own, for a person to look at.
    Source: NHSA Q&A 2024-12, NMPAB/T 1002; domain rules 1.1 and 1.5. Raises CodeRefused for an empty text,
    one over LONGEST_CODE_CHARS, control and invisible characters, numbers a spreadsheet has changed, and a GTIN with a
    wrong check digit in what is GS1 element strings as a whole, with brackets or without: a misread code, not another family.
    """
    if _TWENTY_DIGITS.fullmatch(text):
        return _of_twenty_digits(text)
    code = _normal(text)
    if _TWENTY_DIGITS.fullmatch(code):
        return _of_twenty_digits(code)
    return _of_gs1(text, code) or _of_own(text, code)


def _of_twenty_digits(code: str) -> TraceCode:
    if code == SPLIT_PLACEHOLDER:
        return TraceCode(code, Family.SPLIT_PLACEHOLDER, None, None)
    if code[0] == "8":
        return TraceCode(code, Family.MSFX20, code[:IDENT_LENGTH], code[IDENT_LENGTH:])
    return TraceCode(code, Family.NUM20_OTHER, code[:IDENT_LENGTH], None)


def _normal(text: str) -> str:
    refuse_too_long(text, _ALLOWED)
    code = _SEPARATORS.sub("", half_width(text))
    # The group separator is the one control character a scanner sends between the parts of a GS1 code.
    if not code.replace(_GROUP_SEPARATOR, "").isprintable():
        raise CodeRefused(text, "a control or invisible character", _ALLOWED)
    if not code.strip(_GROUP_SEPARATOR):
        raise CodeRefused(text, "empty", _ALLOWED)
    refuse_spreadsheet_number(code, _ALLOWED)
    return code


def _of_gs1(text: str, code: str) -> TraceCode | None:
    message = _SYMBOLOGY.sub("", code, count=1).strip(_GROUP_SEPARATOR)
    if match := _TWO_PARTS.fullmatch(message):
        return _of_parts(text, match[1] or match[2], match[3])
    try:
        if _BRACKETED.fullmatch(message):
            parts = GS1Message.parse_hri(message).element_strings
        elif _UNBRACKETED.fullmatch(message):
            parts = GS1Message.parse(message).element_strings
        else:
            return None
    except ParseError:
        return None
    gtin, serial = parts.get(ai="01"), parts.get(ai="21")
    return None if gtin is None else _of_parts(text, gtin.value, serial.value if serial else None)


def _of_parts(text: str, gtin14: str, serial: str | None) -> TraceCode | None:
    if wrong := wrong_check_digit(gtin14):
        raise CodeRefused(text, wrong, _GTIN_ALLOWED)
    return None if serial is None else TraceCode(f"(01){gtin14}(21){serial}", Family.GS1, gtin14, serial)


def _of_own(text: str, code: str) -> TraceCode:
    if _GROUP_SEPARATOR in code:
        raise CodeRefused(text, "a group separator outside a GS1 code", _ALLOWED)
    return TraceCode(code, Family.OWN, None, None)
