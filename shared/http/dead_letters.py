"""Dead letters over HTTP, for the operator: what is dead, why, and send it in again or drop it with a reason.

Replaying takes the handlers and the worker's reach, so it is a job: asked for here, done by the worker, in order.
"""

from datetime import datetime

from fastapi import APIRouter
from pydantic import ConfigDict

from shared import dead_letters, jobs
from shared.errors import NotFound, Said
from shared.http.edge import CallerHere, Edge, TxHere
from shared.http.jobs import JobView
from shared.http.paging import PagingHere
from shared.http.schemas import Command, Page, Reason, View
from shared.next_steps import Actor, NextStep, Role


class DeadLetterNotFound(NotFound):
    title = "No such dead letter"


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
async def list_dead_letters(tx: TxHere, paging: PagingHere) -> Page[DeadLetterView]:
    """Open dead letters, the oldest first."""
    after = int(paging.after[0]) if paging.after else 0
    found = await tx.all(dead_letters.DeadLetter, dead_letters.OPEN, after=after, rows=paging.rows)
    return paging.page_of(DeadLetterView, found, key=lambda letter: [letter.id])


@router.get("/{letter_id}")
async def get_dead_letter(letter_id: int, tx: TxHere) -> WholeDeadLetterView:
    """One dead letter, with its original bytes as text."""
    letter = await _letter(tx, letter_id)
    shown = DeadLetterView.model_validate(letter).model_dump()
    return WholeDeadLetterView(**shown, headers=letter.headers, payload=letter.payload.decode(errors="replace"))


@router.post("/{letter_id}/replay", status_code=202)
async def replay_dead_letter(letter_id: int, caller: CallerHere, tx: TxHere) -> JobView:
    """Sends the oldest letter of this subject in again, and then what waited behind it."""
    await _letter(tx, letter_id)
    return await _queued(tx, dead_letters.REPLAY, {"letter_id": letter_id}, caller)


@router.post("/{letter_id}/drop", status_code=202)
async def drop_dead_letter(letter_id: int, command: DropDeadLetter, caller: CallerHere, tx: TxHere) -> JobView:
    """Gives this letter up, and sends in what waited behind it."""
    await _letter(tx, letter_id)
    return await _queued(tx, dead_letters.DROP, {"letter_id": letter_id, "reason": command.reason}, caller)


async def _letter(tx: TxHere, letter_id: int) -> dead_letters.DeadLetter:
    found = await tx.one(dead_letters.DeadLetter, dead_letters.GET, id=letter_id)
    if found is None:
        raise DeadLetterNotFound("There is no dead letter {letter_id}.", letter_id=letter_id)
    return found


async def _queued(tx: TxHere, kind: str, params: dict[str, object], caller: CallerHere) -> JobView:
    job_id = jobs.queue(tx, kind, params, caller)
    waits_for = NextStep(who=Actor(role=Role.PLATFORM), what=Said("go on with the work; {done} done", done=0))
    return JobView(
        id=job_id, kind=kind, state="queued", done=0, total=None, refused=0, result=None, waits_for=waits_for
    )
