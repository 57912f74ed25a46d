"""The commands that work on a platform that runs, found by its data folder alone, without a variable."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import openpyxl
import pytest

from deploy import addresses
from deploy.commands.sheets import follow
from deploy.embedded import wait_until
from deploy.environment import database_name
from deploy.logs import log_file
from deploy.postgres import server_url
from deploy.visitor import Refused, Visitor
from tests.deploy.test_cli import ROOT, said

PATIENCE_SECONDS = 120
GOOD = "企业名称,企业类型,所属区划代码\n青禾制药有限公司,生产企业,330000\n"


@pytest.fixture(scope="module")
def data(lasting_folder: Path) -> Iterator[Path]:
    """The folder of a platform that runs in one process."""
    folder = lasting_folder / "data"
    command = [sys.executable, "-m", "deploy.cli", "run", "--no-story", "--port", "0", "--data", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as running:
        ready = wait_until(addresses.addresses_file(folder).exists, PATIENCE_SECONDS)
        assert ready, log_file(folder, "run").read_text(encoding="utf-8")
        yield folder
        running.terminate()


def test_an_import_says_by_its_status_whether_every_row_landed(data: Path, tmp_path: Path) -> None:
    sheet, refused = tmp_path / "sheet.csv", tmp_path / "sheet-refused.xlsx"
    sheet.write_text(GOOD, encoding="utf-8")
    status, shown, error = said("import", "enterprises", str(sheet), "--data", str(data))
    assert (status, error) == (0, "")
    assert "1 row read, 1 landed, 0 refused" in shown
    assert "Columns not in the sheet: 统一社会信用代码, 校验位说明" in shown
    assert not refused.exists()
    sheet.write_text(GOOD + "甲药业,生产企业,999999\n", encoding="utf-8")
    status, shown, _ = said("import", "enterprises", str(sheet), "--data", str(data))
    assert status == 1
    assert "2 rows read, 1 landed, 1 refused" in shown
    assert str(refused) in shown.replace("\n", "")
    assert openpyxl.load_workbook(refused).active["A2"].value == "甲药业"


class Interrupted(Visitor):
    """Asks a platform whose database does not answer the first look at a job."""

    looks = 0

    async def call(self, method: str, path: str, headers: Mapping[str, str], **content: Any) -> Any:
        if method == "POST":
            return {"job_id": "1"}
        self.looks += 1
        if self.looks == 1:
            raise Refused(method, path, httpx.Response(503, json={"detail": "The database does not answer now."}))
        return {"state": "done", "done": 1, "total": 1, "refused": 0, "result": {}}


async def test_an_import_is_followed_over_a_look_that_was_not_answered(tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text(GOOD, encoding="utf-8")
    visitor = Interrupted({}, lambda *_: "")
    job = await follow(visitor.person("operator", "O", "000000"), "enterprises", sheet, "text/csv", "standard")
    assert (job["state"], visitor.looks) == ("done", 2)


def test_a_sheet_that_is_refused_as_a_whole_is_said_once_with_each_fault(data: Path, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.csv"
    sheet.write_text("名称,企业类型\n甲,生产企业\n", encoding="utf-8")
    status, _, error = said("import", "enterprises", str(sheet), "--data", str(data))
    assert status == 1
    assert error.count("名称, 企业类型") == 1
    assert error.count("a header 企业名称") == 1
    lines = error.splitlines()
    assert len(lines) == len(set(lines))
    text = sheet.with_suffix(".xlsx")
    sheet.rename(text)
    status, _, error = said("import", "enterprises", str(text), "--data", str(data))
    assert (status, error.count("sent as .xlsx and is plain text")) == (1, 1)


def test_operators_need_no_variables_on_the_embedded_default(data: Path) -> None:
    assert said("dead", "list", "orders", "--data", str(data))[:2] == (0, "orders: no dead letters.\n")
    status, shown, _ = said("republish", "listing", "enterprises", "--data", str(data))
    assert (status, "enterprises are said again" in shown) == (0, True)
    status, shown, _ = said("rebuild", "orders", "market", "--data", str(data))
    assert (status, "orders: market is empty." in shown) == (0, True)
    # What was said again is on its way for a moment, and until it has gone the chain is not whole.
    assert wait_until(lambda: said("audit", "--data", str(data))[0] == 0, PATIENCE_SECONDS)


def test_a_projection_is_not_emptied_when_nobody_would_fill_it(data: Path) -> None:
    async def recalled(sql: str) -> Any:
        settlement = await asyncpg.connect(f"{server_url(data)}/{database_name('settlement')}")
        try:
            return await settlement.fetchval(sql)
        finally:
            await settlement.close()

    count = "SELECT count(*) FROM recalled_lots"
    asyncio.run(
        recalled(
            "INSERT INTO recalled_lots (recall_id, lot_number, product_code) VALUES (gen_random_uuid(), '甲', 'X')"
        )
    )
    status, _, error = said("rebuild", "settlement", "recalls", "--data", str(data))
    assert (status, "traceability would say nothing to fill it again" in " ".join(error.split())) == (1, True)
    assert asyncio.run(recalled(count)) == 1
    assert said("rebuild", "settlement", "recalls", "--anyway", "--data", str(data))[0] == 0
    assert asyncio.run(recalled(count)) == 0


def test_the_audit_names_the_first_day_that_differs_from_a_head_kept_outside(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "orders.jsonl"
    file.write_text('{"service": "orders", "day": "2020-01-02", "rows": 1, "last_id": 1, "digest": "00"}\n')
    status, _, error = said("audit", "--data", str(data), "--heads", str(file))
    assert (status, "orders: the head of 2020-01-02 was kept outside as 1 rows" in error) == (1, True)
    file.write_text("no head\n")
    status, _, error = said("audit", "--data", str(data), "--heads", str(file))
    assert (status, f"line 1 of {file} is no head" in error) == (1, True)
