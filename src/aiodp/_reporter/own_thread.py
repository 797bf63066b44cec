"""The engine in a thread of its own, which reports while the event loop of the work is blocked.

There is one engine; here is only the way to it. What a task needs of it is called in its thread.
What changes a record is posted back, so that events are set, and work is interrupted, in the loop
of the work. The state of a record is read as it is: what the engine has heard while the other loop
was blocked is there before that loop runs its next callback.
"""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import anyio

from aiodp._concurrency import clock
from aiodp._errors import ReporterClosed
from aiodp._reporter.engine import EXIT_GRACE
from aiodp._reporter.home import Home
from aiodp._reporter.log import ReporterLog
from aiodp._reporter.loop_thread import LoopThread
from aiodp._reporter.record import TaskRecord

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager
    from typing import TypeAlias, TypeVar

    from aiodp._core.fields import PendingFields
    from aiodp._core.timing import Timing
    from aiodp._reporter.engine import Engine
    from aiodp._reporter.status import StatusSetter
    from aiodp._types import Statistics, TaskStatus

    _R = TypeVar("_R")
    _Parts: TypeAlias = tuple[Engine, StatusSetter]

_CROSSING: Final = 1.0  # seconds more than a call may take there, until its end is known here
_WATCH: Final = "aiodp watch of the event loop"
_CLOSING: Final = 30.0  # seconds more than the tasks may take, for the connections


@asynccontextmanager
async def in_own_thread(
    running_parts: AbstractAsyncContextManager[_Parts], *, interval: float
) -> AsyncGenerator[tuple[EngineElsewhere, StatusesElsewhere]]:
    """Run the engine in a thread of its own while the block runs.

    Every `interval` seconds it looks whether the loop of the work still runs, or is closed.
    """
    thread = LoopThread(
        running_parts,
        name="aiodp reporter",
        on_crash=_lose_all,
        on_orphaned=lambda parts: parts[0].stop(),
    )
    canceled = False
    try:
        engine, statuses = await thread.open()
        thread.post(lambda: thread.group.start_soon(_watch_home, thread, interval, name=_WATCH))
        yield EngineElsewhere(thread, engine), StatusesElsewhere(thread, statuses)
    except anyio.get_cancelled_exc_class():
        canceled = True
        raise
    finally:
        await thread.close(canceled=canceled, grace=EXIT_GRACE + _CLOSING)


def _lose_all(parts: _Parts, error: BaseException) -> None:
    """End every lease, for the event loop in which they were kept has broken down."""
    engine, _ = parts
    if engine.failure is None:
        engine.crash(error)


class RecordElsewhere(TaskRecord):
    """A record that the engine changes in its thread, and that is waited for in two loops."""

    __slots__ = ("_changed_here", "_home", "_thread")

    def __init__(
        self,
        thread: LoopThread[_Parts],
        task_id: str,
        timing: Timing,
        assigned_at: float,
        fields: PendingFields | None,
    ) -> None:
        super().__init__(task_id, timing, assigned_at, fields)
        self._thread = thread
        self._home = threading.get_ident()
        self._changed_here: anyio.Event | None = None  # of the loop of the work

    def on_change(self) -> None:
        """Wake up who waits in the engine's thread, and then who waits at home."""
        self._wake_waiting()
        if self._changed_here is not None or self.interrupt is not None:
            self._thread.tell(self._on_change_here)

    def _on_change_here(self) -> None:
        changed, self._changed_here = self._changed_here, None
        if changed is not None:
            changed.set()
        self.interrupt_if_ended()

    async def wait_until(self, condition: Callable[[TaskRecord], bool]) -> None:
        """Return when the condition holds, in either loop."""
        if threading.get_ident() != self._home:
            await super().wait_until(condition)
            return
        while True:
            # The event first: what changes after it is made sets it, and all else is seen below.
            if self._changed_here is None:
                self._changed_here = anyio.Event()
            changed = self._changed_here
            if condition(self):
                return
            await changed.wait()


class EngineElsewhere:
    """The way to an engine in another thread."""

    def __init__(self, thread: LoopThread[_Parts], engine: Engine) -> None:
        self._thread = thread
        self._engine = engine
        self.home = Home()
        # These only read, and may be called in any thread:
        self.to_user_time = engine.to_user_time
        self.state_of = engine.state_of
        self.raise_if_ended = engine.raise_if_ended
        self.has_room = engine.has_room

    def new_record(
        self, task_id: str, timing: Timing, assigned_at: float, fields: PendingFields | None
    ) -> TaskRecord:
        """Return what is kept of a task; `assigned_at` is `anyio.current_time()`."""
        assigned_at = self._engine.clock.from_user(assigned_at)
        return RecordElsewhere(self._thread, task_id, timing, assigned_at, fields)

    async def acquire(self, record: TaskRecord) -> None:
        """Keep a lease; return once the service has acknowledged it, forget it if not."""
        try:
            await _call(self._thread, self._engine.acquire, record)
        except anyio.get_cancelled_exc_class():
            await self.release(record)  # it may have been acknowledged at the same moment
            raise

    async def release(self, record: TaskRecord) -> None:
        """Start no new report of the task, and wait for the one in flight."""
        limit = record.timing.attempt_timeout + 2 * _CROSSING
        with anyio.move_on_after(limit, shield=True), suppress(ReporterClosed):
            await _call(self._thread, self._engine.release, record)

    async def report_now(self, record: TaskRecord) -> bool:
        """Report as soon as the quota allows; return whether the task is canceled."""
        return await _call(self._thread, self._engine.report_now, record)

    @property
    def tracked(self) -> int:
        """How many tasks are tracked."""
        return self._engine.tracked

    def statistics(self) -> Statistics:
        """Return a snapshot, as soon as the engine's thread has a turn."""
        return self._thread.ask(self._engine.statistics)


class StatusesElsewhere:
    """The way to what sets statuses in another thread."""

    def __init__(self, thread: LoopThread[_Parts], statuses: StatusSetter) -> None:
        self._thread = thread
        self._statuses = statuses

    async def set(self, record: TaskRecord, status: TaskStatus, members: dict[str, str]) -> None:
        """Set the status as `TrackedTask.set_status` says; mark the record if that fails."""
        await _call(self._thread, self._statuses.set, record, status, members)


async def _call(
    thread: LoopThread[_Parts],
    function: Callable[..., Awaitable[_R]],
    record: TaskRecord,
    *args: Any,
) -> _R:
    limit = record.timing.attempt_timeout + _CROSSING
    return await thread.call(function, record, *args, cancel_timeout=limit)


async def _watch_home(thread: LoopThread[_Parts], interval: float) -> None:
    """Say, in the thread, that the loop of the work is blocked; end with it if it is closed."""
    log = ReporterLog(2 * interval)  # it is seen once an interval
    now = clock()
    heard_at = now()

    def hear() -> None:  # in the loop of the work
        nonlocal heard_at
        heard_at = now()

    while True:
        thread.tell(hear)
        await anyio.sleep(interval)
        if (silent := now() - heard_at) >= 2 * interval:
            log.work_blocked(silent)
