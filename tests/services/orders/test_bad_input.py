"""Whatever is sent: a 4xx that names field, value and rule, never a 500, never half a change."""

import json
from copy import deepcopy
from typing import Any
from uuid import uuid4

import pytest

from tests.house import WorkerInHand
from tests.services.orders.conftest import Hand
from tests.services.orders.facts import ASPIRIN, DISTRIBUTOR, HOSPITAL, goods, order, wanted


def changed(body: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    """The body with one value put in, at `a.0.b`."""
    copy = deepcopy(body)
    *parents, last = path.split(".")
    at: Any = copy
    for name in parents:
        at = at[int(name)] if name.isdigit() else at[name]
    at[last] = value
    return copy


def of_problem(answer: Any) -> Any:
    """Every refusal is a problem that names what is wrong."""
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"]
    assert problem["detail"]
    for error in problem["errors"]:
        assert error["pointer"] or error["rule"]
        assert error["rule"]
    return problem


TEXTS = [None, "", 7, True, [], {}, "x" * 65, "a\0b", "\ud800", "\u202etxt", "a\nb", "x" * 1_000_000]
NOBODYS = "9b0f4c5e-6a4d-4a0e-9d0c-3f1d5a2b7c11"
"""The id of nothing, in the names of tests."""
NUMBERS = ["5", None, True, -1, 0, 1.5, 10**9, 10**30, 1e300, [], {}]


@pytest.mark.parametrize("value", TEXTS, ids=lambda value: repr(value)[:20])
@pytest.mark.parametrize("path", ["order_number", "lines.0.product_code", "lines.0.distributor_code"])
async def test_a_code_that_is_none_is_refused(hand: Hand, worker: WorkerInHand, path: str, value: Any) -> None:
    answer = await hand.ask("hospital", HOSPITAL, "POST", "/orders", None, **raw(changed(order(), path, value)))
    problem = of_problem(answer)
    assert problem["errors"][0]["pointer"] == "/" + path.replace(".", "/")
    assert await worker.said() == []


def raw(body: Any) -> dict[str, Any]:
    """A body as bytes, so that lone surrogates and NaN travel as JSON writes them."""
    return {"content": json.dumps(body).encode(), "headers": {"content-type": "application/json"}}


@pytest.mark.parametrize("value", [*NUMBERS, float("nan"), float("inf")], ids=lambda value: repr(value)[:20])
async def test_a_quantity_that_is_none_is_refused(hand: Hand, value: Any) -> None:
    answer = await hand.ask("hospital", HOSPITAL, "POST", "/orders", None, **raw(order("CG-1", wanted(quantity=value))))
    problem = of_problem(answer)
    assert all(error["pointer"].startswith("/lines/0/quantity") for error in problem["errors"])


@pytest.mark.parametrize(
    "value", [12.34, "12.34567", "-1", "0", "NaN", "Infinity", "1e3", "12,34", "", [], True, "9" * 50, "1000000000"]
)
async def test_a_price_that_is_none_is_refused(hand: Hand, value: Any) -> None:
    body = order("CG-1", wanted(unit_price_yuan=value))
    problem = of_problem(await hand.ask("hospital", HOSPITAL, "POST", "/orders", body))
    assert problem["errors"][0]["pointer"] == "/lines/0/unit_price_yuan"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"7",
        b'"x"',
        b"{}",
        b'{"order_number": "CG-1"}',
        b'{"order_number": "CG-1", "lines": []}',
        b'{"order_number": "CG-1", "lines": [{}]}',
        b"\xff\xfe",
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body)[:40],
)
async def test_a_body_of_another_form_is_refused(hand: Hand, body: bytes) -> None:
    headers = {"content-type": "application/json"}
    of_problem(await hand.ask("hospital", HOSPITAL, "POST", "/orders", None, content=body, headers=headers))


async def test_unknown_fields_and_too_many_lines_are_refused_by_name(hand: Hand) -> None:
    problem = of_problem(await hand.ask("hospital", HOSPITAL, "POST", "/orders", order(price="1", discount=3)))
    assert [error["pointer"] for error in problem["errors"]] == ["/price", "/discount"]
    of_problem(await hand.ask("hospital", HOSPITAL, "POST", "/orders", order("CG-1", *[wanted()] * 501)))
    of_problem(await hand.ask("hospital", HOSPITAL, "POST", "/orders/bulk", [order()] * 1_001))
    of_problem(await hand.ask("hospital", HOSPITAL, "POST", "/orders/bulk", []))


async def test_a_body_of_ten_megabytes_is_refused(hand: Hand) -> None:
    answer = await hand.ask("hospital", HOSPITAL, "POST", "/orders", order("x" * 10_000_000))
    assert answer.status_code == 413


async def test_emoji_and_other_scripts_are_kept_as_they_are(hand: Hand) -> None:
    placed = await hand.place(order("订单🩺-№1/2"))
    assert (await hand.see("/orders/by-number/订单🩺-№1%2F2"))["id"] == placed["id"]
    reason = "撤销 🙂 العربية"
    path = f"/orders/{placed['id']}/cancellation"
    cancelled = await hand.say("hospital", HOSPITAL, path, {"reason": reason})
    assert cancelled["lines"][0]["reason"] == reason


@pytest.mark.parametrize("number", ["%00", "a%00b", "%ED%A0%80", "x" * 65, "%E2%80%AE"])
async def test_an_order_number_that_cannot_be_one_is_not_looked_for(hand: Hand, number: str) -> None:
    for kind in ("orders", "shipments"):
        of_problem(await hand.ask("distributor", DISTRIBUTOR, "GET", f"/{kind}/by-number/{number}"))


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/orders", {"state": "open"}),
        ("/orders", {"product_code": "\0"}),
        ("/orders", {"placed_from": "2026-02-30"}),
        ("/orders", {"placed_to": "9999-12-31"}),
        ("/orders", {"placed_from": "0"}),
        ("/orders", {"limit": 0}),
        ("/orders", {"limit": 501}),
        ("/orders", {"after": "xyz"}),
        ("/orders", {"after": "é"}),
        ("/orders", {"statE": "placed"}),
        ("/lines", {"state": "open"}),
        ("/lines", {"after": "AAAA"}),
        ("/shipments", {"order_id": "1"}),
        ("/shipments", {"state": ""}),
        ("/orders/1", {}),
        ("/orders/1/timeline", {}),
        (f"/orders/{NOBODYS}", {}),
        (f"/orders/{NOBODYS}/timeline", {}),
        (f"/shipments/{NOBODYS}", {}),
        (f"/shipments/{NOBODYS}/timeline", {}),
    ],
)
async def test_a_question_that_cannot_be_answered_is_refused(hand: Hand, path: str, params: Any) -> None:
    of_problem(await hand.ask("hospital", HOSPITAL, "GET", path, params=params))


DAYS = [20260101, "2026-02-30", "2026-13-01", "01.02.2026", "2026-1-1", "", None, "9999-12-31", "0001-01-01", True, 1.5]


@pytest.mark.parametrize("value", DAYS, ids=repr)
@pytest.mark.parametrize("name", ["produced_on", "expires_on"])
async def test_a_day_that_is_none_is_refused(hand: Hand, name: str, value: Any) -> None:
    body = {"shipment_number": "PS-1", "order_id": str(uuid4()), "lines": [goods(**{name: value})]}
    problem = of_problem(await hand.ask("distributor", DISTRIBUTOR, "POST", "/shipments", body))
    assert problem["errors"][0]["pointer"] == f"/lines/0/{name}"


@pytest.mark.parametrize("value", [*NUMBERS[:3], -1, 1.5, 10**9, float("nan")], ids=repr)
async def test_figures_of_confirmation_shipment_and_acceptance_are_checked(hand: Hand, value: Any) -> None:
    calls = [
        (
            "distributor",
            DISTRIBUTOR,
            f"/orders/{uuid4()}/confirmation",
            {"lines": [{"line_number": 1, "quantity": value}]},
        ),
        (
            "distributor",
            DISTRIBUTOR,
            f"/orders/{uuid4()}/confirmation",
            {"lines": [{"line_number": value, "quantity": 1}]},
        ),
        (
            "distributor",
            DISTRIBUTOR,
            "/shipments",
            {"shipment_number": "P", "order_id": str(uuid4()), "lines": [goods(quantity=value)]},
        ),
        (
            "hospital",
            HOSPITAL,
            f"/shipments/{uuid4()}/acceptance",
            {"lines": [{"shipment_line_id": str(uuid4()), "accepted": value}]},
        ),
        (
            "hospital",
            HOSPITAL,
            f"/shipments/{uuid4()}/acceptance",
            {"lines": [{"shipment_line_id": str(uuid4()), "accepted": 1, "rejected": value}]},
        ),
    ]
    for role, who, path, body in calls:
        problem = of_problem(await hand.ask(role, who, "POST", path, None, **raw(body)))
        assert problem["status"] == 422


@pytest.mark.parametrize(
    "named",
    [
        {},
        {"order_number": "CG-1"},
        {"institution_code": HOSPITAL},
        {"order_id": str(uuid4()), "order_number": "CG-1", "institution_code": HOSPITAL},
        {"order_id": str(uuid4()), "order_number": "CG-1"},
        {"order_id": "1"},
    ],
)
async def test_an_order_is_named_in_one_way(hand: Hand, named: Any) -> None:
    body = {"shipment_number": "PS-1", "lines": [goods()], **named}
    answer = await hand.ask("distributor", DISTRIBUTOR, "POST", "/shipments", body)
    assert of_problem(answer)["status"] == 422


@pytest.mark.parametrize(
    ("role", "path", "body"),
    [
        ("distributor", "/orders", order()),
        ("distributor", "/orders/bulk", [order()]),
        ("distributor", f"/orders/{NOBODYS}/cancellation", {"reason": "x"}),
        ("distributor", f"/orders/{NOBODYS}/lines/1/closure", {"reason": "x"}),
        ("distributor", f"/shipments/{NOBODYS}/acceptance", {"lines": []}),
        ("distributor", "/acceptances/bulk", []),
        ("hospital", f"/orders/{NOBODYS}/confirmation", {"lines": []}),
        ("hospital", "/confirmations/bulk", []),
        ("hospital", "/shipments", {}),
        ("hospital", "/shipments/bulk", []),
        ("hospital", f"/shipments/{NOBODYS}/cancellation", {"reason": "x"}),
        ("manufacturer", "/shipments", {}),
        ("authority", f"/orders/{NOBODYS}/cancellation", {"reason": "x"}),
        ("agency", "/acceptances/bulk", []),
    ],
)
async def test_a_role_does_only_what_the_matrix_lets_it(hand: Hand, role: str, path: str, body: Any) -> None:
    answer = await hand.ask(role, DISTRIBUTOR, "POST", path, body)
    assert (answer.status_code, of_problem(answer)["code"]) == (403, "role_may_not")


async def test_without_a_token_nothing_is_told(hand: Hand) -> None:
    for path in ("/orders", f"/orders/{uuid4()}", "/lines", "/shipments"):
        assert (await hand.client.get(path)).status_code == 401


async def test_a_reason_of_spaces_is_none(hand: Hand) -> None:
    placed = await hand.place()
    path = f"/orders/{placed['id']}/cancellation"
    problem = await hand.say("hospital", HOSPITAL, path, {"reason": "   "}, 422)
    assert problem["errors"][0]["pointer"] == "/reason"


async def test_a_product_written_otherwise_is_another_product(hand: Hand) -> None:
    refused = await hand.place(order("CG-1", wanted(ASPIRIN.lower())), 422)
    assert refused["errors"][0]["code"] == "unlisted"


UNREADABLE = [
    ({"quantity": "abc"}, ["/lines/0/quantity"]),
    ({"quantity": None, "product_code": "XX"}, ["/lines/0/product_code", "/lines/0/quantity"]),
    ({"quantity": 1.5, "foo": 1}, ["/lines/0/foo", "/lines/0/quantity"]),
    ({"quantity": True, "unit_price_yuan": 1.5}, ["/lines/0/quantity", "/lines/0/unit_price_yuan"]),
    ({"distributor_code": 7, "product_code": "XX"}, ["/lines/0/distributor_code"]),
]


@pytest.mark.parametrize(("line", "pointers"), UNREADABLE)
async def test_a_fault_of_form_hides_no_fault_of_the_market(
    hand: Hand, worker: WorkerInHand, line: dict[str, Any], pointers: list[str]
) -> None:
    body = {**order("CG-1", {**wanted(), **line}, wanted(product_code="XX"), {**wanted(), "bar": 1}), "foo": 1}
    expected = sorted([*pointers, "/foo", "/lines/1/product_code", "/lines/2/bar"])
    problem = of_problem(await hand.ask("hospital", HOSPITAL, "POST", "/orders", body))
    assert problem["code"] == "invalid_request"
    assert sorted(error["pointer"] for error in problem["errors"]) == expected
    assert problem["detail"] == f"{len(expected)} faults in the request; nothing was changed."
    items = await hand.ask("hospital", HOSPITAL, "POST", "/orders/bulk", [body, order("CG-2")])
    refused, placed = items.json()["items"]
    assert sorted(error["pointer"] for error in refused["problem"]["errors"]) == expected
    assert placed["status"] == 201
    assert len(await worker.said()) == 1


async def test_every_fault_of_the_lines_is_told_at_once(hand: Hand) -> None:
    body = order(
        "CG-1", wanted(quantity="abc"), wanted(product_code="XX"), wanted(quantity=1.5), wanted(quantity=10**30)
    )
    problem = of_problem(await hand.ask("hospital", HOSPITAL, "POST", "/orders", body))
    told = {error["pointer"]: (error["given"], error["rule"]) for error in problem["errors"]}
    whole = "the quantity is positive and whole"
    assert told["/lines/0/quantity"] == ('"abc"', whole)
    assert told["/lines/2/quantity"] == ("1.5", whole)
    assert told["/lines/3/quantity"] == (str(10**30), "the quantity is 100000000 at most")
    assert set(told) == {"/lines/0/quantity", "/lines/1/product_code", "/lines/2/quantity", "/lines/3/quantity"}


async def test_an_unreadable_order_of_another_hospital_tells_its_form_alone(hand: Hand) -> None:
    body = {**order("CG-1", wanted(product_code="XX")), "foo": 1, "institution_code": "H00000000000"}
    problem = of_problem(await hand.ask("hospital", HOSPITAL, "POST", "/orders", body))
    assert [error["pointer"] for error in problem["errors"]] == ["/foo"]


async def test_what_days_say_of_goods_and_how_the_order_is_named_is_told_with_the_form_of_a_shipment(
    hand: Hand,
) -> None:
    old = {"produced_on": "2020-01-01", "expires_on": "2021-01-01"}
    lines = [
        goods(),
        goods(**old),
        {**goods(**old), "quantity": "1"},
        goods(lot="", produced_on="2199-01-01"),
        goods(produced_on="2020-01-01", expires_on="2021"),
    ]
    body = {"shipment_number": "", "order_number": "CG-1", "lines": lines}
    expected = [
        *("", "/shipment_number", "/lines/1/expires_on", "/lines/2/quantity", "/lines/2/expires_on"),
        *("/lines/3/lot_number", "/lines/3/produced_on", "/lines/3/expires_on", "/lines/4/expires_on"),
    ]
    problem = of_problem(await hand.ask("distributor", DISTRIBUTOR, "POST", "/shipments", body))
    assert (problem["code"], sorted(error["pointer"] for error in problem["errors"])) == (
        "invalid_request",
        sorted(expected),
    )
    bulk = await hand.ask("distributor", DISTRIBUTOR, "POST", "/shipments/bulk", [body])
    assert bulk.json()["items"][0]["problem"]["errors"] == problem["errors"]


async def test_a_number_of_others_is_asked_for_with_whose_it_is(hand: Hand) -> None:
    placed = await hand.place()
    await hand.confirm(placed["id"], (1, 100))
    shipment = await hand.ship(placed["id"])
    unsaid = await hand.see("/orders/by-number/CG-1", "distributor", DISTRIBUTOR, 404)
    assert unsaid["detail"] == (
        f'Order numbers are of institutions, and {DISTRIBUTOR} is none: say with `institution_code` whose "CG-1" is meant.'
    )
    said = await hand.see("/orders/by-number/CG-1", "distributor", DISTRIBUTOR, params={"institution_code": HOSPITAL})
    assert said["id"] == placed["id"]
    unsaid = await hand.see("/shipments/by-number/PS-1", status=404)
    assert 'say with `distributor_code` whose "PS-1" is meant' in unsaid["detail"]
    said = await hand.see("/shipments/by-number/PS-1", params={"distributor_code": DISTRIBUTOR})
    assert said["id"] == shipment["id"]


@pytest.mark.parametrize(
    ("lines", "words"), [(1, "1 line that you may see (1)"), (2, "2 lines that you may see (1, 2)")]
)
async def test_a_line_that_an_order_has_not_is_told_with_those_it_has(hand: Hand, lines: int, words: str) -> None:
    placed = await hand.place(order("CG-1", *[wanted()] * lines))
    refused = await hand.see(f"/orders/{placed['id']}/lines/9/timeline", status=404)
    assert refused["detail"] == f"Order CG-1 has {words}; there is no line 9."
