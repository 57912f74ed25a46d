"""Two services that show the event path: `source` says things, `echo` writes down what it hears, once for each time.

The handler is not idempotent on purpose: with an idempotent one a missing inbox goes unseen.
"""

from collections.abc import Sequence
from typing import ClassVar
from uuid import UUID

import sqlalchemy as sa

from shared.db import Tx, metadata
from shared.errors import Unprocessable
from shared.events import Event
from shared.inbox import Received
from shared.service import Service
from shared.settings import ServiceSettings


class Said(Event, frozen=True, kw_only=True):
    """Something was said about a subject, for the number-th time."""

    TYPE: ClassVar[str] = "cn.jicai.source.thing.said.v1"
    SUBJECT: ClassVar[str] = "thing_id"
    thing_id: UUID
    number: int
    unbearable: bool = False


class Whispered(Event, frozen=True, kw_only=True):
    """Another type about the same subjects, to see order kept between types."""

    TYPE: ClassVar[str] = "cn.jicai.source.thing.whispered.v1"
    SUBJECT: ClassVar[str] = "thing_id"
    thing_id: UUID
    number: int


class Unheard(Event, frozen=True, kw_only=True):
    """What nobody listens to."""

    TYPE: ClassVar[str] = "cn.jicai.source.thing.unheard.v1"
    SUBJECT: ClassVar[str] = "thing_id"
    thing_id: UUID


class NotBearable(Unprocessable):
    title = "This cannot be heard"


tables = metadata()
heard = sa.Table(
    "heard",
    tables,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("thing_id", sa.Uuid, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
)
nothing = metadata()


class Faults:
    """What goes wrong on the way, and how often still."""

    def __init__(self) -> None:
        self.away = 0
        self.bearable = False
        self.batches: list[int] = []


faults = Faults()


async def on_said(tx: Tx, events: Sequence[Received[Said]]) -> None:
    """Writes down every time it hears."""
    if faults.away > 0:
        faults.away -= 1
        raise ConnectionResetError("the road is cut")
    faults.batches.append(len(events))
    for event in events:
        if event.data.unbearable and not faults.bearable:
            raise NotBearable(f"number {event.data.number} is too much")
    tx.add(heard, *({"thing_id": event.data.thing_id, "number": event.data.number, "kind": "said"} for event in events))


async def on_whispered(tx: Tx, events: Sequence[Received[Whispered]]) -> None:
    """Writes down every time it hears."""
    tx.add(
        heard,
        *({"thing_id": event.data.thing_id, "number": event.data.number, "kind": "whispered"} for event in events),
    )


source = Service("source", "Source", ServiceSettings, nothing, (), {})
echo = Service("echo", "Echo", ServiceSettings, tables, (), {Said: on_said, Whispered: on_whispered})
