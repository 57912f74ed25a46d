"""Settles a month when it is over: the sheets come by themselves, and are confirmed, reviewed, run, approved, sent and paid.

Invariant: each step asks the platform what still waits for it, so that a month that was settled in part is settled to its end.
"""

import asyncio
import csv
import io
from datetime import date, timedelta
from typing import Any

from deploy.replay.stage import BULK_ITEMS, Stage, again
from shared import clock

AT_ONCE = 8
CONFIRM_HOURS, REVIEW_HOURS, RUN_HOURS, APPROVE_HOURS = 9, 14, 34, 38
BANK_HOURS = 58
"""Hours after the month's end: confirmed on the first day, run on the second, paid on the third."""


async def settle(stage: Stage, month: date) -> None:
    """Everything of a month and of those before; raises ReplayStopped."""
    with stage.seconds.phase("settlement", len(stage.plan.months)) as bar:
        await _settle(stage, month)
        bar.step()
    stage.seconds.tell(f"{month:%Y-%m} is played and paid")


async def _settle(stage: Stage, month: date) -> None:
    await _come_to(stage, month)
    if await _waiting(stage):
        await _come_to(stage, month, CONFIRM_HOURS)
        await _confirm(stage)
        await _come_to(stage, month, REVIEW_HOURS)
        await _review(stage)
        await _come_to(stage, month, RUN_HOURS)
        await _run(stage, month)
        await _come_to(stage, month, APPROVE_HOURS)
        await _approve(stage)
        await _come_to(stage, month, BANK_HOURS)
        await _answer(stage)
        await stage.visitor.until_quiet()


async def _come_to(stage: Stage, month: date, hours: int = 0) -> None:
    """So many hours after the month's end, with everything met that was due until then, before anybody acts."""
    await stage.drive(clock.start_of_day(clock.next_month(month)) + timedelta(hours=hours))
    await stage.visitor.until_quiet()


async def _waiting(stage: Stage) -> bool:
    """Whether any sheet is not paid yet."""
    for state in ("issued", "confirmed", "reviewed", "in_run"):
        if await _sheets(stage, state):
            return True
    return False


async def _sheets(stage: Stage, state: str) -> list[dict[str, Any]]:
    return [sheet async for sheet in stage.pages(stage.clerk, "settlement/sheets", state=state)]


async def _confirm(stage: Stage) -> None:
    """Each hospital stands by its own sheets."""
    own: dict[str, list[dict[str, str]]] = {}
    for sheet in await _sheets(stage, "issued"):
        own.setdefault(sheet["institution_code"], []).append({"sheet_id": sheet["id"]})
    room = asyncio.Semaphore(AT_ONCE)

    async def confirm(code: str, acts: list[dict[str, str]]) -> None:
        async with room:
            await stage.bulk(stage.hospital(code), "settlement/sheets/confirmations/bulk", acts)

    async with asyncio.TaskGroup() as together:
        for code, acts in own.items():
            together.create_task(confirm(code, acts))


async def _review(stage: Stage) -> None:
    acts = [{"sheet_id": sheet["id"]} for sheet in await _sheets(stage, "confirmed")]
    for start in range(0, len(acts), BULK_ITEMS):
        await stage.bulk(stage.clerk, "settlement/sheets/reviews/bulk", acts[start : start + BULK_ITEMS])


async def _run(stage: Stage, month: date) -> None:
    """The clerk makes runs until no reviewed sheet is left; a key of its own keeps each from being made twice."""
    while reviewed := await _sheets(stage, "reviewed"):
        headers = {**stage.clerk.headers, "idempotency-key": f"replay-{month:%Y-%m}-{reviewed[0]['id']}"}
        await again(stage.visitor, "POST", "settlement/payment-runs", headers, json={"sheet_ids": None})


async def _approve(stage: Stage) -> None:
    """Another person approves; a job then reserves each payment for the bank."""
    async for run in stage.pages(stage.treasurer, "settlement/payment-runs", state="made"):
        await again(stage.visitor, "POST", f"settlement/payment-runs/{run['id']}/approval", stage.treasurer.headers)
    await stage.visitor.until_quiet()


async def _answer(stage: Stage) -> None:
    """The bank's answer to each file: everything is paid."""
    async for run in stage.pages(stage.clerk, "settlement/payment-runs", state="approved"):
        path = f"settlement/payment-runs/{run['id']}"
        file: bytes = await again(stage.visitor, "GET", f"{path}/payment-file", stage.clerk.headers)
        orders = csv.DictReader(io.StringIO(file.decode("utf-8-sig"), newline=""))
        answer = io.StringIO(newline="")
        rows = csv.writer(answer)
        rows.writerow(["payment_id", "result"])
        rows.writerows([order["payment_id"], "paid"] for order in orders)
        headers = {**stage.clerk.headers, "content-type": "text/csv"}
        content = answer.getvalue().encode()
        await again(stage.visitor, "POST", f"{path}/result-file", headers, content=content)
