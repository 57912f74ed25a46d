"""A refusal helps: one fault for one wrong value, at its place, in words of ours, with what was sent as JSON."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from pydantic import TypeAdapter, ValidationError
from pydantic_core import core_schema

from deploy.services import load_all
from services.alerts.schemas.problems import Text as ProblemText
from services.orders.schemas.orders import PlaceOrder
from shared import tongue
from shared.errors import Fault, first_of
from shared.http import Code, Edge, Items, Name, Note, Price, Reason, Region, create_app
from shared.http import text as plain_text
from shared.http.body import UnreadableBody, parsed
from shared.http.invalid import FORMS, RULES, InvalidRequest
from shared.http.paths import routes_of
from shared.http.problems import problem_of
from shared.service import Service
from tests.toy import let_in, toy

let_in()
SERVICES = load_all()
ORDER = {"order_number": "CG-1", "lines": [{"product_code": "X", "quantity": 3, "distributor_code": "D"}]}
CANNOT_OCCUR = (
    # what only Python can send, or what no field of ours is
    "no_such_attribute needs_python_object recursion_loop recursion_depth_exceeded frozen_field frozen_instance invalid_key "
    "get_attribute_error dataclass_type dataclass_exact_type named_tuple_type default_factory_not_called iteration_error "
    "string_not_ascii frozen_dict_type ordered_dict_type counter_type mapping_type deque_type tuple_type set_type "
    "set_item_not_hashable bytes_type bytes_too_short bytes_too_long bytes_invalid_encoding assertion_error "
    "missing_sentinel_error ellipsis_error time_type time_parsing time_delta_type time_delta_parsing frozen_set_type "
    "is_instance_of is_subclass_of callable_type union_tag_invalid union_tag_not_found arguments_type missing_argument "
    "unexpected_keyword_argument missing_keyword_only_argument unexpected_positional_argument "
    "missing_positional_only_argument multiple_argument_values url_type url_parsing url_syntax_violation url_too_long "
    "url_scheme fraction_type fraction_parsing complex_type complex_str_parsing iterable_type none_required multiple_of "
    # the past and the future are rules of the services; versions of ids and zones are not asked for
    "date_past date_future datetime_past datetime_future timezone_naive timezone_offset uuid_version "
    # the body is read before (shared/http/body.py), and our own checks raise RuleBroken
    "json_invalid json_type value_error"
)


@pytest.fixture
def service() -> Service:
    return toy


def faults(kind: Any, sent: str) -> list[dict[str, Any]]:
    """What is said of a body, as its reader sees it."""
    with pytest.raises(ValidationError) as found:
        TypeAdapter(kind).validate_python(json.loads(sent))
    errors = [{**one, "loc": ("body", *one["loc"])} for one in found.value.errors()]
    return problem_of(InvalidRequest.of(errors)).model_dump(exclude_none=True)["errors"]


def test_every_error_that_can_occur_has_words_of_ours() -> None:
    assert set(get_args(core_schema.ErrorType)) - set(CANNOT_OCCUR.split()) == set(RULES)
    for rule, allowed in RULES.values():
        assert rule != allowed
        assert {rule, allowed} <= {*tongue.chinese()["sentences"], "{expected}"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ({"product_code": 7}, ("/lines/0/product_code", "7", "this must be text")),
        ({"product_code": {"a": None}}, ("/lines/0/product_code", '{"a": null}', "this must be text")),
        ({"product_code": ""}, ("/lines/0/product_code", '""', "the text is too short")),
        ({"unit_price_yuan": "１２.５０"}, ("/lines/0/unit_price_yuan", '"１２.５０"', "this is not a price")),
        ({"unit_price_yuan": "1_0"}, ("/lines/0/unit_price_yuan", '"1_0"', "this is not a price")),
        ({"unit_price_yuan": 1.5}, ("/lines/0/unit_price_yuan", "1.5", "money is never a JSON number with a fraction")),
        ({"a/b~c": 1}, ("/lines/0/a~1b~0c", "1", "no field of this name is read here")),
    ],
)
def test_one_wrong_value_gives_one_fault_with_what_was_sent(
    line: dict[str, Any], expected: tuple[str, str, str]
) -> None:
    body = {**ORDER, "lines": [{**ORDER["lines"][0], **line}]}  # type: ignore[dict-item]
    (fault,) = faults(PlaceOrder, json.dumps(body))
    assert (fault["pointer"], fault["given"], fault["rule"]) == expected
    assert fault["allowed"] != fault["rule"]


def test_a_missing_field_is_said_to_be_missing_and_shows_nothing_given() -> None:
    (fault,) = faults(PlaceOrder, '{"order_number": "CG-1"}')
    assert (fault["pointer"], fault["rule"], "given" in fault) == ("/lines", "the field is missing", False)


@pytest.mark.parametrize("text", [Name, Reason, Code, plain_text(), Note, ProblemText])
def test_an_empty_and_an_endless_text_are_told_from_a_list(text: Any) -> None:
    (fault,) = faults(text, json.dumps("x" * 5_000))
    assert (fault["code"], fault["rule"]) == ("string_too_long", "the text is too long")
    if text is not Note:
        (fault,) = faults(text, '""')
        assert (fault["code"], fault["rule"]) == ("string_too_short", "the text is too short")


def test_a_pattern_that_is_known_is_said_in_words() -> None:
    (fault,) = faults(Region, '"33"')
    assert (fault["rule"], fault["allowed"]) == ("the text does not have the expected form", "6 digits, such as 330100")


def test_every_pattern_of_a_field_has_words() -> None:
    found = [re.findall(r'pattern=r"([^"]+)"', path.read_text(encoding="utf-8")) for path in Path().glob("s*/**/*.py")]
    assert {pattern for patterns in found for pattern in patterns} == set(FORMS)
    assert set(FORMS.values()) <= set(tongue.chinese()["sentences"])


@pytest.mark.parametrize(
    ("given", "said"),
    [(None, "none"), (True, "true"), (float("nan"), "NaN"), ("a'b", '"a\'b"'), (["x"], '["x"]'), ("\0", '"\\u0000"')],
)
def test_a_value_in_a_sentence_is_json_and_never_a_form_of_python(given: Any, said: str) -> None:
    first = first_of([Fault("/a", given, "it is wrong", "another")])
    assert first == (
        "/a: it is wrong; allowed: another" if given is None else f"/a is {said}: it is wrong; allowed: another"
    )


def test_limits_are_said_in_words() -> None:
    (fault,) = faults(PlaceOrder, json.dumps({**ORDER, "order_number": "x" * 65}))
    assert (fault["rule"], fault["allowed"]) == ("the text is too long", "characters: 64 or fewer")
    (fault,) = faults(PlaceOrder, json.dumps({**ORDER, "lines": []}))
    assert (fault["rule"], fault["allowed"]) == ("the list has too few items", "items: 1 or more")


@pytest.mark.parametrize("given", ["0.0001", "999999999.9999", 12])
def test_a_price_is_text_or_a_whole_number(given: Any) -> None:
    assert str(TypeAdapter(Price).validate_python(given)).startswith(str(given))


@pytest.mark.parametrize("name", [one.name for one in SERVICES])
def test_no_field_of_a_body_is_read_in_two_ways(name: str) -> None:
    (service,) = [one for one in SERVICES if one.name == name]
    app = create_app(service, service.settings(database_url="postgresql://nobody@nowhere/none"))
    for route in routes_of([app.router]):
        if isinstance(route, Edge) and route.body_field is not None:
            kinds = set(_kinds(TypeAdapter(route.body_field.field_info.annotation).core_schema))
            assert not kinds & {"union", "tagged-union"}, route.name


def _kinds(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        yield from (schema["type"],) if isinstance(schema.get("type"), str) else ()
        schema = list(schema.values())
    if isinstance(schema, list):
        for one in schema:
            yield from _kinds(one)


async def test_items_keep_their_places_around_malformed_ones() -> None:
    async def double(good: list[int]) -> list[int]:
        return [2 * one for one in good]

    outcomes = await TypeAdapter(Items[int]).validate_python([1, "x", 3, None]).each(double)
    assert [one if isinstance(one, int) else one.code for one in outcomes] == [
        2,
        "invalid_request",
        6,
        "invalid_request",
    ]
    assert [one.faults[0].pointer for one in outcomes if not isinstance(one, int)] == ["", ""]


async def test_nothing_is_asked_of_a_handler_when_no_item_can_be_read() -> None:
    async def never(good: list[int]) -> list[int]:
        raise AssertionError(good)

    outcomes = await TypeAdapter(Items[int]).validate_python(["x"]).each(never)
    assert [one.code for one in outcomes if not isinstance(one, int)] == ["invalid_request"]


@pytest.mark.parametrize("envelope", [{}, None, "x", [], ["x"] * 1_001, [1] * 1_001])
def test_what_is_no_list_of_items_is_refused_as_a_whole(envelope: Any) -> None:
    with pytest.raises(ValidationError):
        TypeAdapter(Items[int]).validate_python(envelope)


@pytest.mark.parametrize("count", [1, 1_000])
def test_one_item_and_a_thousand_are_taken(count: int) -> None:
    assert isinstance(TypeAdapter(Items[int]).validate_python(["x"] * count), Items)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{\n  "name": "x",\n}', "The body is not JSON from line 3, column 1 on."),
        (b"nonsense", "The body is not JSON from line 1, column 1 on."),
        (b'{"name": "\xff"}', "The body is not UTF-8: byte 10 cannot be read."),
        (b'{"name": "a", "name": "b"}', 'The key "name" stands twice in one object.'),
        (b'{"name": "a", "n\\u0061me": "b"}', 'The key "name" stands twice in one object.'),
        (b'{"a": [{"b": 1, "c\\u003a": ":", "b": 2}]}', 'The key "b" stands twice in one object.'),
        (b'{"a": "\\u003a", "a": "x"}', 'The key "a" stands twice in one object.'),
        (b'{"a": "\\ud800", "a": 1}', 'The key "a" stands twice in one object.'),
        (b'{"a": %s}' % (b"1" * 5_000), "A number has more than 4300 digits."),
        (b"[" * 100_000, "The body is nested too deeply to be read."),
    ],
)
def test_a_body_that_is_no_json_is_refused_with_its_place(body: bytes, said: str) -> None:
    with pytest.raises(UnreadableBody) as refused:
        parsed(body)
    assert refused.value.detail == said


@pytest.mark.parametrize(
    "body",
    [b'{"a": {"a": 1}, "b": [{"a": 1}, {"a": 1}]}', b'{"a": "x:y", "b:c": "\\u003a"}', b'{"a": 1e999, "b": NaN}', b"7"],
)
def test_keys_that_stand_once_in_each_object_are_read(body: bytes) -> None:
    assert json.dumps(parsed(body)) == json.dumps(json.loads(body))


async def test_a_method_that_is_not_answered_is_told_all_that_are(
    client: httpx.AsyncClient, caller: Callable[..., dict[str, str]]
) -> None:
    refused = await client.delete("/things", headers=caller("hospital", "H33010200059"))
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")
    assert refused.json()["detail"] == "DELETE is not answered at /things; allowed: GET, POST."


async def test_among_the_files_of_the_pages_the_contract_is_the_app_s_and_a_file_is_read_alone(
    client: httpx.AsyncClient,
) -> None:
    nowhere = (await client.get("/static-offline-docs/nothing.css")).json()["detail"]
    assert nowhere == "There is nothing at /static-offline-docs/nothing.css; /openapi.json lists what there is."
    refused = await client.post("/static-offline-docs/swagger-ui.css")
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD")
    assert refused.json()["detail"].endswith("allowed: GET, HEAD.")


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/thing", "There is nothing at /thing; did you mean /things? /openapi.json lists what there is."),
        (
            "/jobs/7/refusd",
            "There is nothing at /jobs/7/refusd; did you mean /jobs/7/refused? /openapi.json lists what there is.",
        ),
        (
            "/orders/01968b1e-0000-7000-8000-000000000001",
            "There is nothing at /orders/01968b1e-0000-7000-8000-000000000001; /openapi.json lists what there is.",
        ),
        (
            "/jobs/things/refusd",
            "There is nothing at /jobs/things/refusd; /openapi.json lists what there is.",
        ),
        ("/somewhere/else", "There is nothing at /somewhere/else; /openapi.json lists what there is."),
    ],
)
async def test_a_path_that_leads_nowhere_gets_the_near_miss(client: httpx.AsyncClient, path: str, detail: str) -> None:
    assert (await client.get(path)).json()["detail"] == detail


async def test_below_a_mount_the_contract_and_the_near_miss_are_named_with_it(client: httpx.AsyncClient) -> None:
    app = client._transport.app  # type: ignore[attr-defined]
    mounted = httpx.AsyncClient(transport=httpx.ASGITransport(app, root_path="/toy"), base_url="http://test")
    async with mounted:
        detail = (await mounted.get("/toy/thing")).json()["detail"]
    assert detail == "There is nothing at /toy/thing; did you mean /toy/things? /toy/openapi.json lists what there is."


@pytest.mark.parametrize("name", [one.name for one in SERVICES])
def test_schemas_are_named_plainly_and_every_reference_leads_somewhere(name: str) -> None:
    (service,) = [one for one in SERVICES if one.name == name]
    contract = create_app(service, service.settings(database_url="postgresql://nobody@nowhere/none")).openapi()
    assert not [schema for schema in contract["components"]["schemas"] if "__" in schema or "-" in schema]
    for kind in ("schemas", "responses", "headers"):
        referred = set(re.findall(rf'#/components/{kind}/([^"]+)"', json.dumps(contract)))
        assert referred == set(contract["components"][kind])
