"""What a user holds of a tracked task."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import anyio
import anyio.lowlevel

from aiodp._core.text import error_members, shorten, shown
from aiodp._errors import LeaseLost, ReporterClosed, TaskCanceled
from aiodp._types import LeaseState, LostReason, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiodp._core.fields import FieldValue
    from aiodp._core.lease import Lease
    from aiodp._reporter.engine import Engine

current: ContextVar[TrackedTask] = ContextVar("aiodp.current_task")

_HELP: Final = {
    LostReason.EXPIRED: "no report succeeded in time; stop the work, others may get the task",
    LostReason.REFUSED: "the service says it is not ours; stop the work, others may have it",
    LostReason.OVERLOADED: "the quota cannot keep so many alive; track fewer tasks",
    LostReason.REPORTER_FAILED: "the reporter crashed, see the cause; stop the work",
    LostReason.REPORTER_CLOSED: "the reporter was closed under it; leave track first",
}
_NEVER_OURS: Final = "the service did not acknowledge it in time; the work was not begun"


class TaskEvent:
    """One of a task's events, like `anyio.Event` without `set`."""

    __slots__ = ("_states", "_task")

    def __init__(self, task: TrackedTask, *states: LeaseState) -> None:
        self._task = task
        self._states = states

    def is_set(self) -> bool:
        """Return whether it has happened.

        Looks at the clock too, so that the answer is right even if the event loop was blocked and
        nothing else had the time to notice that the lease ran out. May be called from any thread.
        """
        return self._task.state in self._states

    async def wait(self) -> None:
        """Return when it has happened; what cannot happen any more is waited for for ever."""
        if self.is_set():
            await anyio.lowlevel.checkpoint()
        await self._task._until(lambda lease: lease.state in self._states)


class TrackedTask:
    """A task that a `ProgressReporter` keeps alive. Made by `ProgressReporter.track`."""

    __slots__ = ("__weakref__", "_changed", "_engine", "_interrupt", "_lease")

    def __init__(self, engine: Engine, lease: Lease) -> None:
        self._engine = engine
        self._lease = lease
        self._changed: anyio.Event | None = None
        self._interrupt: Callable[[], None] | None = None

    def __repr__(self) -> str:
        lease = self._lease
        state = (
            f"{lease.state.name} ({lease.lost_reason})" if lease.lost_reason else lease.state.name
        )
        return f"<TrackedTask {shorten(lease.task_id)!r} {state}, {lease.reports} reports>"

    @property
    def task_id(self) -> str:
        """The id that PollForTask gave."""
        return self._lease.task_id

    @property
    def state(self) -> LeaseState:
        """Where the lease stands now, by the clock too. May be read in any thread."""
        self._check()
        lapsed = self._lease.lapsed(self._engine.clock())  # in another thread, only looked at
        return LeaseState.LOST if lapsed else self._lease.state

    @property
    def canceled(self) -> TaskEvent:
        """The cancellation event: the service answered a report with `canceled`."""
        return TaskEvent(self, LeaseState.CANCELED)

    @property
    def lost(self) -> TaskEvent:
        """Set when the task is not ours any more, at least `safety_margin` before its deadline."""
        return TaskEvent(self, LeaseState.LOST)

    @property
    def ended(self) -> TaskEvent:
        """Set when the task is canceled or lost, in short: when the work must stop."""
        return TaskEvent(self, LeaseState.CANCELED, LeaseState.LOST)

    @property
    def lost_reason(self) -> LostReason | None:
        """Why the lease was lost, if it was."""
        lost = self.state is LeaseState.LOST
        return self._lease.lost_reason or LostReason.EXPIRED if lost else None

    @property
    def deadline(self) -> float:
        """When the service may give the task away, on the scale of `anyio.current_time()`."""
        return self._lease.deadline

    @property
    def last_reported_at(self) -> float | None:
        """When the last successful report was sent, on the scale of `anyio.current_time()`."""
        return self._lease.last_reported_at

    @property
    def reports(self) -> int:
        """How many reports have succeeded."""
        return self._lease.reports

    def update(self, fields: Mapping[str, FieldValue] | None = None, /, **more: FieldValue) -> None:
        """Set fields that ride on the next report; the newest value of a name wins.

        They go with every report until one that carries them succeeds; once the task is left, they
        go nowhere. May be called from any thread.

        Raises `ValueError`, and changes nothing, if a field exceeds a limit of the service
        (Developer Guide, "AWS Data Pipeline Limits"): 50 fields, 256 bytes a name, 10,240 bytes a
        value, 15,360 bytes in all.
        """
        self._lease.pending().update({**(fields or {}), **more} if more else fields or {})

    async def report(self) -> bool:
        """Report as soon as the quota allows, with what was set before; return `canceled`.

        Raises `LeaseLost` if the task is or gets lost and `ReporterClosed` if it is not tracked any
        more.
        """
        return await self._engine.report_now(self)

    async def set_status(
        self,
        status: TaskStatus,
        *,
        error_id: str | None = None,
        error_message: str | None = None,
        error_stack_trace: str | None = None,
    ) -> None:
        """Tell the service how the task ended; once acknowledged, no report of it is ever sent.

        Tried again while the lease is held, reporting in between. A message is cut to 10,240 bytes,
        a stack trace to its last 1,024 characters, and characters that the service does not accept
        are replaced: an error must not be lost for how it reads (API reference of SetTaskStatus).
        Setting the same status again does nothing.

        Raises `ValueError` for an unknown status or an `error_id` that is empty, longer than 1,024
        characters or begins with `Service_`; `TaskCanceled` if the task is canceled; `LeaseLost`
        if the service refuses it; `StatusNotSet` if no try succeeded while the lease could be held,
        if another status was set or is on the way; `ReporterClosed` if the task is not tracked any
        more.
        """
        members = error_members(error_id, error_message, error_stack_trace)
        if status not in list(TaskStatus):
            allowed = ", ".join(TaskStatus)
            raise ValueError(f"{shown(status)} is not a valid TaskStatus: {allowed}")
        await self._engine.statuses.set(self, TaskStatus(status), members)

    def raise_if_ended(self) -> None:
        """Raise `TaskCanceled` or `LeaseLost` if the work must stop; callable from any thread."""
        self._raise_if_ended()

    def _raise_if_ended(self) -> None:
        lease, state = self._lease, self.state
        if state is LeaseState.CANCELED:
            raise TaskCanceled(
                f"task {shorten(lease.task_id)} was canceled in the service; stop the work, "
                f"no status needs to be set",
                task_id=lease.task_id,
            ) from lease.error
        if state is LeaseState.LOST:
            reason = lease.lost_reason or LostReason.EXPIRED
            never = reason is LostReason.EXPIRED and lease.last_reported_at is None
            raise LeaseLost(
                f"task {shorten(lease.task_id)} is lost ({reason}): "
                f"{_NEVER_OURS if never else _HELP[reason]}",
                task_id=lease.task_id,
                reason=reason,
                last_reported_at=lease.last_reported_at,
            ) from lease.error

    def _raise_if_released(self) -> None:
        if self._lease.state is LeaseState.RELEASED:
            set_already = self._lease.status_acknowledged
            why = (
                "has its status" if set_already else "is not tracked any more: do this inside track"
            )
            raise ReporterClosed(f"task {shorten(self._lease.task_id)} {why}")

    def _check(self) -> None:
        """Notice that the lease ran out, if the scheduler had no time to."""
        if self._lease.live:
            self._engine.check(self._lease)

    async def _until(self, condition: Callable[[Lease], bool]) -> None:
        """Return when the condition holds; it is looked at after each change and each report."""
        while not condition(self._lease):
            if self._changed is None:
                self._changed = anyio.Event()
            await self._changed.wait()

    def _notify(self) -> None:
        if self._changed is not None:
            self._changed.set()
            self._changed = None
        ended = self._lease.state in (LeaseState.CANCELED, LeaseState.LOST)
        if ended and self._interrupt is not None:
            self._interrupt()


def current_task() -> TrackedTask:
    """Return the task whose work is running.

    Works inside `ProgressReporter.run` and in threads that anyio or `asyncio.to_thread` starts
    there. Raises `LookupError` elsewhere.
    """
    try:
        return current.get()
    except LookupError:
        raise LookupError(
            "no current task: this code does not run inside ProgressReporter.run"
        ) from None
