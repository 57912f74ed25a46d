"""The main job on the small sample that ships, told as it happens: who did what, and what happened by itself.

It begins some weeks ago on the driven clock, so that a month can pass, and ends by giving the platform the real time back.
"""

from datetime import timedelta
from decimal import Decimal
from pathlib import Path

from deploy.addresses import Addresses
from deploy.commands.options import DATA
from deploy.story.cast import Cast, assemble, load
from deploy.story.market import open_market
from deploy.story.money import settle
from deploy.story.teller import Teller
from deploy.story.trade import Traded, trade
from deploy.story.watch import watch
from deploy.visitor import TokenFor, Visitor
from shared import clock
from shared.values import frozen

BEGINS_DAYS_AGO = 60


@frozen
class Told:
    """What the story came to, without ids and times: the same however the platform runs."""

    ordered_yuan: Decimal
    accepted_lines: int
    payables: int
    receipts: int
    released_yuan: Decimal
    paid_yuan: Decimal
    ledger_sum_yuan: Decimal
    differences: tuple[str, ...]
    line_states: tuple[str, ...]
    refusals: tuple[str, ...]
    alert: str
    problem: str


async def tell(addresses: Addresses, token_for: TokenFor, data: Path = DATA) -> Told:
    """Plays the story over HTTP against a platform that runs on a data folder, in one process or in ten, and prints it line
    by line.

    Raises deploy.visitor.Refused where a step is refused that should not be.
    """
    async with Visitor(addresses, token_for) as visitor:
        cast = assemble(load(), visitor)
        today = clock.today()
        start = today - timedelta(days=BEGINS_DAYS_AGO)
        teller = Teller(visitor, clock.start_of_day(start))
        try:
            teller.opens(
                "The story of one order among invented parties, in Shanghai time, on a clock that is driven from"
                f" {BEGINS_DAYS_AGO} days ago.",
                "“→ by itself” is what nobody asked for; “…” and six digits are the end of an id.",
            )
            await teller.on(clock.start_of_day(start) + timedelta(hours=9))
            await open_market(cast, teller)
            await teller.later(hours=1)
            traded = await trade(cast, teller)
            own_run = await settle(cast, teller)
            alert, problem = await watch(cast, teller)
            return await _sum_up(cast, teller, traded, own_run, (alert, problem), data)
        finally:
            await visitor.release_clock()


def _elsewhere(data: Path) -> str:
    return "" if data.absolute() == DATA.absolute() else f" --data {data}"


async def _sum_up(
    cast: Cast, teller: Teller, traded: Traded, own_run: str, watched: tuple[str, str], data: Path
) -> Told:
    order = await cast.hospital.get(f"orders/orders/{traded.order_id}")
    period = {"from": str(clock.local_date(teller.now) - timedelta(days=90)), "to": str(clock.local_date(teller.now))}
    sums = await cast.authority.get("settlement/reconciliation", **period)
    receipts = (await cast.hospital.get("traceability/receipts"))["items"]
    teller.heading("In the end")
    for line in order["lines"]:
        teller.says(
            f"line {line['line_number']}",
            f"{line['state']}: ordered {line['quantity_ordered']}, accepted {line['quantity_accepted']},"
            f" traced {line['quantity_traced']}, paid {line['paid_yuan']} yuan",
        )
    told = Told(
        ordered_yuan=Decimal(order["amount_yuan"]),
        accepted_lines=sums["accepted_lines"]["count"],
        payables=sums["payables"]["count"],
        receipts=len(receipts),
        released_yuan=Decimal(sums["released"]["yuan"]),
        paid_yuan=Decimal(sums["paid"]["yuan"]),
        ledger_sum_yuan=Decimal(sums["ledger_sum_yuan"]),
        differences=tuple(sums["differences"]),
        line_states=tuple(line["state"] for line in order["lines"]),
        refusals=(traded.price_refusal, *traded.code_refusals, own_run),
        alert=watched[0],
        problem=watched[1],
    )
    teller.says(
        "In sum:",
        f"{told.accepted_lines} accepted lines = {told.payables} payables = {told.receipts} receipts; released"
        f" {told.released_yuan} = paid {told.paid_yuan} yuan; the ledger sums to {told.ledger_sum_yuan}",
    )
    teller.says(
        "Ask further",
        "as any of them: README.md, “The five APIs”; the hospital's token: jicai token --role hospital"
        f" --org {cast.institution.code} --region {cast.institution.region}{_elsewhere(data)}",
    )
    return told
