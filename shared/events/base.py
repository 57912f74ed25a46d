"""What an event is: a frozen fact in the past tense, with a type, a subject and enough in it not to call back."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, ClassVar, TypeVar

import msgspec
from msgspec import inspect

from shared import money
from shared.envelope import Unreadable

Instant = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment, with its offset; said in UTC."""
Price = Annotated[
    Decimal,
    msgspec.Meta(
        description="yuan per sale unit, 4 decimal places",
        examples=["12.5000"],
        extra={"places": money.PRICE_PLACES},
    ),
]
Amount = Annotated[
    Decimal,
    msgspec.Meta(description="yuan, 2 decimal places", examples=["250.00"], extra={"places": money.AMOUNT_PLACES}),
]


def one_of(*words: str) -> msgspec.Meta:
    """What is said of a text that is one of these words. No enum: a word more would break who has read the schema."""
    return msgspec.Meta(description=f"one of {', '.join(words)}; others may come", examples=list(words))


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an event: a line, a delivery point. Unknown fields are ignored."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """A fact. `TYPE` is its CloudEvents type, `SUBJECT` the field that names the aggregate it is about."""

    TYPE: ClassVar[str] = ""
    SUBJECT: ClassVar[str] = ""


E = TypeVar("E", bound=Event)
EVENTS: dict[str, type[Event]] = {}
"""Every event of the platform by its type."""

_decoders: dict[type[Event], msgspec.json.Decoder[Any]] = {}


def event(event_type: str, *, subject: str) -> Callable[[type[E]], type[E]]:
    """Gives a contract class its type and its subject, and enters it into EVENTS."""

    def enter(contract: type[E]) -> type[E]:
        if event_type in EVENTS:
            raise ValueError(f"{event_type} is already {EVENTS[event_type].__name__}")
        contract.TYPE, contract.SUBJECT = event_type, subject
        EVENTS[event_type] = contract
        return contract

    return enter


def subject_of(fact: Event) -> str:
    """The id of the aggregate this fact is about; also the key on the bus."""
    return str(getattr(fact, fact.SUBJECT))


def source_of(fact: Event) -> str:
    """The service that says it, as a CloudEvents source: `/orders`."""
    return "/" + topic_of(type(fact))


@cache
def topic_of(contract: type[Event]) -> str:
    """The topic an event travels on: its producer's name, the third word of its type."""
    return contract.TYPE.split(".")[2]


def version_of(event_type: str) -> tuple[str, str]:
    """What an event is about without its major version, and that version: `cn.jicai.orders.order.placed` and `1`."""
    stem, _, version = event_type.rpartition(".v")
    return stem, version


def read(contract: type[E], data: msgspec.Raw) -> E:
    """The fact in these bytes; raises Unreadable with the field that is wrong."""
    decoder = _decoders.get(contract)
    if decoder is None:
        decoder = _decoders[contract] = msgspec.json.Decoder(contract)
    try:
        fact: E = decoder.decode(data)
    except msgspec.ValidationError as error:
        raise Unreadable(f"{contract.TYPE}: {error}") from error
    _check_money(fact)
    return fact


def _check_money(told: msgspec.Struct) -> None:
    """Raises Unreadable where an amount has more decimal places than are kept, for it would be rounded in silence."""
    for name, places in _money_of(type(told)):
        value = getattr(told, name)
        if places is None:
            for part in value if isinstance(value, tuple) else (value,):
                _check_money(part)
        elif not isinstance(exponent := value.as_tuple().exponent, int) or exponent < -places:
            raise Unreadable(f"{name} is {str(value)[:60]}, allowed are {places} decimal places")


@cache
def _money_of(contract: type[msgspec.Struct]) -> tuple[tuple[str, int | None], ...]:
    """The fields that are money, with their places; None: the parts of this field have such."""
    found: list[tuple[str, int | None]] = []
    for field in inspect.type_info(contract).fields:  # type: ignore[attr-defined]
        kind = field.type.item_type if isinstance(field.type, inspect.VarTupleType) else field.type
        if isinstance(kind, inspect.Metadata) and kind.extra:
            found.append((field.name, kind.extra["places"]))
        elif isinstance(kind, inspect.StructType) and _money_of(kind.cls):
            found.append((field.name, None))
    return tuple(found)
