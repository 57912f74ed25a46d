"""The further road beside the load: months end, hospitals confirm, the fund's office runs and approves, and a bank pays.

Invariant: the bank keeps a book of its own, and pays a row as often as it stands in its files: what it was told twice is there
twice, whatever settlement says.
"""

import asyncio
import csv
import io
import random
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import asyncpg

from deploy.story.cast import Cast
from shared.faults import TRANSIENT
from tests.faults.client import Client, NeverTaken
from tests.faults.load import WAITS_SECONDS, Pace
from tests.faults.stand import Stand

TURN_SECONDS = 15.0
"""The office waits up to so long between two turns."""
REFUSED, BOUNCED = 0.2, 0.5
"""How likely it is that the bank refuses a payment, and that in a turn one that it has paid comes back."""
# The last month that is open ends now. What was accepted since its sheets were issued goes onto those of the next.
MONTH_ENDS = """
UPDATE deadlines SET due_at = now() WHERE kind = 'close_month'
AND about = (SELECT max(about) FROM deadlines WHERE kind = 'close_month')
"""


Row = dict[str, str]
"""A payment as its file tells it."""


@dataclass(slots=True)
class Bank:
    """Reads payment files from its folder, each once; `book`: what it has paid of each payment, in yuan; `willing`: it pays
    whatever is new, and nothing comes back."""

    folder: Path
    book: dict[str, Decimal]
    willing: bool = False
    _read: set[Path] = field(default_factory=set)
    _paid: list[Row] = field(default_factory=list)

    def answers(self) -> Iterator[tuple[list[Row], str]]:
        """Refuses some of what is new and pays the rest, and sometimes a payment of before comes back: rows of one run, and
        the word for each of them, as they stand in its book now."""
        earlier = list(self._paid)
        for file in sorted(set(self.folder.glob("payments/*.csv")) - self._read):
            self._read.add(file)
            with file.open(encoding="utf-8-sig", newline="") as lines:
                rows = list(csv.DictReader(lines))
            refused = [row for row in rows if not self.willing and random.random() < REFUSED]
            paid = [row for row in rows if row not in refused]
            self._paid += paid
            yield from self._booked(refused, "refused", 0)
            yield from self._booked(paid, "paid", 1)
        if earlier and not self.willing and random.random() < BOUNCED:
            back = random.choice(earlier)
            self._paid.remove(back)
            yield from self._booked([back], "bounced", -1)

    def _booked(self, rows: list[Row], verdict: str, times: int) -> Iterator[tuple[list[Row], str]]:
        for row in rows:
            before = self.book.get(row["payment_id"], Decimal(0))
            self.book[row["payment_id"]] = before + times * Decimal(row["amount_yuan"])
        if rows:
            yield rows, verdict


@dataclass(slots=True)
class Office:
    """Asks at each turn what still waits, so that what one could not do is done by the next."""

    stand: Stand
    cast: Cast
    client: Client
    pace: Pace
    bank: Bank

    async def play(self, stop: asyncio.Event) -> None:
        """Until told to stop; what is never taken stops the whole load."""
        while not stop.is_set():
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), random.uniform(0, TURN_SECONDS))
            while self.pace.crowded and not stop.is_set():  # noqa: ASYNC110
                await asyncio.sleep(WAITS_SECONDS)
            if not await self.turn():
                stop.set()

    async def turn(self) -> bool:
        """Everything that can be done now, once; False when something was never taken, which is written down."""
        try:
            await self._turn()
        except NeverTaken as never:
            self.client.answered.never_taken.append(str(never))
            return False
        return True

    async def _turn(self) -> None:
        with suppress(*TRANSIENT, asyncpg.PostgresError):
            async with self.stand.connected("settlement") as settlement:
                await settlement.execute(MONTH_ENDS)
        await self._confirm()
        await self._review()
        await self._run()
        for rows, verdict in self.bank.answers():
            await self._answer(rows, verdict)

    async def _sheets(self, state: str) -> list[Any]:
        path = "settlement/sheets"
        found = await self.client.ask(path, lambda: self.cast.clerk.get(path, state=state))
        return list(found["items"])

    async def _confirm(self) -> None:
        """Each hospital stands by its own."""
        issued = sorted(await self._sheets("issued"), key=_hospital)
        for code, own in groupby(issued, key=_hospital):
            hospital = self.cast.visitor.person("hospital", code, self.cast.sample.institutions[0].region)
            acts = [{"sheet_id": sheet["id"]} for sheet in own]
            confirmed = await self.client.items(hospital, "settlement/sheets/confirmations/bulk", acts)
            self.client.answered.sheets.update(sheet["id"] for sheet in confirmed)

    async def _review(self) -> None:
        acts = [{"sheet_id": sheet["id"]} for sheet in await self._sheets("confirmed")]
        if acts:
            await self.client.items(self.cast.clerk, "settlement/sheets/reviews/bulk", acts)

    async def _run(self) -> None:
        """One person makes the run, another approves it."""
        if reviewed := [sheet["id"] for sheet in await self._sheets("reviewed")]:
            run = await self.client.write(self.cast.clerk, "settlement/payment-runs", {"sheet_ids": reviewed})
            path = f"settlement/payment-runs/{run['id']}/approval"
            await self.client.write(self.cast.second_clerk, path)
            self.client.answered.runs.add(run["id"])

    async def _answer(self, rows: list[Row], verdict: str) -> None:
        """What the bank says comes in a result file."""
        path = f"settlement/payment-runs/{rows[0]['run_id']}/result-file"
        content = _result_file(rows, verdict)
        taken = await self.client.ask(path, lambda: self.cast.clerk.send(path, content, "text/csv"))
        if taken["refused"]:
            raise NeverTaken(f"{path}: {taken['refused']}")


def _hospital(sheet: Any) -> str:
    return str(sheet["institution_code"])


def _result_file(rows: Iterable[Row], verdict: str) -> bytes:
    text = io.StringIO(newline="")
    answers = csv.writer(text)
    answers.writerow(["payment_id", "result", "amount_yuan", "reason"])
    answers.writerows([row["payment_id"], verdict, row["amount_yuan"], f"{verdict} by the bank"] for row in rows)
    return text.getvalue().encode()
