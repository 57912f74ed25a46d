"""Who must act is told with its name, as listing last said it, in whatever order that came."""

from itertools import permutations
from typing import Any
from uuid import uuid4

import pytest

from shared.events.listing import EnterpriseRegistered, InstitutionRegistered
from shared.events.traceability import RecallOpened
from tests.house import WorkerInHand
from tests.services.traceability.scenes import HOSPITAL, MAKER, Desk, Line, box, recall


def institution(name: str) -> InstitutionRegistered:
    return InstitutionRegistered(
        institution_id=uuid4(),
        institution_code=HOSPITAL,
        name=name,
        aliases=(),
        kind="hospital",
        grade=None,
        region="330102",
        active=True,
        delivery_points=(),
    )


def enterprise(name: str) -> EnterpriseRegistered:
    return EnterpriseRegistered(
        enterprise_id=uuid4(),
        enterprise_code=MAKER,
        name=name,
        aliases=(),
        kinds=("manufacturer",),
        provisional=False,
        active=True,
        region="350200",
    )


TOLD: list[tuple[Any, int]] = [
    (institution("市第一医院"), 1),
    (institution("省第一医院"), 2),
    (enterprise("青禾制药"), 1),
]


@pytest.mark.parametrize("order", list(permutations(range(3))), ids=str)
async def test_receipts_anomalies_and_recalls_name_who_acts_next(
    desk: Desk, line: Line, worker: WorkerInHand, order: tuple[int, ...]
) -> None:
    for place in order:
        fact, sequence = TOLD[place]
        await worker.deliver(fact, sequence=sequence)
    await desk.capture(line.bill([box(1, "8100000")]))
    opened = (await desk.post(MAKER, "/recalls", recall())).json()
    await worker.meet_deadlines()
    receipt = await desk.receipt(line)
    held = next(one for one in (await desk.get(HOSPITAL, "/anomalies")).json()["items"] if one["kind"] != "unknown")
    paths = (f"/receipts/{receipt['id']}", f"/anomalies/{held['id']}", f"/recalls/{opened['id']}")
    for path in paths:
        steps = (await desk.get(HOSPITAL, f"{path}/timeline")).json()["next"]
        told = {step["who"]["code"]: step["who"]["name"] for step in steps if step["who"]["code"]}
        assert told, path
        assert set(told.items()) <= {(HOSPITAL, "省第一医院"), (MAKER, "青禾制药")}, path
    (said,) = [fact for fact in await worker.said() if isinstance(fact, RecallOpened)]
    assert (said.opened_by, said.opened_by_name, said.manufacturer_code) == (MAKER, "青禾制药", MAKER)
