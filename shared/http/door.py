"""Outermost: every request gets an id, a bound in bytes and seconds, a count, and an answer whatever happens inside.

The body of an ordinary request is read here, bounded, before anybody else looks at it; uploads go through as a stream and
are bounded by who reads them. A body is read for a proven token alone, and before the request is counted, so that nobody
keeps the others out by sending slowly; health is asked outside all counts.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

from shared import clock, telemetry, tongue
from shared.errors import BadRequest, ServiceError, TooLarge, Unavailable, UnsupportedMedia
from shared.http import problems
from shared.http.operations import VerifierOf, authorization_of
from shared.ids import TRACE, new_trace
from shared.settings import Limits

SAFETY = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
)
"""On every answer: prices and codes are nobody's to keep, sniff or frame, and no answer is a page that loads or does anything."""
HTML = (b"content-type", b"text/html; charset=utf-8")
SAFETY_OF_PAGES = (
    *SAFETY[:-1],
    (
        b"content-security-policy",
        b"default-src 'self' 'unsafe-inline'; img-src 'self' data:; worker-src blob:; frame-ancestors 'none'",
    ),
)
"""On /docs and /redoc, whose scripts are served beside them and begun by a line within."""

LONGEST_ID = 100
_ID = re.compile(rf"[A-Za-z0-9._:-]{{1,{LONGEST_ID}}}")
"""What an id of the caller's own is made of: it goes into logs, history and the requests of others, where nothing else may."""
LET_PASS_SECONDS = 2
"""So long the rest of a body that is refused may come and is thrown away."""
UPLOADS = "/imports/"
HEALTH = "/health/"


class HeadUnreadable(BadRequest):
    """Mend the client, or the proxy between: what it sends is not written as RFC 9112 says."""

    title = "The request is not HTTP"


class HeadTooLarge(ServiceError):
    """Send a shorter address and fewer or shorter headers; `detail` names the limit."""

    status = 431
    title = "The head of the request is too large"


class HeadTooSlow(ServiceError):
    """Send the request again over a faster connection; `detail` names the time that its headers may take."""

    status = 408
    title = "The head of the request came too slowly"


class BodyTooLarge(TooLarge):
    title = "The body is too large"


class EncodedBody(UnsupportedMedia):
    title = "A compressed body is not read here"


class BodyTooSlow(ServiceError):
    """Send the body again over a faster connection, or in parts; `detail` names the time it may take."""

    status = 408
    title = "The body came too slowly"


class TooCrowded(Unavailable):
    title = "Too many requests at once"


class TookTooLong(Unavailable):
    title = "The request took too long and was given up"


class Door:
    """The outermost layer of an app."""

    def __init__(self, app: ASGIApp, *, service: str, limits: Limits, verifier_of: VerifierOf) -> None:
        self._app = app
        self._service = service
        self._limits = limits
        self._verifier_of = verifier_of
        self._under_way = 0
        self._held_bytes = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"])
        request_id = id_of(given)
        known = telemetry.request_id.set(request_id)
        trace = telemetry.traceparent.set(_trace(given.get(b"traceparent")))
        choice = tongue.Choice(language_of(given))
        spoken = tongue.choice.set(choice)
        started = clock.elapsed()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                safety = SAFETY_OF_PAGES if HTML in message["headers"] else SAFETY
                headers = [*message["headers"], (b"x-request-id", request_id.encode()), *safety, *choice.headers()]
                message = {**message, "headers": headers}
            await send(message)

        try:
            async with asyncio.timeout(self._limits.request_seconds) as bound:
                await self._enter(scope, given, receive, answer)
        except Exception as error:  # the edge: nothing leaves without an answer
            if status:
                raise
            late = TookTooLong(
                "It was given up after {request_seconds:g} s; it may or may not have been done. Send the same request again, a"
                " write under the same Idempotency-Key or number: nothing is done twice.",
                headers={"Retry-After": "5"},
                request_seconds=self._limits.request_seconds,
            )
            await problems.internal(late if bound.expired() else error)(scope, receive, answer)
        finally:
            operation = scope.get("state", {}).get("operation", "unknown")
            telemetry.REQUESTS.labels(self._service, operation, status).observe(clock.elapsed() - started)
            telemetry.request_id.reset(known)
            telemetry.traceparent.reset(trace)
            tongue.choice.reset(spoken)

    async def _enter(self, scope: Scope, given: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path.startswith(HEALTH):
            await self._app(scope, receive, send)
            return
        body: list[bytes] = []
        try:
            if given.get(b"content-encoding", b"identity") != b"identity":
                raise EncodedBody("Send the body as it is, without Content-Encoding.")
            if not path.startswith(UPLOADS) and _brings_a_body(given):
                receive = await self._admitted(scope, given, receive, body)
            with self._counted():
                await self._app(scope, receive, send)
        finally:
            self._held_bytes -= sum(map(len, body))

    async def _admitted(
        self, scope: Scope, given: dict[bytes, bytes], receive: Receive, pieces: list[bytes]
    ) -> Receive:
        """The body of a proven token; raises what `_proven` and `_read` do."""
        try:
            await self._proven(scope)
            return await self._read(given, receive, pieces)
        except BodyTooLarge:
            await _let_pass(given, receive)
            raise

    @contextmanager
    def _counted(self) -> Iterator[None]:
        if self._under_way >= self._limits.concurrent_requests:
            raise TooCrowded(
                "{under_way} requests are under way here; try again.",
                headers={"Retry-After": "1"},
                under_way=self._under_way,
            )
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    async def _proven(self, scope: Scope) -> None:
        """Raises NoToken, TokenRefused or IssuerAway before a byte of the body is kept; every write wants a token."""
        request = Request(scope)
        await self._verifier_of(request).caller(authorization_of(request))

    async def _read(self, given: dict[bytes, bytes], receive: Receive, pieces: list[bytes]) -> Receive:
        """The whole body as one message, its pieces also in `pieces`; raises BodyTooLarge, BodyTooSlow, TooCrowded."""
        stated = given.get(b"content-length", b"")
        if stated.isdigit() and int(stated) > self._limits.body_bytes:
            raise self._too_large()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                whole = await self._collect(receive, pieces)
        except TimeoutError as late:
            raise BodyTooSlow(
                "The body was not here after {body_seconds:g} s; nothing was changed.",
                headers={"Connection": "close"},
                body_seconds=self._limits.body_seconds,
            ) from late
        if not whole:
            return receive
        pieces[:] = [b"".join(pieces)]
        body: Message | None = {"type": "http.request", "body": pieces[0], "more_body": False}

        async def once() -> Message:
            nonlocal body
            if body is None:
                return await receive()
            whole, body = body, None
            return whole

        return once

    async def _collect(self, receive: Receive, pieces: list[bytes]) -> bool:
        """Takes the pieces as they come, counting what is held for all; False: the client has left."""
        taken = 0
        more = True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return False
            pieces.append(message.get("body", b""))
            taken += len(pieces[-1])
            self._held_bytes += len(pieces[-1])
            if taken > self._limits.body_bytes:
                raise self._too_large()
            if self._held_bytes > self._limits.bodies_bytes:
                raise TooCrowded(
                    "The bodies of the requests under way have {most} bytes already; try again.",
                    headers={"Retry-After": "1"},
                    most=self._limits.bodies_bytes,
                )
            more = message.get("more_body", False)
        return True

    def _too_large(self) -> BodyTooLarge:
        return BodyTooLarge(
            "The body has more than {limit} bytes; send it in parts, or as a file to {UPLOADS}…",
            limit=self._limits.body_bytes,
            UPLOADS=UPLOADS,
        )


def _brings_a_body(given: dict[bytes, bytes]) -> bool:
    """RFC 9112 §6.3: a request without either header has none."""
    return b"transfer-encoding" in given or given.get(b"content-length", b"0") != b"0"


async def _let_pass(given: dict[bytes, bytes], receive: Receive) -> None:
    """Takes what still comes of a body that is not read, for a while: a client that hears nothing before it has sent all, and
    whose connection is closed meanwhile, would never hear why."""
    if b"expect" in given:  # it waits for a word before it sends
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(LET_PASS_SECONDS):
            while (message := await receive())["type"] == "http.request" and message.get("more_body", False):
                pass


def id_of(given: Mapping[bytes, bytes]) -> str:
    """The id of a request with these headers: the one it brings, or one that begins here."""
    asked = _printable(given.get(b"x-request-id"))
    return asked if asked and _ID.fullmatch(asked) else str(uuid7())


def language_of(given: Mapping[bytes, bytes]) -> str:
    """What a request with these headers is answered in."""
    return tongue.preferred(_printable(given.get(b"accept-language")))


def _trace(raw: bytes | None) -> str:
    """The trace that the client has begun; one that begins here when it names none, or none that can be read."""
    given = _printable(raw)
    return given if given and TRACE.fullmatch(given) else new_trace()


def _printable(raw: bytes | None) -> str | None:
    if not raw or len(raw) > LONGEST_ID:
        return None
    text = raw.decode("latin-1")
    return text if text.isascii() and text.isprintable() else None
