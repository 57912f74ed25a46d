"""Topics are made and mended by what is told, and everything that will change is said before anything does."""

import asyncio
from collections.abc import Sequence

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from uuid_utils.compat import uuid7

from deploy.kafka import EmbeddedKafka
from deploy.wiring import SettingsRefused, TopicSettings
from deploy.wiring import told as told_settings
from shared.bus import BusAway, ensure_topics

WEEK, DAY = {"retention.ms": "604800000"}, {"retention.ms": "86400000"}


async def shows(broker: EmbeddedKafka, topic: str, settings: dict[str, str]) -> None:
    """Waits until the broker shows these settings: it takes a change a moment before it shows it. Raises TimeoutError."""
    async with asyncio.timeout(20):
        while await told(broker, topic, *settings) != settings:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def told(broker: EmbeddedKafka, topic: str, *keys: str) -> dict[str, str]:
    """What the broker shows of a topic's settings."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        asked = ConfigResource(ConfigResourceType.TOPIC, topic, dict.fromkeys(keys))
        (answer,) = await admin.describe_configs([asked])
    finally:
        await admin.close()
    return {entry[0]: entry[1] for entry in answer.resources[0][4]}


async def set_by_hand(broker: EmbeddedKafka, topic: str, settings: dict[str, str]) -> None:
    """As somebody does with the broker's own tool."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, settings)])
    finally:
        await admin.close()


@pytest.fixture
async def topic(kafka: EmbeddedKafka) -> str:
    """A topic that keeps a week."""
    name = f"t{uuid7().hex}"
    await ensure_topics([name], settings=WEEK, bootstrap_servers=kafka.bootstrap)
    return name


class Stopped(Exception):
    """Somebody reads what will change, and does not want it."""


async def test_whoever_stops_at_the_last_difference_has_changed_nothing(kafka: EmbeddedKafka, topic: str) -> None:
    fresh = f"t{uuid7().hex}"
    heard: list[str] = []

    def say(difference: str) -> None:
        heard.append(difference)
        if len(heard) == 3:
            raise Stopped

    with pytest.raises(Stopped):
        await ensure_topics([topic, fresh], settings=DAY, partitions=3, say=say, bootstrap_servers=kafka.bootstrap)
    assert heard == [
        f"{fresh}: is made, 3 partitions, 1 replicas, {DAY}",
        f"{topic}: keeps its 6 partitions; 3 would change the order of keys",
        f"{topic}: retention.ms becomes 86400000, was 604800000; what is more is forgotten",
    ]
    assert await told(kafka, topic, "retention.ms") == WEEK
    assert await made(kafka, [topic, fresh]) == [topic]


async def made(broker: EmbeddedKafka, topics: Sequence[str]) -> list[str]:
    """Those of the topics that are there."""
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        return sorted(set(topics) & set(await admin.list_topics()))
    finally:
        await admin.close()


async def test_a_setting_that_somebody_else_has_made_stays(kafka: EmbeddedKafka, topic: str) -> None:
    by_hand = {"max.message.bytes": "2000000"}
    await set_by_hand(kafka, topic, {**WEEK, **by_hand})
    await shows(kafka, topic, by_hand)
    heard: list[str] = []
    undone = await ensure_topics(
        [topic], settings=DAY, say=heard.append, may_forget=lambda: True, bootstrap_servers=kafka.bootstrap
    )
    assert undone == []
    assert heard == [f"{topic}: retention.ms becomes 86400000, was 604800000; what is more is forgotten"]
    await shows(kafka, topic, {**DAY, **by_hand})


async def test_what_makes_the_broker_forget_is_done_only_when_it_is_agreed_to(kafka: EmbeddedKafka, topic: str) -> None:
    other = {"segment.ms": "3600000"}
    undone = await ensure_topics([topic], settings={**DAY, **other}, bootstrap_servers=kafka.bootstrap)
    assert undone == [f"{topic}: retention.ms stays 604800000"]
    await shows(kafka, topic, {**WEEK, **other})
    longer = {"retention.ms": "1209600000"}
    assert await ensure_topics([topic], settings=longer, bootstrap_servers=kafka.bootstrap) == []
    await shows(kafka, topic, longer)
    dry = await ensure_topics(
        [topic], settings=DAY, may_forget=lambda: True, dry_run=True, bootstrap_servers=kafka.bootstrap
    )
    assert dry == []
    assert await told(kafka, topic, "retention.ms") == longer


async def test_a_setting_that_the_broker_does_not_take_is_said(kafka: EmbeddedKafka, topic: str) -> None:
    with pytest.raises(BusAway, match=f"the settings of topic {topic} were not changed: .*retention.ms"):
        await ensure_topics([topic], settings={"retention.ms": "long"}, bootstrap_servers=kafka.bootstrap)
    assert await told(kafka, topic, "retention.ms") == WEEK


def test_more_replicas_in_sync_than_there_are_is_refused_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JICAI_TOPIC_REPLICAS", "2")
    monkeypatch.setenv("JICAI_TOPIC_MIN_INSYNC_REPLICAS", "2")
    assert told_settings(TopicSettings).configs["min.insync.replicas"] == "2"
    monkeypatch.setenv("JICAI_TOPIC_MIN_INSYNC_REPLICAS", "3")
    with pytest.raises(SettingsRefused, match=r"TOPIC_MIN_INSYNC_REPLICAS: .*is 3, allowed are 1 to 2"):
        told_settings(TopicSettings)
