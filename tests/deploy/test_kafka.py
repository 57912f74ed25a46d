"""The embedded Kafka against a real one: what was acknowledged outlives every way to stop the broker."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError

from deploy.embedded import DataFolderBusy, DataFolderUnwritable, JarsUnavailable, is_gone, wait_until
from deploy.kafka import EmbeddedKafka

KEEPER = """
import sys, time
from pathlib import Path
from deploy.kafka import EmbeddedKafka
server = EmbeddedKafka.start(Path(sys.argv[1]))
print(server.pid, server.port, flush=True)
time.sleep(600)
"""
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def server(lasting_folder: Path) -> Iterator[EmbeddedKafka]:
    with EmbeddedKafka.start(lasting_folder) as running:
        yield running


async def send(bootstrap: str, topic: str, text: bytes) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, enable_idempotence=True)
    await producer.start()
    await producer.send_and_wait(topic, text)
    await producer.stop()


async def first_of(bootstrap: str, topic: str) -> bytes:
    consumer = AIOKafkaConsumer(topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        message = await asyncio.wait_for(consumer.getone(), 20)
    finally:
        await consumer.stop()
    value: bytes = message.value
    return value


async def test_restart_keeps_port_and_messages(server: EmbeddedKafka) -> None:
    bootstrap = server.bootstrap
    await send(bootstrap, "restarted", b"42")
    server.restart()
    assert server.bootstrap == bootstrap
    assert await first_of(bootstrap, "restarted") == b"42"


async def test_restart_after_kill_keeps_what_was_acknowledged(server: EmbeddedKafka) -> None:
    bootstrap = server.bootstrap
    await send(bootstrap, "killed", b"43")
    server.kill()
    server.restart()
    assert server.bootstrap == bootstrap
    assert await first_of(bootstrap, "killed") == b"43"


async def test_a_paused_broker_is_silent_until_it_is_resumed(server: EmbeddedKafka) -> None:
    await send(server.bootstrap, "paused", b"44")
    server.pause()
    waiting = asyncio.create_task(first_of(server.bootstrap, "paused"))
    await asyncio.wait([waiting], timeout=1)
    assert not waiting.done()
    server.resume()
    assert await waiting == b"44"


async def test_topics_are_never_made_by_sending(server: EmbeddedKafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=server.bootstrap)
    await admin.start()
    described = await admin.describe_topics(["nobody_made_this"])
    await admin.close()
    assert described[0]["error_code"] == UnknownTopicOrPartitionError.errno


def test_a_second_holder_in_the_same_process_is_refused(server: EmbeddedKafka) -> None:
    with pytest.raises(DataFolderBusy, match=rf"in use by process {os.getpid()}"):
        EmbeddedKafka.start(server.folder)


def test_a_broker_orphaned_by_kill_minus_nine_is_taken_over(folder: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", KEEPER, folder],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert holder.stdout is not None
    orphan_pid, port = map(int, holder.stdout.readline().split())
    holder.kill()
    holder.communicate()
    assert psutil.pid_exists(orphan_pid)
    with EmbeddedKafka.start(folder) as heir:
        assert wait_until(
            lambda: not psutil.pid_exists(orphan_pid) or is_gone(psutil.Process(orphan_pid)),
            timeout_seconds=5,
        )
        assert heir.port == port


def test_a_folder_that_cannot_be_made_is_refused_with_one_sentence(folder: Path) -> None:
    (folder / "file").write_text("in the way")
    with pytest.raises(DataFolderUnwritable, match=r"cannot be written .*choose another"):
        EmbeddedKafka.start(folder / "file" / "data")


def test_missing_jars_without_a_network_are_explained(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = "http://127.0.0.1:9"
    monkeypatch.setenv("HOME", str(folder / "home"))
    monkeypatch.delenv("M2_REPO", raising=False)
    for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, nowhere)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(
        JarsUnavailable, match=r"jars of .*kafka_2.13:4.3.1 .* could not be fetched .*check the network"
    ):
        EmbeddedKafka.start(folder / "data")
