"""Imports over HTTP: a sheet is a job, good rows land, bad ones come back to be mended, a restart doubles nothing."""

import io
import tracemalloc
from collections.abc import AsyncIterator
from typing import Any

import httpx
import openpyxl
import pytest
from fastapi import Request

from services.listing.handlers import imports
from shared.http import create_app
from shared.imports import REFUSAL_COLUMNS
from shared.jobs import Job
from shared.service import Service
from shared.settings import Limits
from tests.house import House, WorkerInHand
from tests.services.listing.people import (
    AUTHORITY,
    DISTRIBUTOR_CODE,
    HOSPITAL,
    MAKER,
    MAKER_CODE,
    OTHER_AUTHORITY,
    PRODUCT,
    Desk,
    product_code,
)

Who = tuple[str, str, str]

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ENTERPRISES = "企业名称,企业类型,所属区划代码,统一社会信用代码,校验位说明\n"
INSTITUTIONS = "医疗机构代码,医疗机构名称,医院等级,区划代码,是否有效,配送点\n"
PRODUCTS = (
    "医保编码,通用名,商品名,剂型,规格,最小销售单位,包装数量,批准文号,本位码,商品条码,生产企业代码,生产企业名称,"
    "上市许可持有人,代理企业代码,区划代码,挂网价格,挂网类别,批次,价格形成方式,生效日期,失效日期\n"
)
RELATIONS = "医保编码,区划代码,配送企业代码,配送企业名称,生效日期,失效日期\n"


def product_row(number: int, price: str = "12.5", maker: str = MAKER_CODE) -> str:
    return (
        f"{product_code(number)},盐酸二甲双胍片,无,片剂,0.5g,盒,20,国药准字H20060001,,,{maker},,"
        f",,330000,{price},直接挂网,,,2022-01-01,\n"
    )


async def imported(
    desk: Desk, worker: WorkerInHand, kind: str, sheet: bytes, *, who: Who = AUTHORITY, **how: Any
) -> dict[str, Any]:
    """The job of a sheet, done."""
    taken = await desk.send(who, kind, sheet, **how)
    assert taken.status_code == 202, taken.text
    assert taken.headers["location"] == f"/jobs/{taken.json()['job_id']}"
    await worker.do_jobs()
    job: dict[str, Any] = (await desk.get(who, taken.headers["location"])).json()
    return job


async def returned(desk: Desk, job: dict[str, Any], who: Who = AUTHORITY) -> tuple[bytes, list[list[Any]]]:
    """The refused sheet, as bytes and as rows."""
    answer = await desk.get(who, f"/jobs/{job['id']}/refused")
    assert answer.status_code == 200, answer.text
    book = openpyxl.load_workbook(io.BytesIO(answer.content))
    return answer.content, [[cell or "" for cell in row] for row in book.active.iter_rows(values_only=True)]


async def test_good_rows_land_and_bad_ones_come_back_with_column_given_rule_and_accepted(
    desk: Desk, worker: WorkerInHand
) -> None:
    sheet = (
        ENTERPRISES
        + f"青禾制药有限公司,生产企业、代理企业,330000,{MAKER_CODE},\n"
        + "远山医药有限公司,批发商,330000,9.13301007043059e+17,\n"
        + "甲药业,生产企业,350000,,\n"
        + "乙药业,生产企业,330000,91350211M00013FA1N,\n"
        + "丙药业,生产企业,330000,,\n"
    )
    job = await imported(desk, worker, "enterprises", sheet.encode("gb18030"))
    assert (job["state"], job["done"], job["total"], job["refused"]) == ("done", 5, 5, 3)
    assert job["result"] == {"rows": 5, "landed": 2, "refused": 3, "columns_absent": ["同名说明"], "columns_unread": []}
    _, rows = await returned(desk, job)
    assert rows[0][-5:] == list(REFUSAL_COLUMNS)
    where = {row[0]: row[-5:] for row in rows[1:]}
    assert where["远山医药有限公司"][0] == "3"
    assert where["远山医药有限公司"][1].split("\n") == ["企业类型", "统一社会信用代码"]
    assert "9.13301007043059e+17" in where["远山医药有限公司"][2]
    assert where["甲药业"][1:4] == ["所属区划代码", "350000", "the region is not under yours"]
    assert where["乙药业"][1] == "统一社会信用代码"
    landed = (await desk.get(AUTHORITY, "/enterprises")).json()["items"]
    assert [(one["name"], one["kinds"]) for one in landed] == [
        ("青禾制药有限公司", ["manufacturer", "agent"]),
        ("丙药业", ["manufacturer"]),
    ]


async def test_a_refused_sheet_speaks_the_language_of_who_sent_it(desk: Desk, worker: WorkerInHand) -> None:
    row = "远山医药有限公司,批发商,330000,9.13301007043059e+17,\n"
    rules = []
    for language, end in [("zh-CN", ""), ("en", "\n")]:
        headers = {**desk.caller(*AUTHORITY), "content-type": "text/csv", "accept-language": language}
        sheet = (ENTERPRISES + row + "甲药业,生产企业,350000,,\n" + end).encode()
        taken = await desk.client.post("/imports/enterprises", content=sheet, headers=headers)
        await worker.do_jobs()
        job = (await desk.get(AUTHORITY, taken.headers["location"])).json()
        _, (_, *rows) = await returned(desk, job)
        rules.append([(rule, allowed) for *_, rule, allowed in rows])
    (codes, kept), (codes_in_english, kept_in_english) = rules
    assert codes[0] == "不是该列可用的值\n像是被电子表格改动过的数字"
    assert codes[1].split("\n")[1].startswith("18 位,由 0-9 和 A-Z")
    assert codes_in_english[0] == "not one of the values of this field\nlooks like a number changed by a spreadsheet"
    assert kept != kept_in_english


async def test_below_a_mount_the_job_is_found_where_location_says(desk: Desk) -> None:
    app = desk.client._transport.app  # type: ignore[attr-defined]
    sheet = (ENTERPRISES + "丙药业,生产企业,330000,,\n").encode()
    headers = {**desk.caller(*AUTHORITY), "content-type": "text/csv", "idempotency-key": "below a mount"}
    mounted = httpx.AsyncClient(transport=httpx.ASGITransport(app, root_path="/listing"), base_url="http://test")
    async with mounted:
        first, again = [
            await mounted.post("/listing/imports/enterprises", content=sheet, headers=headers) for _ in range(2)
        ]
        assert again.headers["idempotency-replayed"] == "true"
        assert first.headers["location"] == again.headers["location"] == f"/listing/jobs/{first.json()['job_id']}"
        assert (await mounted.get(first.headers["location"], headers=headers)).json()["state"] == "queued"


async def test_the_refused_sheet_is_mended_and_sent_again(desk: Desk, worker: WorkerInHand) -> None:
    await desk.enterprises()
    sheet = PRODUCTS + product_row(1) + product_row(2, price="12.34567") + product_row(3, maker="91330000710959638J")
    job = await imported(desk, worker, "products", sheet.encode())
    assert (job["done"], job["refused"]) == (3, 2)
    content, rows = await returned(desk, job)
    assert [row[-4] for row in rows[1:]] == ["挂网价格", "生产企业代码"]
    book = openpyxl.load_workbook(io.BytesIO(content))
    book.active["P2"] = "12.3456"
    book.active["K3"] = MAKER_CODE
    mended = io.BytesIO()
    book.save(mended)
    second = await imported(desk, worker, "products", mended.getvalue(), content_type=XLSX)
    assert (second["id"] != job["id"], second["done"], second["refused"]) == (True, 2, 0)
    listed = (await desk.get(HOSPITAL, "/listings")).json()["items"]
    assert {one["product_code"]: one["price_yuan"] for one in listed} == {
        product_code(1): "12.5000",
        product_code(2): "12.3456",
        product_code(3): "12.5000",
    }
    assert (await desk.get(AUTHORITY, f"/jobs/{second['id']}/refused")).json()["code"] == "nothing_refused"


async def test_the_same_sheet_twice_is_one_job_and_of_another_organisation_another(
    desk: Desk, worker: WorkerInHand
) -> None:
    sheet = (INSTITUTIONS + "H33010200059,青禾市第二医院,三级甲等,330100,是,东院区;西院区\n").encode()
    first = await desk.send(AUTHORITY, "institutions", sheet)
    again = await desk.send(AUTHORITY, "institutions", sheet)
    assert (first.json()["known"], again.json()) == (False, {"job_id": first.json()["job_id"], "known": True})
    other = await desk.send(OTHER_AUTHORITY, "institutions", sheet)
    assert other.json()["known"] is False
    await worker.do_jobs()
    assert (await desk.get(AUTHORITY, f"/jobs/{other.json()['job_id']}")).status_code == 404
    theirs = (await desk.get(OTHER_AUTHORITY, f"/jobs/{other.json()['job_id']}")).json()
    assert theirs["refused"] == 1, "what a sheet may do is bounded by who sent it"
    (one,) = (await desk.get(HOSPITAL, "/institutions")).json()["items"]
    assert [point["name"] for point in one["delivery_points"]] == ["青禾市第二医院", "东院区", "西院区"]
    assert one["version"] == 1


async def test_relations_land_as_agreed(desk: Desk, worker: WorkerInHand) -> None:
    await desk.enterprises()
    await desk.post(MAKER, "/products", PRODUCT)
    sheet = (
        RELATIONS
        + f"{PRODUCT['code']},330000,{DISTRIBUTOR_CODE},,2022/1/1,\n"
        + f"{PRODUCT['code']},330000,9.13301007043059e+17,远山医药有限公司,2022-01-01,\n"
        + f"{PRODUCT['code']},330100,,远山医药有限公司,20220101,2026年12月31日\n"
        + f"{PRODUCT['code']},330200,,,,\n"
    )
    job = await imported(desk, worker, "distributions", sheet.encode("utf-8-sig"))
    assert (job["done"], job["refused"]) == (4, 2)
    page = (await desk.get(HOSPITAL, "/distributions")).json()["items"]
    assert [(one["region"], one["state"], one["valid_to"]) for one in page] == [
        ("330000", "active", None),
        ("330100", "active", "2026-12-31"),
    ]


async def test_a_job_that_was_killed_goes_on_behind_its_last_step_and_doubles_nothing(
    desk: Desk, worker: WorkerInHand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports, "STEP_ROWS", 10)
    sheet = INSTITUTIONS + "".join(f"H33010{number:06d},{number}号医院,,,,\n" for number in range(200_000, 200_035))
    sheet += "H3301,坏,,,,\n" + "H33010200001,又一院,,,,\n"
    taken = (await desk.send(AUTHORITY, "institutions", sheet.encode())).json()
    step = imports._step
    steps = 0

    class Killed(BaseException):
        pass

    async def killed_at_the_third(job: Job, *more: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise Killed
        await step(job, *more)

    monkeypatch.setattr(imports, "_step", killed_at_the_third)
    with pytest.raises(Killed):
        await worker.do_jobs()
    seen = (await desk.get(AUTHORITY, f"/jobs/{taken['job_id']}")).json()
    assert (seen["state"], seen["done"], seen["total"]) == ("running", 20, 37)
    await worker.database.pool.execute("UPDATE jobs SET leased_until = now() - interval '1 second'")
    await worker.do_jobs()
    seen = (await desk.get(AUTHORITY, f"/jobs/{taken['job_id']}")).json()
    assert (seen["state"], seen["done"], seen["refused"]) == ("done", 37, 1)
    _, rows = await returned(desk, seen)
    assert [row[0] for row in rows[1:]] == ["H3301"]
    count = await worker.database.pool.fetchval("SELECT count(*) FROM institutions")
    versions = await worker.database.pool.fetchval("SELECT sum(version) FROM institutions")
    assert (count, versions) == (35, 36)


@pytest.mark.parametrize(
    ("sheet", "content_type", "says"),
    [
        (b"", "text/csv", "empty"),
        (b"PK\x03\x04nonsense", XLSX, ""),
        ("企业名称,企业类型\n".encode(), "text/csv", "所属区划代码"),
        (ENTERPRISES.replace("企业类型", "企业名称").encode(), "text/csv", "企业名称"),
        (b"\xff\xfe\x00\x01", "text/csv", ""),
        (
            (ENTERPRISES + "甲,生产企业,330000,,\n").encode() + "乙,生产企业,330000,,\n".encode("gb18030"),
            "text/csv",
            "",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", XLSX, "old Office"),
        ((ENTERPRISES + '"' + "甲" * 40_000).encode(), "text/csv", "quotation"),
        ((ENTERPRISES + "甲,生产企业,330000,,\n").encode(), XLSX, "sent as .xlsx and is plain text"),
        (b"\x00\x01\x02", XLSX, "sent as .xlsx and is no workbook"),
        (b"PK\x03\x04" + b"\0" * 30, "text/csv", "sent as .csv and is a zip"),
    ],
)
async def test_a_sheet_that_cannot_be_read_is_refused_at_once(
    desk: Desk, worker: WorkerInHand, sheet: bytes, content_type: str, says: str
) -> None:
    refused = await desk.send(AUTHORITY, "enterprises", sheet, content_type)
    assert (refused.status_code, refused.json()["code"]) == (422, "import_refused"), refused.text
    assert says in refused.json()["detail"]
    assert await worker.database.pool.fetchval("SELECT count(*) FROM jobs") == 0


async def test_a_setting_bounds_a_sheet_where_it_comes_in_and_where_it_is_read(
    desk: Desk, worker: WorkerInHand, house: House, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = (ENTERPRISES + "".join(f"{name}药业,生产企业,330000,,\n" for name in "甲乙丙")).encode()
    taken = await desk.send(AUTHORITY, "enterprises", sheet)
    monkeypatch.setenv("JICAI_LIMIT_SHEET_ROWS", "2")
    monkeypatch.setattr(worker.database, "limits", Limits())
    await worker.do_jobs()
    job = (await desk.get(AUTHORITY, taken.headers["location"])).json()
    assert job["state"] == "failed"
    assert "more than 2 rows" in job["result"]["reason"]
    app = create_app(service, house.settings(service))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://listing") as client,
    ):
        refused = await Desk(client, desk.caller).send(AUTHORITY, "enterprises", sheet)
    assert [fault["code"] for fault in refused.json()["errors"]] == ["too_many_rows"]


async def test_every_missing_column_is_a_fault_and_what_was_found_is_said_once(desk: Desk) -> None:
    refused = await desk.send(AUTHORITY, "products", "通用名,最小销售单位,挂网价,区划代码\n甲,盒,1,330000\n".encode())
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, "import_refused"), refused.text
    assert problem["detail"].count("通用名, 最小销售单位, 挂网价, 区划代码") == 1
    assert "挂网价格 (near: 挂网价)" in problem["detail"]
    assert [fault["rule"] for fault in problem["errors"]] == [
        "no column gives code",
        "no column gives price_yuan",
        "no column gives category",
        "no column gives manufacturer_code or manufacturer_name",
    ]
    assert all(fault["code"] == "missing_column" for fault in problem["errors"])


async def test_optional_columns_may_be_absent_and_the_job_says_which_were(desk: Desk, worker: WorkerInHand) -> None:
    sheet = "企业名称,企业类型,所属区划代码,联系人\n青禾制药有限公司,生产企业,330000,某\n".encode()
    job = await imported(desk, worker, "enterprises", sheet)
    assert (job["state"], job["result"]["landed"]) == ("done", 1), job
    assert job["result"]["columns_absent"] == ["统一社会信用代码", "校验位说明", "同名说明"]
    assert job["result"]["columns_unread"] == ["联系人"]


async def test_a_failing_check_digit_and_a_maker_of_another_name_come_back(desk: Desk, worker: WorkerInHand) -> None:
    await desk.enterprises()
    head = PRODUCTS.replace("本位码,", "本位码,校验位说明,")

    def row(number: int, code: str, reason: str, maker: str) -> str:
        plain = product_row(number).replace("国药准字H20060001,,,", f"国药准字H20060001,{code},{reason},,")
        return plain.replace(f"{MAKER_CODE},,", f"{MAKER_CODE},{maker},")

    sheet = (
        head
        + row(1, "86904879000127", "", "")
        + row(2, "86904879000127", "登记如此", "青禾制药有限公司")
        + row(3, "8690487900012", "登记如此", "")
        + row(4, "", "", "南桥药业有限公司")
    )
    job = await imported(desk, worker, "products", sheet.encode())
    assert (job["result"]["landed"], job["refused"]) == (1, 3), job
    _, rows = await returned(desk, job)
    told = [(back[-4], back[-3], back[-2]) for back in rows[1:]]
    assert [column for column, _, _ in told] == ["本位码", "本位码", "生产企业名称"]
    assert "check digit of 86904879000127 fails" in told[0][2]
    assert told[2][2] == f"{MAKER_CODE} is registered as 青禾制药有限公司, not as 南桥药业有限公司"


async def test_what_else_is_refused_of_an_upload(desk: Desk) -> None:
    good = (ENTERPRISES + "甲,生产企业,330000,,\n").encode()
    assert (await desk.send(AUTHORITY, "enterprises", good, "application/json")).status_code == 415
    assert (await desk.send(AUTHORITY, "hospitals", good)).status_code == 422
    assert (await desk.send(AUTHORITY, "enterprises", good, mapping="none")).json()["code"] == "import_refused"
    assert (await desk.send(AUTHORITY, "enterprises", good, mapping="../x")).status_code == 422
    assert (await desk.send(HOSPITAL, "enterprises", good)).status_code == 403
    shown = (await desk.get(HOSPITAL, "/imports/products/mapping")).json()
    assert {"field": "price_yuan", "column": "挂网价格", "needed": True} in shown["columns"]


async def test_rows_with_what_cannot_be_stored_come_back(desk: Desk, worker: WorkerInHand) -> None:
    await desk.enterprises()
    rows = [
        product_row(1).replace("片剂", "片\u202e剂"),
        product_row(2).replace("片剂", "片\U0001f600剂"),
        product_row(3, price="-1"),
        product_row(4, price="NaN"),
        product_row(5, price="1e3"),
        product_row(6).replace("2022-01-01", "2022-02-30"),
        product_row(7).replace(",20,", ",20.5,"),
        product_row(8).replace("直接挂网", "随便"),
        product_row(9).replace("国药准字H20060001", "国药准字H2006"),
        product_row(10).replace("330000", "350000"),
    ]
    job = await imported(desk, worker, "products", (PRODUCTS + "".join(rows)).encode())
    assert (job["done"], job["refused"]) == (10, 10)
    _, back = await returned(desk, job)
    assert all(row[-2] for row in back[1:])
    assert [row[-5] for row in back[1:]] == [str(number) for number in range(2, 12)]


async def test_a_file_under_a_key_is_hashed_as_it_comes_and_never_held_whole(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def whole(_: Request) -> bytes:
        raise AssertionError("a file must not be read into memory")

    sheet = (ENTERPRISES + "青禾制药有限公司,生产企业,330100,,\n").encode()
    other = (ENTERPRISES + "白禾制药有限公司,生产企业,330100,,\n").encode()
    monkeypatch.setattr(Request, "body", whole)
    first, again, changed = [await _send(desk, "sheet-1", one) for one in (sheet, sheet, other)]
    assert (first.status_code, again.status_code) == (202, 202)
    assert (again.content, again.headers["idempotency-replayed"]) == (first.content, "true")
    assert (changed.status_code, changed.json()["code"]) == (422, "key_reused")


async def test_a_large_file_is_taken_in_flat_memory(desk: Desk) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(800):
            yield b"x" * 65_536

    tracemalloc.start()
    try:
        taken = await _send(desk, "large", pieces())
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken.status_code in (202, 422), taken.text
    assert most < 20_000_000, "50 MB came in"


async def _send(desk: Desk, key: str, sheet: bytes | AsyncIterator[bytes]) -> httpx.Response:
    headers = {**desk.caller(*AUTHORITY), "content-type": "text/csv", "idempotency-key": key}
    return await desk.client.post("/imports/enterprises", content=sheet, headers=headers)
