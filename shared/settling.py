"""Dead letters settled by a person: sent in again through the same inbox, or dropped with a reason that history keeps.

What waited behind a letter follows in its order. Each letter is settled in a transaction of its own, together with its
effect; nobody settles beside us, and nobody decides meanwhile what waits.
"""

from shared import dead_letters, history
from shared.db import EVERYTHING, Tx
from shared.dead_letters import DeadLetter
from shared.identity import Caller
from shared.inbox import ROAD, Consumer, Received, Unread, Wave, accept, reason_of


async def replay(consumer: Consumer, letter_id: int, who: Caller) -> int:
    """Sends in the letters of one subject, from its oldest on; returns how many were applied.

    Stops at the first that still cannot be applied, which keeps its new reason.
    """
    async with consumer.database.transaction(EVERYTHING) as tx:
        named = await tx.one(DeadLetter, dead_letters.GET, id=letter_id)
    applied = 0
    while named is not None and await _replay_first(consumer, named.topic, named.subject, who):
        applied += 1
    return applied


async def drop(consumer: Consumer, letter_id: int, who: Caller, reason: str) -> int:
    """Gives one letter up for good, and sends in what waited behind it; returns how many of those were applied."""
    async with consumer.database.transaction(EVERYTHING) as tx:
        await dead_letters.alone(tx)
        letter = await tx.one(DeadLetter, dead_letters.GET, id=letter_id)
        if letter is None or letter.settled_at is not None:
            return 0
        events = [item for item in consumer.open([letter.message]) if isinstance(item, Received)]
        if events:
            await accept(tx, events)
        await dead_letters.settle(tx, letter, "dropped", f"dropped by {who.person}: {reason}")
        _note(tx, who, letter, "dropped", {"reason": reason})
    return await replay(consumer, letter_id, who)


async def _replay_first(consumer: Consumer, topic: str, subject: str, who: Caller) -> bool:
    """Whether the oldest open letter of a subject was applied."""
    async with consumer.database.transaction(EVERYTHING) as tx:
        await dead_letters.alone(tx)
        letter = await dead_letters.first_of(tx, topic, subject)
        if letter is None:
            return False
        refusal = await _try(consumer, tx, letter)
        if refusal is not None:
            await dead_letters.stays(tx, letter, refusal)
            return False
        await dead_letters.settle(tx, letter, "replayed", f"replayed by {who.person}")
        _note(tx, who, letter, "replayed", {})
    return True


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
    about = {"topic": letter.topic, "subject": letter.subject, "event_id": str(letter.event_id), **detail}
    about_it = {**about, "changes": {"state": [letter.state, state]}}
    history.note(tx, who, f"dead_letter/{letter.id}", f"dead_letter_{state}", history.Parties(), about_it)
