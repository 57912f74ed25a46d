"""Invented trace codes, one a sale unit: the same unit of the same line always has the same code.

A code is 20 digits: 7 that stand for the product (the first an 8, as the dominant family has it), 9 that count, 4 that mix
the counter, as real ones end in digits nobody can guess. Nothing here is a code of a real package.
"""

from collections.abc import Iterable, Mapping

from deploy.replay.rules import Line

FIRST_IDENT = 8_900_001
MOST_UNITS = 10**9
_MIX = 7_919
_ENDINGS = 10_000


def idents(product_codes: Iterable[str]) -> dict[str, str]:
    """A 7-digit prefix for each product."""
    return {code: str(FIRST_IDENT + place) for place, code in enumerate(sorted(product_codes))}


def codes_of(line: Line, ident: Mapping[str, str]) -> list[str]:
    """The codes of all units of a line."""
    prefix = ident[line.product_code]
    return [
        f"{prefix}{serial:09d}{serial * _MIX % _ENDINGS:04d}"
        for serial in range(line.first_serial + 1, line.first_serial + line.quantity + 1)
    ]
