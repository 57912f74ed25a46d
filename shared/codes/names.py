"""Names people type: one normal form to compare, and no character that reorders or breaks a text."""

import re
import unicodedata

# NUL and other control characters, lone surrogates, and the overrides of writing direction.
_UNCLEAN = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_EMOJI = re.compile("[\U0001f000-\U0001faff\ufe0f]")
_IGNORED = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]")
_SPACES = re.compile(r"\s+")
_SPACE_AT_BRACKET = re.compile(r" ?([()]) ?")
_BRACKETS = str.maketrans("〔〕【】[]", "()()()")


def normal_name(text: str) -> str:
    """The form in which two spellings of one enterprise are equal; for comparing, not for showing.

    Unicode NFKC, one kind of bracket, runs of spaces folded to one, none at the edges or beside a bracket.
    """
    folded = unicodedata.normalize("NFKC", text).translate(_BRACKETS)
    return _SPACE_AT_BRACKET.sub(r"\1", _SPACES.sub(" ", folded).strip())


def is_clean_text(text: str, max_length: int) -> bool:
    """Whether a text of at most `max_length` characters can be stored, shown and logged as it is.

    Refused are NUL and all other control characters (line breaks and tabs too), lone surrogates, and the
    direction overrides U+202A to U+202E and U+2066 to U+2069.
    """
    return len(text) <= max_length and _UNCLEAN.search(text) is None


def unseen_in(text: str) -> str | None:
    """The first character of a code or a name that no reader sees, by its number, such as U+200B; None: there is none.

    A format character or a separator of lines (Unicode Cf, Zl, Zp), one that shows nothing although it counts as a letter or
    mark (of Default_Ignorable_Code_Point, UCD), or one that is no character at all.
    """
    if text.isascii():
        return None
    return next((f"U+{ord(one):04X}" for one in text if _is_unseen(one)), None)


def _is_unseen(one: str) -> bool:
    return unicodedata.category(one) in ("Cf", "Zl", "Zp") or _IGNORED.match(one) is not None or _is_none(ord(one))


def _is_none(number: int) -> bool:
    """Unicode's noncharacters."""
    return 0xFDD0 <= number <= 0xFDEF or number & 0xFFFE == 0xFFFE  # noqa: PLR2004


def emoji_in(text: str) -> str | None:
    """The first emoji of a text, which no name of the field has: it comes from a keyboard by mistake; None: there is none."""
    found = _EMOJI.search(text)
    return found[0] if found else None
