"""Derived ids: the same of the same, another of another, and sorted by their instant like every UUIDv7."""

from datetime import UTC, datetime, timedelta

from uuid_utils.compat import uuid7

from shared.ids import derived

NOON = datetime(2026, 3, 2, 4, tzinfo=UTC)


def test_the_same_key_at_the_same_instant_is_the_same_id() -> None:
    key = uuid7()
    assert derived(key, NOON) == derived(key, NOON)
    assert derived(key, NOON) == derived(key, NOON + timedelta(microseconds=999))


def test_another_key_or_another_instant_is_another_id() -> None:
    key = uuid7()
    assert len({derived(uuid7(), NOON) for _ in range(1_000)}) == 1_000
    assert derived(key, NOON) != derived(key, NOON + timedelta(milliseconds=1))


def test_it_is_a_uuid_of_version_7_and_sorts_by_its_instant_and_then_by_its_key() -> None:
    keys = [uuid7() for _ in range(1_000)]
    later = [derived(key, NOON + timedelta(milliseconds=number)) for number, key in enumerate(reversed(keys))]
    together = [derived(key, NOON) for key in keys]
    assert {(one.version, one.variant) for one in later + together} == {(7, keys[0].variant)}
    assert later == sorted(later)
    assert together == sorted(together)
