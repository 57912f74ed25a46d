"""A service small enough to see through, which the machinery is tested with: things are named, and counted when it hears."""

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import UUID

import sqlalchemy as sa
from fastapi import APIRouter
from pydantic_settings import SettingsConfigDict
from uuid_utils.compat import uuid7

import shared.http.app as edge
from shared import clock, deadlines, history, outbox
from shared.access import Access
from shared.db import Tx, metadata, private
from shared.deadlines import Deadline
from shared.events import Event
from shared.http import CallerHere, Command, Edge, TxHere, View
from shared.inbox import Received
from shared.service import Service
from shared.settings import ServiceSettings

EVERY = (
    "get_job",
    "get_refused",
    "list_dead_letters",
    "get_dead_letter",
    "replay_dead_letter",
    "drop_dead_letter",
    "list_audit",
    "list_audit_heads",
)
MATRIX = {
    "name_thing": {"hospital": "own"},
    "list_things": {"hospital": "own", "operator": "all"},
    **{name: {"operator": "all"} for name in EVERY},
}


class ThingNamed(Event, frozen=True, kw_only=True):
    """Not in EVENTS: no part of the contract."""

    TYPE: ClassVar[str] = "cn.jicai.toy.thing.named.v1"
    SUBJECT: ClassVar[str] = "thing_id"
    thing_id: UUID
    name: str


class ToySettings(ServiceSettings):
    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_prefix="TOY_")
    audience: str = "listing"  # the embedded issuer makes tokens for the five


tables = metadata()
things = sa.Table(
    "things",
    tables,
    sa.Column("id", sa.Uuid, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),
    sa.Column("heard", sa.Integer, nullable=False, server_default="0"),
    sa.CheckConstraint("name <> ''", name="named"),
    info=private(("owner",)),
)
LIST = sa.select(things.c.id, things.c.name, things.c.heard).order_by(things.c.id)


class NameThing(Command):
    name: str


class ThingView(View):
    id: UUID
    name: str
    heard: int


router = APIRouter(route_class=Edge)


@router.post("/things", status_code=201)
async def name_thing(command: NameThing, tx: TxHere, caller: CallerHere) -> ThingView:
    thing_id = uuid7()
    tx.add(things, {"id": thing_id, "name": command.name, "owner": caller.organisation})
    history.note(tx, caller, thing_id, "named", history.Parties(institution_code=caller.organisation))
    outbox.record(tx, ThingNamed(thing_id=thing_id, name=command.name), 1)
    await deadlines.put(tx, [Deadline("forget", str(thing_id), clock.now())])
    return ThingView(id=thing_id, name=command.name, heard=0)


@router.get("/things")
async def list_things(tx: TxHere) -> list[ThingView]:
    return [ThingView(**row) for row in await tx.rows(LIST)]


async def on_thing_named(tx: Tx, events: Sequence[Received[Any]]) -> None:
    """Not idempotent on purpose, so that a missing inbox is seen."""
    for event in events:
        await tx.sql("UPDATE things SET heard = heard + 1 WHERE id = $1", event.data.thing_id)


async def when_forget(tx: Tx, due: Sequence[Deadline]) -> None:
    await tx.sql("UPDATE things SET name = 'forgotten' WHERE id = ANY($1::uuid[])", [UUID(one.about) for one in due])


toy = Service(
    name="toy",
    title="Toy",
    settings=ToySettings,
    metadata=tables,
    routers=(router,),
    handlers={ThingNamed: on_thing_named},
    deadlines={"forget": when_forget},
)


class ToyAccess(Access):
    """Knows the toy's matrix besides the shipped ones."""

    @classmethod
    def of(cls, service: str) -> Access:
        return Access("toy", MATRIX) if service == "toy" else Access.of(service)


def let_in() -> None:
    """Lets create_app find the toy's matrix, in this process."""
    edge.Access = ToyAccess  # type: ignore[attr-defined]
