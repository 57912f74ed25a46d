"""What the rules find in a body is told with what is wrong in its form, where they need no more than the body."""

from typing import Any

import pytest

from tests.services.traceability.scenes import MAKER, Desk, bill, box

BIDI = "a\u202eb"


def pointers(answer: dict[str, Any]) -> set[str]:
    return {fault["pointer"] for fault in answer["errors"]}


@pytest.mark.parametrize(
    ("wrong", "pointers_of_it"),
    [
        ({"place": BIDI, "codes": []}, {"/place", "/codes", "/reason"}),
        (
            {"place": BIDI, "splits": "1", "shipment_line_id": "1"},
            {"/place", "/splits", "/shipment_line_id", "/reason"},
        ),
        ({"bill_type": "999", "codes": []}, {"/bill_type"}),
        ({"bill_type": "205", "shipment_line_id": None, "executor": {"name": "王岚"}}, {"/executor/id_number"}),
        ({"bill_type": "205", "shipment_line_id": None, "place": ""}, {"/place", "/executor"}),
        ({"captured_at": "2999-01-01T00:00:00Z", "reason": 7, "reason_code": "1"}, {"/captured_at", "/reason"}),
    ],
)
async def test_what_its_type_asks_for_is_told_with_the_wrong_form_of_a_bill(
    desk: Desk, wrong: dict[str, Any], pointers_of_it: set[str]
) -> None:
    (refused,) = await desk.capture({**bill([box(1)], "B1", "202"), **wrong})
    assert refused["code"] == "invalid_request"
    assert pointers(refused) == pointers_of_it
    assert len(refused["errors"]) == len(pointers_of_it)
    assert all(fault["given"] is None for fault in refused["errors"] if fault["code"] == "missing")


async def test_an_identification_code_of_a_wrong_form_is_told_with_what_else_is_wrong(desk: Desk) -> None:
    wrong = [
        {"ident": "123", "product_code": "", "level": 1},
        {"ident": "8111111", "product_code": "", "level": 1, "packs_per_unit": 2},
        {"ident": "8111111", "product_code": "", "level": "1", "packs_per_unit": 2},
    ]
    sent = await desk.post(MAKER, "/identification-codes/bulk", wrong)
    found = [pointers(item["problem"]) for item in sent.json()["items"]]
    assert found == [{"/product_code", "/ident"}, {"/product_code", "/packs_per_unit"}, {"/product_code", "/level"}]
