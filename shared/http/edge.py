"""The way through the door, the same for every route: caller, matrix, one transaction, once, commit, and only then the answer.

A response leaves after the COMMIT, so a failing commit is never answered with success. A route names its operation by the
name of its function and does nothing of this itself.
"""

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import asyncpg
from fastapi import Depends, Header, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from shared import crash, idempotency, telemetry
from shared.access import Access
from shared.db import Database, Scope, Tx
from shared.errors import (
    BadRequest,
    Conflict,
    PreconditionFailed,
    PreconditionRequired,
    UnsupportedMedia,
    shown,
)
from shared.faults import MET
from shared.http import uploads
from shared.http.address import ValueNotStorable, check_known, check_storable, parameters_of
from shared.http.body import JsonRequest
from shared.http.calls import Endpoint, call_of
from shared.http.door import UPLOADS
from shared.http.operations import authorization_of
from shared.http.rates import Rates
from shared.http.standing import Standing
from shared.http.together import Alike, Apart, Together
from shared.http.turns import Turns
from shared.identity import Caller, Verifier
from shared.policy import Policy
from shared.settings import ServiceSettings
from shared.tongue import choice

TRIES = 3
"""Of a request that met another one in the database."""

ENTITY_TAGS = re.compile(r'\*|(W/)?"[^"]*"(\s*,\s*(W/)?"[^"]*")*')
"""What If-Match may hold (RFC 9110 §13.1.1)."""
READS = {"GET", "HEAD"}
KEPT_HEADERS = ("content-type", "location", "etag")

KEY_MEANS = "a value of your own; sent again with the same body it gives the first answer again"
KEY_SHOWN = {
    "name": "idempotency-key",
    "in": "header",
    "required": False,
    "description": f"{KEY_MEANS}; optional here, for what is written has a key of its own",
    "schema": {"type": "string", "maxLength": idempotency.KEY_CHARACTERS, "title": "Idempotency-Key"},
}
"""How a write that does not demand the header shows it."""


class NotJson(UnsupportedMedia):
    title = "The body is not JSON"


class KeyMissing(BadRequest):
    title = "An Idempotency-Key is needed"


class KeyEmpty(BadRequest):
    title = "The Idempotency-Key is empty"


class KeyRepeated(BadRequest):
    title = "The Idempotency-Key stands more than once"


class MatchUnreadable(BadRequest):
    """Send back the ETag as the answer carried it, in its quotes, or `*` to take whatever version stands."""

    title = "If-Match holds no ETag"


class Busy(Conflict):
    """Wait as long as `Retry-After` says and send the same request again, a write under the same Idempotency-Key."""

    title = "Others changed the same thing at the same time"


@dataclass(slots=True)
class Runtime:
    """What a running service has in hand; `app.state.runtime`."""

    settings: ServiceSettings
    policy: Policy
    access: Access
    verifier: Verifier
    database: Database
    rates: Rates
    turns: Turns
    standing: Standing
    together: Together


class Edge(APIRoute):
    """The route class of every service."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **how: Any) -> None:
        if not set(how.get("methods") or ()) <= READS and KeyRequired not in (how.get("dependencies") or ()):
            how["openapi_extra"] = (how.get("openapi_extra") or {}) | {"parameters": [KEY_SHOWN]}
        super().__init__(path, endpoint, **how)

    def get_route_handler(self) -> Endpoint:
        endpoint = call_of(self, IN_HAND)
        parameters = sorted(parameters_of(self.dependant))
        operation = self.name
        takes_json = self.body_field is not None
        writes = not (self.methods or set()) <= READS
        carry_out = _in_company if InCompany in self.dependencies else _carried_out
        uploads_a_file = self.path.startswith(UPLOADS)

        async def handle(request: Request) -> Response:
            runtime: Runtime = request.app.state.runtime
            request.state.operation = operation
            caller = await runtime.verifier.caller(authorization_of(request))
            scope = runtime.access.scope(operation, caller, writes=writes)
            request.state.caller = caller
            left = runtime.rates.take(caller.organisation, operation)
            check_known(request, parameters)
            check_storable(request)
            with runtime.turns.under_way(caller.organisation):
                await runtime.standing.check(caller, runtime.database, runtime.turns)
                if takes_json:
                    request = await _read(request)
                if not writes:
                    answer = await _read_out(runtime, scope, endpoint, request)
                elif uploads_a_file:
                    async with uploads.kept(request, runtime.settings.limits.upload_bytes) as (digest, again):
                        key = _key(request, operation, digest)
                        answer = await _carried_out(runtime, scope, key, endpoint, again)
                else:
                    key = _key(request, operation, await request.body())
                    answer = await carry_out(runtime, scope, key, endpoint, lambda: request)
            answer.headers.update(left)
            if place := answer.headers.get(
                "location"
            ):  # told without the mount, so that kept answers are good below any
                answer.headers["location"] = request.scope.get("root_path", "") + place
            return answer

        return handle


async def _read_out(runtime: Runtime, scope: Scope, endpoint: Endpoint, request: Request) -> Response:
    """The answer of an endpoint that reads."""
    caller: Caller = request.state.caller
    try:
        async with runtime.turns.connection(caller.organisation), runtime.database.reading(scope) as request.state.tx:
            with telemetry.doing(request.state.operation):
                answer = await endpoint(request)
    except asyncpg.DataError as error:
        raise _not_storable() from error
    crash.at("request: before answer")
    return answer


async def _in_company(
    runtime: Runtime, scope: Scope, key: idempotency.Key | None, endpoint: Endpoint, again: Callable[[], Request]
) -> Response:
    """The answer of the endpoint after a COMMIT that others share; where that is not to be had, of a transaction of its own."""
    request = again()
    alike = Alike(request.state.caller.organisation, request.state.operation, scope)
    with suppress(Apart):
        async with runtime.together.transaction(runtime.database, alike, key) as tx:
            answer = await _answer(tx, key, endpoint, request)
        crash.at("request: before answer")
        return answer
    return await _carried_out(runtime, scope, key, endpoint, again)


async def _answer(tx: Tx, key: idempotency.Key | None, endpoint: Endpoint, request: Request) -> Response:
    request.state.tx = tx
    with telemetry.doing(request.state.operation):
        answer = await _once(tx, key, endpoint, request)
    crash.at("request: before commit")
    return answer


async def _carried_out(
    runtime: Runtime, scope: Scope, key: idempotency.Key | None, endpoint: Endpoint, again: Callable[[], Request]
) -> Response:
    """The answer of the endpoint after its COMMIT; `again` gives the request anew to each try."""
    question = idempotency.question_of([key]) if key else ""
    for attempt in range(1, TRIES + 1):
        request = again()
        caller: Caller = request.state.caller
        try:
            async with (
                runtime.turns.connection(caller.organisation),
                runtime.database.transaction(scope, question) as tx,
            ):
                answer = await _answer(tx, key, endpoint, request)
        except asyncpg.DataError as error:
            raise _not_storable() from error
        except MET as error:
            if attempt == TRIES:
                raise Busy("Nothing was changed; send it again.", headers={"Retry-After": "1"}) from error
        else:
            crash.at("request: before answer")
            return answer
    raise AssertionError("the loop returns or raises")


def _not_storable() -> ValueNotStorable:
    return ValueNotStorable("A value is of a size or form that is not kept here.")


async def _read(request: Request) -> Request:
    """The request with its body read, before a transaction waits for it; refuses a body of another kind."""
    given = request.headers.get("content-type")
    if given is None:
        raise NotJson("The body is read as JSON: send the header `Content-Type: application/json`.")
    kind, *how = (part.strip().lower() for part in given.split(";"))
    if kind != "application/json":
        raise NotJson(
            "The body is read as JSON: send `Content-Type: application/json`, not {given}.", given=shown(given)
        )
    if any(part.startswith("charset=") and part[8:].strip('"') not in ("utf-8", "utf8") for part in how):
        raise NotJson("JSON is UTF-8: leave the charset of {given} out.", given=shown(given))
    strict = JsonRequest(request.scope, request.receive)
    if await strict.body():
        await strict.json()
    return strict


def _key(request: Request, operation: str, body: bytes) -> idempotency.Key | None:
    """The key of a write with this body, or with a file of this digest; raises KeyRepeated, KeyEmpty, KeyTooLong."""
    keys = request.headers.getlist("idempotency-key")
    if not keys:
        return None
    if len(keys) > 1:
        raise KeyRepeated("The header `Idempotency-Key` stands {times} times: send one.", times=len(keys))
    given = keys[0]
    if not given:
        raise KeyEmpty("The header `Idempotency-Key` is empty: send a value of your own, or leave it out.")
    caller: Caller = request.state.caller
    path, query = request.scope["path"].replace("?", "%3F"), request.scope["query_string"].decode("latin-1")
    return idempotency.Key.of(
        organisation=caller.organisation,
        operation=operation,
        key=given,
        path=f"{request.method} {path}?{query}",
        body=body,
    )


async def _once(
    tx: Tx,
    key: idempotency.Key | None,
    endpoint: Endpoint,
    request: Request,
) -> Response:
    if key is None:
        return await endpoint(request)
    chosen = choice.get()
    if (first := await idempotency.claim(tx, key)) is not None:
        chosen.counts = False  # it is in the language of the first
        return Response(first.body, first.status, {**first.headers, "idempotency-replayed": "true"})
    response = await endpoint(request)
    if response.status_code < 400:  # noqa: PLR2004  only successes are recorded
        headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
        headers |= {"content-language": chosen.language} if chosen.counts else {}
        idempotency.keep(tx, key, idempotency.Answer(response.status_code, headers, bytes(response.body)))
    return response


async def _tx(request: Request) -> Tx:
    tx: Tx = request.state.tx
    return tx


async def _caller(request: Request) -> Caller:
    caller: Caller = request.state.caller
    return caller


TxHere = Annotated[Tx, Depends(_tx)]
"""The transaction of this request; it commits before the answer leaves."""
CallerHere = Annotated[Caller, Depends(_caller)]
"""Who sent this request."""
IN_HAND: dict[Any, str] = {_tx: "tx", _caller: "caller"}
"""What the edge has in hand when it calls an endpoint, by its dependency: its attribute of `request.state`."""


async def _key_required(idempotency_key: Annotated[str | None, Header(description=KEY_MEANS)] = None) -> None:
    if not idempotency_key:
        raise KeyMissing("Send `Idempotency-Key` with a value of your own; send the same one when you try again.")


KeyRequired = Depends(_key_required)
"""`dependencies=[KeyRequired]` of a write without a natural key: sent twice without a key it would happen twice."""


async def _shared() -> None:
    """Declares only."""


InCompany = Depends(_shared)
"""`dependencies=[InCompany]` of a write that asks by `Tx.merged` and else only adds: who comes at once shares a transaction."""


async def _match_needed(
    if_match: Annotated[
        str | None,
        Header(
            description="the ETag of what you read, or `*` for whatever version stands; 428 without, 412 when it is stale"
        ),
    ] = None,
) -> None:
    """Shows the header; it is read where the version is known, by `check_match`."""


MatchNeeded = Depends(_match_needed)
"""`dependencies=[MatchNeeded]` of a change that would undo another's: it calls `check_match` under lock."""


def etag(version: int) -> str:
    """The version of a thing as an entity tag."""
    return f'"{version}"'


def check_match(request: Request, version: int) -> None:
    """The guard where two people may edit one thing; raises PreconditionRequired and what `check_tag` raises."""
    given = request.headers.get("if-match")
    if given is None:
        raise PreconditionRequired("Send `If-Match: {etag}`, the ETag of what you read.", etag=etag(version))
    check_tag(given, version)


def check_tag(given: str, version: int) -> None:
    """Holds an If-Match against the present version (RFC 9110 §13.1.1); raises MatchUnreadable, PreconditionFailed."""
    if not ENTITY_TAGS.fullmatch(given.strip()):
        raise MatchUnreadable(
            "If-Match is {given!j}; it holds an ETag with its quotes, such as {etag}.", given=given, etag=etag(version)
        )
    if given.strip() != "*" and etag(version) not in [tag.strip() for tag in given.split(",")]:
        raise PreconditionFailed(
            "You read version {given}, now it is {etag}; read it again.", given=given[:100], etag=etag(version)
        )
