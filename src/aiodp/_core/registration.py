"""The registration of one task with a schedule, and all of them."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from aiodp._core.fields import CHANGING, PendingFields
from aiodp._core.lease import Lease
from aiodp._types import LeaseState, LostReason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp._core.fields import WireField
    from aiodp._core.queue import Entry
    from aiodp._core.timing import Timing


class Registration(Lease):
    """A lease, and what the schedule keeps beside it.

    Everything is keyed by this object, never by the task's id. It is one object with the lease, for
    there are thousands of them and each costs memory.
    """

    __slots__ = (
        "due_at",
        "expiry",
        "fields",
        "in_flight",
        "last_success",
        "paused",
        "promotion",
        "rejected",
        "reporting_stopped",
        "sequence",
        "waiting",
    )

    def __init__(
        self,
        task_id: str,
        timing: Timing,
        assigned_at: float,
        fields: PendingFields | None = None,
    ) -> None:
        super().__init__(task_id, timing, assigned_at)
        self.due_at = assigned_at
        self.fields = fields
        self.in_flight = False
        self.sequence = 0  # of reports, in the order of their sending
        self.last_success = 0  # the sequence of the last report that succeeded
        self.paused = False  # no report starts while a status is on the way
        self.reporting_stopped = False  # no report starts ever again
        self.rejected = False  # the configuration does not allow the first report
        self.waiting: Entry[Registration] | None = None
        self.promotion: Entry[Registration] | None = None
        self.expiry: Entry[Registration] | None = None

    @property
    def reportable(self) -> bool:
        """Whether a report may be sent (rules 5 and 6 of the lease)."""
        if self.reporting_stopped or self.paused:
            return False
        return self.live or (self.winding_down and self.lost_reason is not LostReason.TIME_LIMIT)

    @property
    def urgency(self) -> float:
        """By when the next report should be sent: the earliest goes first.

        An acknowledgement has no margin, so it keeps the time for a few attempts.
        """
        if self.state is LeaseState.ASSIGNED:
            return self.renew_by - min(3 * self.timing.attempt_timeout, self.timing.ack_timeout / 2)
        return self.renew_by

    @property
    def urgent_at(self) -> float:
        """From when on the next report goes by its urgency: a quarter of the lease is left."""
        if self.state is LeaseState.ASSIGNED:
            return self.due_at
        return self.renew_by - self.timing.usable_lease / 4

    def pending(self) -> PendingFields:
        """Return the fields that wait to be reported; the work may call this from any thread."""
        with CHANGING:
            if self.fields is None:
                self.fields = PendingFields()
            return self.fields

    def start_report(self) -> tuple[int, list[WireField]]:
        """Count a report; return the fields that go with it, and the version to acknowledge."""
        self.sequence += 1
        return self.fields.snapshot() if self.fields else (0, [])

    def on_change(self) -> None:
        """Learn that a report was answered, or that the lease ended; for who watches this."""


class Registrations:
    """The registrations of a schedule, in the order of their arrival."""

    def __init__(self) -> None:
        self._all: dict[Registration, None] = {}
        self._ids: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Registration]:
        return iter(self._all)

    def __reversed__(self) -> Iterator[Registration]:
        return reversed(self._all)

    def add(self, registration: Registration) -> None:
        """Put one at the end."""
        self._all[registration] = None
        self._ids[registration.task_id] += 1

    def discard(self, registration: Registration) -> None:
        """Take one out, if it is in."""
        if registration not in self._all:
            return
        del self._all[registration]
        self._ids[registration.task_id] -= 1
        if not self._ids[registration.task_id]:
            del self._ids[registration.task_id]

    def has_id(self, task_id: str) -> bool:
        """Return whether a task of this id is registered."""
        return task_id in self._ids
