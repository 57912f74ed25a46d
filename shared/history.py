"""Who did what to which thing: written in the transaction of the change, append-only, read as timeline and as audit.

A row belongs to the parties of the thing it tells of, so that it is seen by exactly those who may see the thing.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from pydantic import BaseModel, ConfigDict, field_serializer
from sqlalchemy.dialects.postgresql import JSONB

from shared import clock, telemetry
from shared.db import PLATFORM, Tx, private
from shared.faults import FORKED
from shared.identity import Caller
from shared.next_steps import NextStep
from shared.reach import scope_of, seen
from shared.tongue import Told, retold_within
from shared.values import frozen

history = sa.Table(
    "history",
    PLATFORM,
    sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
    sa.Column("about", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("detail", JSONB, nullable=False),
    sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    sa.Column("organisation", sa.Text, nullable=False),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("request_id", sa.Text),
    sa.Column("operation", sa.Text),  # a route, a type of event, a kind of deadline or of job
    sa.Column("institution_code", sa.Text),
    sa.Column("supplier_code", sa.Text),
    sa.Column("third_code", sa.Text),
    sa.Column("region", sa.Text),
    sa.Column("recorded_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()),
    sa.Column("hash", sa.LargeBinary, nullable=False),  # by the database: migrations/chain.py
    sa.Column("follows", sa.BigInteger),  # by the database too: the row before it about the same, 0 for the first
    info=private(("institution_code", "supplier_code", "third_code"), "region"),
)
sa.Index(FORKED, history.c.about, history.c.follows, unique=True)
sa.Index("ix_history_recorded_at", history.c.recorded_at)

history_heads = sa.Table(
    "history_heads",
    PLATFORM,
    sa.Column("day", sa.Date, primary_key=True),
    sa.Column("rows", sa.BigInteger, nullable=False),
    sa.Column("last_id", sa.BigInteger, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    info={"append_only": True},
)

_OF = sa.select(
    history.c.at, history.c.action, history.c.organisation, history.c.person, history.c.detail, history.c.request_id
).where(history.c.about == sa.bindparam("about"), seen(history)).order_by(history.c.id)  # fmt: skip

BY_ITSELF = Caller(organisation="platform", roles=frozenset(), region="000000", person="by itself")
"""Who acts when nobody asked: an event arrived, a clock ran out."""
OURS = frozenset({"detail", "rule", "allowed", "agreed"})
"""Where a deed of a person holds sentences of ours; everything else in it are the person's own words, or no words."""


@frozen
class Parties:
    """Whose thing it is: the institution, the supplier, the region (six digits), and a third party where there is one."""

    institution_code: str | None = None
    supplier_code: str | None = None
    region: str | None = None
    third_code: str | None = None


def note(
    tx: Tx,
    who: Caller,
    about: UUID | str,
    action: str,
    parties: Parties,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Writes down one deed; `detail` says what changed, from and to."""
    tx.add(
        history,
        {
            "about": str(about),
            "action": action,
            "detail": dict(detail or {}),
            "at": clock.now(),
            "organisation": who.organisation,
            "person": who.person,
            "request_id": telemetry.request_id.get(),
            "operation": telemetry.operation.get(),
            "institution_code": parties.institution_code,
            "supplier_code": parties.supplier_code,
            "third_code": parties.third_code,
            "region": parties.region,
        },
    )


def changes(before: object | None, after: object, *names: str) -> dict[str, list[Any]]:
    """Of the fields named, those that are not what they were: from and to; of a thing that was not there from None."""
    pairs = {name: [getattr(before, name, None), getattr(after, name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


class Deed(BaseModel):
    """One thing that happened."""

    model_config = ConfigDict(frozen=True)

    at: datetime
    action: str
    organisation: str
    person: Told
    detail: dict[str, Any]
    request_id: str | None

    @field_serializer("detail")
    def _told(self, detail: dict[str, Any]) -> dict[str, Any]:
        """In the reader's language: whatever was done by itself, and of what a person did, what the platform says of it."""
        by_itself = (self.organisation, self.person) == (BY_ITSELF.organisation, BY_ITSELF.person)
        told: dict[str, Any] = retold_within(detail, None if by_itself else OURS)
        return told


def heard(at: datetime, action: str, **detail: Any) -> Deed:
    """What another service told of, as a deed; which person did it, that service tells."""
    return Deed(
        at=at,
        action=action,
        organisation=BY_ITSELF.organisation,
        person=BY_ITSELF.person,
        detail=detail,
        request_id=None,
    )


class TimelineView(BaseModel):
    """What happened to a thing so far, what it waits for, and why it was refused if it was."""

    model_config = ConfigDict(frozen=True)

    id: str
    state: str
    deeds: list[Deed]
    next: list[NextStep]


async def timeline(
    tx: Tx, about: UUID | str, state: str, next_steps: Sequence[NextStep], also: Sequence[Deed] = ()
) -> TimelineView:
    """The timeline of a thing that the caller may see; load the thing first. `also`: what happened to others, and to it."""
    deeds = [Deed(**row) for row in await tx.rows(_OF, about=str(about), **scope_of(tx))]
    deeds = sorted([*deeds, *also], key=lambda deed: deed.at) if also else deeds
    return TimelineView(id=str(about), state=state, deeds=deeds, next=list(next_steps))
