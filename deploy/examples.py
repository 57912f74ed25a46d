"""An example of each event, made from its class: whole, as it travels, and the same on every machine."""

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

import msgspec
from msgspec import inspect

from shared.envelope import seal
from shared.events import Event

SAID_AT = datetime(2026, 3, 2, 1, 30, tzinfo=UTC)
WORDS = {
    "institution_code": "H33010200059",
    "region": "330100",
    "product_code": "XN02BEA005A001010101594",
    "product_kind": "drug",
    "unit": "盒",
    "lot_number": "20260115",
    "batch_code": "2025-07",
    "month": "2026-03",
}
USCC = "91330100000000001C"
"""Stands for every enterprise: a code in the form of GB 32100."""


def example(contract: type[Event]) -> bytes:
    """The bytes of one event of this class."""
    fact = fact_of(contract, contract.TYPE)
    return seal(
        event_id=uuid5(NAMESPACE_URL, contract.TYPE),
        source="/" + contract.TYPE.split(".")[2],
        event_type=contract.TYPE,
        subject=str(getattr(fact, contract.SUBJECT)),
        time=SAID_AT,
        sequence=1,
        data=fact,
        request_id="0197a0f0-9a3c-7d41-8a51-5d1d6b1c2f10",
        traceparent="00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    )


def fact_of(contract: type[Event], world: str) -> Event:
    """A fact of this class; all of one world speak of the same things, for ids follow from the names of their fields."""
    return msgspec.convert(_value(inspect.type_info(contract), "", world), contract, strict=False)


def _value(kind: inspect.Type, name: str, seed: str) -> Any:
    """A value of this type; `name` is the field's, and says what kind of text would stand there."""
    match kind:
        case inspect.StructType():
            return {field.name: _value(field.type, field.name, seed) for field in kind.fields}
        case inspect.UnionType():
            return _value(next(one for one in kind.types if not isinstance(one, inspect.NoneType)), name, seed)
        case inspect.VarTupleType():
            return [_value(kind.item_type, name.removesuffix("s"), seed)]
    return _plain(kind, name, seed)


def _plain(kind: inspect.Type, name: str, seed: str) -> Any:
    plain: dict[type[inspect.Type], Any] = {
        inspect.StrType: word_of(name),
        inspect.IntType: 20,
        inspect.BoolType: True,
        inspect.DecimalType: Decimal("12.50"),
        inspect.UUIDType: id_of(name, seed),
        inspect.DateType: date(2026, 3, 31),
        inspect.DateTimeType: SAID_AT,
    }
    return plain[type(kind)]


def word_of(name: str) -> str:
    """What stands in a text of this name."""
    if name in WORDS:
        return WORDS[name]
    return USCC if name.endswith("_code") else name.replace("_", " ")


def id_of(name: str, seed: str) -> UUID:
    """What stands in an id of this name."""
    return uuid5(uuid5(NAMESPACE_URL, seed), name)
