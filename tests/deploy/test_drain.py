"""Connections that end: at SIGTERM under load who was let in is answered whole, who was not changed nothing, and the process ends
cleanly and soon; and who is refused hears why, however much it was sending."""

import asyncio
import os
import signal
import socket
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import orjson
import pytest

from deploy.environment import Embedded, database_name
from deploy.issuer import make_token
from deploy.postgres import EmbeddedPostgres
from tests.deploy.test_cli import said

CLIENTS = 8
ANSWERS = 10 * CLIENTS
PATIENCE_SECONDS = 60
MOST_SECONDS = 10
"""Far less than `drain_seconds`: nobody waits for a client that only goes on asking."""
BODY_BYTES = 12 * 2**20
"""More than a body may have."""
REPORT = {"kind": "short_ship", "region": "330102", "text": "缺货", "occurred_at": "2026-01-01T00:00:00Z"}


class Serving:
    """The API of alerts as a process of its own."""

    def __init__(self, process: asyncio.subprocess.Process, port: int, token: str, url: str) -> None:
        self.process = process
        self.port = port
        self.url = url
        self._token = token
        self.outcomes: Counter[str] = Counter()
        self.under_load = asyncio.Event()
        self._numbers = iter(range(10**9))

    def request(self, *, last: bool) -> bytes:
        body = orjson.dumps(REPORT)
        lines = [
            "POST /problems HTTP/1.1",
            "host: drain",
            f"authorization: Bearer {self._token}",
            f"idempotency-key: k{next(self._numbers)}",
            "content-type: application/json",
            f"content-length: {len(body)}",
            *(["connection: close"] if last else []),
        ]
        return "\r\n".join([*lines, "", ""]).encode() + body

    async def ask_on(self, *, one_each: bool) -> None:
        """Asks until it is refused a connection, on one connection for all or one for each."""
        while True:
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            except ConnectionError:
                self.outcomes["refused"] += 1
                return
            fresh = True
            while await self._asked(reader, writer, last=one_each, fresh=fresh) and not one_each:
                fresh = False
            writer.close()

    async def _asked(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, last: bool, fresh: bool
    ) -> bool:
        """Whether the connection may be used once more; `fresh`: nothing was asked on it before."""
        got = b""
        try:
            writer.write(self.request(last=last))
            got = await reader.read(1)
            got += await reader.readuntil(b"\r\n\r\n")
            head = got.lower()
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            await reader.readexactly(length)
        except (ConnectionError, asyncio.IncompleteReadError):
            self.outcomes["cut" if got else "not taken" if fresh else "closed under a request"] += 1
            return False
        self.outcomes["201" if head.startswith(b"http/1.1 201") else head[:12].decode()] += 1
        if self.outcomes["201"] >= ANSWERS:
            self.under_load.set()
        return b"connection: close" not in head


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    """A database of alerts, migrated by the command as operations do it."""
    with EmbeddedPostgres.start(folder, durable=False) as postgres:
        made = postgres.ensure_database(database_name("alerts"))
        assert said("migrate", "alerts", "--database-url", made)[0] == 0
        yield made


@pytest.fixture
async def serving(folder: Path, url: str) -> AsyncIterator[Serving]:
    told = Embedded(folder, {"alerts": url}, "127.0.0.1:9").variables("alerts")
    token = make_token(folder, organisation="H33010200059", roles=["hospital"], region="330102")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "deploy.cli", "serve", "alerts", "--port", "0"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **told},
    )
    try:
        assert process.stdout is not None
        ready = (await process.stdout.readline()).decode()
        yield Serving(process, int(ready.strip().rpartition(":")[2]), token, url)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_no_request_is_cut_when_the_process_is_told_to_end(serving: Serving) -> None:
    clients = [asyncio.create_task(serving.ask_on(one_each=number % 2 == 0)) for number in range(CLIENTS)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        await serving.under_load.wait()
    serving.process.send_signal(signal.SIGTERM)
    async with asyncio.timeout(MOST_SECONDS):
        assert await serving.process.wait() == 0
        await asyncio.gather(*clients)
    owner = await asyncpg.connect(serving.url)
    written = await owner.fetchval("SELECT count(*) FROM problems")
    await owner.close()
    # A new connection may still be in the kernel's queue when listening ends: it is reset unread, as if it were refused.
    assert set(serving.outcomes) <= {"201", "refused", "not taken"}, serving.outcomes
    assert serving.outcomes["refused"] == CLIENTS
    assert serving.outcomes["not taken"] < CLIENTS
    assert written == serving.outcomes["201"]


@pytest.mark.parametrize("chunked", [False, True])
async def test_who_sends_all_of_a_body_that_is_too_large_before_it_listens_hears_why(
    serving: Serving, chunked: bool
) -> None:
    head, _, _ = serving.request(last=False).partition(b"content-length")
    head += b"connection: close\r\n"
    sent = b" " * BODY_BYTES
    if chunked:
        head += b"transfer-encoding: chunked\r\n\r\n"
        sent = b"".join(b"%x\r\n%b\r\n" % (2**16, sent[: 2**16]) for _ in range(BODY_BYTES // 2**16)) + b"0\r\n\r\n"
    else:
        head += b"content-length: %d\r\n\r\n" % BODY_BYTES
    for _ in range(3):
        answer = await asyncio.to_thread(sent_then_heard, serving.port, head + sent)
        assert answer.startswith(b"HTTP/1.1 413"), answer[:100]
        assert answer.endswith(b"}"), answer[-100:]


def sent_then_heard(port: int, request: bytes) -> bytes:
    """The whole answer for a client that sends everything, and only then reads."""
    with socket.create_connection(("127.0.0.1", port), timeout=MOST_SECONDS) as connection:
        connection.sendall(request)
        return b"".join(iter(lambda: connection.recv(2**16), b""))
