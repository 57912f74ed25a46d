"""Whoever uses a running platform over HTTP: the story, the replay, the journeys. Knows nothing but addresses and tokens."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import httpx

from deploy.addresses import Address, Addresses
from shared.values import frozen

TokenFor = Callable[..., str]
"""`token_for(role, organisation, region, person)`: a bearer token."""

CONNECTIONS = httpx.Limits(max_connections=20, keepalive_expiry=2)
"""A connection that rests is closed from this side, before a server closes it under a request."""
TRIES = 3
QUIET_LOOKS = 2
UNAVAILABLE = 503
LOOK_SECONDS = 0.05


class Refused(Exception):
    """The platform answered with a problem where the visitor expected success."""

    def __init__(self, method: str, path: str, answer: httpx.Response) -> None:
        self.status = answer.status_code
        self.problem: dict[str, Any] = answer.json() if "json" in answer.headers.get("content-type", "") else {}
        faults = "; ".join(f"{one['pointer']}: {one['rule']}" for one in self.problem.get("errors", [])[:5])
        said = self.problem.get("detail") or answer.text[:500]
        super().__init__(f"{method} {path} was answered {self.status}: {said} {faults}".rstrip())

    @property
    def code(self) -> str:
        """The stable code of the problem."""
        return str(self.problem.get("code", ""))


class NotQuiet(Exception):
    """Something is still in flight after the time it was given; says what."""


@frozen
class Person:
    """Somebody with a token: calls `post("orders/orders", {...})`, the first word being the service."""

    visitor: "Visitor"
    headers: Mapping[str, str]

    async def get(self, path: str, **params: Any) -> Any:
        """What is there; raises Refused."""
        return await self.visitor.call("GET", path, self.headers, params=params)

    async def post(
        self, path: str, body: Any = None, *, key: str | None = None, match: str | None = None, **params: Any
    ) -> Any:
        """What became of it; raises Refused. `key` is the Idempotency-Key, `match` the version that was read."""
        headers = dict(self.headers)
        if key is not None:
            headers["idempotency-key"] = key
        if match is not None:
            headers["if-match"] = match
        return await self.visitor.call("POST", path, headers, json=body, params=params)

    async def put(self, path: str, body: Any, *, match: str | None = None) -> Any:
        """What became of it; raises Refused."""
        headers = {**self.headers, "if-match": match} if match else self.headers
        return await self.visitor.call("PUT", path, headers, json=body)

    async def send(self, path: str, content: bytes, content_type: str, **params: Any) -> Any:
        """Sends a file."""
        headers = {**self.headers, "content-type": content_type}
        return await self.visitor.call("POST", path, headers, content=content, params=params)


class Visitor:
    """A client of all five services, wherever they run; `async with Visitor(...) as visitor`."""

    def __init__(self, addresses: Addresses, token_for: TokenFor) -> None:
        self._addresses = addresses
        self._token_for = token_for
        self._operator = ""
        self._client = httpx.AsyncClient(timeout=120, limits=CONNECTIONS)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    def person(self, role: str, organisation: str, region: str, name: str = "somebody") -> Person:
        """Somebody of an organisation, in one role."""
        token = self._token_for(role, organisation, region, name)
        return Person(self, {"authorization": f"Bearer {token}"})

    async def call(self, method: str, path: str, headers: Mapping[str, str], **content: Any) -> Any:
        """One call; raises Refused for any answer that is no success."""
        service, _, rest = path.partition("/")
        content = {name: value for name, value in content.items() if value is not None}
        answer = await self._client.request(
            method, f"{self._addresses[service].api}/{rest}", headers=headers, **content
        )
        if not answer.is_success:
            raise Refused(method, path, answer)
        return answer.json() if "json" in answer.headers.get("content-type", "") else answer.content

    async def drive(self, instant: datetime, service: str | None = None) -> None:
        """Moves the clock of every process, or of one service's API alone (and of all that share its process)."""
        bases = self._bases() if service is None else [self._clock_of(self._addresses[service])]
        await asyncio.gather(
            *(self._operate("PUT", base, "/clock", json={"now": instant.isoformat()}) for base in bases)
        )

    async def clocks(self) -> list[datetime]:
        """What the clocks of the processes show, where they are driven."""
        shown = await asyncio.gather(*(self._operate("GET", base, "/clock") for base in self._bases()))
        return [datetime.fromisoformat(one["now"]) for one in shown if one["driven"]]

    async def release_clock(self) -> None:
        """Gives every process the real time back."""
        await asyncio.gather(*(self._operate("DELETE", base, "/clock") for base in self._bases()))

    async def in_flight(self) -> dict[str, int]:
        """What is promised and not done yet, over all processes that do it."""
        bases = sorted({address.ops for address in self._addresses.values()})
        each = await asyncio.gather(*(self._operate("GET", base, "/in-flight") for base in bases))
        return {name: sum(one[name] for one in each) for name in each[0]}

    async def until_quiet(self, seconds: float = 120) -> None:
        """Waits until nothing is in flight any more, seen twice in a row; raises NotQuiet. Dead letters are not waited for."""
        seen: object = None
        quiet = 0
        try:
            async with asyncio.timeout(seconds):
                while quiet < QUIET_LOOKS:
                    try:
                        counts = await self.in_flight()
                    except Refused as refusal:  # of a database or a broker that is away or slow
                        if refusal.status != UNAVAILABLE:
                            raise
                        seen, busy = refusal, True
                    else:
                        seen, busy = counts, any(counts[name] for name in counts if name != "dead_letters")
                    quiet = 0 if busy else quiet + 1
                    await asyncio.sleep(LOOK_SECONDS if busy else 0)
        except TimeoutError as error:
            raise NotQuiet(f"after {seconds:g} s there is still in flight: {seen}") from error

    def _bases(self) -> list[str]:
        """Every process that has a clock: where an API shares its process with its worker, once."""
        workers = {address.ops for address in self._addresses.values()}
        return sorted(workers | {self._clock_of(address) for address in self._addresses.values()})

    @staticmethod
    def _clock_of(address: Address) -> str:
        """The process of an API: its worker's where they share one."""
        return address.ops if address.api.startswith(address.ops) else address.api

    async def _operate(self, method: str, base: str, path: str, **content: Any) -> Any:
        """What operations ask may be asked again when the connection is lost under it."""
        self._operator = self._operator or self._token_for("operator", "OPERATOR", "000000", "operations")
        headers = {"authorization": f"Bearer {self._operator}"}
        for attempt in range(1, TRIES + 1):
            try:
                answer = await self._client.request(method, f"{base}{path}", headers=headers, **content)
            except (httpx.ReadError, httpx.RemoteProtocolError):
                if attempt == TRIES:
                    raise
                continue
            if not answer.is_success:
                raise Refused(method, path, answer)
            return answer.json()
        raise AssertionError("the loop returns or raises")
