"""Collects every fault of one thing before refusing it, so that all are told at once."""

from collections.abc import Callable
from typing import TypeVar

from shared.codes import CodeRefused, parse_region
from shared.errors import Fault, Unprocessable

T = TypeVar("T")


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

    def region(self, given: str) -> str:
        """The region as it is; a fault when no province has it."""
        return self.parsed("/region", given, parse_region) or given

    def refuse(self, refusal: type[Unprocessable]) -> None:
        """Raises the refusal with all faults, or does nothing when there is none."""
        if self.found:
            first, more = self.found[0], len(self.found) - 1
            values = {"pointer": first.pointer, "given": first.given, "rule": first.rule, "allowed": first.allowed}
            if not more:
                raise refusal("{pointer} is {given!r}: {rule}; allowed: {allowed}", faults=self.found, **values)
            sentence = "{pointer} is {given!r}: {rule}; allowed: {allowed} (and {more} more)"
            raise refusal(sentence, faults=self.found, **values, more=more)
