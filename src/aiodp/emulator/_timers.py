"""The things that will happen in the service by themselves, in the order of their time."""

from __future__ import annotations

import heapq
from itertools import count
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Timer:
    """Something due at a time which may move; ``due`` is ``None`` while nothing is."""

    __slots__ = ("_entry", "due", "fire")

    def __init__(self, fire: Callable[[float], None]) -> None:
        self.fire = fire
        self.due: float | None = None
        self._entry: float | None = None


class Timers:
    """A heap of timers. Moving one to a later time, as each report does, costs nothing at once.

    Its entry in the heap stays, and is put right when it comes to the top.
    """

    def __init__(self, on_earlier: Callable[[], None]) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._order = count()
        self._on_earlier = on_earlier

    def move(self, timer: Timer, due: float) -> None:
        """Let the timer fire at ``due`` instead of whenever it would have."""
        timer.due = due
        if timer._entry is None or due < timer._entry:  # this class owns timers
            self._push(timer, due)
            if self._heap[0][2] is timer:
                self._on_earlier()

    def next(self) -> float | None:
        """Return when the next timer is due."""
        while self._heap:
            when, _, timer = self._heap[0]
            if timer.due == when:
                return when
            self._correct(when, timer)
        return None

    def run(self, now: float) -> None:
        """Fire what is due by ``now``, each with the time at which it was due."""
        while (when := self.next()) is not None and when <= now:
            timer = heapq.heappop(self._heap)[2]
            timer.due = timer._entry = None
            timer.fire(when)

    def _push(self, timer: Timer, when: float) -> None:
        timer._entry = when
        heapq.heappush(self._heap, (when, next(self._order), timer))

    def _correct(self, when: float, timer: Timer) -> None:
        heapq.heappop(self._heap)
        if timer._entry != when:  # an earlier entry has taken its place
            return
        timer._entry = None
        if timer.due is not None:
            self._push(timer, timer.due)
