"""How often one organisation may do one thing: a bucket that refills, so that one noisy client does not slow the others.

Counted in this process; with several processes behind one address a client may do as many times more.
"""

from dataclasses import dataclass
from math import ceil

from shared import clock
from shared.errors import TooMany

REMEMBERED = 10_000
"""Buckets kept at most; the longest unused is forgotten first, which only ever lets more through."""


class RateExceeded(TooMany):
    title = "Too many requests of this kind"


@dataclass(slots=True)
class _Bucket:
    left: float
    at: float


class Rates:
    """Buckets by organisation and operation: `burst` at once, refilled by `per_second`."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, organisation: str, operation: str) -> dict[str, str]:
        """Counts one request and tells in headers what is left; raises RateExceeded with the seconds to wait.

        Source: IETF draft-ietf-httpapi-ratelimit-headers, in the form it has from -08 on (two structured fields, not four).
        """
        now = clock.elapsed()
        bucket = self._buckets.pop((organisation, operation), None) or _Bucket(float(self._burst), now)
        self._buckets[organisation, operation] = bucket
        if len(self._buckets) > REMEMBERED:
            self._buckets.pop(next(iter(self._buckets)))
        bucket.left = min(float(self._burst), bucket.left + (now - bucket.at) * self._per_second)
        bucket.at = now
        if bucket.left < 1:
            wait_seconds = max(1, round((1 - bucket.left) / self._per_second + 0.5))
            raise RateExceeded(
                "{organisation} may call {operation} {burst} times at once and {per_second:g} times a "
                "second after that; wait {wait_seconds} s.",
                headers={"Retry-After": str(wait_seconds), **self._told(operation, 0, wait_seconds)},
                organisation=organisation,
                operation=operation,
                burst=self._burst,
                per_second=self._per_second,
                wait_seconds=wait_seconds,
            )
        bucket.left -= 1
        return self._told(operation, int(bucket.left), ceil((self._burst - bucket.left) / self._per_second))

    def _told(self, operation: str, left: int, seconds: int) -> dict[str, str]:
        window = max(1, round(self._burst / self._per_second))
        return {
            "RateLimit-Policy": f'"{operation}";q={self._burst};w={window}',
            "RateLimit": f'"{operation}";r={left};t={seconds}',
        }
