"""The body of a request as JSON, read once and strictly: UTF-8, no key twice in one object, bounded nesting."""

import json
from itertools import chain
from typing import Any

import orjson
from fastapi import Request

from shared.errors import BadRequest, TooLarge
from shared.settings import Limits

MOST_DIGITS = 4_300
"""Of a number; Python reads no more."""
NESTING = frozenset((dict, list))


class UnreadableBody(BadRequest):
    title = "Unreadable body"


class TooManyItems(TooLarge):
    title = "The list has too many items for one call"


class JsonRequest(Request):
    """A request whose body is read strictly, and once however often the transaction is tried."""

    async def json(self) -> Any:
        """The body; raises UnreadableBody."""
        if not hasattr(self, "_read"):
            limits: Limits = self.app.state.runtime.settings.limits
            self._read = bounded(parsed(await self.body()), limits)
        return self._read


def parsed(body: bytes) -> Any:
    """What the body holds; raises UnreadableBody with the place where it ends to be JSON."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise UnreadableBody("The body is not UTF-8: byte {place} cannot be read.", place=error.start) from error
    try:
        found = json.loads(text)
        if not _each_key_once(body, found):
            json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise UnreadableBody(
            "The body is not JSON from line {line}, column {column} on.", line=error.lineno, column=error.colno
        ) from error
    except RecursionError as error:
        raise UnreadableBody("The body is nested too deeply to be read.") from error
    except ValueError as error:
        raise UnreadableBody("A number has more than {digits} digits.", digits=MOST_DIGITS) from error
    return found


def bounded(found: Any, limits: Limits) -> Any:
    """What was read, when it is neither too deep, too long a list nor too much; raises UnreadableBody, TooManyItems."""
    if isinstance(found, list) and len(found) > limits.bulk_items:
        raise TooManyItems(
            "The list has {count:#item}; one call takes {most} at most.", count=len(found), most=limits.bulk_items
        )
    level = [found] if type(found) in NESTING else []
    count = 0
    for _ in range(limits.json_depth):
        if not level:
            return found
        count += len(level)
        if count > limits.json_nodes:
            raise TooManyItems(
                "The body holds more than {most} lists and objects; send it in parts.", most=limits.json_nodes
            )
        values = (outer.values() if type(outer) is dict else outer for outer in level)
        level = [inner for inner in chain.from_iterable(values) if type(inner) in NESTING]
    if level:
        raise UnreadableBody(
            "The body holds more than {depth} lists and objects in one another.", depth=limits.json_depth
        )
    return found


def _each_key_once(body: bytes, found: Any) -> bool:
    """Whether no key was lost: what was read, written again, has as many colons. A doubt counts as a loss.

    Keys that stand twice are rare and a hook for every object costs half as much again as reading, so the hook runs on
    a doubt only. A colon inside a text is a colon in both, unless it was escaped.
    """
    try:
        return b"\\u003" not in body and orjson.dumps(found).count(b":") == body.count(b":")
    except (
        TypeError,
        ValueError,
    ):  # what JSON may hold and orjson does not write: lone surrogates, numbers over 64 bits
        return False


def _once(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise UnreadableBody("The key {key} stands twice in one object.", key=json.dumps(key[:100]))
        seen.add(key)
