"""How events travel: the Bus protocol, Apache Kafka behind it, and LocalBus for one process.

A message is handed on at least once and, for one key, in order; who receives it makes it once (inbox). LocalBus returns
from `send` when every subscriber has committed, so an outbox row stays until then and nothing is lost in a crash.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from shared import telemetry
from shared.envelope import CONTENT_TYPE

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `key` is the subject, `value` the bytes of the event."""

    topic: str
    key: str
    value: bytes
    headers: tuple[tuple[str, bytes], ...] = (("content-type", CONTENT_TYPE.encode()),)


Apply = Callable[[Sequence[Message]], Awaitable[None]]
"""Applies messages of one partition, in order; raises Transient to be handed them again."""


class Transient(Exception):
    """The messages could not be applied now and shall come again; nothing of them was kept."""


class BusAway(Exception):
    """The broker did not take the messages; they stay in the outbox."""


class Bus(Protocol):
    """What a worker needs of a bus."""

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def send(self, messages: Sequence[Message]) -> None:
        """Returns when every message is safe; raises BusAway when one is not."""

    async def consume(self, group: str, topics: Sequence[str], apply: Apply, stop: asyncio.Event) -> None:
        """Hands batches to `apply` until told to stop; a batch counts as read when `apply` has returned."""

    async def lag(self) -> int:
        """How many messages this process has not applied yet."""


class LocalBus:
    """The bus of one process: no memory of its own, because the outbox has it."""

    def __init__(self, groups: Sequence[str] = ()) -> None:
        self._groups = frozenset(groups)
        self._subscribers: dict[str, tuple[frozenset[str], Apply]] = {}

    async def start(self) -> None:
        """Nothing to open."""

    async def stop(self) -> None:
        """Nothing to close."""

    async def send(self, messages: Sequence[Message]) -> None:
        """Hands the messages to every subscriber of their topic; returns when all of them have committed."""
        if missing := self._groups - set(self._subscribers):
            raise BusAway(f"{', '.join(sorted(missing))} does not listen yet")
        try:
            await asyncio.gather(
                *(
                    apply(wanted)
                    for topics, apply in list(self._subscribers.values())
                    if (wanted := [message for message in messages if message.topic in topics])
                )
            )
        except Transient as error:
            raise BusAway(f"a subscriber could not take the events now: {error}") from error

    async def consume(self, group: str, topics: Sequence[str], apply: Apply, stop: asyncio.Event) -> None:
        """Subscribes until told to stop."""
        self._subscribers[group] = (frozenset(topics), apply)
        await stop.wait()
        del self._subscribers[group]

    async def lag(self) -> int:
        """Always 0: what was sent was applied."""
        return 0


class KafkaBus:
    """Apache Kafka: idempotent producer with acks=all, one consumer group per service, offsets after the database."""

    def __init__(self, *, client_id: str, batch_messages: int = 500, **connection: Any) -> None:
        self._client_id = client_id
        self._batch_messages = batch_messages
        self._connection = connection
        self._producer: AIOKafkaProducer | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._holds: dict[TopicPartition, int] = {}
        self._topics: tuple[str, ...] = ()

    async def start(self) -> None:
        """Opens the producer; raises BusAway while no broker answers."""
        producer = AIOKafkaProducer(
            client_id=self._client_id,
            enable_idempotence=True,
            acks="all",
            compression_type="lz4",
            linger_ms=2,
            max_batch_size=256 * 1024,
            max_request_size=1024 * 1024,
            **self._connection,
        )
        try:
            await producer.start()
        except (KafkaError, OSError) as error:
            await producer.stop()
            raise BusAway(str(error)) from error
        self._producer = producer

    async def stop(self) -> None:
        """Sends what is buffered and leaves."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    async def send(self, messages: Sequence[Message]) -> None:
        """Sends without awaiting each, then awaits all: order per key is the producer's, duplicates are the broker's."""
        if self._producer is None:
            await self.start()
        producer = self._producer
        assert producer is not None  # noqa: S101  start() has set it
        try:
            waiting = [
                await producer.send(
                    message.topic, message.value, key=message.key.encode(), headers=list(message.headers)
                )
                for message in messages
            ]
            await asyncio.gather(*waiting)
        except (KafkaError, OSError) as error:
            await self.stop()
            raise BusAway(repr(error)) from error

    async def consume(self, group: str, topics: Sequence[str], apply: Apply, stop: asyncio.Event) -> None:
        """Reads batches per partition, all partitions at once; a partition whose batch fails is held and tried again."""
        if not topics:
            await stop.wait()
            return
        self._topics = tuple(topics)
        consumer = AIOKafkaConsumer(
            *topics,
            group_id=group,
            client_id=self._client_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=self._batch_messages,
            max_poll_interval_ms=300_000,
            **self._connection,
        )
        await consumer.start()
        self._consumer = consumer
        try:
            while not stop.is_set():
                polled = await consumer.getmany(timeout_ms=200, max_records=self._batch_messages)
                await asyncio.gather(
                    *(self._batch(consumer, place, records, apply) for place, records in polled.items())
                )
        finally:
            self._consumer = None
            await consumer.stop()

    async def _batch(
        self,
        consumer: AIOKafkaConsumer,
        place: TopicPartition,
        records: Sequence[Any],
        apply: Apply,
    ) -> None:
        messages = [
            Message(
                record.topic,
                (record.key or b"").decode(errors="replace"),
                record.value or b"",
                tuple(record.headers),
            )
            for record in records
        ]
        try:
            await apply(messages)
        except Transient as error:
            self._hold(consumer, place, records[0].offset, str(error))
            return
        self._holds.pop(place, None)
        try:
            await consumer.commit({place: records[-1].offset + 1})
        except KafkaError as error:  # the group has moved on; the inbox knows what was applied
            log.info("offset not committed", extra={"partition": str(place), "reason": repr(error)})

    def _hold(self, consumer: AIOKafkaConsumer, place: TopicPartition, offset: int, reason: str) -> None:
        """Stops reading one partition for a while that doubles, with jitter, and goes back to the first unapplied."""
        times = self._holds[place] = self._holds.get(place, 0) + 1
        wait_seconds = min(30.0, 0.1 * 2**times) * random.uniform(0.5, 1)  # noqa: S311  jitter, no secret
        log.warning("partition held", extra={"partition": str(place), "reason": reason, "wait_s": wait_seconds})

        def resume() -> None:
            if place in consumer.assignment():
                consumer.resume(place)

        if place in consumer.assignment():
            consumer.seek(place, offset)
            consumer.pause(place)
            asyncio.get_running_loop().call_later(wait_seconds, resume)

    @property
    def listens(self) -> bool:
        """Whether the consumer has joined its group, or has nothing to listen to."""
        return self._consumer is not None or not self._topics

    async def lag(self) -> int:
        """Messages of the topics listened to that the group has not applied; 1 while nothing is known. Also a metric."""
        consumer = self._consumer
        if consumer is None:
            return int(bool(self._topics))
        places = [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(places) if places else {}
        total = 0
        for place, end in ends.items():
            behind = end - (await consumer.committed(place) or 0)
            telemetry.LAG.labels(self._client_id, place.topic, place.partition).set(behind)
            total += behind
        return total


async def ensure_topics(
    topics: Sequence[str],
    *,
    partitions: int = 6,
    replication: int = 1,
    settings: Mapping[str, str] | None = None,
    say: Callable[[str], None] = log.info,
    **connection: Any,
) -> list[str]:
    """Makes the topics that are missing, before anybody sends, and mends the settings of the others; returns those made.

    `say` hears of each difference before it changes. Partitions are never added: the partition of a key would change,
    and its order with it. Raises BusAway when the broker does not answer or refuses.
    """
    wanted = dict(settings or {})
    admin = AIOKafkaAdminClient(**connection)
    try:
        await admin.start()
        missing = sorted(set(topics) - set(await admin.list_topics()))
        for name in missing:
            say(f"{name}: is made, {partitions} partitions, {replication} replicas, {wanted}")
        await _make(admin, [NewTopic(name, partitions, replication, topic_configs=wanted) for name in missing])
        if there := sorted(set(topics) - set(missing)):
            await _say_what_stays(admin, there, partitions, replication, say)
            await _mend(admin, there, wanted, say)
    except (KafkaError, OSError) as error:
        raise BusAway(f"the topics were not made: {error!r}") from error
    finally:
        await admin.close()
    return missing


async def _make(admin: AIOKafkaAdminClient, wanted: Sequence[NewTopic]) -> None:
    if not wanted:
        return
    answer = await admin.create_topics(list(wanted))
    for topic, code, *rest in answer.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise BusAway(f"topic {topic} was not made: {rest or code}")


async def _say_what_stays(
    admin: AIOKafkaAdminClient, topics: Sequence[str], partitions: int, replication: int, say: Callable[[str], None]
) -> None:
    for found in await admin.describe_topics(list(topics)):
        name, has = found["topic"], found["partitions"]
        if len(has) != partitions:
            say(f"{name}: keeps its {len(has)} partitions; {partitions} would change the order of keys")
        if {len(one["replicas"]) for one in has} != {replication}:
            say(f"{name}: has not {replication} replicas everywhere; move them with the broker's own tool")


async def _mend(
    admin: AIOKafkaAdminClient, topics: Sequence[str], wanted: Mapping[str, str], say: Callable[[str], None]
) -> None:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(wanted)) for name in topics]
    for answer in await admin.describe_configs(asked) if wanted else ():
        for _, _, _, name, entries in answer.resources:
            has = {entry[0]: entry[1] for entry in entries}
            other = {key: value for key, value in wanted.items() if has.get(key) != value}
            for key, value in other.items():
                say(f"{name}: {key} becomes {value}, was {has.get(key)}")
            if other:
                await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, name, dict(wanted))])
