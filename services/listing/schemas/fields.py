"""Fields that several commands share; a region or a day is checked further by the rules."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, model_validator

from services.listing.rules.faults import Faults
from services.listing.rules.listings import check_period
from shared.codes import StandardCode, Uscc
from shared.errors import Fault, RuleBroken, Said
from shared.http import Judged, text

Region = Annotated[str, Field(pattern=r"^[0-9]{6}$", description="GB/T 2260, six digits", examples=["330000"])]
Day = Annotated[date, Field(ge=date(1990, 1, 1), le=date(2199, 12, 31))]
"""A day of the field: a year before 1990 or after 2199 is a slip of the hand."""
ShortText = text(500)
Unit = text(20)
Grade = text(40)
Form = text(100)
Number = text(100)

Forms = Mapping[str, Callable[[str], object]]


def either_of(party: str) -> Said:
    """The two fields of which a party is named by one."""
    return Said("{code_field}, or {name_field}", code_field=f"{party}_code", name_field=f"{party}_name")


class Coded(Judged):
    """A command with codes, days between which it holds, or a party named by its code or its name, which the rules read."""

    FORMS: ClassVar[Forms] = {}
    """How each code is read, by field."""
    PARTY: ClassVar[tuple[str, Said] | None] = None
    """Who is named by a code or a name, and what is said where it is not."""

    @classmethod
    def judged(cls, good: Mapping[str, Any], given: Mapping[str, Any]) -> Iterable[Fault]:
        faults = Faults()
        for name, parse in cls.FORMS.items():
            code = None if good.get(name) is None else faults.parsed(f"/{name}", good[name], parse)
            if isinstance(code, Uscc | StandardCode) and not code.check_ok and not given.get("override_reason"):
                faults.check_digit(f"/{name}", code.code, code.expected_digit)
        check_period(faults, good.get("valid_from"), good.get("valid_to"))
        return [*faults.found, *cls._unnamed(given)]

    @classmethod
    def _unnamed(cls, given: Mapping[str, Any]) -> Iterator[Fault]:
        party, rule = cls.PARTY or ("", "")
        if party and given.get(f"{party}_code") is None and given.get(f"{party}_name") is None:
            yield Fault("", dict(given), rule, either_of(party), "not_named")

    @model_validator(mode="after")
    def _party_named(self) -> Self:
        for fault in self._unnamed(self.__dict__):
            raise RuleBroken(fault.code, fault.rule, fault.allowed)
        return self
