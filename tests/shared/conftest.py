"""The event path for tests: one Kafka for the run, a fresh topic and empty databases for each test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

import pytest
from uuid_utils.compat import uuid7

from deploy.kafka import EmbeddedKafka
from shared.bus import LocalBus, ensure_topics
from tests.echo import echo, faults, source
from tests.house import House
from tests.path import OwnTopic, Path


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka.start(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture
async def make_path(house: House, request: pytest.FixtureRequest) -> AsyncIterator[Callable[[str], Awaitable[Path]]]:
    """`await make_path("kafka")`: a path over that bus, with a fresh road."""
    said, heard = await house.database(source), await house.database(echo)
    faults.__init__()  # type: ignore[misc]  a fresh road for each test

    async def made(kind: str) -> Path:
        if kind == "local":
            return Path(said, heard, lambda _: LocalBus(["echo"]), local=True)
        broker: EmbeddedKafka = request.getfixturevalue("kafka")
        topic = f"t{uuid7().hex}"
        await ensure_topics(bootstrap_servers=broker.bootstrap, topics=[topic], partitions=3)
        return Path(
            said,
            heard,
            lambda name, **how: OwnTopic(
                topic, client_id=name, bootstrap_servers=broker.bootstrap, **{"drain_seconds": 1, **how}
            ),
            local=False,
            topic=topic,
        )

    yield made
    await house.empty(source)
    await house.empty(echo)


@pytest.fixture(params=["local", "kafka"])
async def path(request: pytest.FixtureRequest, make_path: Callable[[str], Awaitable[Path]]) -> Path:
    """Each test in the same words over both buses."""
    return await make_path(request.param)


@pytest.fixture
async def kafka_path(make_path: Callable[[str], Awaitable[Path]]) -> Path:
    """What only a broker can do to us."""
    return await make_path("kafka")
