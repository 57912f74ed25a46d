"""Ids that follow from what a thing is about: whoever makes it again, from the same facts, makes the same one."""

from datetime import datetime
from uuid import UUID

_VERSION, _VARIANT = 0x7 << 76, 0b10 << 62
_12_BITS, _62_BITS = (1 << 12) - 1, (1 << 62) - 1


def derived(natural_key: UUID, at: datetime) -> UUID:
    """A UUIDv7 of this instant whose random part is the key's, a UUIDv7 too: ids sort by time, and within it as their keys."""
    milliseconds = int(at.timestamp() * 1_000)
    key = natural_key.int
    random_a = key >> 80 & _12_BITS
    random_b = (key >> 64 & _12_BITS) << 50 | (key & _62_BITS) >> 12
    return UUID(int=milliseconds << 80 | _VERSION | random_a << 64 | _VARIANT | random_b)
