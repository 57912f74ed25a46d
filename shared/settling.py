"""Dead letters settled by a person: sent in again through the same inbox, or dropped with a reason that history keeps.

What waited behind a letter follows in its order. Each letter is settled in a transaction of its own, together with its
effect; nobody settles beside us, and nobody decides meanwhile what waits.
"""

from typing import Any

from shared import dead_letters, history, jobs
from shared.db import EVERYTHING, Tx
from shared.dead_letters import DeadLetter
from shared.identity import Caller
from shared.inbox import ROAD, Consumer, Received, Unread, Wave, accept, reason_of
from shared.values import frozen


@frozen
class Outcome:
    """What became of the letters of a subject: how many were applied, and the one that cannot be, before which it stands."""

    applied: int
    stays: DeadLetter | None

    def said(self) -> dict[str, Any]:
        """As the result of a job."""
        stays = self.stays and {"letter_id": self.stays.id, "reason": self.stays.reason}
        return {"applied": self.applied, "stays": stays}


NOTHING = Outcome(0, stays=None)
"""No letter of the subject was open any more."""


async def replay(consumer: Consumer, letter_id: int, who: Caller) -> Outcome:
    """Sends in the letters of one subject, from its oldest on; raises DeadLetterNotFound.

    Stops at the first that still cannot be applied, which keeps its new reason.
    """
    async with consumer.database.transaction(EVERYTHING) as tx:
        named = await dead_letters.get(tx, letter_id)
    applied = 0
    while (first := await _replay_first(consumer, named.topic, named.subject, who)) and first.settled_at is not None:
        applied += 1
    return Outcome(applied, stays=first)


async def replay_all(consumer: Consumer, topic: str | None, who: Caller) -> list[Outcome]:
    """Sends in every open letter, or those of a topic; one outcome for each subject, the one that waits longest first."""
    async with consumer.database.transaction(EVERYTHING) as tx:
        standing = await tx.rows(dead_letters.STANDING, topic=topic)
    return [await replay(consumer, row["id"], who) for row in standing]


async def drop(consumer: Consumer, letter_id: int, who: Caller, reason: str) -> Outcome:
    """Gives one letter up for good, and sends in what waited behind it. The same once more goes on where it was.

    Raises DeadLetterNotFound, and DeadLetterSettled where it was settled in another way.
    """
    note = f"dropped by {who.person}: {reason}"
    async with consumer.database.transaction(EVERYTHING) as tx:
        await dead_letters.alone(tx)
        letter = await dead_letters.get(tx, letter_id)
        if letter.settled_at is None:
            await _drop(consumer, tx, letter, note)
            _note(tx, who, letter, "dropped", {"reason": reason})
        elif letter.note != note:
            raise dead_letters.settled_already(letter)
    return await replay(consumer, letter_id, who)


async def _drop(consumer: Consumer, tx: Tx, letter: DeadLetter, note: str) -> None:
    """Marks the event as taken, so that it is not applied when it comes once more."""
    events = [item for item in consumer.open([letter.message]) if isinstance(item, Received)]
    if events:
        await accept(tx, events)
    await dead_letters.settle(tx, letter, "dropped", note)


async def _replay_first(consumer: Consumer, topic: str, subject: str, who: Caller) -> DeadLetter | None:
    """The oldest open letter of a subject as it is now: settled, or with its new reason."""
    async with consumer.database.transaction(EVERYTHING) as tx:
        await dead_letters.alone(tx)
        letter = await dead_letters.first_of(tx, topic, subject)
        if letter is None:
            return None
        refusal = await _try(consumer, tx, letter)
        if refusal is not None:
            await dead_letters.stays(tx, letter, refusal)
        else:
            await dead_letters.settle(tx, letter, "replayed", f"replayed by {who.person}")
            _note(tx, who, letter, "replayed", {})
        return await dead_letters.get(tx, letter.id)


async def _try(consumer: Consumer, tx: Tx, letter: DeadLetter) -> str | None:
    """None when the letter was applied, else why not; what it changed until then is undone."""
    await tx.sql("SAVEPOINT attempt")
    try:
        for item in consumer.open([letter.message]):
            if isinstance(item, Unread):
                return item.reason
            for event in await accept(tx, [item]):
                await consumer.handle(tx, Wave([event]))
        await tx.flush()
    except ROAD:
        raise
    except Exception as error:  # the edge: a letter that still cannot be applied stays, with its reason
        tx.forget()
        await tx.sql("ROLLBACK TO SAVEPOINT attempt")
        return reason_of(error)
    return None


def _note(tx: Tx, who: Caller, letter: DeadLetter, state: str, detail: dict[str, str]) -> None:
    event_id = letter.event_id and str(letter.event_id)  # what cannot be read may have none
    about = {"topic": letter.topic, "subject": letter.subject, "event_id": event_id, **detail}
    about_it = {**about, "changes": {"state": [letter.state, state]}}
    history.note(tx, who, f"dead_letter/{letter.id}", f"dead_letter_{state}", history.Parties(), about_it)


def jobs_of(consumer: Consumer) -> jobs.Jobs:
    """The jobs that settle letters, as every worker does them."""

    async def replay_one(job: jobs.Job) -> dict[str, Any]:
        return (await replay(consumer, job.params["letter_id"], job.caller)).said()

    async def drop_one(job: jobs.Job) -> dict[str, Any]:
        return (await drop(consumer, job.params["letter_id"], job.caller, job.params["reason"])).said()

    return {dead_letters.REPLAY: replay_one, dead_letters.DROP: drop_one}
