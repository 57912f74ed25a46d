"""What a refused sheet says: columns by the names of the sheet it came as, every fault of a row at once, and what was given as it
was given."""

import csv
from pathlib import Path
from typing import Any

import httpx
import openpyxl
import pytest

from services.listing.handlers import sheets
from shared.settings import Limits
from tests.house import WorkerInHand
from tests.services.listing.people import AUTHORITY, DISTRIBUTOR_CODE, HOSPITAL, MAKER_CODE, Desk, product_code
from tests.services.listing.test_imports import ENTERPRISES, PRODUCTS, RELATIONS, XLSX, imported, product_row, returned

FAILING = "86904879000127"
CHINESE = {"accept-language": "zh-CN"}


async def in_chinese(desk: Desk, worker: WorkerInHand, kind: str, sheet: str) -> list[list[Any]]:
    """The refused rows of a sheet whose sender reads Chinese."""
    headers = {**desk.caller(*AUTHORITY), **CHINESE, "content-type": "text/csv"}
    taken = await desk.client.post(f"/imports/{kind}", content=sheet.encode(), headers=headers)
    await worker.do_jobs()
    _, (_, *rows) = await returned(desk, {"id": taken.json()["job_id"]})
    return rows


def with_code(number: int, price: str = "12.5", reason: str | None = None) -> str:
    """A product with a failing 本位码; `reason` stands in a column of its own behind it."""
    said = "" if reason is None else f"{reason},"
    return product_row(number, price).replace("国药准字H20060001,,", f"国药准字H20060001,{FAILING},{said}")


async def test_a_failing_check_digit_is_told_with_the_other_faults_and_how_to_override_it(
    desk: Desk, worker: WorkerInHand
) -> None:
    await desk.enterprises()
    job = await imported(desk, worker, "products", (PRODUCTS + with_code(1, price="1.50001")).encode())
    _, (_, refused) = await returned(desk, job)
    assert refused[-4].split("\n") == ["挂网价格", "本位码"]
    assert refused[-3].split("\n") == ["1.50001", FAILING]
    allowed = refused[-1].split("\n")[1]
    assert allowed.endswith("or, in a new column 校验位说明 (override_reason), why the code is right all the same")


async def test_a_column_that_the_sheet_has_is_named_as_it_stands_there(desk: Desk, worker: WorkerInHand) -> None:
    await desk.enterprises()
    head = PRODUCTS.replace("本位码,", "本位码, 校验位说明 ,")
    (refused,) = await in_chinese(desk, worker, "products", head + with_code(1, reason=""))
    assert refused[-2] == f"{FAILING} 的校验位不符"
    assert refused[-1].endswith("或在 “校验位说明”列 中说明代码为何仍然正确")
    uscc = MAKER_CODE[:-1] + "0"
    (refused,) = await in_chinese(desk, worker, "enterprises", ENTERPRISES + f"甲药业,卖家,330000,{uscc},\n")
    assert refused[-4].split("\n") == ["企业类型", "统一社会信用代码"]
    assert "“校验位说明”列" in refused[-1]


async def test_of_two_columns_of_which_one_would_do_both_are_named(desk: Desk, worker: WorkerInHand) -> None:
    (refused,) = await in_chinese(desk, worker, "distributions", RELATIONS + f"{product_code(1)},330000,,,,\n")
    assert refused[-4:] == [
        "配送企业代码, 配送企业名称",
        "",
        "未写明配送企业",
        "“配送企业代码”列 或 “配送企业名称”列",
    ]


async def test_what_the_rules_find_in_a_row_is_told_with_its_wrong_cells(desk: Desk, worker: WorkerInHand) -> None:
    row = f"{product_code(1)},33000,,,2026-02-01,2026-01-31\n"
    (refused,) = await in_chinese(desk, worker, "distributions", RELATIONS + row)
    assert refused[-4].split("\n") == ["区划代码", "失效日期", "配送企业代码, 配送企业名称"]
    assert refused[-3].split("\n") == ["33000", "2026-01-31", ""]
    assert refused[-2].split("\n")[1:] == ["结束早于开始", "未写明配送企业"]


async def test_one_product_at_two_prices_is_refused_by_the_number_of_the_first_row(
    desk: Desk, worker: WorkerInHand
) -> None:
    await desk.enterprises()
    sheet = PRODUCTS + product_row(1) + product_row(2) + product_row(1, price="13") + product_row(1, price="12.50")
    elsewhere = product_row(1, price="13").replace(",330000,", ",330100,")
    job = await imported(desk, worker, "products", (sheet + elsewhere).encode())
    assert (job["result"]["landed"], job["refused"]) == (4, 1), (
        "the same again changes nothing; another region is another"
    )
    _, (_, refused) = await returned(desk, job)
    assert refused[-5:] == [
        "4",
        "医保编码, 区划代码",
        f"{product_code(1)}, 330000",
        "row 2 of this sheet has the same 医保编码, 区划代码 and says something else",
        "one row for each: leave out this row, or row 2",
    ]
    listed = (await desk.get(HOSPITAL, "/listings", region="330000")).json()["items"]
    assert {one["price_yuan"] for one in listed} == {"12.5000"}


async def test_a_sheet_whose_mapping_fixes_the_region_says_one_thing_of_a_product_too(
    desk: Desk, worker: WorkerInHand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.enterprises()
    standard = (sheets.MAPPINGS / "listing_products.toml").read_text(encoding="utf-8")
    fixed = standard.replace(
        'region = "区划代码"', 'region = { value = "330000", why = "the sender is of one province" }'
    )
    (tmp_path / "listing_products_fixed.toml").write_text(fixed, encoding="utf-8")
    monkeypatch.setattr(sheets, "MAPPINGS", tmp_path)
    sheet = (PRODUCTS + product_row(1) + product_row(1, price="13")).encode()
    job = await imported(desk, worker, "products", sheet, mapping="fixed")
    assert (job["state"], job["result"]["landed"], job["refused"]) == ("done", 1, 1), job
    _, (_, refused) = await returned(desk, job)
    assert (refused[-4], refused[-2]) == (
        "医保编码",
        "row 2 of this sheet has the same 医保编码 and says something else",
    )


async def test_the_first_row_is_known_after_a_restart_too(
    desk: Desk, worker: WorkerInHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    await desk.enterprises()
    monkeypatch.setattr("services.listing.handlers.imports.STEP_ROWS", 2)
    rows = [product_row(1), product_row(2), product_row(3), product_row(2, price="9")]
    taken = await desk.send(AUTHORITY, "products", (PRODUCTS + "".join(rows)).encode())
    await worker.database.pool.execute("UPDATE jobs SET state = 'running', done = 3, total = 4, attempts = 1")
    await worker.do_jobs()
    job = (await desk.get(AUTHORITY, taken.headers["location"])).json()
    assert (job["done"], job["refused"]) == (4, 1)
    _, (_, refused) = await returned(desk, job)
    assert refused[-2].startswith("row 3 of this sheet")


async def test_what_was_given_is_shown_as_it_stands_in_the_sheet(desk: Desk, worker: WorkerInHand) -> None:
    await desk.enterprises()
    rows = [
        product_row(1, price="-1.50"),
        product_row(2, price="1,234.50000").replace("1,234.50000", '"1,234.50001"'),
        product_row(3).replace("2022-01-01,", "2022/1/1,2021年12月31日"),
        product_row(4).replace(",20,", ",20.50,"),
        product_row(5, maker=DISTRIBUTOR_CODE.lower()),
    ]
    job = await imported(desk, worker, "products", (PRODUCTS + "".join(rows)).encode())
    _, (_, *back) = await returned(desk, job)
    assert [(row[-4], row[-3]) for row in back] == [
        ("挂网价格", "-1.50"),
        ("挂网价格", "1,234.50001"),
        ("失效日期", "2021年12月31日"),
        ("包装数量", "20.50"),
        ("生产企业代码", DISTRIBUTOR_CODE.lower()),
    ]


async def test_a_sheet_refused_at_once_and_one_refused_later_speak_the_language_of_their_sender(
    desk: Desk, worker: WorkerInHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {**desk.caller(*AUTHORITY), **CHINESE, "content-type": "text/csv"}

    async def send(sheet: str) -> httpx.Response:
        return await desk.client.post("/imports/products", content=sheet.encode(), headers=headers)

    problem = (await send("通用名,最小销售单位,挂网价,区划代码\n甲,盒,1,330000\n")).json()
    assert problem["detail"] == (
        "表头缺少 4 列:医保编码、挂网价格(相近:挂网价)、挂网类别(相近:挂网价)、生产企业代码 或 生产企业名称(第 1 行)"
        ";实际为:通用名, 最小销售单位, 挂网价, 区划代码"
    )
    assert [fault["rule"] for fault in problem["errors"]] == [
        "没有列给出 code",
        "没有列给出 price_yuan",
        "没有列给出 category",
        "没有列给出 manufacturer_code 或 manufacturer_name",
    ]
    taken = await send(PRODUCTS + product_row(1) + product_row(2) + product_row(3))
    look = await desk.client.get(taken.headers["location"], headers=headers)
    assert look.json()["waits_for"]["what"] == "继续处理;已完成 0"
    monkeypatch.setenv("JICAI_LIMIT_SHEET_ROWS", "2")
    monkeypatch.setattr(worker.database, "limits", Limits())
    await worker.do_jobs()
    job = (await desk.client.get(taken.headers["location"], headers=headers)).json()
    assert job["result"] == {
        "reason": "表格超过 2 行(第 4 行);可接受:每个文件至多 2 行",
        "code": "import_refused",
    }
    assert job["waits_for"]["what"] == "查明任务失败的原因,并请发送方重新发送"
    assert (await desk.get(AUTHORITY, taken.headers["location"])).json()["waits_for"]["what"].startswith("find out why")


async def test_a_formula_that_nobody_computed_is_no_empty_cell(
    desk: Desk, worker: WorkerInHand, tmp_path: Path
) -> None:
    """As libraries write them: the formula without its value. In a column that may be empty the row comes back all the same."""
    book = openpyxl.Workbook()
    for row in csv.reader((ENTERPRISES + "甲药业,生产企业,330000,=B9,\n#N/A,生产企业,330000,,\n").splitlines()):
        book.active.append(row)  # type: ignore[union-attr]
    book.save(tmp_path / "sheet.xlsx")
    job = await imported(desk, worker, "enterprises", (tmp_path / "sheet.xlsx").read_bytes(), content_type=XLSX)
    assert (job["result"]["landed"], job["refused"]) == (0, 2)
    _, (_, formula, error) = await returned(desk, job)
    assert formula[-4:] == [
        "统一社会信用代码",
        "=B9",
        "a formula whose value the file does not hold",
        "the value itself",
    ]
    assert error[-3:] == ["#N/A", "an error of the workbook", "the value itself"]
