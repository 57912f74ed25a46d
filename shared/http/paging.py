"""Lists page by cursor: stable while rows are added, bounded in rows; a cursor is signed, and good for its list and filters."""

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, TypeVar

import orjson
from fastapi import Depends, Query, Request
from pydantic import TypeAdapter

from shared.errors import BadRequest, Fault, Said, Unprocessable
from shared.http.schemas import Page
from shared.values import frozen

V = TypeVar("V")
R = TypeVar("R")

SIGNATURE_BYTES = 12
DEFAULT_ROWS = 50
MOST_ROWS = 500
"""What the contract promises of every installation; `page_rows` may be lower, and alone decides."""


class CursorRefused(BadRequest):
    title = "This cursor was not given out here"


class PageTooLong(Unprocessable):
    """Ask for fewer rows with `limit`; `detail` names how much a page may hold."""

    title = "The page is too long"


@frozen
class Paging:
    """How many rows, and after which key."""

    limit: int
    after: list[Any] | None
    secret: bytes

    @property
    def rows(self) -> int:
        """Rows to ask the database for: one more than shown tells whether there is a next page."""
        return self.limit + 1

    def page(self, found: Sequence[R], show: Callable[[R], V], key: Callable[[R], Sequence[Any]]) -> Page[V]:
        """The page of what was found (at most `rows`), with the cursor of its last row."""
        return self._page([show(row) for row in found[: self.limit]], found, key)

    def page_of(self, view: type[V], found: Sequence[R], key: Callable[[R], Sequence[Any]]) -> Page[V]:
        """The page of what has the fields of its view: all of it is looked at together, which costs a third."""
        return self._page(_views(view).validate_python(found[: self.limit], from_attributes=True), found, key)  # type: ignore[arg-type]

    def _page(self, shown: list[V], found: Sequence[R], key: Callable[[R], Sequence[Any]]) -> Page[V]:
        more = len(found) > self.limit
        return Page(items=shown, next=_seal(key(found[self.limit - 1]), self.secret) if more else None)


@cache
def _views(view: type) -> TypeAdapter[Any]:
    return TypeAdapter(list[view])  # type: ignore[valid-type]


def _seal(key: Sequence[Any], secret: bytes) -> str:
    body = orjson.dumps(list(key), default=str)
    return base64.urlsafe_b64encode(_sign(body, secret) + body).decode().rstrip("=")


def _sign(body: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, body, hashlib.sha256)[:SIGNATURE_BYTES]


def _unseal(cursor: str, secret: bytes) -> list[Any]:
    try:
        raw = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
    except ValueError as error:
        raise CursorRefused("Take `next` of the page before as it is, or leave `after` out.") from error
    signature, body = raw[:SIGNATURE_BYTES], raw[SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _sign(body, secret)):
        raise CursorRefused("Take `next` of the page before as it is, or leave `after` out.")
    key: list[Any] = orjson.loads(body)
    return key


async def _paging(
    request: Request,
    limit: Annotated[
        int, Query(ge=1, json_schema_extra={"maximum": MOST_ROWS}, description="rows of a page")
    ] = DEFAULT_ROWS,
    after: Annotated[str | None, Query(max_length=1_000, description="`next` of the page before")] = None,
) -> Paging:
    most: int = request.app.state.runtime.settings.limits.page_rows
    if "limit" not in request.query_params:
        limit = min(limit, most)
    if limit > most:
        fault = Fault(
            "query/limit", str(limit), Said("the value is too large"), Said("{le} or less", le=most), "less_than_equal"
        )
        raise PageTooLong("A page has {most} rows at most here, not {limit}.", faults=[fault], most=most, limit=limit)
    asked = sorted(one for one in request.query_params.multi_items() if one[0] not in ("limit", "after"))
    secret: bytes = request.app.state.cursor_secret + orjson.dumps([request.scope["path"], asked])
    return Paging(limit, _unseal(after, secret) if after is not None else None, secret)


PagingHere = Annotated[Paging, Depends(_paging)]
"""The paging of this request: `limit` and `after`."""
