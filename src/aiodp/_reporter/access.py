"""What a tracked task needs of the engine, whichever thread the engine runs in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from aiodp._core.fields import PendingFields
    from aiodp._core.timing import Timing
    from aiodp._reporter.home import Home
    from aiodp._reporter.record import TaskRecord
    from aiodp._types import LeaseState, Statistics, TaskStatus


class EngineAccess(Protocol):
    """The engine, as the event loop of the work sees it: `Engine`, or the way to one elsewhere."""

    @property
    def home(self) -> Home:
        """Where the tasks can be waited for."""
        ...

    def new_record(
        self, task_id: str, timing: Timing, assigned_at: float, fields: PendingFields | None
    ) -> TaskRecord:
        """Return what is kept of a task; `assigned_at` is `anyio.current_time()`."""
        ...

    def to_user_time(self, moment: float) -> float:
        """Return a moment of the record on the scale of `anyio.current_time()`."""
        ...

    async def acquire(self, record: TaskRecord) -> None:
        """Return once the service has acknowledged the task; raise, and forget it, if not."""
        ...

    async def release(self, record: TaskRecord) -> None:
        """Start no new report of the task, and wait for the one in flight."""
        ...

    def state_of(self, record: TaskRecord) -> LeaseState:
        """Return where the lease stands now, by the clock too; callable from any thread."""
        ...

    def raise_if_ended(self, record: TaskRecord) -> None:
        """Raise `TaskCanceled` or `LeaseLost` if the work must stop; callable from any thread."""
        ...

    async def report_now(self, record: TaskRecord) -> bool:
        """Report as soon as the quota allows; return whether the task is canceled."""
        ...

    def has_room(self, count: int, timing: Timing) -> bool:
        """Return whether the quota can keep so many more such leases alive."""
        ...

    @property
    def tracked(self) -> int:
        """How many tasks are tracked."""
        ...

    def statistics(self) -> Statistics:
        """Return a snapshot."""
        ...


class StatusAccess(Protocol):
    """What sets statuses, as the event loop of the work sees it."""

    async def set(self, record: TaskRecord, status: TaskStatus, members: dict[str, str]) -> None:
        """Set the status as `TrackedTask.set_status` says; mark the record if that fails."""
        ...
