"""No value that cannot be meant passes anywhere: each field of each body of each route, over HTTP, with each kind of bad value.

The examples of the contract are sent with one value spoilt at a time. The answer is a refusal, of the call or of that item
alone; one of the form names the field, what was given, the rule and what is allowed; and nothing is written.
"""

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from shared.access import Access
from shared.service import Service
from tests.contracts.test_examples import PEOPLE, Headers, document, filled, operations, service, shown
from tests.house import WorkerInHand

__all__ = ["document", "service"]

Place = tuple[str | int, ...]

TEXTS = ["nul\0", "\ud800", "turned\u202e", float("nan"), {}]
DAYS = ["2026-02-30", "0000-00-00", "20260101", float("nan")]
NUMBERS = [float("nan"), float("inf"), -1, 10**30, 1e300, {}, "\ud800"]
AMOUNTS = ["NaN", "Infinity", "1e9", "-1", "9" * 50, "12,34", float("nan"), {}]
DAY, AMOUNT = re.compile(r"\d{4}-\d\d-\d\d"), re.compile(r"\d+\.\d+")

OPEN = {"codes", "children", "code", "parent"}
"""Codes of packages: each that cannot be read is refused by itself, in an answer that says so."""


def places(value: Any, at: Place = ()) -> Iterator[tuple[Place, Any]]:
    """Every plain value of a body and where it stands."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from places(inner, (*at, name))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from places(inner, (*at, number))
    else:
        yield at, value


def bad_for(value: Any) -> list[Any]:
    if isinstance(value, bool) or value is None:
        return [{}, float("nan")]
    if isinstance(value, int | float):
        return NUMBERS
    if DAY.match(value):
        return DAYS
    return AMOUNTS if AMOUNT.fullmatch(value) else TEXTS


def spoilt(body: Any, place: Place, value: Any) -> bytes:
    """The body with one value replaced, written as JSON writes surrogates and NaN."""
    body = copy.deepcopy(body)
    inner = body
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    return json.dumps(body).encode()


def problems(answer: httpx.Response) -> list[dict[str, Any]]:
    """Why the call was refused, or its only item."""
    body = answer.json()
    if answer.status_code >= 400:
        return [body]
    return [one["problem"] for one in body.get("items", ()) if isinstance(one, dict) and one.get("problem")]


def complaint(answer: httpx.Response, place: Place) -> str | None:
    """What is wrong with the answer to a value that cannot be meant. What a path or an item names may be unknown, which is said
    first; then the value is not looked at."""
    if answer.status_code >= 500:
        return f"{answer.status_code}: {answer.text[:200]}"
    if place[-1] in OPEN or (len(place) > 1 and place[-2] in OPEN):
        return None
    found = problems(answer)
    if not found:
        return f"taken: {answer.text[:200]}"
    (problem,) = found
    if problem["code"] != "invalid_request":
        return None
    name = next(step for step in reversed(place) if isinstance(step, str))
    if not any(name in fault["pointer"] for fault in problem["errors"]):
        return f"does not name {name}: {answer.text[:300]}"
    silent = [fault for fault in problem["errors"] if not (fault["rule"] and fault["allowed"])]
    return f"a rule without words: {silent}" if silent else None


async def test_a_value_that_cannot_be_meant_is_refused_by_its_place_and_nothing_is_written(
    service: Service, document: dict[str, Any], client: httpx.AsyncClient, caller: Headers, worker: WorkerInHand
) -> None:
    tried, wrong = 0, []
    matrix = Access.of(service.name).matrix
    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None or operation["operationId"] not in matrix:  # the driven clock is nobody's business
            continue
        role = next(iter(matrix[operation["operationId"]]))
        headers = caller(role, *PEOPLE[role]) | {"if-match": "*", "content-type": "application/json"}
        example = shown(document, content)[0]
        for place, value in places(example):
            for bad in bad_for(value):
                headers["idempotency-key"] = f"{operation['operationId']} {tried}"
                answer = await client.request(
                    method, filled(path, operation), headers=headers, content=spoilt(example, place, bad)
                )
                tried += 1
                if why := complaint(answer, place):
                    wrong.append(f"{method} {path} {place} = {bad!r}: {why}")
    assert tried > 0
    assert not wrong, "\n".join(wrong)
    written = await worker.database.pool.fetchval(
        "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM deadlines)"
    )
    assert written == 0


@pytest.mark.parametrize("text", ["x" * 10_000_000, "💊" * 2_500_000], ids=["ascii", "emoji"])
async def test_a_text_of_ten_megabytes_is_refused_before_it_is_read(
    service: Service, document: dict[str, Any], client: httpx.AsyncClient, caller: Headers, text: str
) -> None:
    matrix = Access.of(service.name).matrix
    for method, path, operation in operations(document):
        if (
            "application/json" in operation.get("requestBody", {}).get("content", {})
            and operation["operationId"] in matrix
        ):
            role = next(iter(matrix[operation["operationId"]]))
            headers = caller(role, *PEOPLE[role]) | {"if-match": "*", "idempotency-key": "large"}
            answer = await client.request(method, filled(path, operation), headers=headers, json={"reason": text})
            assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large"), path
            return
