"""Asks servers over HTTP as fast as they answer, turn by turn, so that what else the machine does weighs on all alike."""

import asyncio
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

CONNECTIONS = 8
START_SECONDS = 60


@dataclass(eq=False)
class Target:
    """A server under load, and what it is asked; `make` gives the bytes of the next request."""

    name: str
    process: subprocess.Popen[str]
    port: int
    make: Callable[[], bytes] = lambda: b""
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    latencies: list[float] = field(default_factory=list)

    def cpu_seconds(self) -> float:
        """What the server process has worked so far."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    @property
    def rate(self) -> float:
        """Requests a second, the middle of all turns."""
        return statistics.median(self.rates)

    @property
    def cpu_us(self) -> float:
        """CPU of the server process per request, in microseconds."""
        return statistics.median(self.cpu) * 1e6

    def percentile(self, part: float) -> float:
        """Milliseconds that this part of the requests stayed under."""
        return sorted(self.latencies)[int(len(self.latencies) * part)] * 1e3


@contextmanager
def server(name: str, data: Path, url: str, *options: str) -> Iterator[Target]:
    """A server process (see http_server.py), ended at the end."""
    kind = "anchor" if name == "anchor" else "ours"
    command = [sys.executable, "-m", "tests.bench.http_server", kind, "--url", url, "--data", str(data), *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Target(name, process, int(process.stdout.readline()))
        finally:
            process.terminate()


def request(method: str, path: str, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "host: bench", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: bytes) -> bytes:
    """Sends a request and reads the body of its answer; a refusal ends the measurement."""
    writer.write(asked)
    head = await reader.readuntil(b"\r\n\r\n")
    _, _, length = head.lower().partition(b"content-length: ")
    body = await reader.readexactly(int(length.partition(b"\r\n")[0]))
    if head[9:10] != b"2":
        raise RuntimeError(f"refused: {head.decode()}{body[:1000].decode()}")
    return body


async def _turn(target: Target, seconds: float, connections: int) -> None:
    count = 0

    async def one() -> None:
        nonlocal count
        reader, writer = await asyncio.open_connection("127.0.0.1", target.port, limit=2**26)
        while (begun := time.perf_counter()) < until:
            await ask(reader, writer, target.make())
            target.latencies.append(time.perf_counter() - begun)
            count += 1
        writer.close()
        await writer.wait_closed()

    worked, started = target.cpu_seconds(), time.perf_counter()
    until = started + seconds
    await asyncio.gather(*(one() for _ in range(connections)))
    target.rates.append(count / (time.perf_counter() - started))
    target.cpu.append((target.cpu_seconds() - worked) / count)


async def ready(target: Target) -> None:
    """Returns when the server answers."""
    until = time.perf_counter() + START_SECONDS
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", target.port)
            writer.write(b"GET /openapi.json HTTP/1.1\r\nhost: bench\r\nconnection: close\r\n\r\n")
            writer.close()
        except OSError:
            if time.perf_counter() > until:
                raise
            await asyncio.sleep(0.1)
        else:
            return


async def turns(targets: Sequence[Target], *, rounds: int, seconds: float, connections: int = CONNECTIONS) -> None:
    """Loads each in turn, `rounds` times; a first turn of each is forgotten."""
    for number in range(rounds + 1):
        for target in targets:
            await _turn(target, seconds, connections)
            if number == 0:
                for figures in (target.rates, target.cpu, target.latencies):
                    figures.clear()


def ratio(ours: Target, anchor: Target) -> float:
    """Ours over anchor: the middle of the ratios of each round, because a round sees one weather."""
    return statistics.median(a / b for a, b in zip(ours.rates, anchor.rates, strict=True))
