"""Counts on the platform what came of the sheets, in both directions, and names every difference.

Invariant: figures of what was ordered, accepted, owed and paid come from the services' own answers, never from what the
replay believes it has done.
"""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from deploy.replay.plan import Plan, yuan_of
from deploy.replay.refused import ApiRefusals
from deploy.replay.sheets import RefusedRow, by_reason
from deploy.replay.stage import Stage
from shared import clock, money

ZERO = Decimal(0)


@dataclass(slots=True)
class Lines:
    """The order lines of the replayed days on the platform."""

    amounts: dict[tuple[str, str], Decimal] = field(default_factory=dict)
    """yuan ordered, by institution and order number"""
    count: int = 0
    accepted: dict[str, int] = field(default_factory=dict)
    """units accepted, by line"""
    yuan_accepted: Decimal = ZERO
    paid: dict[str, Decimal] = field(default_factory=dict)
    """yuan that orders says are paid, by line; only where it is more than nothing"""
    by_distributor: Counter[str] = field(default_factory=Counter)
    """lines, by the code of who delivers them"""


@dataclass(slots=True)
class Payables:
    """What is owed for deliveries of the replayed days."""

    per_line: Counter[str] = field(default_factory=Counter)
    yuan: Decimal = ZERO
    paid: Decimal = ZERO
    paid_of: dict[str, Decimal] = field(default_factory=dict)
    """yuan that settlement says are paid, by order line; only where it is more than nothing"""


@dataclass(slots=True)
class Receipts:
    """The receipts of deliveries of the replayed days."""

    per_line: Counter[str] = field(default_factory=Counter)
    codes: int = 0
    covered: int = 0


@dataclass(slots=True)
class Outcome:
    """All figures, and what does not agree."""

    rows: int
    ordered: int
    refused: list[RefusedRow]
    yuan_in: Decimal
    lines: Lines
    payables: Payables
    receipts: Receipts
    provisional: dict[str, int]
    """the lines that each delivers, by name; most first"""
    alerts: Counter[str]
    """how many were raised, by kind"""
    ledger_sum: Decimal
    differences: list[str]

    @property
    def yuan_ordered(self) -> Decimal:
        """What the platform's orders come to."""
        return sum(self.lines.amounts.values(), ZERO)

    def figures(self) -> dict[str, Any]:
        """What `replay.json` says of it."""
        text = money.amount_text
        return {
            "rows": self.rows,
            "ordered": self.ordered,
            "refused": by_reason(self.refused),
            "yuan_in": text(self.yuan_in),
            "yuan_ordered": text(self.yuan_ordered),
            "yuan_refused": text(yuan_of(self.refused)),
            "orders": len(self.lines.amounts),
            "lines_accepted": len(self.lines.accepted),
            "yuan_accepted": text(self.lines.yuan_accepted),
            "payables": self.payables.per_line.total(),
            "yuan_payable": text(self.payables.yuan),
            "yuan_paid": text(self.payables.paid),
            "codes_captured": self.receipts.codes,
            "lines_covered": self.receipts.covered,
            "provisional": {
                "enterprises": len(self.provisional),
                "rows": sum(self.provisional.values()),
                "names": self.provisional,
            },
            "alerts_raised": self.alerts.total(),
            "alerts_by_kind": dict(self.alerts.most_common()),
            "ledger_sum": text(self.ledger_sum),
        }


async def reconcile(stage: Stage, refusals: ApiRefusals) -> Outcome:
    """Asks all five services, and compares."""
    plan = stage.plan
    with stage.seconds.phase("reconcile", 5) as bar:
        provisional = {
            one["code"]: one["name"]
            async for one in stage.pages(stage.operator, "listing/enterprises")
            if one["provisional"] and one["code"] in stage.codes.values()
        }
        bar.step()
        lines = await _lines(stage)
        bar.step()
        payables = await _payables(stage)
        told = await stage.visitor.call(
            "GET",
            "settlement/reconciliation",
            stage.clerk.headers,
            params={"from": plan.first.isoformat(), "to": plan.last.isoformat()},
        )
        bar.step()
        receipts = await _receipts(stage)
        bar.step()
        alerts = await _alerts(stage)
        bar.step()
    refused = [*plan.trade.refused, *refusals.rows.values()]
    delivers = {name: lines.by_distributor[code] for code, name in provisional.items()}
    outcome = Outcome(
        rows=plan.trade.count,
        ordered=plan.trade.count - len(refused),
        refused=refused,
        yuan_in=plan.trade.yuan,
        lines=lines,
        payables=payables,
        receipts=receipts,
        provisional=dict(sorted(delivers.items(), key=lambda one: (-one[1], one[0]))),
        alerts=alerts,
        ledger_sum=Decimal(told["ledger_sum_yuan"]),
        differences=[],
    )
    dead = (await stage.visitor.in_flight())["dead_letters"]
    outcome.differences = [*differences(plan, outcome, refusals), *told_otherwise(outcome, told)]
    if dead:
        outcome.differences.append(f"{dead} events are dead letters")
    return outcome


def differences(plan: Plan, found: Outcome, refusals: ApiRefusals) -> list[str]:
    """What does not agree, each in one sentence."""
    said: list[str] = []

    def same(what: str, *values: object) -> None:
        if len(set(values)) > 1:
            said.append(f"{what}: {' ≠ '.join(map(str, values))}")

    lines, payables, receipts = found.lines, found.payables, found.receipts
    planned = {
        order.key: yuan
        for order in plan.orders
        if (wanted := [line for line in order.lines if line.row not in refusals.rows])
        for yuan in [sum((line.amount_yuan for line in wanted), ZERO)]
    }
    wrong = [key for key in {*planned, *lines.amounts} if planned.get(key) != lines.amounts.get(key)]
    if wrong:
        said.append(f"{len(wrong)} orders are not as the sheet has them, {wrong[0]} among them")
    same("rows of the sheet = ordered + refused", found.rows, found.ordered + len(found.refused))
    same("rows ordered = lines on the platform = lines accepted", found.ordered, lines.count, len(lines.accepted))
    same("yuan of the sheet = ordered + refused", found.yuan_in, found.yuan_ordered + yuan_of(found.refused))
    same(
        "yuan ordered = accepted = payable = paid",
        found.yuan_ordered,
        lines.yuan_accepted,
        payables.yuan,
        payables.paid,
    )
    for name, held in (("payable", payables.per_line), ("receipt", receipts.per_line)):
        without = sum(held[line] != 1 for line in lines.accepted)
        stray = sum(line not in lines.accepted for line in held)
        if without or stray:
            said.append(f"{without} accepted lines have not exactly one {name}, {stray} have one and no accepted line")
    said += paid_otherwise(payables.paid_of, lines.paid)
    same("codes captured = units accepted", receipts.codes, sum(lines.accepted.values()))
    same("lines covered = lines accepted", receipts.covered, len(lines.accepted))
    same("ledger sum = 0", found.ledger_sum, ZERO)
    return said


def paid_otherwise(paid: dict[str, Decimal], told: dict[str, Decimal]) -> list[str]:
    """Where orders does not say of a line what settlement paid for it, in both directions."""
    untold = [line for line, yuan in paid.items() if told.get(line) != yuan]
    unpaid = [line for line in told if line not in paid]
    said = [f"{len(untold)} lines are paid and orders says otherwise, {untold[0]} among them"] if untold else []
    return said + ([f"{len(unpaid)} lines are paid in orders alone, {unpaid[0]} among them"] if unpaid else [])


def told_otherwise(found: Outcome, told: dict[str, Any]) -> list[str]:
    """Where settlement's own reconciliation says something else than its payables one by one."""
    pairs = [
        ("payables", found.payables.per_line.total(), told["payables"]["count"]),
        ("yuan payable", found.payables.yuan, Decimal(told["payables"]["yuan"])),
        ("yuan paid", found.payables.paid, Decimal(told["paid"]["yuan"])),
    ]
    said = [f"{what}: {mine} one by one ≠ {theirs} in sum" for what, mine, theirs in pairs if mine != theirs]
    return said + [f"settlement: {difference}" for difference in told["differences"]]


def _within(plan: Plan, instant: str | None) -> bool:
    """Whether it was in the replayed days; other trade on the same platform is not the replay's."""
    if instant is None:
        return False
    at = datetime.fromisoformat(instant)
    return clock.start_of_day(plan.first) <= at < clock.start_of_day(plan.last + timedelta(days=1))


async def _of_the_days(stage: Stage, path: str, at: str) -> AsyncIterator[dict[str, Any]]:
    async for one in stage.pages(stage.operator, path):
        if _within(stage.plan, one[at]):
            yield one


async def _lines(stage: Stage) -> Lines:
    found = Lines()
    async for line in _of_the_days(stage, "orders/lines", "placed_at"):
        key = line["institution_code"], line["order_number"]
        found.amounts[key] = found.amounts.get(key, ZERO) + Decimal(line["amount_yuan"])
        found.count += 1
        found.by_distributor[line["distributor_code"]] += 1
        if line["quantity_accepted"]:
            found.accepted[line["id"]] = line["quantity_accepted"]
            if paid := Decimal(line["paid_yuan"]):
                found.paid[line["id"]] = paid
            found.yuan_accepted += money.amount(line["quantity_accepted"], Decimal(line["unit_price_yuan"]))
    return found


async def _payables(stage: Stage) -> Payables:
    found = Payables()
    async for payable in _of_the_days(stage, "settlement/payables", "accepted_at"):
        found.per_line[payable["order_line_id"]] += 1
        found.yuan += Decimal(payable["amount_yuan"])
        if paid := Decimal(payable["paid_yuan"]):
            found.paid += paid
            found.paid_of[payable["order_line_id"]] = found.paid_of.get(payable["order_line_id"], ZERO) + paid
    return found


async def _receipts(stage: Stage) -> Receipts:
    found = Receipts()
    async for receipt in _of_the_days(stage, "traceability/receipts", "accepted_at"):
        found.per_line[receipt["order_line_id"]] += 1
        found.codes += receipt["packs_captured"]
        found.covered += receipt["quantity_covered"] == receipt["quantity_accepted"]
    return found


async def _alerts(stage: Stage) -> Counter[str]:
    """Those of the replayed days, and of the month in which the last of them is settled."""
    plan = stage.plan
    settled = clock.month_end(clock.next_month(plan.last))
    period = {"raised_from": plan.first.isoformat(), "raised_to": settled.isoformat()}
    return Counter([one["kind"] async for one in stage.pages(stage.operator, "alerts/alerts", **period)])
