"""What an identification code may mean: one product, one level, so many packs; said once, it stays so.

Source: domain rules 1.2 (三码合一映射库, each package level has its own prefix; many prefixes per drug).
"""

import re

from services.traceability.errors import IdentRefused, IdentTaken
from shared.codes import CodeRefused, Family, classify, to_gtin14
from shared.errors import Fault, Said
from shared.values import frozen

IDENT_LENGTH = 7
GTIN14_LENGTH = 14
SALE_UNIT = (1, 1)
"""Level and sale units inside of the smallest package."""
_DIGITS = re.compile(r"[0-9]+")
_ALLOWED = "7 digits, a GTIN of 14 digits, or one code of the maker's own standard in full"


@frozen
class Meaning:
    """What an identification code means; `packs_per_unit` sale units are in one package of its level."""

    ident: str
    product_code: str
    level: int
    packs_per_unit: int


def ident_of(given: str) -> str:
    """The normal form of an identification code. Raises IdentRefused."""
    try:
        if _DIGITS.fullmatch(given) and len(given) == IDENT_LENGTH:
            return given
        if _DIGITS.fullmatch(given) and len(given) == GTIN14_LENGTH:
            return to_gtin14(given)
        trace = classify(given)
    except CodeRefused as error:
        raise _refused(error.given, error.rule) from error
    if trace.family is not Family.OWN or _DIGITS.fullmatch(trace.code):
        raise _refused(given, "this is a whole trace code or has a wrong length")
    return trace.code


def ident_in(code: str) -> str:
    """The identification code of a trace code in store; one of before its check digit was asked for is its own."""
    try:
        return classify(code).ident or code
    except CodeRefused:
        return code


def check_level(level: int, packs_per_unit: int) -> None:
    """A package of level 1 is one sale unit. Raises IdentRefused."""
    if level == 1 and packs_per_unit != 1:
        fault = Fault("/packs_per_unit", packs_per_unit, "a package of level 1 is one sale unit", "1")
        raise IdentRefused(
            "Level 1 is the smallest sale unit: 1 pack, given {packs_per_unit}.",
            faults=[fault],
            packs_per_unit=packs_per_unit,
        )


def check_same(known: Meaning, said: Meaning) -> None:
    """An identification code keeps its meaning. Raises IdentTaken naming both."""
    if known != said:
        raise IdentTaken(
            "{ident} means {words}; you say {words_2}. An identification code belongs to one product and level.",
            ident=said.ident,
            words=_words(known),
            words_2=_words(said),
        )


def _words(meaning: Meaning) -> Said:
    return Said(
        "{product_code}, level {level}, {packs} packs",
        product_code=meaning.product_code,
        level=meaning.level,
        packs=meaning.packs_per_unit,
    )


def _refused(given: str, rule: str) -> IdentRefused:
    fault = Fault("/ident", given, rule, _ALLOWED)
    return IdentRefused(
        "{given!j} is no identification code: {rule}; allowed: {ALLOWED}.",
        faults=[fault],
        given=given,
        rule=fault.rule,
        ALLOWED=fault.allowed,
    )
