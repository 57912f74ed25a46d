"""Requests that schemathesis makes up from a service's OpenAPI, well formed and not, put to the app itself as each role in turn.

Every answer must be one that the OpenAPI names for that operation: status, code, content type, schema, headers; what is wrong
is refused, and without a good token nothing is answered but 401. What is not so is kept, once by operation and fault, with the
curl line that shows it; nothing is raised, so that one finding does not hide the next.
"""

import asyncio
from collections.abc import Callable, Container, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import requests
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from hypothesis.stateful import run_state_machine_as_test
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import AcceptedNegativeData, Failure, FailureGroup
from schemathesis.core.transport import Response
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from shared.access import Access
from tests.access.test_walls import pool
from tests.access.worlds import World
from tests.contract import Contract
from tests.house import House

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
]
UNTOUCHED = {"set_clock", "release_clock"}
"""Driving the clock to the year 1 would move the ground under every other request; never in production."""
BY_THE_ROUTER = {404, 405}
"""An id that is made up with a slash or a dot in it is another path, which no operation can document."""
UNAUTHENTICATED = 401
ALIASES = {"institution": "institution_code", "distributor": "distributor_code", "manufacturer": "manufacturer_code",
           "supplier": "supplier_code", "about": "any_id", "about_id": "any_id", "organisation": "institution_code"}  # fmt: skip

Who = tuple[str, str, str]
STRANGERS: tuple[Who, ...] = (("nobody", "", ""), ("somebody else", "", ""))
"""Who has no token, and one whose token this service never gave out."""
Pool = Mapping[str, Sequence[str]]


@dataclass
class Asked:
    """How much was asked and what was found: by operation and fault, the words and the curl line."""

    answers: dict[int, int] = field(default_factory=dict)
    findings: dict[tuple[str, str], str] = field(default_factory=dict)


class Asking:
    """One service under questions. Hypothesis works in a thread of its own; requests are sent in the app's loop."""

    def __init__(
        self,
        app: FastAPI,
        people: Sequence[Who],
        may: Mapping[str, Container[str]],
        token: Callable[..., str],
        pool: Pool,
    ) -> None:
        self.asked = Asked()
        self._people = people
        self._may = may
        self._token = token
        self._pool = pool
        self._loop = asyncio.get_running_loop()
        self._transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self._base = f"http://{app.title.split()[0].lower()}"
        self._contract = Contract(app)
        self._schema = schemathesis.openapi.from_dict(app.openapi())
        self._schema.config.output.sanitization.update(enabled=False)  # but for the token, which is taken out here

    def _sent(self, request: httpx.Request) -> httpx.Response:
        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport) as client:
                return await client.send(request)

        coroutine: Coroutine[Any, Any, httpx.Response] = send()
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def put(self, case: schemathesis.Case, who: Who) -> Response:
        """Sends a case as this caller and looks at the answer."""
        token = "x.y.z" if who in STRANGERS else self._token(*who)
        case.headers = {**dict(case.headers or {}), "authorization": f"Bearer {token}"}
        if who == STRANGERS[0]:
            del case.headers["authorization"]
        made = requests.Request(**case.as_transport_kwargs(base_url=self._base)).prepare()
        answer = self._sent(httpx.Request(made.method or "", made.url or "", headers=made.headers, content=made.body))
        counts = self.asked.answers
        counts[answer.status_code] = counts.get(answer.status_code, 0) + 1
        given = Response.from_any(answer)
        if not self._of_the_router(answer):
            for title, words in self._wrong(case, answer, given, who):
                curl = case.as_curl_command(base_url=self._base).replace(token, "$TOKEN")
                key = (case.operation.label, f"{answer.status_code} {title}")
                self.asked.findings.setdefault(key, f"as {who[0]} {who[1]}: {words}\n{curl}")
        return given

    def _of_the_router(self, answer: httpx.Response) -> bool:
        kind = answer.headers.get("content-type", "")
        return answer.status_code in BY_THE_ROUTER and "problem" in kind and answer.json()["code"] in {
            "no_such_path", "method_not_allowed"}  # fmt: skip

    def _wrong(
        self, case: schemathesis.Case, answer: httpx.Response, given: Response, who: Who
    ) -> Iterator[tuple[str, str]]:
        """What is wrong with an answer, by title and in words."""
        operation = case.operation.definition.raw
        if who in STRANGERS and operation["security"] and answer.status_code != UNAUTHENTICATED:
            yield "without a token", answer.text[:1_000]
        yield from ((one, answer.text[:1_000]) for one in self._contract.complaints(operation, answer))
        try:
            case.validate_response(given, checks=CHECKS)
        except (Failure, FailureGroup) as found:
            for one in found.exceptions if isinstance(found, FailureGroup) else [found]:
                if not (isinstance(one, AcceptedNegativeData) and _is_refused(answer)):
                    yield getattr(one, "title", str(one)), str(one)

    def operations(self, examples: int, number: int, leave_out: Sequence[str] = ()) -> None:
        """Each operation with so many good and as many bad requests."""
        for result in self._schema.get_all_operations():
            operation = result.ok()
            name = operation.definition.raw["operationId"]
            if name not in UNTOUCHED and name not in leave_out:
                for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                    self._one(operation, mode, examples, number)

    def _one(self, operation: Any, mode: GenerationMode, examples: int, number: int) -> None:
        @seed(number)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode), self._callers(operation), st.data())
        def ask(case: schemathesis.Case, who: Who, data: st.DataObject) -> None:
            self.put(self._naming(case, data), who)

        try:
            ask()
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, operation.label  # nothing about it can be wrong

    def _callers(self, operation: Any) -> st.SearchStrategy[Who]:
        """Mostly those who may ask this; sometimes anybody."""
        may = self._those_who_may(operation)
        return st.sampled_from([*may * 6, *self._people, *STRANGERS])

    def _those_who_may(self, operation: Any) -> list[Who]:
        roles = self._may.get(operation.definition.raw["operationId"], ("operator",))
        return [who for who in self._people if who[0] in roles]

    def _naming(self, case: schemathesis.Case, data: st.DataObject) -> schemathesis.Case:
        """Half of what names something names something that is there."""
        for part in (case.path_parameters, case.query):
            for name in part or {}:
                known = self._pool.get(ALIASES.get(name, name), ())
                if known and data.draw(st.booleans()):
                    part[name] = data.draw(st.sampled_from(known))
        return case

    def stories(self, runs: int, steps: int, number: int) -> None:
        """Requests that follow from one another: what one has made is what the next is about."""
        put, may = self.put, self._those_who_may

        class Story(self._schema.as_state_machine()):  # type: ignore[misc]
            _asked = 0

            def call(self, case: schemathesis.Case, **_: Any) -> Response:
                type(self)._asked += 1
                people = may(case.operation)
                return put(case, people[type(self)._asked % len(people)])

            def validate_response(self, *_: Any, **__: Any) -> None:
                """It was looked at when it came."""

        run_state_machine_as_test(
            seed(number)(Story),
            settings=settings(
                max_examples=runs,
                stateful_step_count=steps,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )


def _is_refused(answer: httpx.Response) -> bool:
    """As a whole, or an item of it: of a bulk call each is answered by itself."""
    return answer.is_client_error or bool(answer.json().get("refused"))


async def asking_of(name: str, app: FastAPI, world: World, token: Callable[..., str], house: House) -> Asking:
    """A service of a played world, asked by its parties and the operator."""
    people = [*world.people.values(), ("operator", "OPS", "000000")]
    return Asking(app, people, Access.of(name).matrix, token, await pool(house, name, world))
