"""A replay from the first row to the reconciliation: phases in their order, each measured.

Invariant: it may be killed anywhere and started again; it asks the platform what is done and goes on from there.
"""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import msgspec
import uvloop
from rich.console import Console
from rich.table import Table

from deploy.addresses import Addresses
from deploy.issuer import make_token
from deploy.replay import host, master, months, refused
from deploy.replay.days import Days
from deploy.replay.host import Burden
from deploy.replay.mapping import ReplayMapping
from deploy.replay.plan import Plan, read
from deploy.replay.reconcile import Outcome, reconcile
from deploy.replay.refused import ApiRefusals
from deploy.replay.stage import ReplayStopped, Seconds, Stage
from deploy.visitor import NotQuiet, Refused, Visitor
from shared import clock
from shared.values import frozen

TOKEN_DAYS = 7.0
LONGEST_LIST = 20
"""Provisional enterprises named on the terminal, those who deliver most; `replay.json` names all."""


@frozen
class Asked:
    """What is to be replayed, and where."""

    data: Path
    mapping: ReplayMapping
    data_dir: Path
    bus: str


def play(asked: Asked, console: Console) -> bool:
    """Plays everything and reports; False when something does not reconcile. Raises CannotStart."""
    with Seconds(console) as seconds, ExitStack() as running:
        with seconds.phase("read") as bar:
            plan = read(asked.data, asked.mapping)
            bar.step()
        with seconds.phase("start") as bar:
            start = clock.start_of_day(plan.first)
            platform = host.platform(asked.data_dir, asked.bus, asked.mapping.policy, start)
            where, process = running.enter_context(platform)
            bar.step()
        burden = Burden(process)
        with _said_plainly(), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            outcome = runner.run(_played(asked, plan, where, seconds, burden))
    _write(asked.data_dir, plan, outcome, seconds, burden)
    _show(console, plan, outcome, seconds, burden)
    return not outcome.differences


@contextmanager
def _said_plainly() -> Iterator[None]:
    """Of everything that failed beside each other, the first cause, in one sentence."""
    try:
        yield
    except* (ReplayStopped, NotQuiet, Refused) as stopped:
        raise ReplayStopped(str(_first(stopped))) from stopped
    except* (httpx.TransportError, ConnectionError) as away:
        cause = _first(away)
        asked = f"{cause.request.method} {cause.request.url.path}" if isinstance(cause, httpx.RequestError) else ""
        raise ReplayStopped(f"The platform went away at {asked} ({cause!r}); start the replay again.") from away


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """A single cause, however deep."""
    cause: BaseException = group
    while isinstance(cause, BaseExceptionGroup):
        cause = cause.exceptions[0]
    return cause


async def _played(asked: Asked, plan: Plan, where: Addresses, seconds: Seconds, burden: Burden) -> Outcome:
    def token_for(role: str, organisation: str, region: str, person: str) -> str:
        return make_token(
            asked.data_dir, organisation=organisation, roles=[role], region=region, person=person, days=TOKEN_DAYS
        )

    watching = asyncio.create_task(burden.watch())
    try:
        async with Visitor(where, token_for) as visitor:
            stage = Stage(visitor, plan, seconds)
            refusals = ApiRefusals(asked.data_dir, plan)
            await stage.resume()
            await master.take_over(stage)
            await _months(stage, Days(stage, refusals))
            outcome = await reconcile(stage, refusals)
            await stage.release()
            return outcome
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching


async def _months(stage: Stage, days: Days) -> None:
    """Day by day; a month that is over is settled before the next one begins."""
    await days.look()
    month: date | None = None
    for day, orders in stage.plan.days.items():
        if month is not None and day.replace(day=1) != month:
            await months.settle(stage, month)
        month = day.replace(day=1)
        with stage.seconds.phase("days", len(stage.plan.orders)) as bar:
            await days.play(day, orders, bar)
    if month is not None:
        await months.settle(stage, month)
    with stage.seconds.phase("quiet") as bar:
        await stage.visitor.until_quiet()
        bar.step()


def _write(data_dir: Path, plan: Plan, outcome: Outcome, seconds: Seconds, burden: Burden) -> None:
    refused.write(data_dir / "replay-refused.csv", plan, outcome.refused)
    refused.write_catalogue(data_dir / "replay-catalogue.csv", plan)
    (data_dir / "replay.json").write_bytes(
        msgspec.json.format(msgspec.json.encode(_report(outcome, seconds, burden)), indent=2) + b"\n"
    )


def _report(outcome: Outcome, seconds: Seconds, burden: Burden) -> dict[str, Any]:
    measured = {name: round(spent, 1) for name, spent in seconds.of.items()}
    return {**outcome.figures(), "seconds": measured, "peak_memory_mb": burden.peak_mb}


def _show(console: Console, plan: Plan, outcome: Outcome, seconds: Seconds, burden: Burden) -> None:
    table = Table(title="Reconciliation", title_justify="left")
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_column("yuan", justify="right")
    figures = outcome.figures()
    by_whom: dict[tuple[str, str], list[Any]] = {}
    for one in outcome.refused:
        counted = by_whom.setdefault((one.reason, one.by), [0, 0])
        counted[0] += 1
        counted[1] += one.yuan
    table.add_row("rows of the sheet", f"{outcome.rows:,}", f"{outcome.yuan_in:,.2f}")
    for (reason, by), (count, yuan) in by_whom.items():
        table.add_row(f"  refused by the {by}: {reason}", f"{count:,}", f"{yuan:,.2f}")
    table.add_row("  ordered", f"{outcome.ordered:,}", f"{outcome.yuan_ordered:,.2f}")
    table.add_row("orders", f"{figures['orders']:,}", "")
    table.add_row("lines accepted", f"{figures['lines_accepted']:,}", f"{outcome.lines.yuan_accepted:,.2f}")
    table.add_row("payables", f"{figures['payables']:,}", f"{outcome.payables.yuan:,.2f}")
    table.add_row("  paid", "", f"{outcome.payables.paid:,.2f}")
    table.add_row("codes captured", f"{figures['codes_captured']:,}", "")
    table.add_row("lines covered by codes", f"{figures['lines_covered']:,}", "")
    table.add_row("alerts raised", f"{figures['alerts_raised']:,}", "")
    for kind, count in figures["alerts_by_kind"].items():
        table.add_row(f"  {kind}", f"{count:,}", "")
    table.add_row("sum of the ledger", "", f"{outcome.ledger_sum:,.2f}")
    console.print(table)
    provisional = figures["provisional"]
    names = [*provisional["names"]]
    more = f" and {len(names) - LONGEST_LIST} more (replay.json)" if len(names) > LONGEST_LIST else ""
    console.print(
        f"Provisional, known by their exact names alone: {provisional['enterprises']} enterprises, who deliver"
        f" {provisional['rows']:,} lines: {'、'.join(names[:LONGEST_LIST])}{more}",
        soft_wrap=True,
    )
    catalogue = plan.catalogue
    console.print(
        f"Catalogue: {len(catalogue.listed)} products listed, {len(catalogue.merged)} rows merged,"
        f" {len(catalogue.unlisted)} not listed (replay-catalogue.csv).",
        soft_wrap=True,
    )
    console.print(
        "Seconds: " + ", ".join(f"{name} {spent:.1f}" for name, spent in seconds.of.items()),
        f"The platform held {burden.peak_mb:,} MB at most and used {burden.cpu_seconds:,} s of processor.",
        sep="\n",
        soft_wrap=True,
    )
    for difference in outcome.differences:
        console.print(f"Does not reconcile: {difference}", style="bold red", soft_wrap=True)
