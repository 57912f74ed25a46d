"""Whoever waits until nothing is in flight, and what a visitor makes of answers that say nothing of it."""

from collections.abc import Iterator

import httpx
import pytest

from deploy.visitor import NotQuiet, Refused, Visitor

QUIET = {"outbox": 0, "lag": 0, "deadlines_due": 0, "jobs": 0, "dead_letters": 3}
BUSY = {**QUIET, "lag": 2}


class Looking(Visitor):
    """Sees one thing after the other when it looks what is in flight."""

    def __init__(self, *seen: dict[str, int] | int) -> None:
        super().__init__({}, lambda *_: "")
        self._seen: Iterator[dict[str, int] | int] = iter(seen)

    async def in_flight(self) -> dict[str, int]:
        seen = next(self._seen)
        if isinstance(seen, int):
            raise Refused("GET", "/in-flight", httpx.Response(seen, json={"detail": "away"}))
        return seen


async def test_quiet_is_seen_twice_in_a_row_and_what_is_not_known_is_not_quiet() -> None:
    visitor = Looking(BUSY, QUIET, 503, QUIET, BUSY, QUIET, QUIET)
    await visitor.until_quiet()
    with pytest.raises(StopIteration):
        next(visitor._seen)


async def test_any_other_refusal_is_told() -> None:
    with pytest.raises(Refused, match="403"):
        await Looking(BUSY, 403).until_quiet()


@pytest.mark.parametrize(("last", "said"), [(BUSY, "'lag': 2"), (503, "was answered 503: away")])
async def test_what_was_seen_last_is_told_when_it_takes_too_long(last: dict[str, int] | int, said: str) -> None:
    with pytest.raises(NotQuiet, match=said):
        await Looking(*[last] * 1_000).until_quiet(seconds=0.2)
