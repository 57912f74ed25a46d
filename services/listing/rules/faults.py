"""Collects every fault of one thing before refusing it, so that all are told at once."""

from collections.abc import Callable
from typing import TypeVar

from shared.codes import CodeRefused, parse_region
from shared.errors import Fault, Said, Unprocessable, first_of

T = TypeVar("T")


def check_digit_words(code: str, expected: str) -> tuple[Said, Said]:
    """Rule and what is allowed, for a code whose last character is not the one that follows from the others."""
    sentence = "{expected} as the last character; or, in {reason_field}, why the code is right all the same"
    rule = Said("the check digit of {code} fails", code=code)
    return rule, Said(sentence, expected=expected, reason_field="override_reason")


def foreign_region(given: str | None) -> Fault:
    """The region of what an authority may not write."""
    return Fault("/region", given, "the region is not under yours", "your region, or one in it")


class Faults:
    """The faults found so far; `refuse` raises when there is one."""

    def __init__(self) -> None:
        self.found: list[Fault] = []

    def add(self, pointer: str, given: object, rule: str, allowed: str) -> None:
        """One more fault."""
        self.found.append(Fault(pointer, given, rule, allowed))

    def parsed(self, pointer: str, given: str, parse: Callable[[str], T]) -> T | None:
        """What the parser makes of it; None, and a fault, when it refuses."""
        try:
            return parse(given)
        except CodeRefused as error:
            self.add(pointer, error.given, error.rule, error.allowed)
            return None

    def check_digit(self, pointer: str, code: str, expected: str) -> None:
        """A code whose last character is not the one that follows from the others."""
        self.add(pointer, code, *check_digit_words(code, expected))

    def region(self, given: str) -> str:
        """The region as it is; a fault when no province has it."""
        return self.parsed("/region", given, parse_region) or given

    def refuse(self, refusal: type[Unprocessable]) -> None:
        """Raises the refusal with all faults, or does nothing when there is none."""
        if self.found:
            first, more = first_of(self.found), len(self.found) - 1
            if not more:
                raise refusal(first, faults=self.found)
            raise refusal("{first} (and {more} more)", faults=self.found, first=first, more=more)
