"""Where a group of consumers stands on its topics, and putting it back to an earlier instant while nobody of it is there.

A group is only ever put back: going forward would pass over messages that nobody has applied.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.bus.base import BusAway
from shared.bus.refused import reason
from shared.values import frozen

log = logging.getLogger(__name__)

EMPTY_STATES = {"Empty", "Dead"}
"""A group that has no members; one that never was is called dead."""


class GroupAtWork(Exception):
    """The group has members, who would go on from where they are."""


@frozen
class Step:
    """What becomes of one partition: the offset that is read next, before and after; None: the group never read it."""

    topic: str
    partition: int
    before: int | None
    after: int

    @property
    def back(self) -> bool:
        """Whether anything is read again."""
        return self.before is not None and self.after < self.before

    def __str__(self) -> str:
        place = f"{self.topic}/{self.partition}"
        if self.before is None:
            return f"{place}: nothing was read yet, all of it will be"
        if not self.back:
            return f"{place}: stays at {self.before}"
        return f"{place}: goes back from {self.before} to {self.after}, {self.before - self.after} messages come again"


async def rewind(
    group: str, topics: Sequence[str], since: datetime | None, say: Callable[[str], None] = log.info, **connection: Any
) -> list[Step]:
    """Puts the group back to the first message of each partition from an instant on (None: the first that is kept).

    `say` hears of each partition before anything is changed. Raises GroupAtWork while the group has members, and BusAway.
    """
    consumer = AIOKafkaConsumer(group_id=group, enable_auto_commit=False, **connection)
    try:
        places = await _places(group, topics, connection)
        await consumer.start()
        consumer.assign(places)
        steps = await _steps(consumer, places, since)
        for step in steps:
            say(str(step))
        back = {TopicPartition(step.topic, step.partition): step.after for step in steps if step.back}
        if back:
            await consumer.commit(back)  # the broker refuses it if somebody has joined meanwhile
    except (KafkaError, OSError) as error:
        raise BusAway(f"the group {group} was not put back: {await reason(connection) or repr(error)}") from error
    finally:
        await consumer.stop()
    return steps


async def _places(group: str, topics: Sequence[str], connection: Mapping[str, Any]) -> list[TopicPartition]:
    """Every partition of the topics; raises GroupAtWork."""
    admin = AIOKafkaAdminClient(**connection)
    try:
        await admin.start()
        _refuse_at_work(group, await admin.describe_consumer_groups([group]))
        found = await admin.describe_topics(sorted(topics))
    finally:
        await admin.close()
    return [
        TopicPartition(topic["topic"], number)
        for topic in sorted(found, key=lambda one: str(one["topic"]))
        for number in sorted(one["partition"] for one in topic["partitions"])
    ]


def _refuse_at_work(group: str, answers: Sequence[Any]) -> None:
    for _, _, state, _, _, members, *_ in (one for answer in answers for one in answer.groups):
        if state not in EMPTY_STATES:
            hosts = ", ".join(sorted({f"{member[1]} at {member[2]}" for member in members})) or "they are joining"
            raise GroupAtWork(f"The group {group} is at work ({state}: {hosts}). Stop every worker of {group} first.")


async def _steps(consumer: AIOKafkaConsumer, places: list[TopicPartition], since: datetime | None) -> list[Step]:
    wanted: Mapping[TopicPartition, int] = await consumer.beginning_offsets(places)
    if since is not None:
        ends = await consumer.end_offsets(places)
        found = await consumer.offsets_for_times(dict.fromkeys(places, int(since.timestamp() * 1_000)))
        wanted = {place: at.offset if (at := found.get(place)) is not None else ends[place] for place in places}
    return [Step(place.topic, place.partition, await consumer.committed(place), wanted[place]) for place in places]
