"""What listings say of a product: the latest word stands, whichever listing said it, and in whatever order it came."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.traceability.handlers.products import on_product_told
from services.traceability.queries.products import products_by_code
from shared.db import Tx
from tests.house import WorkerInHand
from tests.services.traceability.scenes import MAKER, OTHER_MAKER, OTHER_PRODUCT, PRODUCT, Desk, Line, listed, reasons

EARLIER = datetime(2026, 1, 1, tzinfo=UTC)
LATER = EARLIER + timedelta(days=1)


@dataclass
class Told:
    data: Any
    time: datetime


def told(units_per_pack: int, at: datetime) -> Any:
    return Told(listed(units_per_pack=units_per_pack), at)


@pytest.mark.parametrize("batches", [[[12, 24]], [[24, 12]], [[12], [24]], [[24], [12]], [[24], [24], [12]]], ids=str)
async def test_the_latest_word_stands(tx: Tx, batches: list[list[int]]) -> None:
    when = {12: EARLIER, 24: LATER}
    for batch in batches:
        await on_product_told(tx, [told(size, when[size]) for size in batch])
    assert (await products_by_code(tx, [PRODUCT]))[PRODUCT].units_per_pack == 24


async def test_an_agent_speaks_for_the_product_as_its_maker_does(tx: Tx) -> None:
    await on_product_told(tx, [Told(listed(agent_code="AGENT"), LATER)])
    assert (await products_by_code(tx, [PRODUCT, "unheard of"]))[PRODUCT].agent_code == "AGENT"


async def test_many_listings_cost_one_statement(tx: Tx) -> None:
    await on_product_told(tx, [Told(listed(f"P{number}"), LATER) for number in range(200)])
    assert tx.statements == 1


async def test_a_gtin_that_listing_tells_is_known_without_an_upload(
    desk: Desk, line: Line, worker: WorkerInHand
) -> None:
    gtin, other = "06924561884074", "06901234567892"
    early = f"(01){gtin}(21)Z8"
    (answer,) = await desk.capture(line.bill([early], "B1"))
    assert (answer["packs"], answer["awaiting"]) == (0, 1)
    await worker.deliver(listed(gtin=gtin), listed(OTHER_PRODUCT, OTHER_MAKER, gtin=other))
    await worker.meet_deadlines()
    assert (await desk.receipt(line))["quantity_covered"] == 1
    (answer,) = await desk.capture(line.bill([f"(01){gtin}(21)Z9", f"(01){other}(21)Z9"], "B2"))
    assert (answer["packs"], answer["awaiting"]) == (1, 0)
    assert reasons(answer) == {f"(01){other}(21)Z9": "mismatch"}
    assert (await desk.get(MAKER, f"/codes/{early}")).json()["product_code"] == PRODUCT
    refused = await desk.codes(gtin, level=2, packs=10)
    assert refused["code"] == "ident_taken"


async def test_a_gtin_that_somebody_said_first_keeps_its_meaning(desk: Desk, line: Line, worker: WorkerInHand) -> None:
    gtin = "06924561884074"
    await desk.codes(gtin)
    await worker.deliver(listed(OTHER_PRODUCT, OTHER_MAKER, gtin=gtin))
    (answer,) = await desk.capture(line.bill([f"(01){gtin}(21)Z9"]))
    assert answer["packs"] == 1
