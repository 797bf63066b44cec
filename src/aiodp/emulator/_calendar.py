"""The service's dates, derived from its clock."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_FIRST: Final = datetime.min.replace(tzinfo=UTC)
_LAST: Final = datetime.max.replace(tzinfo=UTC)
_FORM: Final = "%Y-%m-%dT%H:%M:%S"
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """A time in which instances are made; their ids have the date of its start, `stamp`."""

    start: float
    stop: float
    stamp: str


class Calendar:
    """Turns times of the clock into dates: `epoch` is the clock's time `origin`."""

    def __init__(self, epoch: datetime, origin: float) -> None:
        self._epoch = epoch.astimezone(UTC)
        self._origin = origin

    def date(self, at: float) -> datetime:
        """Return the date of a time, or the calendar's first or last one if it is beyond it."""
        try:
            return self._epoch + timedelta(seconds=at - self._origin)
        except OverflowError:
            return _LAST if at > self._origin else _FIRST

    def at(self, date: datetime) -> float:
        """Return the time of a date."""
        return (date - self._epoch).total_seconds() + self._origin

    def at_timestamp(self, seconds: float) -> float:
        """Return the time of a timestamp of the API, which is in seconds since 1970."""
        return seconds - self._epoch.timestamp() + self._origin

    def stamp(self, at: float) -> str:
        """Return a date as fields have it: UTC, to the second, without a zone."""
        return self.date(at).strftime(_FORM)

    def slot(self, start: float, stop: float) -> Slot:
        """Return the slot between two times."""
        return Slot(start=start, stop=stop, stamp=self.stamp(start))

    def maybe(self, at: float | None) -> str | None:
        """Return the date, or `None` if there is no time yet."""
        return None if at is None else self.stamp(at)


def parse_date(text: str) -> datetime:
    """Return a date as fields have it: UTC, without a zone.

    Raises `ValueError` if it is none (the Developer Guide, dp-expressions-functions).
    """
    if _DATE.fullmatch(text) is None:
        raise ValueError(f"{text!r} is no date such as '2012-12-31T23:59:59'")
    return datetime.strptime(text, _FORM).replace(tzinfo=UTC)
