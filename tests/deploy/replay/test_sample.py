"""The outcome that the rules give for a province's real months, computed apart from this code; the data is read in place."""

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from deploy.replay.mapping import load
from deploy.replay.plan import Plan, quantities, read
from deploy.replay.sheets import by_reason

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "procurement_sample"

pytestmark = pytest.mark.skipif(not FOLDER.exists(), reason="the sample data is not beside the project")


@pytest.fixture(scope="module", params=["", "样例数据.xlsx"], ids=["csv", "xlsx"])
def plan(request: pytest.FixtureRequest) -> Plan:
    return read(FOLDER / request.param if request.param else FOLDER, load())


def test_rows_and_fen_come_out_as_expected(plan: Plan) -> None:
    assert (plan.trade.count, plan.trade.yuan) == (9_096, Decimal("65259573.42"))
    assert by_reason(plan.trade.refused) == {"repeated": 19, "unlisted": 92, "quantity": 568}
    yuan: Counter[str] = Counter()
    for one in plan.trade.refused:
        yuan[one.reason] += one.yuan  # type: ignore[assignment]
    assert yuan == {
        "repeated": Decimal("2292.70"),
        "unlisted": Decimal("946626.00"),
        "quantity": Decimal("6331442.36"),
    }


def test_orders_come_out_as_expected(plan: Plan) -> None:
    lines = [line for order in plan.orders for line in order.lines]
    assert (len(plan.orders), len(lines)) == (7_984, 8_417)
    assert sum(line.amount_yuan for line in lines) == Decimal("57979212.36")
    assert quantities(plan.orders).total() == 934_900


def test_master_data_comes_out_as_expected(plan: Plan) -> None:
    assert (len(plan.catalogue.listed), len(plan.catalogue.merged), len(plan.catalogue.unlisted)) == (39, 4, 7)
    assert len(plan.institutions) == 613
    provisional = [one for one in plan.enterprises if one.uscc is None]
    assert sum("distributor" in one.kinds for one in provisional) == 24
    assert {f"{order.ordered_at:%Y-%m}" for order in plan.orders} == {"2022-08", "2023-02", "2023-05"}
