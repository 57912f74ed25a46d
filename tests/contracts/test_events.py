"""The word given to others: released schemas are kept, examples are read, and two versions travel side by side."""

import copy
import json
import re
from collections.abc import Callable, Iterable
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest
from uuid_utils.compat import uuid7

from deploy import contract, examples, released
from services.alerts.rules import alerts, problems
from services.listing.rules import enterprises, listings
from services.settlement.rules import accounts
from services.traceability.rules import anomalies
from shared import outbox
from shared.bus import Message
from shared.db import Tx
from shared.envelope import Unreadable, unseal
from shared.events import EVENTS, Event, read, subject_of
from shared.inbox import Consumer
from tests.echo import Said, echo, heard, source
from tests.house import House

ACCEPTED = "cn.jicai.orders.delivery.accepted.v1"
Change = Callable[[dict[str, Any]], Any]


def test_the_released_schemas_are_kept() -> None:
    known = released.read(contract.FOLDER / contract.RELEASED)
    assert known, "run `jicai events --release`"
    assert released.broken(known, contract.schemas()) == []


def changed(change: Change) -> list[str]:
    now = copy.deepcopy(contract.schemas()[ACCEPTED])
    change(now["$defs"])
    return released.broken({ACCEPTED: contract.schemas()[ACCEPTED]}, {ACCEPTED: now})


@pytest.mark.parametrize(
    "change",
    [
        lambda defs: defs["DeliveryAccepted"]["properties"].update(note={"type": "string", "default": ""}),
        lambda defs: defs["AcceptedLine"]["properties"].update(note={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        lambda defs: defs["DeliveryAccepted"].update(description="Said in other words."),
        lambda defs: defs["DeliveryAccepted"]["properties"]["order_number"].update(format="uuid"),
    ],
)
def test_an_optional_field_more_a_format_and_other_words_are_allowed(change: Change) -> None:
    assert changed(change) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda defs: defs["DeliveryAccepted"]["properties"].pop("region"), ".region: is gone"),
        (lambda defs: defs["AcceptedLine"]["properties"].pop("unit"), ".lines[].unit: is gone"),
        (
            lambda defs: (
                defs["DeliveryAccepted"]["properties"].update(note={"type": "string"}),
                defs["DeliveryAccepted"]["required"].append("note"),
            ),
            ".note: is new and required; a new field must be optional",
        ),
        (lambda defs: defs["AcceptedLine"]["required"].remove("unit"), ".lines[].unit: was required, is optional"),
        (
            lambda defs: defs["AcceptedLine"]["properties"].update(quantity_accepted={"type": "string"}),
            ".lines[].quantity_accepted: type was integer, is string",
        ),
        (
            lambda defs: defs["AcceptedLine"]["properties"].update(expires_on={"type": "string"}),
            ".lines[].expires_on: format was date, is None",
        ),
        (
            lambda defs: defs["DeliveryAccepted"]["properties"]["lines"].update(minItems=1),
            ".lines: minItems was None, is 1",
        ),
        (
            lambda defs: defs["DeliveryAccepted"]["properties"]["lines"].update(items={"type": "string"}),
            '.lines[]: was {"$ref": "#/$defs/AcceptedLine"}, is {"type": "string"}',
        ),
    ],
)
def test_any_other_change_is_named_by_its_field(change: Change, complaint: str) -> None:
    assert changed(change)[0] == ACCEPTED + complaint


def test_an_event_that_is_gone_is_named() -> None:
    assert released.broken(contract.schemas(), {}) == [f"{name}: is no longer there" for name in contract.schemas()]


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_each_example_is_read_as_it_stands_in_the_repository(event_type: str) -> None:
    text = (contract.FOLDER / contract.EXAMPLES / f"{event_type}.json").read_text("utf-8")
    envelope = unseal(text.encode())
    fact = read(EVENTS[event_type], envelope.data)
    assert (envelope.type, envelope.subject) == (event_type, subject_of(fact))
    assert envelope.source == f"/{event_type.split('.')[2]}"
    more = json.loads(bytes(envelope.data)) | {"a_field_of_tomorrow": 1}
    assert read(EVENTS[event_type], json.dumps(more).encode()) == fact  # type: ignore[arg-type]


def fields_of(schema: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """Every field of a schema and its parts, without the null that it may be."""
    fields = [field for part in schema["$defs"].values() for field in part["properties"].items()]
    return [(name, kind.get("anyOf", [kind])[0]) for name, kind in fields]


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_instants_and_money_say_their_form(event_type: str) -> None:
    for name, kind in fields_of(contract.schemas()[event_type]):
        if name.endswith("_at"):
            assert kind["format"] == "date-time", name
        if name.endswith("_yuan"):
            assert "decimal places" in kind["description"], name


@pytest.mark.parametrize(
    ("event_type", "name", "words"),
    [
        ("cn.jicai.alerts.alert.raised.v1", "kind", alerts.Kind),
        ("cn.jicai.alerts.alert.raised.v1", "about", alerts.About),
        ("cn.jicai.alerts.problem.reported.v1", "kind", problems.Kind),
        ("cn.jicai.alerts.problem.reported.v1", "state", problems.State),
        ("cn.jicai.listing.product.listed.v1", "category", listings.Category),
        ("cn.jicai.listing.enterprise.registered.v1", "kinds", enterprises.KINDS),
        ("cn.jicai.settlement.receiving_account.changed.v1", "state", accounts.STATES),
        (
            "cn.jicai.traceability.code.flagged.v1",
            "kind",
            [*anomalies.SUSPICIOUS, anomalies.UNKNOWN, anomalies.HELD_RECALLED, anomalies.SURPLUS],
        ),
    ],
)
def test_a_field_of_few_words_names_them_all(event_type: str, name: str, words: Iterable[str]) -> None:
    kind = dict(fields_of(contract.schemas()[event_type]))[name]
    assert sorted(kind.get("items", kind)["examples"]) == sorted(words)


@pytest.mark.parametrize("event_type", sorted(EVENTS))
def test_no_example_says_a_field_s_own_name(event_type: str) -> None:
    text = (contract.FOLDER / contract.EXAMPLES / f"{event_type}.json").read_text("utf-8")
    for name, _ in fields_of(contract.schemas()[event_type]):
        assert f'"{name}": "{name.replace("_", " ")}"' not in text


@pytest.mark.parametrize(
    ("told", "instead", "complaint"),
    [
        ('"12.5000"', '"12.34567"', "unit_price_yuan is 12.34567, allowed are 4 decimal places"),
        ('"12.5000"', '"NaN"', "unit_price_yuan is NaN, allowed are 4 decimal places"),
        ('"2026-03-02T01:30:00Z"', '"2026-03-02T01:30:00"', "with a timezone component - at `$.accepted_at`"),
    ],
)
def test_what_would_be_rounded_or_guessed_in_silence_is_not_read(told: str, instead: str, complaint: str) -> None:
    data = examples.fact_of(EVENTS[ACCEPTED], ACCEPTED)
    text = msgspec.json.encode(data).decode()
    assert told in text
    with pytest.raises(Unreadable, match=re.escape(complaint)):
        read(EVENTS[ACCEPTED], msgspec.Raw(text.replace(told, instead).encode()))


class SaidLouder(Event, frozen=True, kw_only=True):
    """The next version of Said: the number has become a volume and a text."""

    TYPE: ClassVar[str] = "cn.jicai.source.thing.said.v2"
    SUBJECT: ClassVar[str] = "thing_id"
    thing_id: UUID
    times: int
    text: str


async def on_said_louder(tx: Tx, events: Any) -> None:
    tx.add(heard, *({"thing_id": e.data.thing_id, "number": e.data.times, "kind": e.data.text} for e in events))


async def both_versions(house: House, thing: UUID) -> list[Message]:
    """A producer on its way to the next version says each fact in both."""
    database = await house.database(source)
    async with database.transaction() as tx:
        for number in (1, 2):
            old, new = Said(thing_id=thing, number=number), SaidLouder(thing_id=thing, times=number, text="loud")
            outbox.record(tx, old, number, beside=[new])
    rows = await database.pool.fetch("SELECT subject, payload FROM outbox ORDER BY id")
    return [Message("source", row["subject"], row["payload"]) for row in rows]


@pytest.mark.parametrize(
    ("handlers", "expected"),
    [
        (
            {Said: echo.handlers[Said], SaidLouder: on_said_louder},
            [(1, "loud"), (2, "loud")],
        ),
        ({SaidLouder: on_said_louder}, [(1, "loud"), (2, "loud")]),
        ({Said: echo.handlers[Said]}, [(1, "said"), (2, "said")]),
    ],
    ids=["both: the newer counts", "the new one", "the old one"],
)
async def test_two_versions_of_an_event_travel_side_by_side(
    house: House, handlers: Any, expected: list[tuple[int, str]]
) -> None:
    thing = uuid7()
    database = await house.database(echo)
    try:
        await Consumer("echo", database, handlers).apply(await both_versions(house, thing))
        rows = await database.pool.fetch("SELECT number, kind FROM heard ORDER BY id")
        letters = await database.pool.fetchval("SELECT count(*) FROM dead_letters")
    finally:
        await house.empty(source)
        await house.empty(echo)
    assert ([tuple(row) for row in rows], letters) == (expected, 0)


@pytest.mark.parametrize("cut", range(5))
@pytest.mark.parametrize("upgrade", [True, False], ids=["upgrade", "rollback"])
async def test_a_consumer_that_changes_its_version_between_two_messages_applies_each_fact_once(
    house: House, cut: int, *, upgrade: bool
) -> None:
    database = await house.database(echo)
    today = {Said: echo.handlers[Said]}
    consumers = [Consumer("echo", database, today), Consumer("echo", database, {**today, SaidLouder: on_said_louder})]
    before, after = consumers if upgrade else reversed(consumers)
    try:
        messages = await both_versions(house, uuid7())
        await before.apply(messages[:cut])
        await after.apply(messages[cut:])
        numbers = [row["number"] for row in await database.pool.fetch("SELECT number FROM heard ORDER BY id")]
        letters = await database.pool.fetchval("SELECT count(*) FROM dead_letters")
    finally:
        await house.empty(source)
        await house.empty(echo)
    assert (numbers, letters) == ([1, 2], 0)
