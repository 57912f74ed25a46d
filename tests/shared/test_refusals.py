"""What a function can refuse is read from its source: raised, made as an outcome, caught, handed on; and nothing is guessed."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

import pytest
from fastapi import Response

from deploy.services import load_all
from shared import errors
from shared.errors import Conflict, Forbidden, Gone, NotFound, ServiceError, Unprocessable
from shared.http import create_app, only
from shared.http.refusals import found_in
from tests.contract import Contract

Outcome = int | ServiceError


class Gate:
    def passed(self, number: int) -> int:
        if number < 0:
            raise Forbidden
        return number

    @property
    def height(self) -> int:
        raise Gone("It was pulled down.")


def raised(number: int) -> int:
    if number == 0:
        raise NotFound("There is no {number}.", number=number)
    return number


def raised_by_its_module(number: int) -> int:
    raise errors.Conflict("{number}", number=number)


def made(number: int) -> Conflict:
    return Conflict("{number} is taken.", number=number)


def raised_as_it_was_made(number: int) -> int:
    raise made(number)


def handed_to_who_raises_it(number: int, refuse: Callable[[type[ServiceError]], None]) -> int:
    refuse(Unprocessable)
    return number


def caught_as_an_outcome(number: int) -> Outcome:
    try:
        return raised(number)
    except ServiceError as refusal:
        return refusal


def caught_and_forgotten(number: int) -> int:
    try:
        return raised(number)
    except NotFound:
        return 1


def caught_and_raised_again(number: int) -> int:
    try:
        return raised(number)
    except NotFound:
        number += 1
        raise


def another_is_caught(number: int) -> int:
    try:
        return raised(number)
    except Conflict:
        return 1


def told_apart(outcome: Outcome) -> bool:
    return isinstance(outcome, (NotFound, Conflict))


def annotated(number: int) -> int:
    found: list[NotFound | Conflict] = []
    return number + len(found)


def called_back(numbers: Sequence[int], act: Callable[[int], int]) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for number in numbers:
        try:
            outcomes.append(act(number))
        except ServiceError as refusal:
            outcomes.append(refusal)
    return outcomes


def each_by_itself(numbers: Sequence[int]) -> list[Outcome]:
    def act(number: int) -> int:
        return raised(number)

    return called_back(numbers, act)


def each_by_a_lambda(numbers: Sequence[int]) -> list[Outcome]:
    return called_back(numbers, lambda number: raised(number) + 1)


def one_alone(number: int) -> Outcome:
    return only(each_by_itself([number]))


@dataclass
class Act:
    number: int
    take: Callable[[int], int]


def kept_in_a_value(number: int) -> Act:
    return Act(number, raised)


def kept_and_done_alone(number: int) -> Outcome:
    act = kept_in_a_value(number)
    return only([act.take(act.number)])


def bound(number: int) -> Callable[[], int]:
    return partial(raised, number)


async def handed_on(each: Callable[[Callable[[int], int]], Awaitable[int]]) -> int:
    return await each(partial(raised))


def asked_of_a_method(gate: Gate, number: int) -> int:
    return gate.passed(number)


def asked_of_a_property(gate: Gate) -> int:
    return gate.height


def named_like_a_function(raised: int) -> int:
    return raised


def turning(number: int) -> int:
    return raised(number) + turning(number - 1)


@pytest.mark.parametrize(
    ("function", "is_raised", "is_made"),
    [
        (raised, {NotFound}, {NotFound}),
        (raised_by_its_module, {Conflict}, {Conflict}),
        (made, set(), {Conflict}),
        (raised_as_it_was_made, {Conflict}, {Conflict}),
        (handed_to_who_raises_it, {Unprocessable}, set()),
        (caught_as_an_outcome, set(), {NotFound}),
        (caught_and_forgotten, set(), set()),
        (caught_and_raised_again, {NotFound}, set()),
        (another_is_caught, {NotFound}, set()),
        (told_apart, set(), set()),
        (annotated, set(), set()),
        (each_by_itself, set(), {NotFound}),
        (each_by_a_lambda, set(), {NotFound}),
        (one_alone, {NotFound}, {NotFound}),
        (handed_on, {NotFound}, set()),
        (bound, {NotFound}, set()),
        (kept_in_a_value, set(), {NotFound}),
        (kept_and_done_alone, {NotFound}, {NotFound}),
        (asked_of_a_method, {Forbidden}, set()),
        (asked_of_a_property, {Gone}, {Gone}),
        (named_like_a_function, set(), set()),
        (turning, {NotFound}, set()),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
def test_what_a_function_refuses(
    function: Callable[..., object], is_raised: set[type[ServiceError]], is_made: set[type[ServiceError]]
) -> None:
    found = found_in(function)
    assert (found.raised, found.made - found.raised) == (is_raised, is_made - is_raised)


def test_headers_that_an_answer_is_given() -> None:
    def shown(response: Response) -> Response:
        response.headers["etag"] = '"1"'
        return Response("", headers={"Content-Disposition": "attachment"})

    assert found_in(shown).headers == {"etag", "content-disposition"}


def test_a_library_is_not_read() -> None:
    assert found_in(Response.set_cookie).raised == set()
    assert found_in(print).raised == set()
    assert found_in(None).raised == set()


def refusals(name: str, operation: str) -> dict[str, set[str]]:
    """The codes of an operation, by status, as its OpenAPI says them."""
    (service,) = [one for one in load_all() if one.name == name]
    app = create_app(service, service.settings(database_url="postgresql://nobody@nowhere/none"))
    contract = Contract(app)
    (shown,) = [
        one for path in app.openapi()["paths"].values() for one in path.values() if one["operationId"] == operation
    ]
    named = {status: one["$ref"].rpartition("/")[2] for status, one in shown["responses"].items() if "$ref" in one}
    for status, reference in named.items():
        schema = contract.named({"$ref": f"#/components/responses/{reference}"})["content"]["application/problem+json"]
        assert schema["schema"]["allOf"][1]["properties"]["code"]["enum"] == reference.split(".")[1:], status
    told = {status: set(reference.split(".")[1:]) for status, reference in named.items()}
    for status, code in BEFORE.items():
        told[status].remove(code)
    return {status: codes for status, codes in told.items() if codes}


BEFORE = {"400": "head_unreadable", "408": "head_too_slow", "431": "head_too_large"}
"""What a connection may hear instead of any operation."""

ADMITTED = {
    "401": {"no_token", "token_refused"},
    "429": {"rate_exceeded", "organisation_busy"},
    "500": {"internal"},
    "503": {"unavailable", "too_crowded", "took_too_long", "issuer_away"},
}
MAY_NOT = {"role_may_not", "scope_too_narrow"}
BODY = {
    "408": {"body_too_slow"},
    "413": {"body_too_large", "too_many_items"},
    "415": {"encoded_body", "not_json"},
}
KEY_400 = {"unknown_parameter", "key_empty", "key_repeated", "key_too_long"}


def test_a_read_answers_no_word_of_bodies_keys_or_versions() -> None:
    assert refusals("orders", "get_order") == {
        **ADMITTED,
        "400": {"unknown_parameter"},
        "403": {"scope_too_narrow", "trades_under_other_code"},  # every role may, enterprises among them
        "404": {"order_not_found"},
        "422": {"invalid_request", "value_not_storable"},
    }
    assert refusals("orders", "list_audit_heads") == {**ADMITTED, "400": {"unknown_parameter"}, "403": MAY_NOT}


def test_a_write_answers_what_its_handler_and_its_body_can_be_refused_for() -> None:
    assert refusals("orders", "place_order") == {
        **ADMITTED,
        **BODY,
        "400": {*KEY_400, "unreadable_body"},
        "403": {*MAY_NOT, "not_your_organisation"},
        "409": {"busy", "still_running", "order_number_used"},
        "422": {"invalid_request", "value_not_storable", "key_reused", "order_refused", "event_too_large"},
    }


def test_items_are_refused_by_themselves_and_not_the_call() -> None:
    assert refusals("orders", "place_orders_in_bulk") == {
        **ADMITTED,
        **BODY,
        "400": {*KEY_400, "unreadable_body"},
        "403": MAY_NOT,
        "409": {"busy", "still_running"},
        "422": {"invalid_request", "value_not_storable", "key_reused"},
    }


def test_items_of_a_bulk_call_say_what_each_can_be_refused_for() -> None:
    (service,) = [one for one in load_all() if one.name == "listing"]
    document = create_app(service, service.settings(database_url="postgresql://nobody@nowhere/none")).openapi()
    answer = document["paths"]["/listings/delist"]["post"]["responses"]["200"]["content"]["application/json"]
    problem = answer["schema"]["allOf"][1]["properties"]["items"]["items"]["properties"]["problem"]
    assert set(problem["properties"]["code"]["enum"]) == {
        *("invalid_request", "listing_not_found", "listing_not_open", "not_your_listing"),
        *("selected_stays", "listing_refused"),
    }


def test_a_version_is_asked_for_where_two_may_edit_and_nowhere_else() -> None:
    needed = refusals("settlement", "review_sheet")
    assert (needed["428"], needed["412"]) == ({"precondition_required"}, {"precondition_failed", "sheet_changed"})
    heeded = refusals("listing", "accept_listing")
    assert ("428" in heeded, heeded["412"]) == (False, {"precondition_failed"})
    assert not {"412", "428"} & set(refusals("orders", "cancel_order"))


def test_a_step_answers_what_its_own_party_can_be_refused_for() -> None:
    asked = {"invalid_request", "value_not_storable", "key_reused", "event_too_large"}
    assigned, escalated = refusals("alerts", "assign_problem"), refusals("alerts", "escalate_problem")
    assert (assigned["403"], escalated["403"]) == ({*MAY_NOT, "not_your_level"}, {*MAY_NOT, "not_your_level"})
    assert escalated["409"] - assigned["409"] == {"no_level_above"}
    assert refusals("alerts", "reply_to_problem")["403"] == {*MAY_NOT, "trades_under_other_code", "not_your_turn"}
    assert refusals("listing", "submit_listing")["422"] == asked
    assert refusals("listing", "delist_listing")["422"] == asked | {"selected_stays", "listing_refused"}


def test_a_file_is_refused_for_its_own_reasons() -> None:
    found = refusals("listing", "import_sheet")
    assert (found["413"], found["415"]) == ({"upload_too_large"}, {"encoded_body", "sheet_type_unknown"})
    assert "408" not in found


def test_what_a_connection_may_hear_before_its_request_is_known_is_told_of_every_operation() -> None:
    (service,) = [one for one in load_all() if one.name == "orders"]
    document = create_app(service, service.settings(database_url="postgresql://nobody@nowhere/none")).openapi()
    for path, methods in document["paths"].items():
        for told in (one["responses"] for one in methods.values()):
            missing = {code for status, code in BEFORE.items() if code not in told[status]["$ref"].split(".")}
            assert missing == set(), path


def test_health_needs_no_token_and_every_edge_does() -> None:
    for service in load_all():
        app = create_app(service, service.settings(database_url="postgresql://nobody@nowhere/none"))
        document = app.openapi()
        assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"
        assert {
            path for path, methods in document["paths"].items() for one in methods.values() if not one["security"]
        } == {
            "/health/live",
            "/health/ready",
            "/errors/{code}",
        }
