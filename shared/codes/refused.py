"""Why a code was refused, and the plain form all parsers start from, so that one code has one form."""

import re

from shared.errors import Said

LONGEST_CODE_CHARS = 100

_HALF_WIDTH = {full: full - 0xFEE0 for full in range(0xFF01, 0xFF5F)} | {0x3000: 0x20}
_ASCII_UPPER = {lower: lower - 0x20 for lower in range(ord("a"), ord("z") + 1)}
# The upper table is ASCII only: str.upper() would turn a long s or a dotless i into a letter of the code.
_HALF_WIDTH_UPPER = {full: _ASCII_UPPER.get(half, half) for full, half in _HALF_WIDTH.items()} | _ASCII_UPPER
_SPREADSHEET_NUMBER = re.compile(r"[0-9]\.[0-9]+E\+?[0-9]+|[0-9]E\+[0-9]+|[0-9]{8,}\.0+", re.IGNORECASE)


class CodeRefused(ValueError):
    """A text is not the code it should be; `given` is shortened and printable, fit for any answer."""

    def __init__(self, given: str, rule: str, allowed: str) -> None:
        self.given = _printable(given)
        self.rule = rule
        self.allowed = allowed
        super().__init__(f"{rule}: given {self.given!r}, allowed {allowed}")


def half_width(text: str) -> str:
    """Full-width ASCII and the ideographic space become their half-width twins; nothing else changes."""
    return text if text.isascii() else text.translate(_HALF_WIDTH)


def code_text(text: str, allowed: str) -> str:
    """Half width, upper case, no spaces at the edges.

    Raises CodeRefused for an empty text, one over LONGEST_CODE_CHARS, and a number a spreadsheet has changed:
    `9.13301007043059e+17` has lost digits, and they are never guessed.
    """
    refuse_too_long(text, allowed)
    plain = text.translate(_HALF_WIDTH_UPPER).strip()
    if not plain:
        raise CodeRefused(text, "empty", allowed)
    refuse_spreadsheet_number(plain, allowed)
    return plain


def refuse_too_long(text: str, allowed: str) -> None:
    if len(text) > LONGEST_CODE_CHARS:
        rule = Said("longer than {most} characters ({count})", most=LONGEST_CODE_CHARS, count=len(text))
        raise CodeRefused(text, rule, allowed)


def refuse_spreadsheet_number(text: str, allowed: str) -> None:
    if _SPREADSHEET_NUMBER.fullmatch(text):
        raise spreadsheet_number(text, allowed)


def spreadsheet_number(text: str, allowed: str) -> CodeRefused:
    return CodeRefused(text, "looks like a number changed by a spreadsheet", allowed)


def _printable(text: str) -> str:
    shown = text[:LONGEST_CODE_CHARS] + ("…" if len(text) > LONGEST_CODE_CHARS else "")
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode() for ch in shown)
