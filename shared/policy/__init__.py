"""Values that differ by region, batch and date, each with the document it comes from.

Nothing that a province may set otherwise is written into code. A key belongs to one service (`orders.confirm_hours`), is
looked up by the event's own date, and the nearest region wins: city over province over nation. The shipped defaults are
the TOML files beside this module, one per service; files named in the settings are laid over them.
"""

import difflib
import tomllib
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any

from shared import clock
from shared.codes import region_prefix
from shared.values import frozen

SHIPPED = tuple(sorted(Path(__file__).parent.glob("*.toml")))
NATION = "000000"
_FIELDS = {"key", "value", "region", "batch", "from", "to", "source"}


class PolicyRefused(ValueError):
    """A policy file that says something this platform cannot use; names file, entry and what is allowed."""


@frozen
class PolicyValue:
    """One value: for a region (and those under it) and perhaps one batch, from a day to a day, by a document."""

    key: str
    value: Any
    region: str
    batch: str | None
    from_on: date
    to_on: date | None
    source: str


class Policy:
    """All values in force; immutable once loaded."""

    def __init__(self, values: Iterable[PolicyValue]) -> None:
        self._by_key: dict[str, list[PolicyValue]] = {}
        for value in values:
            same = self._by_key.setdefault(value.key, [])
            place = (value.region, value.batch, value.from_on)
            same[:] = [known for known in same if (known.region, known.batch, known.from_on) != place] + [value]
        self.find = lru_cache(maxsize=65_536)(self._find)

    @classmethod
    def load(cls, files: Iterable[Path] = ()) -> "Policy":
        """The shipped defaults with these files laid over them, the last one winning; raises PolicyRefused."""
        shipped = [value for file in SHIPPED for value in _read(file)]
        known = {value.key for value in shipped}
        laid: list[PolicyValue] = []
        for file in files:
            for value in _read(file):
                if value.key not in known:
                    near = difflib.get_close_matches(value.key, known, 3)
                    raise PolicyRefused(
                        f"{file}: no service reads {value.key!r}; near it are {', '.join(near) or 'none'}"
                    )
                laid.append(value)
        return cls([*shipped, *laid])

    def _find(self, key: str, region: str, on: date, batch: str | None = None) -> PolicyValue:
        """The value in force, with its source; raises KeyError where nothing is set for that day."""
        fitting = [
            value
            for value in self._by_key[key]
            if region.startswith(region_prefix(value.region))
            and value.batch in (None, batch)
            and value.from_on <= on
            and (value.to_on is None or on <= value.to_on)
        ]
        if not fitting:
            raise KeyError(f"no value of {key} for region {region} on {on}")
        return max(
            fitting,
            key=lambda value: (value.batch is not None, len(region_prefix(value.region)), value.from_on),
        )

    def integer(self, key: str, region: str, on: date, batch: str | None = None) -> int:
        """A whole number: days, hours, counts."""
        return int(self.find(key, region, on, batch).value)

    def flag(self, key: str, region: str, on: date, batch: str | None = None) -> bool:
        """Yes or no."""
        return bool(self.find(key, region, on, batch).value)

    def text(self, key: str, region: str, on: date, batch: str | None = None) -> str:
        """A word, such as a due rule."""
        return str(self.find(key, region, on, batch).value)

    def texts(self, key: str, region: str, on: date, batch: str | None = None) -> frozenset[str]:
        """A set of words, such as product kinds."""
        return frozenset(self.find(key, region, on, batch).value)

    def codes_by(self, region: str, accepted_at: datetime) -> datetime:
        """When the codes of goods are late: so many hours after acceptance, the same on receipts, payables and alerts."""
        hours = self.integer("alerts.coverage_hours", region, clock.local_date(accepted_at))
        return accepted_at + timedelta(hours=hours)

    def sheet_by(self, region: str, accepted_at: datetime) -> datetime:
        """When the next month closes whose sheet may hold what is free of goods: the same on payables, orders and alerts."""
        now = clock.now()
        days = self.integer("settlement.close_day", region, clock.local_date(now))
        return clock.closing_at(clock.next_month_to_close(clock.month_of(accepted_at), days, now), days)

    def values(self) -> list[PolicyValue]:
        """Every value, to show."""
        return [value for same in self._by_key.values() for value in same]


def _read(file: Path) -> list[PolicyValue]:
    try:
        entries = tomllib.loads(file.read_text(encoding="utf-8")).get("value", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise PolicyRefused(f"{file}: {error}") from error
    read: list[PolicyValue] = []
    for number, entry in enumerate(entries, 1):
        if unknown := set(entry) - _FIELDS:
            raise PolicyRefused(f"{file}, value {number}: {sorted(unknown)} is not read; allowed are {sorted(_FIELDS)}")
        if missing := {"key", "value", "from", "source"} - set(entry):
            raise PolicyRefused(f"{file}, value {number}: {sorted(missing)} is missing")
        read.append(
            PolicyValue(
                key=entry["key"],
                value=entry["value"],
                region=str(entry.get("region", NATION)),
                batch=entry.get("batch"),
                from_on=entry["from"],
                to_on=entry.get("to"),
                source=entry["source"],
            )
        )
    return read
