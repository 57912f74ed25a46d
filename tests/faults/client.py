"""A client that does not give up: whatever it does not know the end of, it sends again under the same key and the same numbers.

Invariant: what it was answered is written down, so that a lost answer can be told from a lost effect.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from itertools import count
from typing import Any

import httpx

from deploy.visitor import Person, Refused
from shared import clock

GIVES_UP_SECONDS = 600
"""What is not taken for so long never will be."""
LONGEST_PAUSE_SECONDS = 1.0
PASSING_STATUS = {429, 500, 502, 503, 504}
PASSING_CODES = {"busy", "still_running", "receipt_not_known_yet", "receipt_not_found"}


class NeverTaken(AssertionError):
    """The platform refused what it may not refuse, or never answered."""


@dataclass(slots=True)
class Answered:
    """What the platform has said yes to, and how long each call waited: from its first try to its answer.

    `bank`: what the bank has paid of each payment, in yuan, by its own book; zero where it refused, or sent it back.
    """

    orders: set[str] = field(default_factory=set)
    confirmed: set[str] = field(default_factory=set)
    shipments: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    captured: set[str] = field(default_factory=set)
    sheets: set[str] = field(default_factory=set)
    runs: set[str] = field(default_factory=set)
    bank: dict[str, Decimal] = field(default_factory=dict)
    never_taken: list[str] = field(default_factory=list)
    calls: list[tuple[float, float]] = field(default_factory=list)
    retries: int = 0


@dataclass(slots=True)
class Client:
    """Asks until it is answered, for any person."""

    answered: Answered = field(default_factory=Answered)

    async def write(self, person: Person, path: str, body: Any = None) -> Any:
        """One write under one key; raises NeverTaken."""
        key = f"{random.getrandbits(64):016x}"
        return await self.ask(path, lambda: person.post(path, body, key=key))

    async def ask(self, path: str, call: Callable[[], Awaitable[Any]]) -> Any:
        """The answer of a call that may be made again; raises NeverTaken."""
        began = clock.wall_seconds()
        for attempt in count():
            if clock.wall_seconds() > began + GIVES_UP_SECONDS:
                break
            try:
                answer = await call()
            except Refused as refusal:
                if refusal.status not in PASSING_STATUS and refusal.code not in PASSING_CODES:
                    raise NeverTaken(str(refusal)) from refusal
            except httpx.TransportError:
                pass
            else:
                self.answered.calls.append((began, clock.wall_seconds()))
                return answer
            self.answered.retries += 1
            await asyncio.sleep(min(LONGEST_PAUSE_SECONDS, 0.05 * 2 ** min(attempt, 10)) * random.uniform(0.5, 1))
        raise NeverTaken(f"{path} was never answered")

    async def items(
        self, person: Person, path: str, commands: list[Any], body: Callable[[list[Any]], Any] = lambda left: left
    ) -> list[Any]:
        """The item that each became; those that are refused for a passing reason are sent again, in a call of their own."""
        done: dict[int, Any] = {}
        until = clock.elapsed() + GIVES_UP_SECONDS
        while clock.elapsed() < until:
            left = [place for place in range(len(commands)) if place not in done]
            if not left:
                return [done[place] for place in range(len(commands))]
            answer = await self.write(person, path, body([commands[place] for place in left]))
            for place, item in zip(left, answer["items"], strict=True):
                problem = item.get("problem")
                if problem is None:
                    done[place] = item["item"]
                elif problem["code"] not in PASSING_CODES:
                    raise NeverTaken(f"{path}: {problem}")
            await asyncio.sleep(0.2 if len(done) < len(commands) else 0)
        raise NeverTaken(f"{path}: {len(commands) - len(done)} items were never taken")
