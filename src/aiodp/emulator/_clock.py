"""The clocks of the service: real time, run faster or slower, or time which is moved by hand.

Each can leap ahead, and tells those who wait for a time that it did.
"""

from __future__ import annotations

import math
import time
from threading import Lock
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Clock(Protocol):
    """What the service over HTTP needs of a clock; its methods may be called from any thread."""

    def __call__(self) -> float:
        """Return the service's time in seconds; it never goes back."""
        ...

    def real(self, seconds: float) -> float:
        """Return how many real seconds that many of the service last; infinity if it stands."""
        ...

    def jump(self, seconds: float) -> None:
        """Leap ahead, and call the subscribers."""
        ...

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called after each leap; returns what ends it."""
        ...


_LATEST: Final = 2e11  # seconds: some 6,000 years, and dates end with the year 9999


class LeapingClock:
    """Another clock's time, and the leaps of this one on top of it.

    `base` gives seconds from any origin and must never go back.
    """

    def __init__(self, base: Callable[[], float]) -> None:
        self._base = base
        self._leapt = 0.0
        self._lock = Lock()
        self._subscribers: dict[object, Callable[[], None]] = {}

    def __call__(self) -> float:
        """Return the time."""
        return self._base() + self._leapt

    def copy(self) -> LeapingClock:
        """Return a clock which shows the same time and has no subscribers."""
        made = LeapingClock(self._base)
        made._leapt = self._leapt
        return made

    def jump(self, seconds: float) -> None:
        """Leap that many seconds ahead; raises `ValueError` if that would be back, or for ever.

        Whoever waits for a time hears of it, in the thread of the caller.
        """
        with self._lock:
            leap(seconds)
            if self() + seconds > _LATEST:
                raise ValueError(f"a leap by {seconds:g} s would end beyond the calendar")
            self._leapt += seconds
            subscribers = list(self._subscribers.values())
        for callback in subscribers:  # without the lock, because they may wait for other locks
            callback()

    def subscribe(self, callback: Callable[[], None]) -> Callable[[], None]:
        """Have `callback` called after each leap; returns what ends it."""
        key = object()
        with self._lock:
            self._subscribers[key] = callback
        return lambda: self._unsubscribe(key)

    def _unsubscribe(self, key: object) -> None:
        with self._lock:
            self._subscribers.pop(key, None)


class ServiceClock(LeapingClock):
    """Seconds of the service since the clock was made.

    `scale` is how many of them pass in a real second: at 60 a minute of the service lasts a
    second. Raises `ValueError` unless it is a positive, finite number.
    """

    def __init__(self, scale: float = 1.0) -> None:
        if not (scale > 0 and math.isfinite(scale)):
            raise ValueError(f"the time scale must be a number above 0, not {scale!r}")
        super().__init__(self._passed)
        self.scale = scale
        self._start = time.monotonic()

    def real(self, seconds: float) -> float:
        """Return how many real seconds that many seconds of the service last."""
        return seconds / self.scale

    def _passed(self) -> float:
        return (time.monotonic() - self._start) * self.scale


class ManualClock(LeapingClock):
    """Time which stands still, at zero first, until it is moved by hand.

    Safe to move from any thread: whatever waits for a time, such as a held poll, wakes at once.
    """

    def __init__(self) -> None:
        super().__init__(float)  # nothing passes by itself

    def __repr__(self) -> str:
        return f"<ManualClock at {self():g}>"

    def advance(self, seconds: float) -> None:
        """Move the time on; raises `ValueError` if that would be back, or for ever."""
        self.jump(seconds)

    def real(self, seconds: float) -> float:
        """Return infinity: no real time brings a later time about."""
        return math.inf if seconds > 0 else 0.0


def leap(seconds: float) -> float:
    """Return the seconds; raise `ValueError` if time cannot leap by them."""
    if not (seconds >= 0 and math.isfinite(seconds)):
        raise ValueError(f"time leaps ahead by a number of seconds, not by {seconds!r}")
    return seconds
