"""Small runs of the fault test: each fault and each named step at least once, and only zeros.

In the smallest one faults come back to back; the other, where they come one by one, is in `make test-long`.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared import crash

ROOT = Path(__file__).parents[2]
SMALLEST, SMALL = 600, 2_000
PATIENCE_SECONDS = 1_800
STEPS = (*crash.RELAY, *crash.CONSUMER, *crash.REQUEST)
OTHERS = {
    "broker killed",
    "broker refuses writes",
    "broker stopped",
    "clock hours ahead",
    "connections cut",
    "database killed",
    "messages late and out of order",
    "messages repeated",
    "rolling upgrade, who hears it first",
    "rolling upgrade, who says it first",
    "two relays",
    "upgrade that changes tables, processes first",
    "upgrade that changes tables, tables first",
    "worker added and taken away",
}
"""A deadlock is provoked too; whether it comes about is the server's to say."""


@pytest.fixture(scope="module", params=[SMALLEST, pytest.param(SMALL, marks=pytest.mark.long)])
def figures(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What a run of its own, in processes of its own, has counted."""
    out = tmp_path_factory.mktemp("faults") / "faults.json"
    command = [sys.executable, "-m", "tests.faults", str(request.param), "--out", str(out)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as running:
        try:
            said, _ = running.communicate(timeout=PATIENCE_SECONDS)
        except BaseException:
            running.terminate()
            raise
    assert out.exists(), said
    found: dict[str, Any] = json.loads(out.read_bytes())
    return {**found, "wanted": request.param, "status": running.returncode}


def test_whatever_is_killed_stopped_or_confused_nothing_is_lost_doubled_or_out_of_order(
    figures: dict[str, Any],
) -> None:
    assert figures["wrong"] == {}
    assert (figures["lost"], figures["doubled"], figures["out_of_order"]) == (0, 0, 0)
    assert float(figures["ledger_sum"]) == 0
    assert figures["payments_made"] > 0
    assert figures["events"] >= figures["wanted"]
    assert figures["status"] == 0


def test_every_fault_and_every_named_step_has_happened(figures: dict[str, Any]) -> None:
    happened = set(figures["faults"])
    services = ("listing", "orders", "settlement", "traceability", "alerts")
    killed = {f"kill -9 {name}-{kind}" for name in services for kind in ("api", "worker")}
    crashed = {f"crash {step}" for step in STEPS}
    assert (killed | crashed | OTHERS) - happened == set()
    assert figures["never_came"] == []
