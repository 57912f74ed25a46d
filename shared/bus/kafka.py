"""Apache Kafka: idempotent producer with acks=all, one consumer group per service, offsets after the database.

Each partition has a lane of its own: it reads a batch, applies it, commits its offset, and reads the next. A fault of the
road holds that lane alone. A partition that moves to another process is handed over between two batches; should one have
been under way for too long, it is given up, and the inbox sees to it that nothing is applied twice.
"""

import asyncio
import logging
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from shared import telemetry
from shared.bus.base import Apply, BusAway, Message
from shared.bus.lanes import Lanes
from shared.bus.refused import reason

log = logging.getLogger(__name__)

PULSE_MS = 200
NOWHERE = TopicPartition("", 0)
PROBE_SECONDS = 2
LAG_SECONDS = 10
LEAVE_SECONDS = 5
BEATS_OF_A_SESSION = 3


class KafkaBus:
    """The bus of one worker: its producer is opened by the first send, its consumer by `consume`."""

    def __init__(
        self,
        *,
        client_id: str,
        batch_messages: int = 500,
        drain_seconds: float = 20,
        session_seconds: float = 10,
        **connection: Any,
    ) -> None:
        self._client_id = client_id
        self._batch_messages = batch_messages
        self._drain_seconds = drain_seconds
        self._session_ms = int(session_seconds * 1_000)
        self._connection = connection
        self._producer: AIOKafkaProducer | None = None
        self._leaving: set[asyncio.Task[None]] = set()
        self._consumer: AIOKafkaConsumer | None = None
        self._lanes: Lanes | None = None
        self._topics: tuple[str, ...] = ()
        self._refused: str | None = None
        self._measured: list[TopicPartition] = []
        """Those of which the lag is shown."""

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
        except BaseException as error:  # also given up by who cannot wait longer
            await producer.stop()
            if isinstance(error, KafkaError | OSError):
                raise BusAway(await reason(self._connection) or f"the broker does not answer: {error}") from error
            raise
        if self._producer is None:
            self._producer = producer
        else:  # somebody else has opened one meanwhile
            await producer.stop()

    async def stop(self) -> None:
        """Sends what is buffered and leaves; gives up after a while, for what was not sent is in the outbox."""
        self._leave()
        if self._leaving:
            _, late = await asyncio.wait(self._leaving, timeout=LEAVE_SECONDS)
            for task in late:
                task.cancel()

    def _leave(self) -> None:
        """Puts the producer aside. What it still holds it sends, or not: the relay sends it again through the next one.

        Its batches of one partition stay in order (they are numbered), so a subject's events first arrive in order.
        """
        if self._producer is not None:
            task = asyncio.create_task(_close(self._producer))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
            self._producer = None

    async def send(self, messages: Sequence[Message]) -> None:
        """Sends without awaiting each, then awaits all: order per key is the producer's, duplicates are the broker's.

        While the broker is away this waits for it. After any failure the producer, which numbers its batches and may have
        left a gap, is put aside.
        """
        if self._producer is None:
            await self.start()
        producer = self._producer
        assert producer is not None  # noqa: S101  start() has set it
        sent: list[asyncio.Future[Any]] = []
        try:
            for message in messages:
                headers = list(message.headers)
                sent.append(await producer.send(message.topic, message.value, message.key.encode(), headers=headers))
            await asyncio.gather(*sent)
        except BaseException as error:
            for future in sent:  # what they raise too is the same story, and said once
                future.add_done_callback(lambda done: done.cancelled() or done.exception())
            self._leave()
            if isinstance(error, KafkaError | OSError):
                raise BusAway(repr(error)) from error
            raise

    async def consume(self, group: str, topics: Sequence[str], apply: Apply, stop: asyncio.Event) -> None:
        """Reads every partition it is given by the group, each in its lane; leaves the group when told to stop."""
        self._topics = tuple(topics)
        if not topics:
            await stop.wait()
            return
        consumer = AIOKafkaConsumer(
            group_id=group,
            client_id=self._client_id,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=self._session_ms,
            heartbeat_interval_ms=self._session_ms // BEATS_OF_A_SESSION,
            rebalance_timeout_ms=int((self._drain_seconds + 10) * 1_000),
            **self._connection,
        )
        lanes = self._lanes = Lanes(
            self._client_id,
            consumer,
            apply,
            batch_messages=self._batch_messages,
            drain_seconds=self._drain_seconds,
        )
        consumer.subscribe(list(topics), listener=lanes)
        try:
            await _unless(stop, consumer.start())
            self._consumer, self._refused = consumer, None
            while not stop.is_set():
                # Reads nothing: shows the group that this process lives, and raises what the group has against it.
                await _unless(stop, consumer.getmany(NOWHERE, timeout_ms=PULSE_MS))
                lanes.check()
        except (KafkaError, OSError) as error:
            self._refused = await reason(self._connection) if self._consumer is None else None
            raise BusAway(self._refused or f"the broker was lost: {error!r}") from error
        finally:
            self._consumer = self._lanes = None
            await lanes.close()
            await _within(LEAVE_SECONDS, consumer.stop())

    @property
    def listens(self) -> bool:
        """Whether the consumer has joined its group, or has nothing to listen to."""
        return self._consumer is not None or not self._topics

    @property
    def held(self) -> Mapping[str, str]:
        """The partitions that a fault of the road holds up now, each with the fault."""
        return self._lanes.held if self._lanes is not None else {}

    async def away(self) -> str | None:
        """Asks the broker; None when it answers and this worker is in its group."""
        if not self.listens and self._refused:
            return self._refused
        try:
            async with asyncio.timeout(PROBE_SECONDS):
                if self._consumer is not None:
                    await self._consumer.topics()
                elif missing := await self._missing():
                    return f"the broker has no topic {', '.join(missing)}; `jicai topics` makes it"
        except BusAway as away:
            return str(away)
        except (KafkaError, OSError) as error:  # a TimeoutError is an OSError
            return f"the broker does not answer: {type(error).__name__}"
        return None if self.listens else "the broker has not let this worker into its group yet"

    async def _missing(self) -> list[str]:
        """The topics to listen to that were not made; a consumer waits for all of them before it joins."""
        if self._producer is None:
            await self.start()
        assert self._producer is not None  # noqa: S101  start() has set it
        cluster = await self._producer.client.fetch_all_metadata()
        return sorted(set(self._topics) - cluster.topics())

    async def lag(self) -> int:
        """Messages of the topics listened to that the group has not applied; 1 while nothing is known. Also a metric, which is
        not shown while it is not known."""
        if self._consumer is None:
            self._forget_lag()
            return int(bool(self._topics))
        try:
            async with asyncio.timeout(LAG_SECONDS):
                return await self._count_lag(self._consumer)
        except (KafkaError, OSError) as error:
            self._forget_lag()
            raise BusAway(f"the broker does not say what is waiting: {error!r}") from error

    async def _count_lag(self, consumer: AIOKafkaConsumer) -> int:
        places = [
            TopicPartition(topic, number)
            for topic in self._topics
            for number in sorted(consumer.partitions_for_topic(topic) or ())
        ]
        ends: Mapping[TopicPartition, int] = await consumer.end_offsets(places) if places else {}
        behind = {place: end - (await consumer.committed(place) or 0) for place, end in ends.items()}
        self._forget_lag()
        for place, count in behind.items():
            telemetry.LAG.labels(self._client_id, place.topic, place.partition).set(count)
        self._measured = list(behind)
        return sum(behind.values())

    def _forget_lag(self) -> None:
        for place in self._measured:
            telemetry.LAG.remove(self._client_id, place.topic, place.partition)
        self._measured = []


async def _close(producer: AIOKafkaProducer) -> None:
    try:
        await producer.stop()
    except (KafkaError, OSError) as error:
        log.info("producer closed", extra={"reason": repr(error)})


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, Any]) -> None:
    """Does the work, or gives it up when told to stop; raises what the work raises."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()
        if not working.done():
            working.cancel()
        await asyncio.wait({working, stopping})
    if not working.cancelled():
        working.result()


async def _within(seconds: float, work: Coroutine[Any, Any, Any]) -> None:
    """Does the work for at most this long; a broker that is away must not keep a process from ending."""
    try:
        async with asyncio.timeout(seconds):
            await work
    except (KafkaError, OSError) as error:
        log.warning("left without a word to the broker", extra={"reason": repr(error)})
