"""The one-process platform, as a process: events go through, every way to stop keeps the data, refusals are sentences."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from deploy import addresses
from deploy.embedded import free_port, wait_until
from deploy.issuer import make_token

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 120


class Running:
    """A platform of the toy that has said `ready:`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # Polling so seldom shows that a commit wakes the relay, and a stop every loop.
        self.child = launch(folder, 0, JICAI_LIMIT_POLL_SECONDS="60")
        assert self.child.stdout is not None
        self.said = self.child.stdout.readline()
        while self.said.startswith(("Making PostgreSQL", "The clock is driven")):
            self.said = self.child.stdout.readline()
        assert self.said.startswith("ready: http://127.0.0.1:"), self.child.communicate(timeout=PATIENCE_SECONDS)
        self.base = self.said.split()[1]

    def ask(self, method: str, path: str, role: str, **given: Any) -> httpx.Response:
        token = make_token(self.folder, organisation="H33010200059", roles=[role], region="330100")
        return httpx.request(method, self.base + path, headers={"authorization": f"Bearer {token}"}, **given)

    def call(self, method: str, path: str, role: str = "hospital", **given: Any) -> Any:
        answer = self.ask(method, path, role, **given)
        assert answer.is_success, answer.text
        return answer.json()

    def things(self) -> list[tuple[str, int]]:
        return [(thing["name"], thing["heard"]) for thing in self.call("GET", "/toy/things")]

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Its exit status and what it left on standard error."""
        self.child.send_signal(number)
        self.farewell, errors = self.child.communicate(timeout=PATIENCE_SECONDS)
        return self.child.returncode, errors


def launch(folder: Path, port: int, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.deploy.toy_platform", str(folder), str(port)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | variables,
    )


def refusal(folder: Path, port: int) -> str:
    """What a start that must fail says."""
    child = launch(folder, port)
    out, errors = child.communicate(timeout=PATIENCE_SECONDS)
    assert (child.returncode, out) == (1, ""), errors
    assert errors.count("\n") == 1, "one sentence"
    return errors


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[[], Running]]:
    running: list[Running] = []

    def started() -> Running:
        running.append(Running(tmp_path / "data"))
        return running[-1]

    yield started
    for one in running:
        one.child.terminate()
        try:
            one.child.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            one.child.kill()
            one.child.wait()
        for pipe in (one.child.stdout, one.child.stderr):
            assert pipe is not None
            pipe.close()


def test_an_event_goes_through_and_nothing_is_in_flight_then(start: Callable[[], Running]) -> None:
    platform = start()
    assert platform.said == f"ready: {platform.base} {platform.base}/toy\n"
    assert addresses.read(platform.folder)["toy"].api == f"{platform.base}/toy"
    platform.call("POST", "/toy/things", json={"name": "chair"})
    assert wait_until(lambda: [heard for _, heard in platform.things()] == [1], 10)
    assert platform.call("GET", "/") == {"toy": "/toy"}
    assert platform.call("GET", "/health/ready")["status"] == "ready"
    assert wait_until(lambda: not platform.call("GET", "/in-flight", "operator")["outbox"], 10)
    assert "jicai_events_sent_total" in platform.ask("GET", "/metrics", "operator").text
    assert httpx.get(f"{platform.base}/toy/openapi.json").json()["info"]["title"] == "Toy"


def test_what_is_nobodys_is_refused_with_the_id_and_the_headers_of_every_answer(start: Callable[[], Running]) -> None:
    platform = start()
    for method, path, status in (
        ("GET", "/nope", 404),
        ("GET", "/toy", 404),
        ("GET", "/toy/nope", 404),
        ("DELETE", "/", 405),
        ("GET", "/clock", 401),
    ):
        mine = httpx.request(method, platform.base + path, headers={"x-request-id": "mine"})
        assert (mine.status_code, mine.json()["request_id"]) == (status, "mine"), path
        assert mine.headers.get_list("x-request-id") == ["mine"], path
        assert mine.headers.get_list("x-content-type-options") == ["nosniff"], path
    unnamed = httpx.get(f"{platform.base}/nope")
    assert unnamed.json()["request_id"] == unnamed.headers["x-request-id"]
    body = httpx.put(f"{platform.base}/clock", json={"now": "2022-01-01T00:00:00Z"})
    assert (body.status_code, body.json()["code"]) == (401, "no_token")


def test_the_clock_of_all_is_driven_at_one_address(start: Callable[[], Running]) -> None:
    platform = start()
    platform.call("PUT", "/clock", "operator", json={"now": "2022-01-01T00:00:00Z"})
    assert platform.call("GET", "/toy/clock", "operator") == {"now": "2022-01-01T00:00:00Z", "driven": True}
    back = platform.ask("PUT", "/clock", "operator", json={"now": "2021-01-01T00:00:00Z"})
    assert (back.status_code, back.json()["code"]) == (409, "clock_not_driven")


def test_a_driven_clock_goes_on_after_a_kill_until_it_is_released(start: Callable[[], Running]) -> None:
    first = start()
    first.call("PUT", "/clock", "operator", json={"now": "2022-01-01T00:00:00Z"})
    first.end(signal.SIGKILL)
    second = start()
    assert second.call("GET", "/toy/clock", "operator") == {"now": "2022-01-01T00:00:00Z", "driven": True}
    assert second.ask("PUT", "/clock", "operator", json={"now": "2021-12-31T00:00:00Z"}).status_code == 409
    assert not second.call("DELETE", "/clock", "operator")["driven"]
    second.end(signal.SIGTERM)
    assert not start().call("GET", "/clock", "operator")["driven"]


@pytest.mark.parametrize("below", ["", "/toy"])
def test_health_is_open_and_what_else_operations_ask_is_theirs_alone(start: Callable[[], Running], below: str) -> None:
    platform = start()
    for path in ("/health/live", "/health/ready"):
        assert httpx.get(platform.base + below + path).status_code == 200
    for method, path in (("GET", "/metrics"), ("GET", "/in-flight"), ("GET", "/clock"), ("DELETE", "/clock")):
        bare = httpx.request(method, platform.base + below + path)
        assert (bare.status_code, bare.json()["code"]) == (401, "no_token"), path
        other = platform.ask(method, below + path, "authority")
        assert (other.status_code, other.json()["code"]) == (403, "role_may_not"), path
        assert platform.ask(method, below + path, "operator").status_code == 200
    moved = platform.ask("PUT", below + "/clock", "hospital", json={"now": "2022-01-01T00:00:00Z"})
    assert moved.status_code == 403
    assert not platform.call("GET", below + "/clock", "operator")["driven"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_every_way_to_stop_keeps_the_data(start: Callable[[], Running], number: signal.Signals) -> None:
    first = start()
    first.call("POST", "/toy/things", json={"name": "chair"})
    assert wait_until(lambda: [heard for _, heard in first.things()] == [1], 10)
    ended = first.end(number)
    if number is not signal.SIGKILL:
        assert ended == (0, "")
        assert first.farewell == f"stopping…\nstopped; the data is kept in {first.folder}\n"
        assert not addresses.addresses_file(first.folder).exists()
        assert not _postgres_on(first.folder)
    second = start()
    assert [heard for _, heard in second.things()] == [1]


def test_a_postgresql_that_dies_is_started_again_and_the_console_says_so(start: Callable[[], Running]) -> None:
    platform = start()
    platform.call("POST", "/toy/things", json={"name": "chair"})
    assert wait_until(lambda: [heard for _, heard in platform.things()] == [1], 10)
    postmaster = int((platform.folder / "postgres" / "postmaster.pid").read_text().partition("\n")[0])
    psutil.Process(postmaster).kill()
    assert wait_until(lambda: platform.ask("GET", "/toy/things", "hospital").status_code == 503, 5)
    assert wait_until(lambda: platform.ask("GET", "/toy/things", "hospital").status_code == 200, 40)
    platform.call("POST", "/toy/things", json={"name": "table"})
    assert len(platform.things()) == 2
    assert platform.end(signal.SIGTERM) == (0, "")
    assert platform.farewell.startswith(
        "PostgreSQL has ended by itself; it is started again.\nPostgreSQL answers again"
    )


def test_a_second_start_takes_little_work(start: Callable[[], Running]) -> None:
    start().end(signal.SIGTERM)
    second = start()
    assert second.said.startswith("ready:")
    spent = psutil.Process(second.child.pid).cpu_times()
    assert spent.user + spent.system < 6, "seconds of a processor; about 2 are imports"


def test_a_port_in_use_is_said_before_anything_is_started(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert f"Port {port} on 127.0.0.1 is in use" in refusal(tmp_path / "data", port)
    assert not (tmp_path / "data" / "postgres").exists()


def test_a_busy_folder_names_its_holder(start: Callable[[], Running]) -> None:
    platform = start()
    assert f"is in use by process {platform.child.pid}" in refusal(platform.folder, free_port())


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot be written" in refusal(tmp_path / "file" / "data", free_port())


def _postgres_on(folder: Path) -> bool:
    marks = [str(folder / "postgres")]
    return any(set(marks) <= set(one.info["cmdline"] or ()) for one in psutil.process_iter(["cmdline"]))
