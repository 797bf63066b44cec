"""A tracked task as its user sees it, and the block in which it is kept alive."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio
import anyio.from_thread
import anyio.lowlevel

from aiodp._core.text import error_members, shorten, shown
from aiodp._errors import ReporterClosed
from aiodp._log import subject
from aiodp._reporter.ends import warn_if_unseen
from aiodp._reporter.record import ENDED
from aiodp._types import LeaseState, LostReason, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import TracebackType

    from aiodp._core.fields import FieldValue, PendingFields
    from aiodp._core.timing import Timing
    from aiodp._reporter.access import EngineAccess, StatusAccess
    from aiodp._reporter.record import TaskRecord

_current: ContextVar[TrackedTask] = ContextVar("aiodp.current_task")


class TaskEvent:
    """One of a task's events, like `anyio.Event` without `set`."""

    __slots__ = ("_engine", "_record", "_states")

    def __init__(self, engine: EngineAccess, record: TaskRecord, *states: LeaseState) -> None:
        self._engine = engine
        self._record = record
        self._states = states

    def is_set(self) -> bool:
        """Return whether it has happened.

        Looks at the clock too, so that the answer is right even if the event loop was blocked and
        nothing else had the time to notice that the lease ran out. May be called from any thread.
        """
        self._engine.home.check_process()
        happened = self._engine.state_of(self._record) in self._states
        self._record.end_seen |= happened
        return happened

    async def wait(self) -> None:
        """Return when it has happened; what cannot happen any more is waited for for ever."""
        self._engine.home.check()
        if self.is_set():
            await anyio.lowlevel.checkpoint()
        await self._record.wait_until(lambda record: record.state in self._states)
        self._record.end_seen = True


class TrackedTask:
    """A task that a `ProgressReporter` keeps alive. Made by `ProgressReporter.track`.

    What it is asked in a forked child, or has to wait for in another event loop than the
    reporter's, raises `ReporterClosed`.
    """

    __slots__ = ("__weakref__", "_engine", "_record", "_statuses")

    def __init__(self, engine: EngineAccess, statuses: StatusAccess, record: TaskRecord) -> None:
        self._engine = engine
        self._statuses = statuses
        self._record = record

    def __repr__(self) -> str:
        record = self._record
        state = record.state.name
        if record.lost_reason:
            state = f"{state} ({record.lost_reason})"
        return f"<TrackedTask {shorten(record.task_id)!r} {state}, {record.reports} reports>"

    @property
    def task_id(self) -> str:
        """The id that PollForTask gave."""
        return self._record.task_id

    @property
    def state(self) -> LeaseState:
        """Where the lease stands now, by the clock too. May be read in any thread."""
        self._engine.home.check_process()
        state = self._engine.state_of(self._record)
        self._record.end_seen |= state in ENDED
        return state

    @property
    def canceled(self) -> TaskEvent:
        """The cancellation event: the service answered a report with `canceled`."""
        return TaskEvent(self._engine, self._record, LeaseState.CANCELED)

    @property
    def lost(self) -> TaskEvent:
        """Set when the task is not ours any more, at least `safety_margin` before its deadline."""
        return TaskEvent(self._engine, self._record, LeaseState.LOST)

    @property
    def ended(self) -> TaskEvent:
        """Set when the task is canceled or lost, in short: when the work must stop."""
        return TaskEvent(self._engine, self._record, *ENDED)

    @property
    def lost_reason(self) -> LostReason | None:
        """Why the lease was lost, if it was."""
        lost = self.state is LeaseState.LOST
        return self._record.lost_reason or self._record.lapse_reason if lost else None

    @property
    def deadline(self) -> float:
        """When the service may give the task away, on the scale of `anyio.current_time()`."""
        return self._engine.to_user_time(self._record.deadline)

    @property
    def last_reported_at(self) -> float | None:
        """When the last successful report was sent, on the scale of `anyio.current_time()`."""
        last = self._record.last_reported_at
        return None if last is None else self._engine.to_user_time(last)

    @property
    def reports(self) -> int:
        """How many reports have succeeded."""
        return self._record.reports

    def update(self, fields: Mapping[str, FieldValue] | None = None, /, **more: FieldValue) -> None:
        """Set fields that go with the next report; the newest value of a name wins.

        They go with every report until one that carries them succeeds, at the latest with one that
        is made before the task's status; once the task is left, they go nowhere. May be called from
        any thread.

        Raises `ValueError`, and changes nothing, if a field exceeds a limit of the service
        (Developer Guide, "AWS Data Pipeline Limits"): 50 fields, 256 bytes a name, 10,240 bytes a
        value, 15,360 bytes in all.
        """
        self._engine.home.check_process()
        self._record.pending().update({**(fields or {}), **more} if more else fields or {})

    async def report(self) -> bool:
        """Report as soon as the quota allows, with what was set before; return `canceled`.

        Raises `LeaseLost` if the task is or gets lost, `ReporterClosed` if it is no longer tracked.
        """
        self._engine.home.check()
        return await self._engine.report_now(self._record)

    def report_from_thread(self) -> bool:
        """Do as `report` does, in a thread, which waits for the answer; return `canceled`.

        For plain functions that a runner calls, and for other threads that anyio has started.
        Raises what `report` raises, and `RuntimeError` in threads of another origin.
        """
        return anyio.from_thread.run(self.report)

    async def set_status(
        self,
        status: TaskStatus,
        *,
        error_id: str | None = None,
        error_message: str | None = None,
        error_stack_trace: str | None = None,
    ) -> None:
        """Tell the service how the task ended; once acknowledged, no report of it is ever sent.

        Tried until the service takes or refuses it, reporting in between, for up to twelve hours;
        also after the lease has run out here, for the service refuses it if it has given the task
        away. Fields that no report has carried yet go before it, unless that takes more than five
        seconds. A message is cut to 10,240 bytes, a stack trace to its last 1,024 characters, and
        characters that the service does not accept are replaced: an error must not be lost for how
        it reads (API reference of SetTaskStatus). Setting the same status again does nothing.

        Raises `ValueError` for an unknown status or an `error_id` that is empty, longer than 1,024
        characters or begins with `Service_`; `TaskCanceled` if the task is canceled; `LeaseLost`
        if the service refuses it; `StatusNotSet` if no try succeeded in that time, if the service
        accepts no such call, if another status was set or is on the way; `ReporterClosed` if it is
        no longer tracked.
        """
        self._engine.home.check()
        members = error_members(error_id, error_message, error_stack_trace)
        if status not in list(TaskStatus):
            allowed = ", ".join(TaskStatus)
            raise ValueError(f"{shown(status)} is not a valid TaskStatus: {allowed}")
        await self._statuses.set(self._record, TaskStatus(status), members)

    def raise_if_ended(self) -> None:
        """Raise `TaskCanceled` or `LeaseLost` if the work must stop; callable from any thread."""
        self._engine.home.check_process()
        self._engine.raise_if_ended(self._record)


_T = TypeVar("_T", bound=TrackedTask)


class Tracking(Generic[_T]):
    """The block in which a task is kept alive: registers it, and releases it at the end.

    A class with slots and not a generator, because a generator that waits in its middle is kept for
    each tracked task, and thousands of tasks are tracked.
    """

    __slots__ = ("_engine", "_record", "_start")

    def __init__(
        self,
        open_parts: Callable[[], tuple[EngineAccess, StatusAccess]],
        make: Callable[[EngineAccess, StatusAccess, TaskRecord], _T],
        task_id: str,
        timing: Timing,
        assigned_at: float | None,
        fields: PendingFields | None = None,
    ) -> None:
        def start() -> tuple[EngineAccess, TaskRecord, _T]:
            engine, statuses = open_parts()
            engine.home.check()
            record = engine.new_record(task_id, timing, _assigned_at(assigned_at), fields)
            return engine, record, make(engine, statuses, record)

        self._start: Callable[[], tuple[EngineAccess, TaskRecord, _T]] | None = start
        self._engine: EngineAccess | None = None
        self._record: TaskRecord | None = None

    async def __aenter__(self) -> _T:
        if self._start is None:
            raise ReporterClosed("this block was entered before: call track again")
        engine, record, task = self._start()
        self._start = None  # its arguments need no memory while the task is tracked
        await engine.acquire(record)
        self._engine, self._record = engine, record
        return task

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._engine is None or self._record is None or self._engine.home.is_forked:
            return
        warn_if_unseen(self._record, self._engine.state_of(self._record))
        await self._engine.release(self._record)


def _assigned_at(given: float | None) -> float:
    now = anyio.current_time()
    if given is None:
        return now
    if given > now:
        raise ValueError(
            f"assigned_at ({given:g}) is later than now ({now:g}); both are in seconds, "
            f"on the scale of anyio.current_time()"
        )
    return given


def record_of(task: TrackedTask) -> TaskRecord:
    """Return what the reporter keeps of a task: for the layers above, not for users."""
    return task._record  # noqa: SLF001 - the one way in, so that users see no more of a task


@contextmanager
def as_current(task: TrackedTask) -> Iterator[None]:
    """Let `current_task`, and what is logged in the block, be about this one."""
    token, about = _current.set(task), subject.set(record_of(task))
    try:
        yield
    finally:
        subject.reset(about)
        _current.reset(token)


def current_task() -> TrackedTask:
    """Return the task whose work is running.

    Works inside `ProgressReporter.run` and in threads that anyio or `asyncio.to_thread` starts
    there. Raises `LookupError` elsewhere.
    """
    try:
        return _current.get()
    except LookupError:
        raise LookupError(
            "no current task: this code does not run inside ProgressReporter.run"
        ) from None
