"""One lane per partition that this process holds: batch, apply, offset, next batch; handed over between two batches.

The next batch is read meanwhile, and forgotten when it is not come to: the group goes on from the offset.
"""

import asyncio
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from shared import crash, telemetry
from shared.bus.base import Apply, Message, Transient
from shared.faults import pause_seconds

log = logging.getLogger(__name__)

POLL_MS = 1_000
HOLD_SECONDS_FIRST = 0.2
HOLD_SECONDS_MAX = 30.0


class Lanes(ConsumerRebalanceListener):  # type: ignore[misc]
    """The lanes of one consumer; the group opens and ends them."""

    def __init__(
        self, service: str, consumer: AIOKafkaConsumer, apply: Apply, *, batch_messages: int, drain_seconds: float
    ) -> None:
        self.held: dict[str, str] = {}
        self._service = service
        self._consumer = consumer
        self._apply = apply
        self._batch_messages = batch_messages
        self._drain_seconds = drain_seconds
        self._open: dict[TopicPartition, asyncio.Task[None]] = {}
        self._applying: set[TopicPartition] = set()
        self._ending = asyncio.Event()
        self._closed = False

    async def on_partitions_revoked(self, revoked: set[TopicPartition]) -> None:
        """The group is about to deal the partitions anew: finishes what is in hand, so that nobody does it again."""
        await self.end()

    async def on_partitions_assigned(self, assigned: set[TopicPartition]) -> None:
        """The group has dealt; to a consumer that is leaving too, which takes nothing up."""
        if self._closed:
            return
        self._ending.clear()
        for place in assigned:
            self._open[place] = asyncio.create_task(self._lane(place))

    async def end(self) -> None:
        """Ends all lanes: those that read at once, those that apply after their batch, or `drain_seconds` at most."""
        self._ending.set()
        for place, lane in self._open.items():
            if place not in self._applying:
                lane.cancel()
        if self._open:
            _, late = await asyncio.wait(self._open.values(), timeout=self._drain_seconds)
            for lane in late:
                log.warning("a batch is given up", extra={"service": self._service, "after_s": self._drain_seconds})
                lane.cancel()
            await asyncio.gather(*self._open.values(), return_exceptions=True)
        self._open.clear()
        for place in list(self.held):
            self._let_go(place)

    async def close(self) -> None:
        """Ends all lanes for good."""
        self._closed = True
        await self.end()

    def check(self) -> None:
        """Raises what a lane has failed with."""
        for lane in self._open.values():
            if lane.done() and not lane.cancelled():
                lane.result()

    async def _lane(self, place: TopicPartition) -> None:
        times = 0
        reading = asyncio.create_task(self._read(place))
        try:
            while not self._ending.is_set():
                records = await reading
                # The next batch is read while this one is applied: as long as one partition's records lie unread, the
                # consumer asks the broker for no other's (up to 100 ms, aiokafka's prefetch_backoff).
                reading = asyncio.create_task(self._read(place))
                if not records:
                    continue
                crash.at("consumer: after poll")
                self._applying.add(place)
                try:
                    await self._apply([_message(record) for record in records])
                except Transient as error:
                    times += 1
                    reading.cancel()
                    await self._hold(place, records[0].offset, times, str(error))
                    reading = asyncio.create_task(self._read(place))
                else:
                    times = 0
                    self._let_go(_name(place))
                    crash.at("consumer: before offset")
                    await self._commit(place, records[-1].offset + 1)
                finally:
                    self._applying.discard(place)
        finally:
            reading.cancel()
            await asyncio.wait([reading])

    async def _read(self, place: TopicPartition) -> Sequence[Any]:
        polled = await self._consumer.getmany(place, timeout_ms=POLL_MS, max_records=self._batch_messages)
        records: Sequence[Any] = polled.get(place, ())
        return records

    async def _commit(self, place: TopicPartition, offset: int) -> None:
        try:
            await self._consumer.commit({place: offset})
        except KafkaError as error:  # the group has moved on; the inbox knows what was applied
            log.info("offset not committed", extra={"partition": _name(place), "reason": repr(error)})

    async def _hold(self, place: TopicPartition, offset: int, times: int, reason: str) -> None:
        """Waits, longer each time and never in step with others, and goes back to the first that was not applied."""
        seconds = pause_seconds(times, HOLD_SECONDS_FIRST, HOLD_SECONDS_MAX)
        name = _name(place)
        log.warning(
            "partition held",
            extra={"service": self._service, "partition": name, "reason": reason, "wait_s": round(seconds, 3)},
        )
        telemetry.PARTITIONS_HELD.labels(self._service, name).set(1)
        self.held[name] = reason
        if place in self._consumer.assignment():
            self._consumer.seek(place, offset)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._ending.wait(), seconds)

    def _let_go(self, name: str) -> None:
        if self.held.pop(name, None) is not None:
            telemetry.PARTITIONS_HELD.labels(self._service, name).set(0)


def _name(place: TopicPartition) -> str:
    return f"{place.topic}/{place.partition}"


def _message(record: Any) -> Message:
    key: str = (record.key or b"").decode(errors="replace")
    headers = tuple((name, value or b"") for name, value in record.headers)  # Kafka knows a header without a value
    return Message(record.topic, key, record.value or b"", headers)
