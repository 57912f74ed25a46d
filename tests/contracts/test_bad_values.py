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


def writes(
    service: Service, document: dict[str, Any], caller: Headers
) -> Iterator[tuple[str, str, dict[str, str], Any]]:
    """Each route of this service that takes JSON: its method, a path, the headers of one who may ask, an example."""
    matrix = Access.of(service.name).matrix
    for method, path, operation in operations(document):
        content = operation.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None or operation["operationId"] not in matrix:  # the driven clock is nobody's business
            continue
        role = next(iter(matrix[operation["operationId"]]))
        headers = caller(role, *PEOPLE[role]) | {"if-match": "*", "content-type": "application/json"}
        yield method, filled(path, operation), headers, shown(document, content)[0]


async def written(worker: WorkerInHand) -> int:
    """Events and deadlines that stand."""
    count: int = await worker.database.pool.fetchval(
        "SELECT (SELECT count(*) FROM outbox) + (SELECT count(*) FROM deadlines)"
    )
    return count


async def test_a_value_that_cannot_be_meant_is_refused_by_its_place_and_nothing_is_written(
    service: Service, document: dict[str, Any], client: httpx.AsyncClient, caller: Headers, worker: WorkerInHand
) -> None:
    tried, wrong = 0, []
    for method, path, headers, example in writes(service, document, caller):
        for place, value in places(example):
            for bad in bad_for(value):
                headers["idempotency-key"] = f"values {tried}"
                content = spoilt(example, place, bad)
                answer = await client.request(method, path, headers=headers, content=content)
                tried += 1
                if why := complaint(answer, place):
                    wrong.append(f"{method} {path} {place} = {bad!r}: {why}")
    assert tried > 0
    assert not wrong, "\n".join(wrong)
    assert await written(worker) == 0


async def test_a_name_that_is_no_text_is_refused_wherever_it_stands_and_nothing_is_written(
    service: Service, document: dict[str, Any], client: httpx.AsyncClient, caller: Headers, worker: WorkerInHand
) -> None:
    tried, wrong = 0, []
    for method, path, headers, example in writes(service, document, caller):
        for place in {inner[:-1] for inner, _ in places(example) if isinstance(inner[-1], str)}:
            headers["idempotency-key"] = f"names {tried}"
            content = spoilt(example, (*place, "a\ud800"), 1)
            answer = await client.request(method, path, headers=headers, content=content)
            tried += 1
            if answer.status_code >= 500 or not problems(answer):
                wrong.append(f"{method} {path} {place}: {answer.status_code} {answer.text[:200]}")
    assert tried > 0
    assert not wrong, "\n".join(wrong)
    assert await written(worker) == 0


@pytest.mark.parametrize("text", ["x" * 10_000_000, "💊" * 2_500_000], ids=["ascii", "emoji"])
async def test_a_text_of_ten_megabytes_is_refused_before_it_is_read(
    service: Service, document: dict[str, Any], client: httpx.AsyncClient, caller: Headers, text: str
) -> None:
    method, path, headers, _ = next(writes(service, document, caller))
    body = {"headers": headers | {"idempotency-key": "large"}, "content": json.dumps({"reason": text})}
    answer = await client.request(method, path, **body)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large"), path
