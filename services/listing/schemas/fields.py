"""Fields that several commands share; a region or a day is checked further by the rules."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, ModelWrapValidatorHandler, ValidationError, model_validator
from pydantic_core import InitErrorDetails

from shared.codes import CodeRefused
from shared.errors import RuleBroken, Said
from shared.http import Command, text

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


class Coded(Command):
    """A command with codes, which the rules read; where the rest has another form they are looked at here, to tell all."""

    FORMS: ClassVar[Forms]
    """How each code is read, by field."""

    @model_validator(mode="wrap")
    @classmethod
    def _with_its_codes(cls, given: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return read(given)
        except ValidationError as error:
            if not isinstance(given, dict):
                raise
            wrong = {found["loc"][0] for found in error.errors() if found["loc"]}
            faults = [
                InitErrorDetails(type=found["type"], loc=found["loc"], input=found["input"], ctx=found.get("ctx", {}))
                for found in error.errors()
            ]
            faults += [
                InitErrorDetails(type="value_error", loc=(name,), input=given[name], ctx={"error": refused})
                for name, parse in cls.FORMS.items()
                if name not in wrong and (refused := _refused(given.get(name), parse)) is not None
            ]
            raise ValidationError.from_exception_data(error.title, faults) from error


def _refused(given: Any, parse: Callable[[str], object]) -> RuleBroken | None:
    """What is wrong with the form of a code; None where none was given."""
    try:
        if given is not None:
            parse(given)
    except CodeRefused as error:
        return RuleBroken("invalid", error.rule, error.allowed)
    return None
