"""The five services as ten processes, an API and a worker each, on a real Kafka and a real PostgreSQL of this machine."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import httpx

from deploy import addresses, story
from deploy.addresses import Address
from deploy.children import CLI, Children, kept
from deploy.databases import bring_to_head
from deploy.embedded import LOOPBACK, POLL_SECONDS, Revivable, ServerNotReady, free_port, look_after
from deploy.environment import Embedded, database_name
from deploy.issuer import jwks_file
from deploy.kafka import EmbeddedKafka
from deploy.platform import token_maker
from deploy.postgres import EmbeddedPostgres
from deploy.server import reserved, stoppable
from deploy.services import NAMES
from deploy.wiring import TopicSettings, make_topics, told
from shared.service import Service

START_TIMEOUT_SECONDS = 90.0
WATCH_SECONDS = 0.2
OPS_OFFSET = 10
"""The worker of the API on port 8001 answers operations on 8011."""


def ports_of(names: Sequence[str], base: int) -> dict[str, tuple[int, int]]:
    """API and operations port of each service: base + 1 … and base + 11 …; 0: any that are free. Raises PortTaken."""
    if base == 0:
        return {name: (free_port(), free_port()) for name in names}
    ports = {name: (base + place, base + OPS_OFFSET + place) for place, name in enumerate(names, 1)}
    with ExitStack() as together:
        for port in (port for pair in ports.values() for port in pair):
            together.enter_context(reserved(port))
    return ports


def up(services: Sequence[Service], data_dir: Path, base_port: int, *, tell: bool = True) -> None:
    """Everything from start to stop; prints `ready:` with the addresses when all ten answer. Raises CannotStart."""
    data_dir = data_dir.expanduser().resolve()
    names = [service.name for service in services]
    with stoppable(data_dir), kept(data_dir):
        ports = ports_of(names, base_port)
        fresh = not (data_dir / "postgres").exists()
        first = "; the first time Kafka is fetched and databases are made, up to a minute more" if fresh else ""
        print(f"Starting PostgreSQL and Kafka, then ten processes: about half a minute{first}.", flush=True)
        with (
            EmbeddedPostgres.start(data_dir) as postgres,
            EmbeddedKafka.start(data_dir) as kafka,
            Children(data_dir) as children,
        ):
            urls = {name: postgres.url(database_name(name)) for name in names}
            if fresh:
                for name in names:
                    postgres.ensure_database(database_name(name))
            asyncio.run(bring_to_head(services, urls))
            make_topics(NAMES, told(TopicSettings, kafka_bootstrap=kafka.bootstrap), lambda _: None)
            jwks_file(data_dir)
            embedded = Embedded(data_dir, urls, kafka.bootstrap)
            print(f"Starting ten processes; their logs are in {data_dir / 'logs'}.", flush=True)
            where = start(children, embedded, ports)
            try:
                servers: dict[str, Revivable] = {"PostgreSQL": postgres, "Kafka": kafka}
                _watch(children, servers, data_dir, where, tell=fresh and tell)
            finally:
                addresses.addresses_file(data_dir).unlink(missing_ok=True)


def start(
    children: Children, embedded: Embedded, ports: Mapping[str, tuple[int, int]], module: str = CLI
) -> dict[str, Address]:
    """Starts an API and a worker for each service, as this command line; says where they will answer."""
    for name, (api, ops) in ports.items():
        variables = embedded.variables(name)
        children.start(f"{name}-api", ["serve", name, "--port", str(api)], variables, module)
        children.start(f"{name}-worker", ["work", name, "--ops-port", str(ops)], variables, module)
    return {
        name: Address(api=f"http://{LOOPBACK}:{api}", ops=f"http://{LOOPBACK}:{ops}")
        for name, (api, ops) in ports.items()
    }


def _watch(
    children: Children, servers: Mapping[str, Revivable], data_dir: Path, where: dict[str, Address], *, tell: bool
) -> None:
    """Waits until all are ready, says so, and stays until one ends or we are told to stop; a server that dies is revived."""
    until_ready(children, [url for address in where.values() for url in (address.api, address.ops)])
    addresses.write(data_dir, where)
    if tell:
        asyncio.run(story.tell(where, token_maker(data_dir), data_dir))
    print("ready:", *(f"{name} {address.api}" for name, address in where.items()), flush=True)
    while True:
        children.check()
        servers = {name: server for name, server in servers.items() if look_after(name, server)}
        time.sleep(WATCH_SECONDS)


def until_ready(children: Children, urls: Sequence[str]) -> None:
    """Waits until every one of these answers that it is ready; raises ServerNotReady, or ChildEnded."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    waiting = list(urls)
    with httpx.Client(timeout=2, trust_env=False) as client:
        while waiting:
            children.check()
            if time.monotonic() > deadline:
                raise ServerNotReady(
                    f"Not ready after {START_TIMEOUT_SECONDS:.0f} seconds: {', '.join(waiting)}; see the logs folder."
                )
            waiting = [url for url in waiting if not _is_ready(client, url)]
            time.sleep(POLL_SECONDS)


def _is_ready(client: httpx.Client, url: str) -> bool:
    try:
        answer = client.get(f"{url}/health/ready")
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK and answer.json()["status"] == "ready"
