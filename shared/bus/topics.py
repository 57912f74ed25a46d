"""The topics of Kafka, made and mended before anybody sends; the number of partitions never changes, nor the order of keys."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from shared.bus.base import BusAway
from shared.bus.refused import reason
from shared.values import frozen

log = logging.getLogger(__name__)

FORGETS = ("retention.ms", "retention.bytes")
"""Settings that are bounds of what is kept; -1 is none."""
HEARD_TRIES, HEARD_PAUSE_SECONDS = 100, 0.1
SET_ON_TOPIC = 1
"""The source of a setting that a topic has for itself, as the protocol numbers it."""


@frozen
class _Settings:
    """What a topic is told: everything that holds, and what of it is set on the topic itself."""

    held: Mapping[str, str]
    own: Mapping[str, str]

    def differing(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """What of the wanted does not hold."""
        return {key: value for key, value in wanted.items() if self.held.get(key) != value}

    def forgetting(self, wanted: Mapping[str, str]) -> dict[str, str]:
        """What of the differing makes the broker forget messages that it has."""
        return {
            key: value for key, value in self.differing(wanted).items() if key in FORGETS and self._less(key, value)
        }

    def _less(self, key: str, value: str) -> bool:
        try:
            now, then = int(self.held.get(key, "-1")), int(value)
        except ValueError:  # the broker will say that it is no number
            return False
        return then >= 0 and (now < 0 or then < now)


async def ensure_topics(
    topics: Sequence[str],
    *,
    partitions: int = 6,
    replication: int = 1,
    settings: Mapping[str, str] | None = None,
    say: Callable[[str], None] = log.info,
    may_forget: Callable[[], bool] = lambda: False,
    dry_run: bool = False,
    **connection: Any,
) -> list[str]:
    """Makes the topics that are missing, before anybody sends, and mends the settings of the others; returns what was not done.

    `say` hears of every difference before anything changes, then `may_forget` is asked where the broker would forget messages
    that it has; without it, and in a `dry_run`, nothing is forgotten. Partitions are never added: the partition of a key would
    change, and its order with it. Settings that are not named stay. Raises BusAway when the broker does not answer or refuses.
    """
    wanted = dict(settings or {})
    admin = AIOKafkaAdminClient(**connection)
    try:
        await admin.start()
        missing = sorted(set(topics) - set(await admin.list_topics()))
        there = sorted(set(topics) - set(missing))
        known = await _settings_of(admin, there) if wanted else {}
        other = {name: has for name, has in known.items() if has.differing(wanted)}
        for name in missing:
            say(f"{name}: is made, {partitions} partitions, {replication} replicas, {wanted}")
        undone = await _what_stays(admin, there, partitions, replication)
        for difference in undone:
            say(difference)
        losses = {name: has.forgetting(wanted) for name, has in other.items()}
        for name, has in other.items():
            for key, value in has.differing(wanted).items():
                lost = "; what is more is forgotten" if key in losses[name] else ""
                say(f"{name}: {key} becomes {value}, was {has.held.get(key)}{lost}")
        if dry_run:
            return undone
        if not any(losses.values()) or may_forget():
            losses = {}
        undone += [f"{name}: {key} stays {other[name].held.get(key)}" for name, keys in losses.items() for key in keys]
        await _make(admin, [NewTopic(name, partitions, replication, topic_configs=wanted) for name in missing])
        await _mend(admin, {name: {**has.own, **_without(wanted, losses.get(name))} for name, has in other.items()})
    except (KafkaError, OSError) as error:
        raise BusAway(f"the topics were not made: {await reason(connection) or repr(error)}") from error
    finally:
        await admin.close()
    return undone


def _without(wanted: Mapping[str, str], left_out: Collection[str] | None) -> dict[str, str]:
    return {key: value for key, value in wanted.items() if key not in (left_out or ())}


async def _make(admin: AIOKafkaAdminClient, wanted: Sequence[NewTopic]) -> None:
    if not wanted:
        return
    answer = await admin.create_topics(list(wanted))
    for topic, code, *rest in answer.topic_errors:
        if code not in (0, TopicAlreadyExistsError.errno):
            raise BusAway(f"topic {topic} was not made: {rest or code}")


async def _what_stays(
    admin: AIOKafkaAdminClient, topics: Sequence[str], partitions: int, replication: int
) -> list[str]:
    stays: list[str] = []
    for found in await admin.describe_topics(list(topics)) if topics else ():
        name, has = found["topic"], found["partitions"]
        if len(has) != partitions:
            stays.append(f"{name}: keeps its {len(has)} partitions; {partitions} would change the order of keys")
        if {len(one["replicas"]) for one in has} != {replication}:
            stays.append(f"{name}: has not {replication} replicas everywhere; move them with the broker's own tool")
    return stays


async def _settings_of(admin: AIOKafkaAdminClient, topics: Sequence[str]) -> dict[str, _Settings]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name) for name in topics]
    found: dict[str, _Settings] = {}
    for answer in await admin.describe_configs(asked) if asked else ():
        for _, _, _, name, entries in answer.resources:
            own = {entry[0]: entry[1] for entry in entries if entry[3] == SET_ON_TOPIC}
            found[name] = _Settings({entry[0]: entry[1] for entry in entries}, own)
    return found


async def _mend(admin: AIOKafkaAdminClient, told: Mapping[str, Mapping[str, str]]) -> None:
    """Tells topics all that each shall be told; a broker hears of it a moment after it was agreed to, and is waited for."""
    for name, settings in told.items():
        await _tell(admin, name, settings)
    for _ in range(HEARD_TRIES):
        known = await _settings_of(admin, list(told))
        if not any(known[name].differing(settings) for name, settings in told.items()):
            return
        await asyncio.sleep(HEARD_PAUSE_SECONDS)


async def _tell(admin: AIOKafkaAdminClient, topic: str, settings: Mapping[str, str]) -> None:
    """Tells a topic all that it shall be told: what is left out goes back to the broker's default."""
    for answer in await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, dict(settings))]):
        for code, message, _, name in answer.resources:
            if code:
                raise BusAway(f"the settings of topic {name} were not changed: {message or code}")
