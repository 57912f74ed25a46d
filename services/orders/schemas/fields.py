"""Field types that orders' commands share: a day as text, a number of units that may be nothing, a line's number."""

import re
from datetime import date
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from shared import money
from shared.errors import RuleBroken, Said
from shared.http.schemas import LARGEST_QUANTITY

MOST_LINES = 500
"""Lines of one order or shipment: its event must stay under what a broker takes."""

FIRST_YEAR, LAST_YEAR = 1990, 2199
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def _day(given: Any) -> Any:
    if isinstance(given, date):
        return given
    if not isinstance(given, str) or not _DAY.fullmatch(given):
        raise RuleBroken("day", "a day is a text of the form YYYY-MM-DD", "a day, such as 2026-03-31")
    if not FIRST_YEAR <= int(given[:4]) <= LAST_YEAR:
        allowed = Said("{first} to {last}", first=FIRST_YEAR, last=LAST_YEAR)
        raise RuleBroken("day", "the year is a slip of the hand", allowed)
    return given


Day = Annotated[date, BeforeValidator(_day)]
Units = Annotated[int, Field(strict=True, ge=0, le=LARGEST_QUANTITY)]
LineNumber = Annotated[int, Field(strict=True, ge=1, le=MOST_LINES)]
PriceShown = Annotated[Decimal, PlainSerializer(money.price_text, return_type=str), Field(examples=["12.3400"])]
