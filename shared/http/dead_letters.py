"""Dead letters over HTTP, for the operator: what is dead, why, and send it in again or drop it with a reason.

Replaying takes the handlers and the worker's reach, so it is a job: asked for here, done by the worker, in order.
"""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import ConfigDict

from shared import dead_letters, jobs
from shared.dead_letters import DeadLetter, LetterState
from shared.errors import Said
from shared.http.edge import CallerHere, Edge, TxHere
from shared.http.jobs import JobView
from shared.http.paging import PagingHere
from shared.http.schemas import Command, Page, Reason, View
from shared.next_steps import Actor, NextStep, Role


class DropDeadLetter(Command):
    """Gives up one message for good; the reason is kept."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"reason": "发送方已另发正确消息，此条作废"}]})

    reason: Reason


class DeadLetterView(View):
    """A message that could not be applied, or waits behind one that could not."""

    id: int
    topic: str
    subject: str
    state: str
    reason: str
    received_at: datetime
    settled_at: datetime | None
    note: str | None


class WholeDeadLetterView(DeadLetterView):
    """With the message as it came."""

    headers: dict[str, str]
    payload: str


router = APIRouter(route_class=Edge, prefix="/dead-letters", tags=["dead letters"])


@router.get("")
async def list_dead_letters(
    tx: TxHere,
    paging: PagingHere,
    state: Annotated[
        LetterState | None, Query(description="of this state alone; those that are open unless given")
    ] = None,
    topic: Annotated[str | None, Query(max_length=64, description="of this topic alone")] = None,
) -> Page[DeadLetterView]:
    """Dead letters, the oldest first: the open ones, unless a state is asked for."""
    after = int(paging.after[0]) if paging.after else 0
    found = await tx.all(DeadLetter, dead_letters.LISTED[state], topic=topic, after=after, rows=paging.rows)
    return paging.page_of(DeadLetterView, found, key=lambda letter: [letter.id])


@router.get("/{letter_id}")
async def get_dead_letter(letter_id: int, tx: TxHere) -> WholeDeadLetterView:
    """One dead letter, with its original bytes as text."""
    letter = await dead_letters.get(tx, letter_id)
    shown = DeadLetterView.model_validate(letter).model_dump()
    return WholeDeadLetterView(**shown, headers=letter.headers, payload=letter.payload.decode(errors="replace"))


@router.post("/{letter_id}/replay", status_code=202)
async def replay_dead_letter(letter_id: int, caller: CallerHere, tx: TxHere) -> JobView:
    """Sends the oldest letter of this subject in again, and then what waited behind it. The job's `result` says how many
    were `applied`, and in `stays` which letter still cannot be, with its reason; null: none."""
    await dead_letters.get_open(tx, letter_id)
    return await _queued(tx, dead_letters.REPLAY, {"letter_id": letter_id}, caller)


@router.post("/{letter_id}/drop", status_code=202)
async def drop_dead_letter(letter_id: int, command: DropDeadLetter, caller: CallerHere, tx: TxHere) -> JobView:
    """Gives this letter up, and sends in what waited behind it; the job's `result` is that of a replay."""
    await dead_letters.get_open(tx, letter_id)
    return await _queued(tx, dead_letters.DROP, {"letter_id": letter_id, "reason": command.reason}, caller)


async def _queued(tx: TxHere, kind: str, params: dict[str, object], caller: CallerHere) -> JobView:
    job_id = jobs.queue(tx, kind, params, caller)
    waits_for = NextStep(who=Actor(role=Role.PLATFORM), what=Said("go on with the work; {done} done", done=0))
    return JobView(
        id=job_id, kind=kind, state="queued", done=0, total=None, refused=0, result=None, waits_for=waits_for
    )
