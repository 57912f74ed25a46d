"""Fields that several commands share; a region or a day is checked further by the rules."""

from datetime import date
from typing import Annotated

from pydantic import Field

from shared.http import text

Region = Annotated[str, Field(pattern=r"^[0-9]{6}$", description="GB/T 2260, six digits", examples=["330000"])]
Day = Annotated[date, Field(ge=date(1990, 1, 1), le=date(2199, 12, 31))]
"""A day of the field: a year before 1990 or after 2199 is a slip of the hand."""
ShortText = text(500)
Unit = text(20)
Grade = text(40)
Form = text(100)
Number = text(100)
