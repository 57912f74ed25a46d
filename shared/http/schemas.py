"""What commands and views are made of: field types that refuse what a database or a reader could not bear."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Generic, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    PlainSerializer,
    PlainValidator,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic_core import InitErrorDetails

from shared import money
from shared.codes import CodeRefused, emoji_in, is_clean_text, parse_region, unseen_in
from shared.errors import Fault, RuleBroken, Said

T = TypeVar("T")

LARGEST_QUANTITY = 100_000_000
"""Sale units of one line: more is a slip of the hand."""


UNCLEAN = (
    "the text holds a character that cannot be stored or shown",
    "no NUL, control, lone surrogate, bidi override",
)
PRICE_ALLOWED = Said(
    'more than 0, up to {most} yuan, with at most {places} decimal places, in ASCII digits: "12.34"',
    most=money.PRICE_MAX_YUAN,
    places=money.PRICE_PLACES,
)


def _clean(text: str) -> str:
    if not is_clean_text(text, len(text)):
        raise RuleBroken("unclean", *UNCLEAN)
    return text


def _seen(text: str) -> str:
    if unseen := unseen_in(_clean(text)):
        rule = Said("a code or a name holds nothing unseen; here is {unseen}", unseen=unseen)
        raise RuleBroken("unseen", rule, "letters, digits, marks")
    return text


def _name(text: str) -> str:
    if emoji := emoji_in(_clean(text)):
        raise RuleBroken("emoji", Said("a name holds no emoji; here is {emoji}", emoji=emoji), "letters, digits, marks")
    return _seen(text)


def _price(given: Any) -> Decimal:
    """As text or as a whole number; a Decimal is one of ours."""
    if isinstance(given, float):
        raise RuleBroken("fraction", "money is never a JSON number with a fraction", PRICE_ALLOWED)
    try:
        return money.parse_price(str(given) if isinstance(given, int) and not isinstance(given, bool) else given)
    except ValueError as error:
        raise RuleBroken("price", "this is not a price", PRICE_ALLOWED) from error


def _region(code: str) -> str:
    try:
        return parse_region(code)
    except CodeRefused as error:
        raise RuleBroken("region", error.rule, error.allowed) from error


def text(longest: int = 200, shortest: int = 1) -> Any:
    """A text field of so many characters."""
    return Annotated[str, Field(min_length=shortest, max_length=longest), AfterValidator(_clean)]


Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_name)]
Reason = Annotated[str, Field(min_length=1, max_length=1_000), AfterValidator(_clean)]
Note = Annotated[str, Field(max_length=4_000), AfterValidator(_clean)]
Code = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_seen)]
Region = Annotated[str, Field(pattern=r"^[0-9]{6}$"), AfterValidator(_region)]
Quantity = Annotated[int, Field(strict=True, gt=0, le=LARGEST_QUANTITY)]
Price = Annotated[
    Decimal,
    PlainValidator(_price, json_schema_input_type=Decimal),
    PlainSerializer(money.price_text, return_type=str),
    Field(examples=["12.3400"]),
]
Amount = Annotated[Decimal, PlainSerializer(money.amount_text, return_type=str), Field(examples=["1234.50"])]


class Command(BaseModel):
    """Something asked for; unknown fields are refused by name."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)


class Judged(Command):
    """A command of which some rules need nothing else: where its form is wrong, they are told together with that."""

    @classmethod
    def judged(cls, good: Mapping[str, Any], given: Mapping[str, Any]) -> Iterable[Fault]:
        """What these rules find, at its fields or in the whole of it. `good`: the fields of the right form, read; `given`: all
        that was sent, as it was."""
        raise NotImplementedError

    @model_validator(mode="wrap")
    @classmethod
    def _with_its_rules(cls, given: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        try:
            return read(given)
        except ValidationError as error:
            if not isinstance(given, dict):
                raise
            found = error.errors()
            wrong = {one["loc"][0] if one["loc"] else "" for one in found}
            kinds = _kinds_of(cls).items()
            good = {
                name: kind.validate_python(given[name]) for name, kind in kinds if name in given and name not in wrong
            }
            faults = [
                InitErrorDetails(type=one["type"], loc=one["loc"], input=one["input"], ctx=one.get("ctx", {}))
                for one in found
            ]
            faults += [_detail(fault) for fault in cls.judged(good, given) if fault.pointer[1:] not in wrong]
            raise ValidationError.from_exception_data(error.title, faults) from error


@cache
def _kinds_of(command: type[Command]) -> Mapping[str, TypeAdapter[Any]]:
    """What reads each field of a command by itself."""
    config = ConfigDict(str_strip_whitespace=True)
    return {
        name: TypeAdapter(field.rebuild_annotation(), config=config) for name, field in command.model_fields.items()
    }


def _detail(fault: Fault) -> InitErrorDetails:
    """A fault at a field, or of the whole, as pydantic tells it."""
    broken, place = RuleBroken(fault.code, fault.rule, fault.allowed), tuple(fault.pointer.split("/")[1:])
    return InitErrorDetails(type="value_error", loc=place, input=fault.given, ctx={"error": broken})


class View(BaseModel):
    """Something shown."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Page(View, Generic[T]):
    """A page of a list; ask again with `after=next` until `next` is null."""

    items: list[T]
    next: str | None = None


class ItemAnswer(View, Generic[T]):
    """What became of one item of a bulk call: `status` as if it had come alone, then the thing or the problem; one that passes
    by itself says after how many seconds to send the item again, as `retry_after_seconds`."""

    index: int
    status: int
    item: T | None = None
    problem: dict[str, Any] | None = None


class BulkAnswer(View, Generic[T]):
    """One answer per item, in the order sent."""

    succeeded: int
    refused: int
    items: list[ItemAnswer[T]]


class ReceivedAt(View):
    """When the platform took it."""

    at: datetime
