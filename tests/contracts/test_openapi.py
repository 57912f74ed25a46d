"""The word given to clients over HTTP: every kind of broken promise is found by its place, and what is allowed passes."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy import promises
from deploy.commands.openapi import OpenapiStale, PromiseBroken, bring

Change = Callable[[Any, Any, Any], Any]
"""Of the operation, the schema that is asked for, and the one that is answered."""

ASKED = {
    "type": "object",
    "additionalProperties": False,
    "required": ["code"],
    "properties": {
        "code": {"type": "string", "minLength": 1, "maxLength": 10, "pattern": "^x"},
        "kind": {"type": "string", "enum": ["a", "b"]},
        "amount": {"anyOf": [{"type": "number"}, {"type": "string"}], "default": 1},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "lines": {"type": "array", "maxItems": 5, "items": {"$ref": "#/components/schemas/Asked"}},
        "day": {"type": "string", "format": "date"},
        "extra": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        "free": {},
        "fixed": {"const": "x"},
    },
}
ANSWERED = {
    "type": "object",
    "required": ["id", "state"],
    "properties": {
        "id": {"type": "string", "format": "uuid"},
        "state": {"type": "string", "enum": ["open", "closed"]},
        "lines": {"type": "array", "items": {"$ref": "#/components/schemas/Answered"}},
        "count": {"type": "integer"},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
    },
}


def document() -> dict[str, Any]:
    """A small contract with one of everything."""
    operation = {
        "operationId": "make_thing",
        "parameters": [{"name": "limit", "in": "query", "schema": {"type": "integer", "maximum": 500, "default": 50}}],
        "requestBody": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Asked"}}}},
        "responses": {
            "201": {
                "headers": {"ETag": {"required": True}},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answered"}}},
            },
            "409": {"$ref": "#/components/responses/409.busy.full"},
        },
        "security": [],
    }
    return copy.deepcopy(
        {
            "paths": {"/things": {"post": operation, "get": {"operationId": "list_things", "responses": {"200": {}}}}},
            "components": {
                "schemas": {"Asked": ASKED, "Answered": ANSWERED},
                "responses": {"409.busy.full": {"description": "no"}},
            },
        }
    )


def broken(change: Change) -> list[str]:
    now = document()
    schemas = now["components"]["schemas"]
    change(now["paths"]["/things"]["post"], schemas["Asked"], schemas["Answered"])
    return promises.broken(document(), now)


def field(schema: Any, name: str, **other: Any) -> None:
    schema["properties"].setdefault(name, {}).update(other)


BREAKING: list[tuple[Change, str]] = [
    (lambda op, q, a: op.update(operationId="other"), "POST /things: operationId was make_thing, is other"),
    (lambda op, q, a: op["parameters"].clear(), "query/limit: is gone"),
    (lambda op, q, a: op["parameters"][0].update(required=True), "query/limit: is required now"),
    (lambda op, q, a: op["parameters"][0]["schema"].update(maximum=100), "query/limit: maximum was 500, is 100"),
    (lambda op, q, a: op["parameters"][0]["schema"].update(default=10), "query/limit: default was 50, is 10"),
    (lambda op, q, a: op["parameters"][0]["schema"].update(type="string"), "query/limit: type was integer, is string"),
    (
        lambda op, q, a: op["parameters"].append({"name": "x", "in": "header", "required": True, "schema": {}}),
        "header/x: is new and required",
    ),
    (lambda op, q, a: op["requestBody"].update(required=True), "body: is required now"),
    (lambda op, q, a: op["requestBody"].update(content={"text/csv": {}}), "body: application/json is gone"),
    (lambda op, q, a: op["responses"].pop("201"), "POST /things 201: is gone"),
    (lambda op, q, a: op["responses"]["201"]["headers"].pop("ETag"), "201 ETag: is gone"),
    (lambda op, q, a: op["responses"]["201"]["headers"]["ETag"].clear(), "201 ETag: is no longer always there"),
    (lambda op, q, a: op.update(security=[{"token": []}]), "POST /things: needs a token now"),
    (lambda op, q, a: op["responses"]["201"].update(content={}), "201: application/json is gone"),
    (lambda op, q, a: q["properties"].pop("note"), "body.note: is gone"),
    (lambda op, q, a: q["required"].append("kind"), "body.kind: is required now"),
    (lambda op, q, a: (field(q, "new", type="string"), q["required"].append("new")), "body.new: is required now"),
    (lambda op, q, a: field(q, "code", type="integer"), "body.code: type was string, is integer"),
    (lambda op, q, a: field(q, "code", maxLength=9), "body.code: maxLength was 10, is 9"),
    (lambda op, q, a: field(q, "code", minLength=2), "body.code: minLength was 1, is 2"),
    (lambda op, q, a: field(q, "code", pattern="^y"), "body.code: pattern was ^x, is ^y"),
    (lambda op, q, a: field(q, "kind", enum=["a"]), "body.kind: 'b' is no longer taken"),
    (lambda op, q, a: field(q, "code", enum=["x"]), "body.code: enum was any, is ['x']"),
    (lambda op, q, a: field(q, "fixed", const="y"), "body.fixed: 'x' is no longer taken"),
    (lambda op, q, a: field(q, "amount", anyOf=[{"type": "string"}]), "body.amount: number is no longer among string"),
    (lambda op, q, a: field(q, "amount", default=2), "body.amount: default was 1, is 2"),
    (lambda op, q, a: field(q, "note", anyOf=[{"type": "string"}]), "body.note: null is no longer among string"),
    (lambda op, q, a: field(q, "lines", maxItems=4), "body.lines: maxItems was 5, is 4"),
    (lambda op, q, a: field(q, "lines", items={"type": "string"}), "body.lines[]: type was object, is string"),
    (lambda op, q, a: field(q, "lines", uniqueItems=True), "body.lines: uniqueItems was none, is True"),
    (lambda op, q, a: field(q, "day", format="date-time"), "body.day: format was date, is date-time"),
    (lambda op, q, a: field(q, "extra", additionalProperties={"type": "string"}), "body.extra.*: type was integer"),
    (lambda op, q, a: field(q, "extra", additionalProperties=False), "body.extra: other fields are refused now"),
    (lambda op, q, a: field(q, "free", type="string"), "body.free: type was None, is string"),
    (lambda op, q, a: field(q, "code", multipleOf=2), "body.code: multipleOf was None, is 2"),
    (lambda op, q, a: a["properties"].pop("note"), "201.note: is gone"),
    (lambda op, q, a: (a["properties"].pop("id"), a["required"].remove("id")), "201.id: is gone"),
    (lambda op, q, a: a["required"].remove("id"), "201.id: is no longer always there"),
    (lambda op, q, a: field(a, "id", type="integer"), "201.id: type was string, is integer"),
    (lambda op, q, a: field(a, "id", format="date"), "201.id: format was uuid, is date"),
    (lambda op, q, a: field(a, "count", type="number"), "201.count: type was integer, is number"),
    (lambda op, q, a: field(a, "count", type=["integer", "null"]), "201.count: null is no longer among integer"),
    (lambda op, q, a: a["properties"]["state"].pop("enum"), "201.state: enum was ['open', 'closed'], is any"),
    (lambda op, q, a: field(a, "lines", items={"type": "string"}), "201.lines[]: type was object, is string"),
]


@pytest.mark.parametrize(("change", "complaint"), BREAKING, ids=[complaint for _, complaint in BREAKING])
def test_a_broken_promise_is_found_at_its_place(change: Change, complaint: str) -> None:
    found = broken(change)
    assert any(complaint in one for one in found), found


@pytest.mark.parametrize(
    "change",
    [
        lambda op, q, a: None,
        lambda op, q, a: op.update(summary="in other words", tags=["x"]),
        lambda op, q, a: op["parameters"].append({"name": "new", "in": "query", "schema": {"type": "string"}}),
        lambda op, q, a: op["parameters"][0]["schema"].update(maximum=1_000),
        lambda op, q, a: op["responses"].update({"422": {}}),
        lambda op, q, a: op["responses"].pop("409"),
        lambda op, q, a: op["responses"]["201"]["headers"].update({"Location": {}}),
        lambda op, q, a: field(q, "new", type="string"),
        lambda op, q, a: q["required"].clear(),
        lambda op, q, a: field(q, "code", maxLength=11, minLength=0),
        lambda op, q, a: q["properties"]["code"].pop("pattern"),
        lambda op, q, a: field(q, "kind", enum=["a", "b", "c"]),
        lambda op, q, a: q["properties"]["kind"].pop("enum"),
        lambda op, q, a: field(q, "code", anyOf=[{"type": "string"}, {"type": "null"}]),
        lambda op, q, a: q.update(additionalProperties=True),
        lambda op, q, a: field(a, "new", type="string"),
        lambda op, q, a: (field(a, "new", type="string"), a["required"].append("new")),
        lambda op, q, a: a["required"].append("count"),
        lambda op, q, a: field(a, "state", enum=["open", "closed", "frozen"]),
        lambda op, q, a: field(a, "note", anyOf=[{"type": "string"}]),
        lambda op, q, a: field(a, "id", title="The id", description="in other words", examples=["x"]),
    ],
)
def test_what_clients_survive_is_allowed(change: Change) -> None:
    assert broken(change) == []


def test_a_path_or_an_operation_that_is_gone_is_named() -> None:
    now = document()
    now["paths"]["/things"].pop("get")
    assert promises.broken(document(), now) == ["GET /things: is gone"]
    now["paths"].clear()
    assert promises.broken(document(), now) == ["/things: is gone"]


def test_a_refusal_may_go_from_an_operation_and_its_code_not_from_the_document() -> None:
    now = document()
    responses = now["components"]["responses"]
    responses["409.busy"], responses["422.full"] = responses.pop("409.busy.full"), {"description": "no"}
    now["paths"]["/things"]["post"]["responses"]["409"] = {"$ref": "#/components/responses/409.busy"}
    assert promises.broken(document(), now) == []
    responses.pop("422.full")
    assert promises.broken(document(), now) == ["full: no operation is refused with this code any more"]


def test_what_a_schema_is_made_of_counts_as_one() -> None:
    now = document()
    answer = now["paths"]["/things"]["post"]["responses"]["201"]["content"]["application/json"]
    state = {"properties": {"state": {"enum": ["open"]}}}
    answer["schema"] = {"allOf": [answer["schema"], state]}
    assert promises.broken(document(), now) == []
    answer["schema"]["allOf"][1] = {"properties": {"state": {"type": "integer"}}}
    assert promises.broken(document(), now) == ["POST /things 201.state: type was string, is integer"]


def test_a_change_of_everything_is_said_in_few_words(tmp_path: Path) -> None:
    many = document()
    many["paths"] |= {f"/things/{number:02}": {} for number in range(25)}
    bring(tmp_path, {"orders": many}, check=False)
    with pytest.raises(PromiseBroken, match=r"/things/19: is gone; and 5 more\. If it is meant"):
        bring(tmp_path, {"orders": document()}, check=True)


def test_files_are_written_compared_and_never_broken_by_chance(tmp_path: Path) -> None:
    with pytest.raises(OpenapiStale, match=r"orders\.json"):
        bring(tmp_path, {"orders": document()}, check=True)
    assert bring(tmp_path, {"orders": document()}, check=False) == ["orders.json"]
    assert bring(tmp_path, {"orders": document()}, check=True) == []
    wider = document()
    wider["paths"]["/new"] = {}
    with pytest.raises(OpenapiStale):
        bring(tmp_path, {"orders": wider}, check=True)
    narrower = document()
    narrower["paths"]["/things"].pop("get")
    for check in (True, False):
        with pytest.raises(PromiseBroken, match=r"orders\.json GET /things: is gone"):
            bring(tmp_path, {"orders": narrower}, check=check)
        with pytest.raises(PromiseBroken, match=r"orders\.json: is gone"):
            bring(tmp_path, {}, check=check)
    assert json.loads((tmp_path / "orders.json").read_text()) == document()
    assert bring(tmp_path, {"orders": narrower}, check=False, may_break=True) == ["orders.json"]
    assert bring(tmp_path, {}, check=False, may_break=True) == ["orders.json"]
    assert not list(tmp_path.iterdir())
