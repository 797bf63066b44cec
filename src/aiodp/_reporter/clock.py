"""The clock by which leases are judged: it counts the time for which the machine is suspended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from aiodp._concurrency import clock

if TYPE_CHECKING:
    from collections.abc import Callable

_BOOTTIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)  # Linux has it
_SHORTEST_LEAP: Final = 0.1  # seconds; less is what it takes to read two clocks


def time_suspended() -> float:
    """Return for how long this machine was suspended since its start, in seconds.

    Always 0 where the system does not tell. Event loops run on CLOCK_MONOTONIC, which stands still
    meanwhile; the service's time goes on.
    """
    if _BOOTTIME is None:
        return 0.0
    boottime = time.clock_gettime(_BOOTTIME)  # the earlier of the two: a pause is no suspension
    return boottime - time.clock_gettime(time.CLOCK_MONOTONIC)


class LeaseClock:
    """The time of the event loop, plus the time that was suspended since this clock was made.

    The scale that users see is `anyio.current_time()`. A moment is converted so that its distance
    from now is the true one.
    """

    def __init__(self, suspended: Callable[[], float] = time_suspended) -> None:
        self._loop_time = clock()
        self._suspended = suspended
        self._before = suspended()
        self._gained = 0.0

    @property
    def gained(self) -> float:
        """Seconds that were suspended since this clock was made; callable from any thread."""
        gained = self._suspended() - self._before
        if gained - self._gained > _SHORTEST_LEAP:
            self._gained = gained
        return self._gained

    def now(self) -> float:
        """Return the time in seconds; callable from any thread."""
        return self._loop_time() + self.gained

    def to_user(self, moment: float) -> float:
        """Return a moment of this clock on the scale of `anyio.current_time()`."""
        return moment - self.gained

    def from_user(self, moment: float) -> float:
        """Return a moment of `anyio.current_time()` on the scale of this clock."""
        return moment + self.gained
