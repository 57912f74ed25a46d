"""Outermost: every request gets an id, a bound in bytes and seconds, a count, and an answer whatever happens inside.

The body of an ordinary request is read here, bounded, before anybody else looks at it; uploads go through as a stream and
are bounded by who reads them.
"""

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uuid_utils.compat import uuid7

from shared import clock, telemetry
from shared.errors import ServiceError, TooLarge, Unavailable, UnsupportedMedia
from shared.http import problems, words
from shared.settings import Limits

SAFETY = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
)
"""On every answer: prices and codes are nobody's to keep, sniff or frame."""

LONGEST_ID = 100
UPLOADS = "/imports/"


class BodyTooLarge(TooLarge):
    title = "The body is too large"


class EncodedBody(UnsupportedMedia):
    title = "A compressed body is not read here"


class TooCrowded(Unavailable):
    title = "Too many requests at once"


class TookTooLong(Unavailable):
    title = "The request took too long and was given up"


class Door:
    """The outermost layer of a service's app."""

    def __init__(self, app: ASGIApp, *, service: str, limits: Limits) -> None:
        self._app = app
        self._service = service
        self._limits = limits
        self._under_way = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = dict(scope["headers"])
        request_id = _printable(given.get(b"x-request-id")) or str(uuid7())
        known = telemetry.request_id.set(request_id)
        trace = telemetry.traceparent.set(_printable(given.get(b"traceparent")))
        spoken = words.language.set(words.preferred(_printable(given.get(b"accept-language"))))
        started = clock.elapsed()
        status = 0

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = [*message["headers"], (b"x-request-id", request_id.encode()), *SAFETY]
                message = {**message, "headers": headers}
            await send(message)

        self._under_way += 1
        try:
            async with asyncio.timeout(self._limits.request_seconds) as bound:
                await self._enter(scope, given, receive, answer)
        except Exception as error:  # the edge: nothing leaves without an answer
            if status:
                raise
            late = TookTooLong(
                "It was given up after {request_seconds:g} s; nothing was changed.",
                request_seconds=self._limits.request_seconds,
            )
            await problems.internal(late if bound.expired() else error)(scope, receive, answer)
        finally:
            self._under_way -= 1
            operation = scope.get("state", {}).get("operation", "unknown")
            telemetry.REQUESTS.labels(self._service, operation, status).observe(clock.elapsed() - started)
            telemetry.request_id.reset(known)
            telemetry.traceparent.reset(trace)
            words.language.reset(spoken)

    async def _enter(self, scope: Scope, given: dict[bytes, bytes], receive: Receive, send: Send) -> None:
        try:
            self._admit(given)
            if UPLOADS not in scope["path"]:
                receive = await self._read(given, receive)
        except ServiceError as refusal:
            await problems.answer(problems.problem_of(refusal), refusal.headers)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _admit(self, given: dict[bytes, bytes]) -> None:
        if self._under_way > self._limits.concurrent_requests:
            raise TooCrowded(
                "{under_way} requests are under way here; try again.",
                headers={"Retry-After": "1"},
                under_way=self._under_way - 1,
            )
        if given.get(b"content-encoding", b"identity") != b"identity":
            raise EncodedBody("Send the body as it is, without Content-Encoding.")

    async def _read(self, given: dict[bytes, bytes], receive: Receive) -> Receive:
        """The whole body as one message; raises BodyTooLarge as soon as it is known to be."""
        limit = self._limits.body_bytes
        stated = given.get(b"content-length", b"")
        pieces: list[bytes] = []
        taken = int(stated) if stated.isdigit() and int(stated) > limit else 0
        more = True
        while more and taken <= limit:
            message = await receive()
            if message["type"] != "http.request":
                return receive
            pieces.append(message.get("body", b""))
            taken += len(pieces[-1])
            more = message.get("more_body", False)
        if taken > limit:
            raise BodyTooLarge(
                "The body has more than {limit} bytes; send it in parts, or as a file to {UPLOADS}…",
                limit=limit,
                UPLOADS=UPLOADS,
            )
        body: Message | None = {"type": "http.request", "body": b"".join(pieces), "more_body": False}

        async def once() -> Message:
            nonlocal body
            if body is None:
                return await receive()
            whole, body = body, None
            return whole

        return once


def _printable(raw: bytes | None) -> str | None:
    if not raw or len(raw) > LONGEST_ID:
        return None
    text = raw.decode("latin-1")
    return text if text.isascii() and text.isprintable() else None
