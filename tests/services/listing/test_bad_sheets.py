"""Sheets that no client should send, over HTTP: each is refused as a whole at once, or by the row, with place, value and rule;
nothing of what is refused is kept."""

import io
import secrets
import zipfile
from typing import Any

import openpyxl
import pytest

from tests.house import WorkerInHand
from tests.services.listing.people import AUTHORITY, MAKER_CODE, Desk
from tests.services.listing.test_imports import ENTERPRISES, XLSX, imported, returned

HEADER = ENTERPRISES.strip().split(",")
DAMAGED = "9.13301007043059e+17"
GOOD = "青禾制药有限公司,生产企业,330000,,\n"
MEGABYTES = 10_000_000


def workbook(*rows: list[Any]) -> bytes:
    """A workbook of enterprises."""
    book, made = openpyxl.Workbook(), io.BytesIO()
    for row in (HEADER, *rows):
        book.active.append(row)
    book.save(made)
    return made.getvalue()


def with_part(name: str, content: bytes) -> bytes:
    """A workbook with one part replaced, or added."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook())) as old, zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as new:
        for entry in old.infolist():
            if entry.filename != name:
                new.writestr(entry.filename, old.read(entry))
        new.writestr(name, content)
    return made.getvalue()


SHEET = "xl/worksheets/sheet1.xml"
MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
LONG_TEXT = secrets.token_hex(MEGABYTES // 2)
LONG_CELL = f'<worksheet {MAIN}><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>{LONG_TEXT}</t></is></c></row>'
BOMB = f"<worksheet {MAIN}><sheetData>{' ' * MEGABYTES * 4}</sheetData></worksheet>"
ENTITIES = '<!DOCTYPE s [<!ENTITY a "xxxxxxxxxx"><!ENTITY b "&a;&a;&a;&a;">]><sst><si><t>&b;</t></si></sst>'


@pytest.mark.parametrize(
    ("sheet", "content_type", "code", "says", "allowed"),
    [
        (with_part(SHEET, BOMB.encode()), XLSX, "sheet_too_large", "expands to 40,0", "200 times"),
        (
            with_part("xl/media/zeros.bin", b"0" * MEGABYTES * 2),
            XLSX,
            "sheet_too_large",
            "expands to 20,0",
            "200 times",
        ),
        (with_part(SHEET, ENTITIES.encode()), XLSX, "sheet_broken", "document type (s)", "Excel"),
        (workbook()[:-200], XLSX, "sheet_broken", "the file is damaged", "Excel or WPS opens"),
        (with_part(SHEET, b"<worksheet><sheetData><row"), XLSX, "sheet_broken", "the XML is damaged", "Excel"),
        (b"PK\x03\x04 and nothing else", XLSX, "sheet_broken", "the file is damaged", "Excel or WPS opens"),
        (b"", "text/csv", "sheet_empty", "the file is empty", ".xlsx, or .csv"),
        (b"\n" + ENTERPRISES.encode(), "text/csv", "no_header", "the first row is empty", "columns in row 1"),
        (
            "名称,类型\n甲,生产企业\n".encode(),
            "text/csv",
            "missing_column",
            "企业名称 (near: 名称)",
            "a header 企业名称",
        ),
        (
            ("企业名称,企业类型\n" + "甲,生产企业\n").encode(),
            "text/csv",
            "missing_column",
            "1 column missing from the header: 所属区划代码",
            "a header 所属区划代码",
        ),
        (
            (ENTERPRISES + GOOD).encode() + GOOD.encode("gb18030"),
            "text/csv",
            "unreadable_text",
            "neither UTF-8 (fails at line 3, byte 133) nor GB18030 (fails at line 1",
            "UTF-8 or GB18030 throughout",
        ),
        (
            ENTERPRISES.encode("gb18030") + GOOD.encode(),
            "text/csv",
            "mixed_encodings",
            "UTF-8 at line 2",
            "UTF-8 or GB18030 throughout",
        ),
        (
            (ENTERPRISES + "甲\0乙" + GOOD).encode(),
            "text/csv",
            "unreadable_text",
            "a NUL, so it is no CSV (line 2",
            "UTF-8",
        ),
        (ENTERPRISES.encode() + b"\xed\xa0\x80" + GOOD.encode(), "text/csv", None, "(line 2", "UTF-8 or GB18030"),
        (with_part(SHEET, LONG_CELL.encode()), XLSX, "cell_too_long", "longer than 32,767 characters", "32,767"),
    ],
    ids=[
        "bomb",
        "bomb beside the sheet",
        "entities",
        "cut off",
        "cut off XML",
        "no zip",
        "empty",
        "no header",
        "wrong header",
        "missing column",
        "GB18030 behind UTF-8",
        "UTF-8 behind GB18030",
        "NUL",
        "surrogate",
        "10 MB in a cell",
    ],
)
async def test_a_sheet_that_cannot_be_meant_is_refused_with_place_and_rule(
    desk: Desk, worker: WorkerInHand, sheet: bytes, content_type: str, code: str | None, says: str, allowed: str
) -> None:
    refused = await desk.send(AUTHORITY, "enterprises", sheet, content_type)
    problem = refused.json()
    assert (refused.status_code, problem["code"]) == (422, "import_refused"), refused.text
    assert says in problem["detail"]
    assert code is None or {fault["code"] for fault in problem["errors"]} == {code}
    assert all(fault["pointer"] and fault["rule"] for fault in problem["errors"])
    assert allowed in " ".join(fault["allowed"] for fault in problem["errors"])
    assert len(refused.content) < 4_000
    assert await worker.database.pool.fetchval("SELECT count(*) FROM jobs") == 0


@pytest.mark.parametrize(
    ("row", "column", "given", "rule"),
    [
        (["甲药业", "生产企业", "330000", DAMAGED], "统一社会信用代码", DAMAGED, "number changed by a spreadsheet"),
        (["甲药业", "生产企业", "330000", 913301007043059000], "统一社会信用代码", DAMAGED, "changed by a spreadsheet"),
        (
            ["甲药业", "生产企业", "330000", 9.13301007043059e17],
            "统一社会信用代码",
            DAMAGED,
            "changed by a spreadsheet",
        ),
        (
            ["青禾💊制药", "生产企业", "330000", MAKER_CODE],
            "企业名称",
            "青禾💊制药",
            "the character U+1F48A is not allowed",
        ),
        (
            ["青禾\u202e药制", "生产企业", "330000", MAKER_CODE],
            "企业名称",
            "青禾",
            "the character U+202E is not allowed",
        ),
        (
            ["青禾\u2066药制", "生产企业", "330000", MAKER_CODE],
            "企业名称",
            "青禾",
            "the character U+2066 is not allowed",
        ),
        (
            ["青禾\u200f药制", "生产企业", "330000", MAKER_CODE],
            "企业名称",
            "青禾",
            "the character U+200F is not allowed",
        ),
        (["药" * 30_000, "生产企业", "330000", MAKER_CODE], "企业名称", "药药", "30000 characters are too many"),
        (["甲药业", "卖家", "330000", MAKER_CODE], "企业类型", "卖家", "not one of the values"),
        (["甲药业", "生产企业", "330000.5", MAKER_CODE], "所属区划代码", "330000.5", "a region code is 6 digits"),
    ],
)
@pytest.mark.parametrize("content_type", [XLSX, "text/csv"])
async def test_a_cell_that_cannot_be_meant_comes_back_with_column_value_and_rule(
    desk: Desk, worker: WorkerInHand, row: list[Any], column: str, given: str, rule: str, content_type: str
) -> None:
    if content_type == XLSX:
        sheet = workbook(row, ["丙药业", "生产企业", "330000"])
    else:
        cells = [DAMAGED if isinstance(cell, int | float) else cell for cell in row]
        sheet = (ENTERPRISES + ",".join(cells) + ",\n" + "丙药业,生产企业,330000,,\n").encode()
    job = await imported(desk, worker, "enterprises", sheet, content_type=content_type)
    assert (job["state"], job["result"]["landed"], job["refused"]) == ("done", 1, 1), job
    _, (_, refused) = await returned(desk, job)
    assert (refused[-5], refused[-4]) == ("2", column)
    assert refused[-3].startswith(given)
    assert len(refused[-3]) <= 200
    assert rule in refused[-2]
    assert refused[-1]
    landed = (await desk.get(AUTHORITY, "/enterprises")).json()["items"]
    assert [one["name"] for one in landed] == ["丙药业"]


async def test_a_csv_too_large_to_be_read_at_once_is_refused_by_its_job_before_a_row_lands(
    desk: Desk, worker: WorkerInHand
) -> None:
    job = await imported(desk, worker, "enterprises", (ENTERPRISES + GOOD + "x" * MEGABYTES).encode())
    assert (job["state"], job["done"]) == ("failed", 0)
    said = "a row is longer than 1,000,000 characters; is a quotation mark left open? (row 3)"
    assert job["result"]["reason"] == f"{said}; accepted: at most 1,000,000 characters a row"
    assert (await desk.get(AUTHORITY, "/enterprises")).json()["items"] == []


async def test_a_half_of_a_pair_written_in_a_workbook_stays_the_text_it_is(desk: Desk, worker: WorkerInHand) -> None:
    cells = "".join(
        f'<c r="{letter}2" t="inlineStr"><is><t>{text}</t></is></c>'
        for letter, text in zip("ABC", ["甲_xD800_药业", "生产企业", "330000"], strict=True)
    )
    header = "".join(
        f'<c r="{letter}1" t="inlineStr"><is><t>{name}</t></is></c>'
        for letter, name in zip("ABCDE", HEADER, strict=True)
    )
    rows = f'<row r="1">{header}</row><row r="2">{cells}</row>'
    sheet = with_part(SHEET, f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>".encode())
    job = await imported(desk, worker, "enterprises", sheet, content_type=XLSX)
    assert (job["state"], job["result"]["landed"]) == ("done", 1), job
    assert [one["name"] for one in (await desk.get(AUTHORITY, "/enterprises")).json()["items"]] == ["甲_xD800_药业"]
