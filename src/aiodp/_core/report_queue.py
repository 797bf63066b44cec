"""The order in which leases report.

A lease waits in one of four queues: in `_due` until it is time for its next report, then in
`_ready`, `_urgent` or `_best_effort`. Urgent is what has a quarter of its lease left: there the
earliest deadline goes first. Then comes what has been due longest, so that a few short leases
cannot keep all others waiting. What is lost but still winding down gets the calls that
are left. `_promotions` holds the ready leases by when they become urgent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodp._core.lease import TICK
from aiodp._core.queue import PriorityQueue

if TYPE_CHECKING:
    from aiodp._core.registration import Registration

_MIN_CHANCE: Final = 1.2  # times the usual latency: with less left, no answer comes in time


class ReportQueue:
    """Says which lease reports next."""

    def __init__(self) -> None:
        self._due: PriorityQueue[Registration] = PriorityQueue()
        self._ready: PriorityQueue[Registration] = PriorityQueue()
        self._promotions: PriorityQueue[Registration] = PriorityQueue()
        self._urgent: PriorityQueue[Registration] = PriorityQueue()
        self._best_effort: PriorityQueue[Registration] = PriorityQueue()

    def put(self, registration: Registration) -> None:
        """Let a lease wait until its next report is due, wherever it waits now."""
        self.discard(registration)
        registration.waiting = self._due.push(registration, registration.due_at)

    def discard(self, registration: Registration) -> None:
        """Take a lease out if it waits."""
        if (entry := registration.waiting) is not None:
            entry.queue.discard(entry)
            registration.waiting = None
        if (entry := registration.promotion) is not None:
            self._promotions.discard(entry)
            registration.promotion = None

    def collect_due(self, now: float) -> None:
        """Move each lease whose time has come to where it belongs."""
        while (registration := self._due.peek()) and registration.due_at <= now + TICK:
            self._due.pop()
            if registration.live:
                registration.waiting = self._ready.push(registration, registration.due_at)
                registration.promotion = self._promotions.push(registration, registration.urgent_at)
            else:
                registration.waiting = self._best_effort.push(registration, registration.urgency)
        while (registration := self._promotions.peek()) and registration.urgent_at <= now + TICK:
            self.discard(registration)
            registration.waiting = self._urgent.push(registration, registration.urgency)

    def next(self, now: float, latency: float) -> Registration | None:
        """Return the waiting lease with the earliest deadline that can still be renewed in time.

        Without this condition an overloaded schedule would spend every call on a lease that is
        lost before the answer arrives, and lose nearly all. `latency` is the usual one, in seconds.
        """
        while registration := self._urgent.peek():
            if len(self._urgent) == 1 or registration.renew_by - now >= _MIN_CHANCE * latency:
                return registration
            self._urgent.pop()
            registration.waiting = self._ready.push(registration, registration.due_at)
        return self._ready.peek() or self._best_effort.peek()

    @property
    def has_ready(self) -> bool:
        """Whether a report waits for nothing but its turn, as of the last `collect_due`."""
        return bool(self._urgent or self._ready or self._best_effort)

    @property
    def due_next_at(self) -> float | None:
        """When the next lease falls due, of those that have not yet."""
        registration = self._due.peek()
        return registration.due_at if registration else None

    @property
    def first_due_at(self) -> float | None:
        """When the first of all waiting reports is due, or was."""
        queues = (self._due, self._ready, self._urgent, self._best_effort)
        heads = [queue.peek() for queue in queues]
        return min((head.due_at for head in heads if head), default=None)
