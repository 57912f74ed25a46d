"""What an event is: a frozen fact in the past tense, with a type, a subject and enough in it not to call back."""

from collections.abc import Callable
from functools import cache
from typing import Any, ClassVar, TypeVar

import msgspec

from shared.envelope import Unreadable


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
    return fact
