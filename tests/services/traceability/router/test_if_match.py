"""Whoever answers for an anomaly says which version was read: 428 without, 412 when it is stale."""

import pytest

from tests.house import WorkerInHand
from tests.services.traceability.scenes import HOSPITAL, Desk, Line, bill, box, boxes


@pytest.mark.parametrize(
    ("step", "who", "body"),
    [("explanation", HOSPITAL, {"explanation": "扫码窗口有误"}), ("close", "authority", {"finding": "属实"})],
)
async def test_an_answer_needs_the_version_that_was_read(
    desk: Desk, worker: WorkerInHand, step: str, who: str, body: dict[str, str]
) -> None:
    made = Line(10)
    await worker.deliver(made.dispatched(), made.accepted())
    await desk.capture(made.bill(boxes(2), "B1"), bill([box(1), box(7)], "S1"))
    anomaly = (await desk.get(HOSPITAL, "/anomalies", kind="no_inbound")).json()["items"][0]
    path, tag = f"/anomalies/{anomaly['id']}", '"1"'
    if step == "close":
        tag = (await desk.post(HOSPITAL, f"{path}/explanation", {"explanation": "x"}, if_match=tag)).headers["etag"]
    assert (await desk.post(who, f"{path}/{step}", body)).status_code == 428
    assert (await desk.post(who, f"{path}/{step}", body, if_match='"7"')).status_code == 412
    assert (await desk.post(who, f"{path}/{step}", body, if_match=tag)).status_code == 200
