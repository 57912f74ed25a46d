"""The head of a request is bounded, in bytes and in seconds, before anything of ours sees the request; uvicorn bounds neither.

What is refused here is answered like everything else, as application/problem+json, and the connection ends with it.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from starlette.responses import Response
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from shared import telemetry, tongue
from shared.errors import ServiceError
from shared.http import problems
from shared.http.door import (
    LET_PASS_SECONDS,
    SAFETY,
    HeadTooLarge,
    HeadTooSlow,
    HeadUnreadable,
    TooCrowded,
    id_of,
    language_of,
)
from shared.settings import Limits

LINE_BYTES = 4
"""What a line of a head has beside its name and its value: a colon, a space, and its end."""


class Connection(HttpToolsProtocol):
    """One connection. A time runs whenever it waits for its client: for a head to begin, for its end, for a body nobody reads."""

    def __init__(self, limits: Limits, **how: Any) -> None:
        super().__init__(**how)
        self._limits = limits
        self._most_bytes = limits.head_bytes
        self._head_begun = False
        self._head_bytes = 0
        self._unread_bytes = 0
        self._waiting: asyncio.TimerHandle | None = None
        self._refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            self._refuse(
                TooCrowded(
                    "There are {most} connections here already; try again.",
                    headers={"Retry-After": "1"},
                    most=self._limits.connections,
                )
            )
        else:
            self._wait(self.timeout_keep_alive, self.transport.close)

    def connection_lost(self, exc: Exception | None) -> None:
        self._come()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """`_unread_bytes` is what came since the parser last had something to say: part of a line that has no end."""
        if self._refused:
            return
        self._unread_bytes += len(data)
        super().data_received(data)
        if self._unread_bytes > self._most_bytes:
            self._refuse(self._too_large())
        elif self._waiting is None and not self._under_way():
            if self._head_begun:
                self._wait(self._limits.head_seconds, self._too_slow)
            else:
                self._wait(self._limits.request_seconds, self.transport.close)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._come()
        self._head_begun, self._head_bytes = True, 0

    def on_url(self, url: bytes) -> None:
        self._unread_bytes = 0
        self._head_bytes += len(url)
        if self._head_bytes > self._most_bytes:
            raise self._too_large()
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the head, or of the trailer of a chunked body: both are kept with the request."""
        self._unread_bytes = 0
        self._head_bytes += len(name) + len(value) + LINE_BYTES
        if self._head_bytes > self._most_bytes:
            raise self._too_large()
        HttpToolsProtocol.on_header(self, name, value)

    def on_headers_complete(self) -> None:
        self._come()
        self._head_begun = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._unread_bytes = 0
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Called for whatever the parser, or one of the above, does not take."""
        too_large = self._head_bytes > self._most_bytes
        self._refuse(self._too_large() if too_large else HeadUnreadable("What came is no request in HTTP/1.1."))

    def _too_large(self) -> HeadTooLarge:
        return HeadTooLarge(
            "The address and the headers have more than {head_bytes} bytes.", head_bytes=self._limits.head_bytes
        )

    def _too_slow(self) -> None:
        self._refuse(
            HeadTooSlow("The headers had not ended after {head_seconds:g} s.", head_seconds=self._limits.head_seconds)
        )

    def _under_way(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._waiting = self.loop.call_later(seconds, self._waited, then)

    def _waited(self, then: Callable[[], None]) -> None:
        self._waiting = None
        if not self._under_way():
            then()

    def _come(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _refuse(self, error: ServiceError) -> None:
        """Answers, unless another answer is on its way, and has no more to say; what still comes is thrown away for a while.

        Closed at once, with bytes on their way that nobody reads, the connection would be reset and the answer lost with it.
        """
        if self._refused:  # while the same bytes were read: one answer is enough
            return
        self._come()
        self._refused = True
        if self._under_way() or self.transport.is_closing():
            self.transport.close()
            return
        heard = dict(self.headers or ())  # of the head as far as it came
        known = telemetry.request_id.set(request_id := id_of(heard))
        with tongue.speaking(language_of(heard)) as choice:
            answer = problems.answer(problems.problem_of(error), {**error.headers, "X-Request-Id": request_id})
        telemetry.request_id.reset(known)
        answer.raw_headers.extend(choice.headers())
        self.transport.write(_written(answer))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._wait(LET_PASS_SECONDS, self.transport.close)


def _written(answer: Response) -> bytes:
    """A whole answer as it goes over the wire."""
    headers = [*answer.raw_headers, *SAFETY, (b"connection", b"close")]
    lines = (b"%b: %b\r\n" % header for header in headers)
    return b"".join([STATUS_LINE[answer.status_code], *lines, b"\r\n", bytes(answer.body)])
