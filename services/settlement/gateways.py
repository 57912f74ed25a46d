"""The way to the bank: a protocol, one adapter of files, and one that plays a script for tests.

A bank is asked under the payment's id as often as needed and pays at most once; what it does not say is `unknown`.
"""

import asyncio
import csv
import io
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Protocol
from uuid import UUID

from services.settlement.errors import BankAway, ResultFileRefused
from services.settlement.rules.payments import BankAnswer, Payment, Verdict
from services.settlement.settings import BankSettings
from shared import clock, money
from shared.codes import is_clean_text
from shared.errors import Fault, Said
from shared.imports import Row, SheetRefused, open_sheet, told
from shared.imports.numbers import SCIENTIFIC
from shared.imports.refusals import neutralised
from shared.settings import SheetLimits
from shared.values import frozen

log = logging.getLogger(__name__)

PAYMENT_COLUMNS = (
    "payment_id",
    "run_id",
    "sheet_id",
    "month",
    "institution_code",
    "institution_name",
    "payee_code",
    "payee_name",
    "payee_account_name",
    "payee_bank",
    "payee_cnaps_code",
    "payee_account_number",
    "amount_yuan",
)
RESULT_COLUMNS = ("payment_id", "result", "paid_at", "reason", "amount_yuan", "bank_reference")
NEEDED_COLUMNS = RESULT_COLUMNS[:2]
MOST_RESULT_COLUMNS = 20
RESULT_WORDS = (Verdict.PAID, Verdict.REFUSED, Verdict.BOUNCED)
REASON_CHARACTERS = 1_000
REFERENCE_CHARACTERS = 200


class Bank(Protocol):
    """Another company's system: never called inside a transaction."""

    async def pay(self, orders: Sequence[Payment]) -> list[BankAnswer]:
        """Asks for these payments, each to its account under its id, and tells what is known of each; raises BankAway.

        The same id again is the same payment: it is never paid twice, and answered with what became of it.
        """
        ...


def payment_file(orders: Iterable[Payment]) -> bytes:
    """A payment file: CSV in UTF-8 with a mark, one row a payment; no cell of it runs as a formula.

    The fund pays on the mandate of the institution that the row names. The bank knows a payment by its `payment_id`.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(PAYMENT_COLUMNS)
    for order in orders:
        texts = (
            str(order.id),
            str(order.run_id),
            str(order.sheet_id),
            f"{order.month:%Y-%m}",
            order.institution_code,
            order.institution_name,
            order.distributor_code,
            order.distributor_name,
            order.holder_name or "",
            order.bank_name or "",
        )
        numbers = (digits(order.cnaps_code), digits(order.account_number), money.amount_text(order.amount_yuan))
        writer.writerow([*map(neutralised, texts), *numbers])
    return text.getvalue().encode("utf-8-sig")


def digits(number: str | None) -> str:
    """A number of a bank as text with a tab before it, without which a spreadsheet makes `1.2E+18` of it; readers strip it."""
    return f"\t{number}" if number else ""


@frozen
class ResultRow:
    """One row of a result file: the answer, or what is wrong with it."""

    number: int
    answer: BankAnswer | None
    faults: tuple[Fault, ...] = ()


def result_limits() -> SheetLimits:
    """How large a result file may be, as the settings say now."""
    bank = BankSettings()
    return SheetLimits(file_bytes=bank.bank_result_bytes, rows=bank.bank_result_rows, columns=MOST_RESULT_COLUMNS)


def read_results(path: Path) -> list[ResultRow]:
    """Every row of a result file; raises ResultFileRefused when it is no such file. Bad rows carry their faults."""
    try:
        with open_sheet(path, limits=result_limits()) as sheet:
            _check_header(sheet.header)
            return [_result(row, sheet.header) for row in sheet]
    except SheetRefused as error:
        fault = Fault("", error.where or None, error.detail, error.allowed, error.code)
        raise ResultFileRefused(told(error), faults=[fault]) from error


def _check_header(header: Sequence[str]) -> None:
    faults = [
        Fault(f"/{name}", None, "the column is missing", ", ".join(RESULT_COLUMNS), "missing")
        for name in NEEDED_COLUMNS
        if name not in header
    ]
    faults += [
        Fault(f"/{name}", name, "no such column is read", ", ".join(RESULT_COLUMNS), "unknown")
        for name in header
        if name not in RESULT_COLUMNS
    ]
    faults += [
        Fault(f"/{name}", name, "the column stands there twice", "each column once", "repeated")
        for name in {name for name in header if list(header).count(name) > 1}
    ]
    if faults:
        raise ResultFileRefused("The header is {header}.", faults=faults, header=", ".join(header)[:200])


def _result(row: Row, header: Sequence[str]) -> ResultRow:
    cells = dict(zip(header, (cell.strip() for cell in row.cells), strict=True))
    payment_id = _uuid(cells["payment_id"])
    verdict = next((word for word in RESULT_WORDS if word == cells["result"].lower()), None)
    told = (_instant(cells.get("paid_at") or ""), _amount(cells.get("amount_yuan") or ""))
    faults = [
        Fault(f"/{row.number}/{column}", cells.get(column), rule, allowed)
        for column, rule, allowed in (
            *_unknown(payment_id, verdict),
            *_bad_words(cells, verdict),
            *_unread(cells, *told),
        )
    ]
    if row.surplus:
        faults.append(
            Fault(f"/{row.number}/", None, "more cells than columns", Said("cells: {count}", count=len(header)))
        )
    if faults or payment_id is None or verdict is None:
        return ResultRow(row.number, None, tuple(faults))
    words = cells.get("reason") or None, cells.get("bank_reference") or None
    return ResultRow(row.number, BankAnswer(payment_id, verdict, words[0], *told, words[1]))


def _unknown(payment_id: UUID | None, verdict: Verdict | None) -> Iterator[tuple[str, str, str]]:
    """What no row can do without: column, rule and what is allowed."""
    if payment_id is None:
        yield "payment_id", "not the id of a payment", "the payment_id of the payment file"
    if verdict is None:
        yield "result", "not a result", ", ".join(RESULT_WORDS)


def _bad_words(cells: Mapping[str, str], verdict: Verdict | None) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the texts of a row."""
    if verdict in {Verdict.REFUSED, Verdict.BOUNCED} and not cells.get("reason"):
        yield "reason", Said("a payment that was {verdict} needs a reason", verdict=verdict), "a text"
    for column, most in (("reason", REASON_CHARACTERS), ("bank_reference", REFERENCE_CHARACTERS)):
        if not is_clean_text(cells.get(column, ""), most):
            yield column, "cannot be stored or shown", Said("printable characters, {most} or fewer", most=most)
    if SCIENTIFIC.fullmatch(cells.get("bank_reference", "")):
        yield "bank_reference", "a number in scientific form has lost digits", "the reference as text"


def _unread(
    cells: Mapping[str, str], paid_at: datetime | None, amount_yuan: Decimal | None
) -> Iterator[tuple[str, str, str]]:
    """What is wrong with the time and the amount of a row."""
    if cells.get("paid_at") and paid_at is None:
        yield "paid_at", "not an instant", "2026-03-05T14:30:00+08:00, or 2026-03-05 14:30:00 of Shanghai"
    elif paid_at is not None and paid_at > clock.now():
        yield "paid_at", "lies in the future", Said("up to {now}", now=clock.now())
    if cells.get("amount_yuan") and amount_yuan is None:
        yield "amount_yuan", "not an exact number of yuan", "1234.50"


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _amount(text: str) -> Decimal | None:
    try:
        return money.parse_amount(text)
    except ValueError:
        return None


def _instant(text: str) -> datetime | None:
    """An instant of ISO 8601; without an offset it is of Shanghai."""
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=clock.SHANGHAI) if found.tzinfo is None else found.astimezone(clock.SHANGHAI)
    except (ValueError, OverflowError):
        return None


class FileBank:
    """A bank that takes payment files and gives result files, through a folder or, without one, over HTTP alone.

    A payment is written into one file only: what files hold already is looked up before anything is written.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    async def pay(self, orders: Sequence[Payment]) -> list[BankAnswer]:
        """Writes the orders that no file holds yet; answers from the result files, `pending` where they are silent."""
        if self._folder is None:
            return [BankAnswer(order.id, Verdict.PENDING) for order in orders]
        try:
            return await asyncio.to_thread(self._exchange, self._folder, orders)
        except OSError as error:
            raise BankAway("The bank's folder cannot be used: {strerror}.", strerror=error.strerror) from error

    def _exchange(self, folder: Path, orders: Sequence[Payment]) -> list[BankAnswer]:
        outgoing, incoming = folder / "payments", folder / "results"
        outgoing.mkdir(parents=True, exist_ok=True)
        incoming.mkdir(parents=True, exist_ok=True)
        written = {key for run in {order.run_id for order in orders} for key in _keys_written(outgoing, run)}
        fresh = [order for order in orders if order.id not in written]
        if fresh:
            _write_once(outgoing / f"{fresh[0].run_id}.{fresh[0].id}.csv", payment_file(fresh))
        known = {answer.payment_id: answer for file in sorted(incoming.glob("*.csv")) for answer in _answers(file)}
        return [known.get(order.id, BankAnswer(order.id, Verdict.PENDING)) for order in orders]


def _keys_written(folder: Path, run_id: UUID) -> set[UUID]:
    keys: set[UUID] = set()
    for file in folder.glob(f"{run_id}.*.csv"):
        with file.open(encoding="utf-8-sig", newline="") as lines:
            keys.update(UUID(row["payment_id"]) for row in csv.DictReader(lines))
    return keys


def _write_once(path: Path, content: bytes) -> None:
    """The whole file or none of it, also when the power fails."""
    aside = path.with_suffix(".part")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)


def _answers(file: Path) -> list[BankAnswer]:
    """What a result file says; what cannot be read of it says nothing, is spoken of, and is read again the next time."""
    try:
        rows = read_results(file)
    except ResultFileRefused as refusal:
        log.warning("a result file is not read", extra={"file": file.name, "reason": refusal.detail})
        return []
    for row in rows:
        if row.answer is None:
            faults = [f"{fault.pointer}: {fault.rule}" for fault in row.faults]
            log.warning(
                "a row of a result file is not read", extra={"file": file.name, "row": row.number, "faults": faults}
            )
    return [row.answer for row in rows if row.answer is not None]


@dataclass(slots=True)
class ScriptedBank:
    """Answers by script, for tests: per payment (by sheet) a list of verdicts, the last one kept; else it pays.

    `calls` counts how often each key was asked, `moved` how often money moved under it: at most once.
    """

    script: Mapping[UUID, Sequence[Verdict]] = field(default_factory=dict)
    away: bool = False
    calls: Counter[UUID] = field(default_factory=Counter)
    moved: Counter[UUID] = field(default_factory=Counter)

    async def pay(self, orders: Sequence[Payment]) -> list[BankAnswer]:
        """Answers each order with the next word of its script."""
        if self.away:
            raise BankAway("The bank does not answer.")
        return [self._answer(order) for order in orders]

    def _answer(self, order: Payment) -> BankAnswer:
        words = self.script.get(order.sheet_id, (Verdict.PAID,))
        verdict = words[min(self.calls[order.id], len(words) - 1)]
        self.calls[order.id] += 1
        if verdict is Verdict.PAID and not self.moved[order.id]:
            self.moved[order.id] += 1
        reason = None if verdict is Verdict.PAID else f"scripted {verdict}"
        return BankAnswer(order.id, verdict, reason)


def open_bank() -> Bank:
    """The bank of this platform, as its settings say now."""
    return FileBank(BankSettings().bank_folder)
