"""The bank: unknown is neither paid nor failed, and no crash between two steps loses or doubles a payment."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from services.settlement.consumer import JOBS
from services.settlement.errors import ResultFileRefused
from services.settlement.gateways import FileBank, ScriptedBank, payment_file, read_results
from services.settlement.handlers import payments as handlers
from services.settlement.handlers.payments import LINES_AN_EVENT, reserve
from services.settlement.queries import payments as queries
from services.settlement.rules.payments import BankAnswer, Payment, Verdict
from shared import clock, jobs
from shared.errors import Unavailable
from shared.events.settlement import PaymentFailed, PaymentPaid, PaymentSent
from tests.house import WorkerInHand

from .conftest import AGENCY_A, AGENCY_B, CLOSED, OTHER_SUPPLIER_CODE, SUPPLIER, Stage, delivery, line, with_bank
from .test_rules import payment


class Crash(BaseException):
    """A power cut: nothing catches it."""


@dataclass
class FallibleBank:
    """A scripted bank whose caller dies before or after the bank has heard."""

    inner: ScriptedBank = field(default_factory=ScriptedBank)
    dies: str = ""

    async def pay(self, orders: Sequence[Payment]) -> list[BankAnswer]:
        if self.dies == "before the call":
            raise Crash
        answers = await self.inner.pay(orders)
        if self.dies == "after the call":
            raise Crash
        return answers


async def ask_again(stage: Stage) -> int:
    """Lets the next time of asking come."""
    stage.drive(clock.now() + timedelta(hours=7))
    met = await stage.worker.meet_deadlines()
    await stage.worker.do_jobs()
    return met


async def states(stage: Stage) -> list[str]:
    return [each["state"] for each in (await stage.get("/payments"))["items"]]


async def test_an_unknown_answer_is_asked_again_under_the_same_key_until_the_bank_knows(stage: Stage) -> None:
    (sheet,) = await stage.reviewed(delivery())
    stage.bank.script = {UUID(sheet["id"]): [Verdict.UNKNOWN, Verdict.UNKNOWN, Verdict.PENDING, Verdict.PAID]}
    run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
    await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=202)
    await stage.worker.do_jobs()
    for _ in range(3):
        assert await states(stage) == ["sending"]
        (payable,) = (await stage.get("/payables", SUPPLIER))["items"]
        assert (payable["state"], payable["paid_yuan"]) == ("sheeted", "0.00")
        await stage.ledger_agrees()
        assert await ask_again(stage) == 1
    assert await states(stage) == ["paid"]
    assert list(stage.bank.calls.values()) == [4]
    assert list(stage.bank.moved.values()) == [1]
    assert await ask_again(stage) == 0
    assert [type(fact) for fact in await stage.worker.said()][-2:] == [PaymentSent, PaymentPaid]


@pytest.mark.parametrize("verdict", [Verdict.REFUSED, Verdict.BOUNCED])
async def test_a_refused_payment_makes_the_sheet_payable_again_under_a_new_key(stage: Stage, verdict: Verdict) -> None:
    (sheet,) = await stage.reviewed(delivery())
    stage.bank.script = {UUID(sheet["id"]): [verdict]}
    for _ in range(2):
        run = await stage.post("/payment-runs", AGENCY_A, {}, 201)
        await stage.post(f"/payment-runs/{run['id']}/approval", AGENCY_B, status=202)
        await stage.worker.do_jobs()
        assert (await stage.get(f"/sheets/{sheet['id']}"))["state"] == "reviewed"
        await stage.ledger_agrees()
    assert await states(stage) == ["failed", "failed"]
    assert list(stage.bank.calls.values()) == [1, 1]
    assert isinstance((await stage.worker.said())[-1], PaymentFailed)


async def test_a_bank_that_is_away_leaves_payments_sending_and_is_asked_again(stage: Stage) -> None:
    stage.bank.away = True
    await stage.run(delivery())
    await stage.worker.do_jobs()
    assert await states(stage) == ["sending"]
    stage.bank.away = False
    await ask_again(stage)
    assert await states(stage) == ["paid"]
    assert list(stage.bank.moved.values()) == [1]


async def test_a_job_that_died_for_good_strands_no_payment(stage: Stage) -> None:
    await stage.run(delivery())
    await stage.worker.database.pool.execute("UPDATE jobs SET state = 'failed'")
    assert await ask_again(stage) == 1
    assert await states(stage) == ["paid"]


@pytest.mark.parametrize("dies", ["before the call", "after the call", "while recording", "after the record"])
async def test_a_crash_between_two_steps_loses_and_doubles_nothing(
    stage: Stage, dies: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = FallibleBank(dies=dies)
    worker = stage.worker = WorkerInHand(with_bank(stage.worker.service, bank), stage.worker.database)
    await stage.run(delivery(line(1)), delivery(line(2), supplier=OTHER_SUPPLIER_CODE))
    monkeypatch.setattr(handlers, "ORDERS_A_CALL", 1)
    whole = handlers.record_answers

    async def dying(*given: object) -> object:
        if dies == "while recording":
            await whole(*given)  # type: ignore[arg-type]
            raise Crash
        return await whole(*given)  # type: ignore[arg-type]

    async def dying_count(*_: object) -> dict[str, int]:
        raise Crash

    with monkeypatch.context() as broken:
        broken.setattr(handlers, "record_answers", dying)
        if dies == "after the record":
            broken.setattr(queries, "count_by_state", dying_count)
        with pytest.raises(Crash):
            await worker.do_jobs()
    bank.dies = ""
    assert set(await states(stage)) <= {"planned", "sending", "paid"}
    await stage.ledger_agrees()
    # The lease of the dead worker runs out, and another takes the job from its last step.
    await worker.database.pool.execute("UPDATE jobs SET leased_until = NULL WHERE state = 'running'")
    await worker.do_jobs()
    assert await states(stage) == ["paid", "paid"]
    assert sorted(bank.inner.moved.values()) == [1, 1]
    assert all(count <= 2 for count in bank.inner.calls.values())
    said = [type(fact) for fact in await worker.said()]
    assert (said.count(PaymentSent), said.count(PaymentPaid)) == (2, 2)
    await stage.ledger_agrees()


async def test_a_payment_is_sending_and_committed_before_the_bank_hears_of_it(stage: Stage) -> None:
    seen: list[str] = []

    class Looking:
        async def pay(self, orders: Sequence[Payment]) -> list[BankAnswer]:
            for order in orders:
                found = await stage.worker.database.pool.fetchval("SELECT state FROM payments WHERE id = $1", order.id)
                seen.append(found)
            return []

    await stage.run(delivery())
    service = with_bank(stage.worker.service, Looking())
    await WorkerInHand(service, stage.worker.database).do_jobs()
    assert seen == ["sending"]


@pytest.mark.parametrize("count", [1, 40])
async def test_reserving_and_recording_cost_the_same_statements_for_any_number(stage: Stage, count: int) -> None:
    run = await stage.run(*(delivery(line(1), line(2), supplier=f"S{place}") for place in range(count)))
    async with stage.worker.database.transaction() as tx:
        orders = await reserve(tx, UUID(run["id"]), queries.FIRST)
        await tx.flush()
        assert len(orders) == count
        assert tx.statements == 7
    async with stage.worker.database.transaction() as tx:
        answers = [BankAnswer(order.id, Verdict.PAID) for order in orders]
        await handlers.record_answers(tx, jobs.Caller("a", frozenset(), "000000", "b"), answers)
        await tx.flush()
        assert tx.statements == 13
    await stage.ledger_agrees()


async def test_a_paid_sheet_of_many_lines_is_told_in_parts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handlers, "LINES_AN_EVENT", 4)
    assert LINES_AN_EVENT == 1_000
    await stage.run(delivery(*(line(1, "1.0000") for _ in range(10))))
    await stage.worker.do_jobs()
    parts = [fact for fact in await stage.worker.said() if isinstance(fact, PaymentPaid)]
    assert [len(part.lines) for part in parts] == [4, 4, 2]
    assert [str(part.amount_yuan) for part in parts] == ["4.00", "4.00", "2.00"]
    sequences = await stage.worker.database.pool.fetch(
        "SELECT sequence FROM outbox WHERE type LIKE '%payment%' ORDER BY id"
    )
    assert [row[0] for row in sequences] == [1, 2, 3, 4]


async def test_the_bank_of_files_writes_each_payment_once_and_reads_its_results(tmp_path: Path) -> None:
    bank, first, second = FileBank(tmp_path), payment(), payment()
    assert [answer.verdict for answer in await bank.pay([first])] == [Verdict.PENDING]
    assert [answer.verdict for answer in await FileBank(tmp_path).pay([first])] == [Verdict.PENDING]
    assert len(list((tmp_path / "payments").glob("*.csv"))) == 1
    await bank.pay([first, second])
    written = "".join(file.read_text("utf-8-sig") for file in (tmp_path / "payments").glob("*.csv"))
    assert (written.count(str(first.id)), written.count(str(second.id))) == (1, 1)
    (tmp_path / "results" / "a.csv").write_text(
        f"payment_id,result,reason\n{first.id},paid,\n{second.id},refused,无此户\n"
    )
    (tmp_path / "results" / "torn.csv").write_text("payment_id,resu")
    answers = await bank.pay([first, second])
    assert [(answer.verdict, answer.reason) for answer in answers] == [
        (Verdict.PAID, None),
        (Verdict.REFUSED, "无此户"),
    ]


async def test_a_folder_that_cannot_be_used_is_a_bank_that_is_away(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("no folder")
    with pytest.raises(Unavailable):
        await FileBank(blocked).pay([payment()])


async def test_a_bank_without_a_folder_waits_for_the_files_over_http() -> None:
    (answer,) = await FileBank(None).pay([payment()])
    assert answer.verdict is Verdict.PENDING


async def test_no_cell_of_a_payment_file_runs_as_a_formula(tmp_path: Path) -> None:
    order = payment()
    (tmp_path / "x.csv").write_bytes(payment_file([order]))
    assert payment_file([order]).startswith(b"\xef\xbb\xbfpayment_id,")
    (tmp_path / "r.csv").write_text(f"payment_id,result,reason\n{order.id},refused,\u202e坏\n")
    (row,) = read_results(tmp_path / "r.csv")
    assert [fault.pointer for fault in row.faults] == ["/2/reason"]


def test_a_result_file_of_just_the_rows_is_read_and_of_one_more_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETTLEMENT_BANK_RESULT_ROWS", "2")
    file = tmp_path / "r.csv"
    rows = [f"{payment().id},paid\n"] * 3
    file.write_text("payment_id,result\n" + "".join(rows[:2]))
    assert len(read_results(file)) == 2
    file.write_text("payment_id,result\n" + "".join(rows))
    with pytest.raises(ResultFileRefused, match="more than 2 rows"):
        read_results(file)


def test_a_result_file_of_more_than_twenty_columns_is_refused_before_they_are_looked_at(tmp_path: Path) -> None:
    file = tmp_path / "r.csv"
    for beside, said in ((18, "The header is"), (19, "more than 20 columns")):
        names = ["payment_id", "result", *(f"note {number}" for number in range(beside))]
        file.write_text(",".join(names) + f"\n{payment().id},paid" + "," * beside + "\n")
        with pytest.raises(ResultFileRefused, match=said):
            read_results(file)


async def test_a_bank_of_the_settings_is_opened_for_every_run(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SETTLEMENT_BANK_FOLDER", str(tmp_path))
    await stage.run(delivery())
    real = WorkerInHand(replace(stage.worker.service, jobs=JOBS), stage.worker.database)
    await real.do_jobs()
    (file,) = (tmp_path / "payments").glob("*.csv")
    key = (await stage.get("/payments"))["items"][0]["id"]
    (tmp_path / "results" / "r.csv").write_text(f"payment_id,result\n{key},paid\n")
    stage.worker = real
    await ask_again(stage)
    assert await states(stage) == ["paid"]
    assert key in file.read_text("utf-8-sig")
    assert clock.now() > CLOSED
