"""A replay of invented months over HTTP against the one-process platform: reconciled, killed, continued, repeated."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from deploy.replay import host
from shared.imports import open_sheet
from shared.migrations import ROOT
from tests.deploy.replay import sheets_made as made

PATIENCE_SECONDS = 240
FIELDS = (
    "rows ordered refused yuan_in yuan_ordered yuan_refused orders lines_accepted yuan_accepted payables yuan_payable"
    " yuan_paid codes_captured lines_covered provisional alerts_raised alerts_by_kind ledger_sum seconds peak_memory_mb"
)
YUAN_ORDERED = "51139.14"
WORKBOOK = Path(__file__).parents[4] / "shared" / "data" / "procurement_sample" / "样例数据.xlsx"


def _start(sheets: Path, folder: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "deploy.cli", "replay", str(sheets), "--data", str(folder), *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "BUS"},
        start_new_session=True,
    )


def _end(replay: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = replay.communicate(timeout=PATIENCE_SECONDS)
    return replay.returncode, said


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def _clock_past(folder: Path, instant: str) -> Callable[[], bool]:
    file = folder / "clock"
    return lambda: file.exists() and file.read_text(encoding="ascii") > instant


def _check(folder: Path) -> dict[str, Any]:
    """Every figure of the report that the sheet decides."""
    report: dict[str, Any] = msgspec.json.decode((folder / "replay.json").read_bytes())
    assert list(report) == FIELDS.split()
    lines = made.LINES - 1
    assert report["refused"] == {**made.REFUSED, "order_refused": 1}
    assert (report["rows"], report["ordered"], report["orders"]) == (made.ROWS, lines, made.ORDERS)
    assert (report["lines_accepted"], report["payables"], report["lines_covered"]) == (lines, lines, lines)
    same = {report[name] for name in ("yuan_ordered", "yuan_accepted", "yuan_payable", "yuan_paid")}
    assert same == {YUAN_ORDERED}
    assert (report["codes_captured"], report["ledger_sum"]) == (made.UNITS, "0.00")
    assert report["alerts_raised"] == sum(report["alerts_by_kind"].values()) == made.OVERDUE
    provisional = report["provisional"]
    assert (provisional["enterprises"], provisional["rows"]) == (3, 3)
    assert provisional["names"] == {"北禾医药有限公司": 3, "白露制药(东禾)有限公司": 0, "青禾制药有限公司": 0}
    return report


@pytest.mark.parametrize("kind", ["csv", "xlsx"])
def test_months_are_played_and_reconcile(kind: str, folder: Path, tmp_path: Path) -> None:
    sheets = made.write_csv(tmp_path) if kind == "csv" else made.write_workbook(tmp_path / "样例.xlsx")
    status, said = _end(_start(sheets, folder))
    assert status == 0, said
    report = _check(folder)
    assert report["peak_memory_mb"] > 0
    with open_sheet(folder / "replay-refused.csv") as sheet:
        place = sheet.header.index("由谁 refused by")
        by = [row.cells[place] for row in sheet]
    assert by == ["importer"] * sum(made.REFUSED.values()) + ["api"]
    assert host.running_on(folder) is None
    assert not (folder / "clock").exists()


def _sums(folder: Path) -> dict[str, Any]:
    """The reconciliation, after what holds of each is looked at."""
    report: dict[str, Any] = msgspec.json.decode((folder / "replay.json").read_bytes())
    assert report["ordered"] + sum(report["refused"].values()) == report["rows"]
    assert Decimal(report["yuan_in"]) == Decimal(report["yuan_ordered"]) + Decimal(report["yuan_refused"])
    assert len({report[name] for name in ("yuan_ordered", "yuan_accepted", "yuan_payable", "yuan_paid")}) == 1
    assert report["lines_accepted"] == report["payables"] == report["lines_covered"] == report["ordered"]
    assert report["ledger_sum"] == "0.00"
    return report


def test_another_province_s_sheets_are_played_by_their_own_mapping(folder: Path, tmp_path: Path) -> None:
    sheets = made.write_other_province(tmp_path)
    status, said = _end(_start(sheets, folder, "--mapping", str(sheets / "hexi.toml")))
    assert status == 0, said
    report = _sums(folder)
    assert (report["rows"], report["orders"], report["ordered"], report["refused"]) == (4, 2, 3, {"quantity": 1})
    assert (report["yuan_in"], report["yuan_paid"], report["codes_captured"]) == ("167.50", "165.70", 120)
    assert report["provisional"]["names"] == {"西禾医药有限公司": 1, "青禾制药有限公司": 0}


@pytest.mark.skipif(not WORKBOOK.exists(), reason="the sample data is not beside the project")
def test_the_real_workbook_s_first_rows_are_played_and_reconcile(folder: Path, tmp_path: Path) -> None:
    """The whole workbook comes to the same as the two CSV files, in minutes: of 9,096 rows and 65,259,573.42 yuan, 8,417 rows and
    57,979,212.36 yuan are ordered, accepted, payable and paid; 568 are refused by their quantity, 92 unlisted, 19 repeated."""
    status, said = _end(_start(made.write_part(WORKBOOK, tmp_path / "样例.xlsx", 60), folder))
    assert status == 0, said
    report = _sums(folder)
    assert report["rows"] == 60
    assert report["provisional"]["rows"] > 0, "codes that Excel has spoilt are no keys"


def test_killed_and_started_again_it_goes_on_and_doubles_nothing(folder: Path, tmp_path: Path) -> None:
    sheets = made.write_csv(tmp_path)
    first = _start(sheets, folder)
    _until(_clock_past(folder, "2022-08-06"))
    os.kill(int((folder / "jicai.lock").read_text()), signal.SIGKILL)
    status, said = _end(first)
    assert status == 1
    assert "start the replay again" in said

    second = _start(sheets, folder)
    _until(_clock_past(folder, "2022-08-11"))
    second.kill()
    second.communicate(timeout=PATIENCE_SECONDS)

    status, said = _end(_start(sheets, folder))
    assert status == 0, said
    _check(folder)
    running = host.running_on(folder)
    assert running is not None, "the platform of the replay that was killed goes on"
    running[1].terminate()
    running[1].wait(PATIENCE_SECONDS)

    status, said = _end(_start(sheets, folder))
    assert status == 0, said
    _check(folder)
