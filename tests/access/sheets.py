"""What comes back of a supplier's sheets that name another's products, drafts and relations; the worker that lands them is held
by no row-level security."""

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import httpx
import openpyxl
from fastapi import FastAPI

from shared.imports import REFUSAL_COLUMNS
from tests.access.worlds import World
from tests.house import WorkerInHand

Back = dict[str, list[tuple[str, ...]]]
"""By kind of sheet: given, rule and what is accepted of every refused row."""


async def refused_of(
    app: FastAPI, worker: WorkerInHand, token: Callable[..., str], own: World, foreign: World, blank_lines: int
) -> Back:
    """Sends the sheets as the maker of one world; `blank_lines` at their end make the same sheet another."""
    headers = {"authorization": f"Bearer {token(*own.people['manufacturer'])}"}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    back: Back = {}
    async with httpx.AsyncClient(transport=transport, base_url="http://sheets", headers=headers) as client:
        known = {one["code"]: one for one in (await client.get("/products", params={"limit": 500})).json()["items"]}
        for kind, rows in _rows(own, foreign, known).items():
            columns = (await client.get(f"/imports/{kind}/mapping")).json()["columns"]
            sheet = _csv({one["field"]: one["column"] for one in columns}, rows) + b"\n" * blank_lines
            taken = await client.post(f"/imports/{kind}", content=sheet, headers={"content-type": "text/csv"})
            await worker.do_jobs()
            job = (await client.get(f"/jobs/{taken.json()['job_id']}")).json()
            assert job["refused"] == len(rows), f"a foreign row has landed: {job}"
            refused = await client.get(f"/jobs/{job['id']}/refused")
            back[kind] = [*_reasons(refused.content)]
    return back


def _rows(own: World, foreign: World, known: Mapping[str, Mapping[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Each foreign product as it stands, where it is listed and where it is drafted, by its maker's code and by ours."""
    region = foreign.cast.sample.region
    regions = (region, region[:2] + "9900", region[:4] + "99")
    products = [known[one.code] for one in foreign.cast.sample.products]
    makers = (None, own.people["manufacturer"][1])
    dealers = [one.uscc for one in (*foreign.cast.sample.enterprises, *own.cast.sample.enterprises)]
    terms = {"price_yuan": "9.9900", "category": "direct", "valid_from": "2026-01-01"}
    return {
        "products": [
            {**product, **terms, "region": where, "manufacturer_code": maker or product["manufacturer_code"]}
            for product in products
            for where in regions
            for maker in makers
        ],
        "distributions": [
            {"product_code": product["code"], "region": where, "distributor_code": dealer, "valid_from": "2026-01-01"}
            for product in products
            for where in regions
            for dealer in dealers
        ],
        "enterprises": [
            {"name": one.name, "kinds": "manufacturer", "region": one.region, "uscc": one.uscc}
            for one in foreign.cast.sample.enterprises
        ],
    }


def _csv(columns: Mapping[str, str], rows: list[dict[str, Any]]) -> bytes:
    made = io.StringIO()
    writer = csv.writer(made)
    writer.writerow(columns.values())
    writer.writerows([row.get(field) for field in columns] for row in rows)
    return made.getvalue().encode()


def _reasons(sheet: bytes) -> Iterator[tuple[str, ...]]:
    header, *rows = openpyxl.load_workbook(io.BytesIO(sheet)).active.iter_rows(values_only=True)
    places = [header.index(name) for name in REFUSAL_COLUMNS[2:]]
    yield from (tuple(str(row[place] or "") for place in places) for row in rows)
