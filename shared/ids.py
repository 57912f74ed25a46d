"""Ids that follow from what a thing is about: whoever makes it again, from the same facts, makes the same one; and those of
traces, by chance (W3C Trace Context, level 1)."""

import os
import re
from datetime import datetime
from uuid import UUID

_VERSION, _VARIANT = 0x7 << 76, 0b10 << 62
TRACE = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
"""A `traceparent` that names a trace."""
_12_BITS, _62_BITS = (1 << 12) - 1, (1 << 62) - 1


def derived(natural_key: UUID, at: datetime) -> UUID:
    """A UUIDv7 of this instant whose random part is the key's, a UUIDv7 too: ids sort by time, and within it as their keys."""
    milliseconds = int(at.timestamp() * 1_000)
    key = natural_key.int
    random_a = key >> 80 & _12_BITS
    random_b = (key >> 64 & _12_BITS) << 50 | (key & _62_BITS) >> 12
    return UUID(int=milliseconds << 80 | _VERSION | random_a << 64 | _VARIANT | random_b)


def new_trace() -> str:
    """The `traceparent` of a trace that begins here and that nobody records here."""
    chance = os.urandom(24).hex()
    return f"00-{chance[:32]}-{chance[32:]}-00"
