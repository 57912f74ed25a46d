"""The topics of Kafka, made and mended before anybody sends; the number of partitions never changes, nor the order of keys."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError

from shared.bus.base import BusAway
from shared.bus.refused import reason

log = logging.getLogger(__name__)


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
        raise BusAway(f"the topics were not made: {await reason(connection) or repr(error)}") from error
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
