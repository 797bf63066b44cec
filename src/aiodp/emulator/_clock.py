"""The clocks of the service: real time, run faster or slower, or time which is moved by hand.

Each can jump ahead, and calls those who wait for a time when it has.
"""

from __future__ import annotations

import math
import time
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock(Protocol):
    """The clock of a service over HTTP; its methods may be called from any thread."""

    def __call__(self) -> float:
        """Return the service's time in seconds; it never goes back."""
        ...

    def real(self, seconds: float) -> float:
        """Return how many real seconds these seconds of the service last; infinity if it stands."""
        ...

    def jump(self, seconds: float) -> None:
        """Jump ahead, and call the subscribers."""
        ...

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called after each jump; returns what ends it."""
        ...


_MAX_TIME: Final = 2e11  # seconds: some 6,000 years, and dates end with the year 9999


class JumpingClock:
    """Another clock's time, with the jumps of this one added.

    `base` gives seconds from any origin and must never go back.
    """

    def __init__(self, base: Callable[[], float]) -> None:
        self._base = base
        self._jumped = 0.0
        self._lock = Lock()
        self._subscribers: dict[object, Callable[[], None]] = {}

    def __call__(self) -> float:
        """Return the time."""
        return self._base() + self._jumped

    def copy(self) -> JumpingClock:
        """Return a clock which shows the same time and has no subscribers."""
        made = JumpingClock(self._base)
        made._jumped = self._jumped
        return made

    def jump(self, seconds: float) -> None:
        """Jump that many seconds ahead, and call the subscribers in this thread.

        Raises `ValueError` for a negative or an infinite number, and for a time which no date has.
        """
        with self._lock:
            check_jump(seconds)
            if self() + seconds > _MAX_TIME:
                raise ValueError(f"a jump by {seconds:g} s would end beyond the calendar")
            self._jumped += seconds
            subscribers = list(self._subscribers.values())
        for callback in subscribers:  # without the lock, because they may wait for other locks
            callback()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called after each jump; returns what ends it."""
        key = object()
        with self._lock:
            self._subscribers[key] = callback
        return lambda: self._unsubscribe(key)

    def _unsubscribe(self, key: object) -> None:
        with self._lock:
            self._subscribers.pop(key, None)


class ServiceClock(JumpingClock):
    """Seconds of the service since the clock was made.

    `scale` is how many of them pass in a real second: at 60 a minute of the service lasts a
    second. With `behind` the clock starts that many seconds behind the time of day, and goes on in
    real time once it has caught up, so that it is never ahead. Raises `ValueError` unless `scale`
    is a positive, finite number, and `behind`, if it is given, a finite one of at least 0.
    """

    def __init__(self, scale: float = 1.0, *, behind: float | None = None) -> None:
        if not (scale > 0 and math.isfinite(scale)):
            raise ValueError(f"the time scale must be a number above 0, not {scale!r}")
        if behind is not None and not (behind >= 0 and math.isfinite(behind)):
            raise ValueError(f"a clock starts 0 or more seconds behind, not {behind!r}")
        super().__init__(self._passed)
        self.scale = scale
        self._behind = math.inf if behind is None else behind
        self._start = time.monotonic()

    def __call__(self) -> float:
        """Return the time."""
        return min(super().__call__(), self._limit())

    def real(self, seconds: float) -> float:
        """Return how many real seconds that many seconds of the service last."""
        fast = seconds / self.scale
        if self.scale <= 1:
            return fast
        until = (self._limit() - self()) / (self.scale - 1)
        return fast if fast <= until else until + seconds - until * self.scale

    def jump(self, seconds: float) -> None:
        """Jump as any clock does; raises `ValueError` also if that would be ahead of the day."""
        behind = self._limit() - self()
        if seconds > behind:
            raise ValueError(f"the clock is only {behind:g} s behind the time of day")
        super().jump(seconds)

    def _passed(self) -> float:
        return (time.monotonic() - self._start) * self.scale

    def _limit(self) -> float:
        """Return the time of day as this clock would show it."""
        return self._behind + time.monotonic() - self._start


class ManualClock(JumpingClock):
    """Time which stands still, at zero first, until it is moved by hand.

    Safe to move from any thread: whatever waits for a time, such as a held poll, wakes at once.
    """

    def __init__(self) -> None:
        super().__init__(float)  # nothing passes by itself

    def __repr__(self) -> str:
        return f"<ManualClock at {self():g}>"

    def advance(self, seconds: float) -> None:
        """Move the time on; raises `ValueError` as `jump` does."""
        self.jump(seconds)

    def real(self, seconds: float) -> float:
        """Return infinity for a later time, which real time never brings about."""
        return math.inf if seconds > 0 else 0.0


def check_jump(seconds: float) -> None:
    """Raise `ValueError` unless time can jump ahead by these seconds."""
    if not (seconds >= 0 and math.isfinite(seconds)):
        raise ValueError(f"time jumps ahead by a number of seconds, not by {seconds!r}")
