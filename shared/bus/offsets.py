"""Where a group of consumers stands on its topics, and putting it back to an earlier instant while nobody of it is there.

A group is only ever put back: going forward would pass over messages that nobody has applied.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from shared.bus.base import BusAway

log = logging.getLogger(__name__)

EMPTY_STATES = {"Empty", "Dead"}
"""A group that has no members; one that never was is called dead."""


class GroupAtWork(Exception):
    """The group has members, who would go on from where they are."""


@dataclass(frozen=True, slots=True)
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
        await _refuse_at_work(group, connection)
        await consumer.start()
        steps = await _steps(consumer, await _places(consumer, topics), since)
        for step in steps:
            say(str(step))
        back = {TopicPartition(step.topic, step.partition): step.after for step in steps if step.back}
        if back:
            consumer.assign(list(back))
            await consumer.commit(back)  # the broker refuses it if somebody has joined meanwhile
    except (KafkaError, OSError) as error:
        raise BusAway(f"the group {group} was not put back: {error!r}") from error
    finally:
        await consumer.stop()
    return steps


async def _refuse_at_work(group: str, connection: Mapping[str, Any]) -> None:
    admin = AIOKafkaAdminClient(**connection)
    try:
        await admin.start()
        (answer,) = await admin.describe_consumer_groups([group])
    finally:
        await admin.close()
    for _, _, state, _, _, members, *_ in answer.groups:
        if state not in EMPTY_STATES:
            hosts = ", ".join(sorted({f"{member[1]} at {member[2]}" for member in members})) or "they are joining"
            raise GroupAtWork(f"The group {group} is at work ({state}: {hosts}). Stop every worker of {group} first.")


async def _places(consumer: AIOKafkaConsumer, topics: Sequence[str]) -> list[TopicPartition]:
    await consumer.topics()
    return [
        TopicPartition(topic, number)
        for topic in sorted(topics)
        for number in sorted(consumer.partitions_for_topic(topic) or ())
    ]


async def _steps(consumer: AIOKafkaConsumer, places: list[TopicPartition], since: datetime | None) -> list[Step]:
    first: Mapping[TopicPartition, int] = await consumer.beginning_offsets(places) if places else {}
    ends: Mapping[TopicPartition, int] = await consumer.end_offsets(places) if places else {}
    wanted = dict(first)
    if since is not None and places:
        found = await consumer.offsets_for_times(dict.fromkeys(places, int(since.timestamp() * 1_000)))
        wanted = {place: at.offset if (at := found.get(place)) is not None else ends[place] for place in places}
    return [Step(place.topic, place.partition, await consumer.committed(place), wanted[place]) for place in places]
