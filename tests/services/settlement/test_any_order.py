"""Whatever is done to sheets in whatever order, over HTTP on a real database: each step is allowed or refused as the rules
say, the ledger sums to zero, nothing is paid twice, and what is paid was released."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from services.settlement.gateways import FileBank
from shared import clock
from tests.house import House, WorkerInHand

from .conftest import (
    AGENCY_A,
    AGENCY_B,
    BEFORE_CODES,
    HOSPITAL,
    OTHER_SUPPLIER_CODE,
    SUPPLIER_CODE,
    Stage,
    delivery,
    line,
    with_bank,
)

EXAMPLES, STEPS = 4, 20
SEED = 20261122
OPEN = {"planned", "approved", "sending", "paid"}
ANSWERS = {
    ("sending", "paid"): ("paid", "paid", 0),
    ("sending", "refused"): ("failed", "failed", 0),
    ("sending", "bounced"): ("failed", "failed", 0),
    ("paid", "bounced"): ("failed", "failed", 0),
    ("paid", "paid"): ("paid", "unchanged", 0),
    ("failed", "refused"): ("failed", "unchanged", 0),
    ("failed", "bounced"): ("failed", "unchanged", 0),
    ("paid", "refused"): ("paid", "", 1),
    ("failed", "paid"): ("failed", "", 1),
}
"""What is known of a payment and what the bank says → what is known then, where it is counted, rows refused."""


@dataclass
class Sheet:
    """What the model knows of one sheet."""

    id: str
    lines: set[str]
    state: str = "issued"
    run: str = ""
    payment: str = ""
    payments: int = 0


@dataclass
class World:
    """What the machine reaches besides its model."""

    stage: Stage
    house: House
    loop: asyncio.AbstractEventLoop
    steps: int = field(default=0)

    def now(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Does the work in the loop of the app, while Hypothesis waits in its thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    async def begin(self) -> None:
        """An empty house, two deliveries of three lines, and the first of the next month."""
        stage = self.stage
        await self.house.empty(stage.worker.service)
        clock.release()
        clock.allow_driving(True)
        stage.drive(BEFORE_CODES)
        for supplier in (SUPPLIER_CODE, OTHER_SUPPLIER_CODE):
            await stage.confirmed(supplier)
        await stage.worker.deliver(
            delivery(line(100), line(7, "0.0700")), delivery(line(3), supplier=OTHER_SUPPLIER_CODE)
        )

    async def answered(self, method: str, path: str, who: Any, body: Any = None, **how: Any) -> tuple[int, Any]:
        headers = {**self.stage.caller(*who), "if-match": "*"}
        answer = await self.stage.client.request(method, path, json=body, headers=headers, **how)
        return answer.status_code, answer.json()

    async def told(self, run: str, payment: str, word: str) -> Any:
        """What a result file of one row did."""
        headers = self.stage.caller(*AGENCY_A)
        reason = "" if word == "paid" else "账户名不符"
        text = f"payment_id,result,paid_at,reason\n{payment},{word},,{reason}\n"
        answer = await self.stage.client.post(f"/payment-runs/{run}/result-file", content=text, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def month_over(self, at: datetime) -> list[tuple[str, set[str]]]:
        """Every sheet there is after the deadlines of that instant."""
        self.stage.drive(at)
        await self.stage.worker.meet_deadlines()
        found = (await self.stage.get("/sheets?limit=500"))["items"]
        lines = [await self.stage.get(f"/sheets/{one['id']}/lines?limit=500") for one in found]
        return [
            (one["id"], {each["payable_id"] for each in its["items"]}) for one, its in zip(found, lines, strict=True)
        ]


class Sheets(RuleBasedStateMachine):
    """Hospital, agency and bank do what they like."""

    world: World

    @initialize()
    def issued(self) -> None:
        self.month = datetime(2025, 3, 31, 16, tzinfo=UTC)
        self.world.now(self.world.begin())
        self.sheets: list[Sheet] = []
        self.held: set[str] = set()
        self.free: set[str] = set()
        self._close()
        assert len(self.sheets) == 2

    def _close(self) -> None:
        known = {sheet.id for sheet in self.sheets}
        new = [one for one in self.world.now(self.world.month_over(self.month)) if one[0] not in known]
        assert not self.sheets or set().union(*(lines for _, lines in new)) == self.free
        self.sheets += [Sheet(sheet_id, lines) for sheet_id, lines in new]
        self.free = set()

    def _ask(self, path: str, who: Any, body: Any = None) -> tuple[int, Any]:
        return self.world.now(self.world.answered("POST", path, who, body))

    def _draw(self, data: st.DataObject) -> Sheet:
        return self.sheets[data.draw(st.integers(0, len(self.sheets) - 1))]

    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        sheet = self._draw(data)
        status, _ = self._ask(f"/sheets/{sheet.id}/confirmation", HOSPITAL)
        assert status == (200 if sheet.state in {"issued", "disputed"} else 409)
        sheet.state = "confirmed" if status == 200 else sheet.state

    @rule(data=st.data())
    def dispute(self, data: st.DataObject) -> None:
        sheet = self._draw(data)
        every = sorted(set().union(*(one.lines for one in self.sheets)) | self.held)
        named = data.draw(st.sampled_from(every))
        body = {"lines": [{"payable_id": named, "reason": "数量不符"}]}
        status, _ = self._ask(f"/sheets/{sheet.id}/dispute", HOSPITAL, body)
        allowed = sheet.state in {"issued", "disputed"}
        assert status == (200 if allowed and named in sheet.lines else 422 if allowed else 409), sheet
        if status == 200:
            sheet.lines.remove(named)
            self.held.add(named)
            sheet.state = "disputed" if sheet.lines else "empty"

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def correct(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(sorted(self.held)))
        path = f"/payables/{one}/resolution"
        assert self._ask(path, AGENCY_A, {"reason": "对账无误"})[0] == 200
        assert self._ask(path, AGENCY_A, {"reason": "对账无误"})[0] == 409
        self.held.remove(one)
        self.free.add(one)

    @rule()
    def a_month_goes_by(self) -> None:
        self.month = (self.month + timedelta(days=2)).replace(day=28) + timedelta(days=4)
        self.month = self.month.replace(day=1, hour=16) - timedelta(days=1)
        self._close()

    @rule(data=st.data())
    def review(self, data: st.DataObject) -> None:
        sheet = self._draw(data)
        status, _ = self._ask(f"/sheets/{sheet.id}/review", AGENCY_A)
        assert status == (200 if sheet.state == "confirmed" else 409)
        sheet.state = "reviewed" if status == 200 else sheet.state

    @rule(data=st.data())
    def enter_a_run(self, data: st.DataObject) -> None:
        sheet = self._draw(data)
        status, run = self._ask("/payment-runs", AGENCY_A, {"sheet_ids": [sheet.id]})
        assert status == (201 if sheet.state == "reviewed" else 422)
        if status == 201:
            sheet.state, sheet.run, sheet.payment = "in_run", run["id"], "planned"
            sheet.payments += 1

    @precondition(lambda self: any(sheet.run for sheet in self.sheets))
    @rule(data=st.data(), who=st.sampled_from([AGENCY_A, AGENCY_B]), approved=st.booleans())
    def decide(self, data: st.DataObject, who: Any, approved: bool) -> None:
        sheet = data.draw(st.sampled_from([sheet for sheet in self.sheets if sheet.run]))
        path = f"/payment-runs/{sheet.run}/{'approval' if approved else 'rejection'}"
        status, answer = self._ask(path, who, None if approved else {"reason": "账户待核实"})
        if sheet.payment != "planned":
            assert status in {403, 409}
        elif who is AGENCY_A and approved:
            assert (status, answer["code"]) == (403, "same_person")
        elif approved:
            assert status == 202
            sheet.payment = "approved"
        elif status == 200:
            sheet.state, sheet.payment = "reviewed", "withdrawn"
        else:
            assert (who, status) == (AGENCY_A, 403)

    @precondition(lambda self: any(sheet.payment in {"planned", "approved", "sending"} for sheet in self.sheets))
    @rule(data=st.data(), who=st.sampled_from([AGENCY_A, AGENCY_B]))
    def the_bank_paid_it_before(self, data: st.DataObject, who: Any) -> None:
        open_ones = [sheet for sheet in self.sheets if sheet.payment in {"planned", "approved", "sending"}]
        sheet = data.draw(st.sampled_from(open_ones))
        (payment,) = self.world.now(self.world.stage.get(f"/payments?run_id={sheet.run}"))["items"]
        body = {"bank_reference": "2025040100012345", "reason": "恢复前已付", "paid_on": f"{clock.today()}"}
        status, _ = self._ask(f"/payments/{payment['id']}/confirmation", who, body)
        assert status == (409 if sheet.payment != "approved" else 403 if who is AGENCY_A else 200)
        if status == 200:
            sheet.state = sheet.payment = "paid"

    @rule()
    def send(self) -> None:
        self.world.now(self.world.stage.worker.do_jobs())
        for sheet in self.sheets:
            sheet.payment = "sending" if sheet.payment == "approved" else sheet.payment

    @rule()
    def ask_again_and_hear_nothing(self) -> None:
        self.world.stage.drive(clock.now() + timedelta(minutes=1))
        self.world.now(self.world.stage.worker.meet_deadlines())
        self.send()

    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        """The next step of the straight road, so that many a sheet comes to its payment."""
        sheet = self._draw(data)
        if sheet.state in {"issued", "disputed"}:
            assert self._ask(f"/sheets/{sheet.id}/confirmation", HOSPITAL)[0] == 200
            sheet.state = "confirmed"
        if sheet.state == "confirmed":
            assert self._ask(f"/sheets/{sheet.id}/review", AGENCY_A)[0] == 200
            sheet.state = "reviewed"
        if sheet.state == "reviewed":
            status, run = self._ask("/payment-runs", AGENCY_A, {"sheet_ids": [sheet.id]})
            assert status == 201
            sheet.state, sheet.run, sheet.payment = "in_run", run["id"], "planned"
            sheet.payments += 1
        if sheet.payment == "planned":
            assert self._ask(f"/payment-runs/{sheet.run}/approval", AGENCY_B)[0] == 202
            sheet.payment = "approved"

    @precondition(lambda self: any(sheet.payment in {"sending", "paid", "failed"} for sheet in self.sheets))
    @rule(data=st.data(), word=st.sampled_from(["paid", "refused", "bounced"]))
    def the_bank_says(self, data: st.DataObject, word: str) -> None:
        sheet = data.draw(
            st.sampled_from([sheet for sheet in self.sheets if sheet.payment in {"sending", "paid", "failed"}])
        )
        payments = self.world.now(self.world.stage.get(f"/payments?run_id={sheet.run}"))["items"]
        counts = self.world.now(self.world.told(sheet.run, payments[0]["id"], word))
        after, counted, refused = ANSWERS[sheet.payment, word]
        assert len(counts.pop("refused")) == refused
        assert {name for name, count in counts.items() if count} == ({counted} if counted else set())
        if counted != "unchanged" and not refused:
            sheet.payment, sheet.state = after, "paid" if after == "paid" else "reviewed"

    @invariant()
    def every_count_of_the_same_yuan_agrees(self) -> None:
        stage, now = self.world.stage, self.world.now
        now(stage.ledger_agrees())
        shown = {one["id"]: one["state"] for one in now(stage.get("/sheets?limit=500"))["items"]}
        assert shown == {sheet.id: sheet.state for sheet in self.sheets}
        for sheet in self.sheets:
            states = [one["state"] for one in now(stage.get(f"/payments?sheet_id={sheet.id}"))["items"]]
            assert len(states) == sheet.payments
            assert sum(state in OPEN for state in states) <= 1, "paid twice"

    @invariant()
    def what_is_paid_was_released_and_what_is_released_was_accepted(self) -> None:
        paid = {one for sheet in self.sheets if sheet.state == "paid" for one in sheet.lines}
        for one in self.world.now(self.world.stage.get("/payables?limit=500"))["items"]:
            accepted, released, settled = (float(one[name]) for name in ("amount_yuan", "released_yuan", "paid_yuan"))
            assert settled <= released <= accepted
            assert settled == (accepted if one["id"] in paid else 0)


async def test_whatever_is_done_in_whatever_order_the_rules_and_the_ledger_hold(stage: Stage, house: House) -> None:
    stage.worker = WorkerInHand(with_bank(stage.worker.service, FileBank(None)), stage.worker.database)
    world = World(stage, house, asyncio.get_running_loop())
    machine = type("Machine", (Sheets,), {"world": world})
    how = settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    await asyncio.to_thread(run_state_machine_as_test, seed(SEED)(machine), settings=how)
