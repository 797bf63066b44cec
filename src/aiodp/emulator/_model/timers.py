"""What happens in the service by itself, in the order in which it is due."""

from __future__ import annotations

import heapq
from enum import StrEnum
from itertools import count
from typing import TYPE_CHECKING, Any

from aiodp.emulator._model.changes import Persisted

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._model.changes import Changes


class Due(StrEnum):
    """What can be due for a record."""

    SILENCE = "silence"
    """Of a task: its acknowledgement window or its lease ends."""
    ATTEMPT = "attempt"
    """Of an attempt: its `attemptTimeout`."""
    RETRY = "retry"
    """Of an instance: its next attempt."""
    TURN = "turn"
    """Of an instance: its time to run."""
    CHECK = "check"
    """Of a precondition's instance: its next check by the service."""
    LATE = "late"
    """Of an instance: its `lateAfterTimeout`."""
    EXPIRY = "expiry"
    """Of an instance: its `preconditionTimeout` or `terminateAfter`."""
    PHASE = "phase"
    """Of a resource's instance: the end of its starting up or shutting down."""
    SLOT = "slot"
    """Of a timeline: its next slot."""


class Timed(Persisted):
    """A record with timers, which are stored and restored with it."""

    def __init__(self, changes: Changes | None = None) -> None:
        super().__init__(changes)
        self.timers: dict[Due, Timer] = {}

    def due(self, kind: Due) -> float | None:
        """Return when this is due; `None` if it is not."""
        timer = self.timers.get(kind)
        return None if timer is None else timer.due


class Timer:
    """Something due at a time which may move; `due` is `None` while it is not due at all.

    `order` orders timers of the same time: what was set earlier comes first.
    """

    __slots__ = ("due", "entry", "kind", "order", "owner")

    def __init__(self, owner: Timed, kind: Due) -> None:
        self.owner = owner
        self.kind = kind
        self.due: float | None = None
        self.order = 0
        self.entry: tuple[float, int] | None = None
        """Its place in the heap of `Timers`, which may be an earlier time than `due`."""


class Timers:
    """A heap of timers. Moving one to a later time, as each report does, does not touch the heap.

    Its entry stays where it is, and is corrected when it comes to the top.
    """

    def __init__(self, on_earlier: Callable[[], None]) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._orders = count()
        self._on_earlier = on_earlier
        self._handlers: dict[Due, Callable[[Any, float], None]] = {}

    def handle(self, kind: Due, handler: Callable[[Any, float], None]) -> None:
        """Call `handler(owner, when)` for what is due of this kind."""
        self._handlers[kind] = handler

    def set(self, owner: Timed, kind: Due, due: float) -> None:
        """Set when this is due, instead of when it was."""
        self._set(owner, kind, due, next(self._orders))

    def restore(self, owner: Timed, kind: Due, due: float, order: int) -> None:
        """Set this as a store has it; of the same time, what is set later comes after it."""
        self._orders = count(max(order + 1, next(self._orders)))
        self._set(owner, kind, due, order)

    @staticmethod
    def stop(owner: Timed, *kinds: Due) -> None:
        """Stop the timers of these kinds; all timers if none is named."""
        for kind in kinds or tuple(owner.timers):
            if kind in owner.timers:
                owner.timers[kind].due = None
                owner.touch()

    @classmethod
    def stop_all(cls, *owners: Timed) -> None:
        """Stop all timers of these records."""
        for owner in owners:
            cls.stop(owner)

    def compact(self) -> None:
        """Let go of the records of timers which were stopped."""
        for _, _, timer in self._heap:
            if timer.due is None:
                timer.entry = None
        self._heap = [entry for entry in self._heap if entry[2].due is not None]
        heapq.heapify(self._heap)

    def next(self) -> float | None:
        """Return when the next thing is due."""
        while self._heap:
            when, order, timer = self._heap[0]
            if (timer.due, timer.order) == (when, order):
                return when
            self._correct((when, order), timer)
        return None

    def run(self, now: float) -> None:
        """Do what is due by `now`, each at the time at which it was due."""
        while (when := self.next()) is not None and when <= now:
            timer = heapq.heappop(self._heap)[2]
            timer.due = timer.entry = None
            timer.owner.touch()
            self._handlers[timer.kind](timer.owner, when)

    def _set(self, owner: Timed, kind: Due, due: float, order: int) -> None:
        timer = owner.timers.get(kind)
        if timer is None:
            timer = owner.timers[kind] = Timer(owner, kind)
        timer.due, timer.order = due, order
        owner.touch()
        if timer.entry is None or due < timer.entry[0]:
            self._push(timer, due)
            if self._heap[0][2] is timer:
                self._on_earlier()

    def _push(self, timer: Timer, when: float) -> None:
        timer.entry = (when, timer.order)
        heapq.heappush(self._heap, (*timer.entry, timer))

    def _correct(self, entry: tuple[float, int], timer: Timer) -> None:
        heapq.heappop(self._heap)
        if timer.entry != entry:  # it has another, earlier entry
            return
        timer.entry = None
        if timer.due is not None:
            self._push(timer, timer.due)
