"""What the reporter keeps of one tracked task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from aiodp._core.registration import Registration
from aiodp._types import LeaseState

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp._core.fields import PendingFields
    from aiodp._core.timing import Timing
    from aiodp._types import TaskStatus


ENDED: Final = (LeaseState.CANCELED, LeaseState.LOST)
"""The states in which the work must stop."""


class TaskRecord(Registration):
    """A registration, with who waits for its changes and the status of the task.

    The lease, the schedule's part and this are one object, as each further one costs memory.
    """

    __slots__ = (
        "_changed",
        "end_seen",
        "interrupt",
        "status",
        "status_acknowledged",
        "status_failed",
        "status_in_doubt",
    )

    def __init__(
        self,
        task_id: str,
        timing: Timing,
        assigned_at: float,
        fields: PendingFields | None = None,
    ) -> None:
        super().__init__(task_id, timing, assigned_at, fields)
        self.end_seen = False  # whether the work was told that its lease has ended
        self.interrupt: Callable[[], None] | None = None  # cancels the work when the lease ends
        self.status: TaskStatus | None = None  # that was set, or is on the way
        self.status_acknowledged = False
        self.status_failed = False  # a status could not be set; the service may have applied it
        self.status_in_doubt: TaskStatus | None = None  # that was sent without an answer
        self._changed: anyio.Event | None = None

    def on_change(self) -> None:
        """Wake up who waits, and interrupt the work if the lease has ended."""
        self._wake_waiting()
        self.interrupt_if_ended()

    def _wake_waiting(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def interrupt_if_ended(self) -> None:
        """Interrupt the work if the lease has ended."""
        if self.interrupt is not None and self._must_stop:
            self.end_seen = True
            self.interrupt()

    @property
    def _must_stop(self) -> bool:
        """Whether the work has lost its task; not while the service may still take its status."""
        if self.status_acknowledged or self.state not in ENDED:
            return False
        return self.status is None or self.reporting_stopped or not self.winding_down

    @property
    def ended_in_doubt(self) -> bool:
        """Whether the task is not ours any more, maybe because its status is set."""
        return (
            self.state is LeaseState.LOST
            and self.reporting_stopped
            and self.status_in_doubt is not None
            and not self.status_acknowledged
        )

    async def wait_until(self, condition: Callable[[TaskRecord], bool]) -> None:
        """Return when the condition holds; it is looked at after each change and each report."""
        while not condition(self):
            if self._changed is None:
                self._changed = anyio.Event()
            await self._changed.wait()
