"""The service's dates, derived from its clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta


class Calendar:
    """Turns times of the clock into dates: ``epoch`` is the clock's time ``origin``."""

    def __init__(self, epoch: datetime, origin: float) -> None:
        self._epoch = epoch.astimezone(UTC)
        self._origin = origin

    def stamp(self, at: float) -> str:
        """Return a date as fields have it: UTC, to the second, without a zone."""
        date = self._epoch + timedelta(seconds=at - self._origin)
        return date.strftime("%Y-%m-%dT%H:%M:%S")

    def maybe(self, at: float | None) -> str | None:
        """Return the date, or ``None`` for a time which has not come yet."""
        return None if at is None else self.stamp(at)
