"""Schedules: how long their period may be, and when each of their slots begins and ends."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final

from dateutil.relativedelta import relativedelta

from aiodp._core.period import parse_period

ON_DEMAND_PERIOD: Final = "ONDEMAND_PERIOD"
"""Stands for the period in the Schedule of an on-demand pipeline (dp-object-schedule)."""
_MIN_SECONDS: Final = parse_period("15 minutes")
_MAX_SECONDS: Final = parse_period("1096 days")  # three years, of which one may be a leap year
_MONTHS: Final = {"months": 1, "years": 12}
_VARYING: Final = frozenset(_MONTHS)
"""Units that are not always equally long."""
_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A number of calendar units, such as three months."""

    number: int
    unit: str
    """`minutes`, `hours`, `days`, `weeks`, `months` or `years`."""

    def times(self, n: int) -> timedelta | relativedelta:
        """Return the period n times over; a month after January 31 is the end of February."""
        if self.unit in _VARYING:
            return relativedelta(**{self.unit: self.number * n})  # type: ignore[arg-type]
        return timedelta(**{self.unit: self.number * n})


@dataclass(frozen=True, slots=True, kw_only=True)
class Slots:
    """The slots of a Schedule (the Developer Guide, dp-object-schedule).

    They begin before `end`, and there are `occurrences` at most; `None` is no limit.
    """

    first: datetime
    period: Period
    end: datetime | None = None
    occurrences: int | None = None

    def start(self, n: int) -> datetime | None:
        """Return when slot n starts; `None` if there is none."""
        if self.occurrences is not None and n >= self.occurrences:
            return None
        start = self._boundary(n)
        return start if start < (self.end or _NEVER) else None

    def stop(self, n: int) -> datetime:
        """Return when slot n ends, which is when the next would start."""
        return self._boundary(n + 1)

    def without_end(self) -> Slots:
        """Return these slots and all that would follow."""
        return replace(self, end=None, occurrences=None)

    def overlapping(self, start: datetime, stop: datetime) -> range:
        """Return the numbers of the slots which overlap the time from `start` to before `stop`.

        A time without a length overlaps the slot it is in, or else the first.
        """
        if stop <= start:
            start = max(start, self.first)
            stop = start + datetime.resolution
        from_n = next(n for n in count(self._guess(start)) if self.stop(n) > start)
        return range(from_n, max(from_n, self.count_before(stop)))

    def nearest(self, date: datetime) -> int:
        """Return the slot in which a date is, or else the first or the last one."""
        n = self.count_before(date)
        return n if self.start(n) == date else max(0, n - 1)

    def count_before(self, date: datetime) -> int:
        """Return how many slots start before a date."""
        known = [limit for limit in (date, self.end) if limit is not None]
        before = next(n for n in count(self._guess(min(known))) if self._boundary(n) >= min(known))
        return before if self.occurrences is None else min(before, self.occurrences)

    def _guess(self, date: datetime) -> int:
        """Return a slot at or before the one of this date."""
        if self.period.unit in _VARYING:
            months = 12 * (date.year - self.first.year) + date.month - self.first.month
            slots = months // (self.period.number * _MONTHS[self.period.unit])
        else:
            slots = (date - self.first) // (self._boundary(1) - self.first)
        return max(0, slots - 1)

    def _boundary(self, n: int) -> datetime:
        try:
            return self.first + self.period.times(n)
        except (OverflowError, ValueError):
            return _NEVER


def parse_schedule_period(text: str) -> float:
    """Return the seconds of a Schedule's Period, which is 15 minutes at least, 3 years at most.

    Raises `ValueError` if it is none (the Developer Guide, dp-object-schedule).
    """
    seconds = parse_period(text)
    if not _MIN_SECONDS <= seconds <= _MAX_SECONDS:
        raise ValueError(f"{text!r} is not between 15 minutes and 3 years")
    return seconds


def parse_lifetime(type_name: str, text: str) -> float:
    """Return the seconds of a `terminateAfter`, a Period; of an EmrCluster a number is hours.

    Raises `ValueError` if it is neither (the Developer Guide, dp-object-emrcluster, whose table
    says an Integer of hours while its examples have Periods).
    """
    hours = type_name == "EmrCluster" and re.fullmatch(r"[1-9]\d{0,8}", text, re.ASCII)
    return parse_period(f"{text} hours" if hours else text)
