"""The clock by which leases are judged: it counts the time for which the machine is suspended."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._concurrency import clock, system_time

if TYPE_CHECKING:
    from collections.abc import Callable

_BOOTTIME: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)  # Linux has it
_SHORTEST_LEAP: Final = 0.1  # seconds; less is what it takes to read two clocks
_LEAST_AHEAD: Final = 0.5  # seconds that virtual time wins by its first jump


def time_suspended() -> float:
    """Return for how long this machine was suspended since its start, in seconds.

    Always 0 where the system does not tell. Event loops run on CLOCK_MONOTONIC, which stands still
    meanwhile; the service's time goes on.
    """
    if _BOOTTIME is None or sys.platform == "win32":
        return 0.0
    boottime = time.clock_gettime(_BOOTTIME)  # the earlier of the two: a pause is no suspension
    return boottime - system_time()


class LeaseClock:
    """The time of the event loop, plus the time that was suspended since this clock was made.

    The scale that users see is `anyio.current_time()`. A moment is converted so that its distance
    from now is the true one.
    """

    def __init__(
        self,
        *,
        suspended: Callable[[], float] = time_suspended,
        system_time: Callable[[], float] = system_time,
    ) -> None:
        self.loop_time = clock()
        self._system_time = system_time
        self._system_time_before = system_time()
        self._loop_time_before = self.loop_time()
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
        return self.loop_time() + self.gained

    @property
    def is_virtual(self) -> bool:
        """Whether the event loop runs ahead of the system's time, as it may in tests."""
        elapsed = self.loop_time() - self._loop_time_before
        return elapsed - (self._system_time() - self._system_time_before) > _LEAST_AHEAD

    @property
    def loop_is_ahead(self) -> bool:
        """Whether the event loop's time is another one than this clock's, as freezegun makes it."""
        return anyio.current_time() - self.loop_time() > _LEAST_AHEAD

    def to_user(self, moment: float) -> float:
        """Return a moment of this clock on the scale of `anyio.current_time()`."""
        return moment - self.gained

    def from_user(self, moment: float) -> float:
        """Return a moment of `anyio.current_time()` on the scale of this clock."""
        return moment + self.gained
