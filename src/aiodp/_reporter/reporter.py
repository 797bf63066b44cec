"""What users open: a reporter that keeps tasks alive."""

from __future__ import annotations

import inspect
import math
from contextlib import asynccontextmanager
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar, TypeVarTuple

from anyio import AsyncContextManagerMixin

from aiodp._aws.own_session import own_session
from aiodp._aws.sessions import check_session, region_of
from aiodp._aws.transport import open_transport
from aiodp._core.demand import capacity
from aiodp._core.fields import PendingFields
from aiodp._core.text import check_task_id
from aiodp._core.timing import Timing, seconds
from aiodp._errors import ReporterClosed
from aiodp._reporter.clock import LeaseClock
from aiodp._reporter.engine import Engine
from aiodp._reporter.home import OneTaskBlock
from aiodp._reporter.own_thread import in_own_thread
from aiodp._reporter.running import running
from aiodp._reporter.status import StatusSetter
from aiodp._reporter.task import TrackedTask, Tracking
from aiodp._reporter.work import InterruptingTracking, check_work, work_as_current
from aiodp._types import Quota, Statistics

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Mapping
    from contextlib import AbstractAsyncContextManager
    from datetime import timedelta
    from typing import Unpack

    from aiobotocore.session import AioSession
    from botocore.config import Config

    from aiodp._aws.transport import Transport
    from aiodp._core.fields import FieldValue
    from aiodp._reporter.access import EngineAccess, StatusAccess
    from aiodp._reporter.options import TrackOptions

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_MAX_CONNECTIONS: Final = 256  # below the usual limit of open files
_DEFAULT_QUOTA: Final = Quota()


class ProgressReporter(AsyncContextManagerMixin):
    """Keeps any number of tasks alive, over one shared session, within the account's quota.

    Use it as an async context manager, once, entered and left in the same task. Leaving it waits
    for every tracked task to be left, reporting all the while; if it is canceled, now or before,
    for 15 minutes at most.

    Durations are in seconds or `timedelta` objects. Raises `ValueError` for durations that do not
    fit together and `TypeError` for what is no session or quota; entering raises `ReportRejected`
    if the configuration allows no client, and `ReporterClosed` if the reporter was used before.

    Args:
        session: An aiobotocore session; the reporter opens clients of its own on it.
        region_name: The region, unless the session knows it.
        endpoint_url: Another endpoint than the region's.
        config: An `AioConfig`, under what the reporter needs: timeouts, pool size, no retries.
        interval: Between the reports of a task; 60 s is what the API reference of
            ReportTaskProgress recommends.
        ack_timeout: From assignment to the first report; 2 minutes by the same page.
        lease_timeout: How long a report holds a task. The page names 5 and 15 minutes; the
            default is the safe one.
        safety_margin: How long before its deadline a task is given up, so that its work can stop.
        attempt_timeout: How long a call may take; never more than a third of what is left of the
            lease.
        max_lease: How long a task may be held in all, from its assignment; None for no limit. Then
            its work is interrupted, and the task is lost (`time limit`) and reported no more.
        quota: What the account may call (Developer Guide, "AWS Data Pipeline Limits"), or None for
            no limit. Processes that share an account need not divide it among themselves.
        own_thread: Report from a thread of its own, with an event loop and clients of its own, so
            that a blocked event loop costs no lease. A task that hangs is kept alive, too.

    """

    def __init__(
        self,
        session: AioSession,
        *,
        region_name: str | None = None,
        endpoint_url: str | None = None,
        config: Config | None = None,
        interval: float | timedelta = 60.0,
        ack_timeout: float | timedelta = 120.0,
        lease_timeout: float | timedelta = 300.0,
        safety_margin: float | timedelta = 10.0,
        attempt_timeout: float | timedelta = 10.0,
        max_lease: float | timedelta | None = None,
        quota: Quota | None = _DEFAULT_QUOTA,
        own_thread: bool = False,
    ) -> None:
        self._timing = Timing.checked(
            interval=interval,
            ack_timeout=ack_timeout,
            lease_timeout=lease_timeout,
            safety_margin=safety_margin,
            attempt_timeout=attempt_timeout,
            max_lease=max_lease,
        )
        if quota is not None and not isinstance(quota, Quota):
            raise TypeError(f"quota must be a Quota or None, not {quota!r:.40}")
        check_session(session)
        self._session = session
        self._region_name = region_name
        self._endpoint_url = endpoint_url
        self._config = config
        self._quota = quota
        self._own_thread = own_thread
        self._engine: EngineAccess | None = None
        self._statuses: StatusAccess | None = None
        self._state = "new"

    def __repr__(self) -> str:
        tracked = self._engine.tracked if self._engine else 0
        return f"<ProgressReporter {self._state}, {tracked} tracked>"

    def __asynccontextmanager__(self) -> AbstractAsyncContextManager[Self]:
        return OneTaskBlock(self._opened())

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Self]:
        if self._state != "new":
            raise ReporterClosed("a reporter can be entered once; make another one")
        self._state = "opening"
        try:
            async with self._open_engine() as (self._engine, self._statuses):
                self._state = "open"
                yield self
        finally:
            self._state = "closed"

    def track(
        self,
        task_id: str,
        *,
        fields: Mapping[str, FieldValue] | None = None,
        assigned_at: float | None = None,
        interval: float | timedelta | None = None,
        ack_timeout: float | timedelta | None = None,
        lease_timeout: float | timedelta | None = None,
        interrupt: bool = False,
    ) -> AbstractAsyncContextManager[TrackedTask]:
        """Keep a task alive inside an `async with` block.

        The block begins once the service has acknowledged the task; if its first answer is
        `canceled`, the block begins with the event set. Leaving it waits for the report in flight,
        and logs a warning if the task had ended and nobody looked (docs/leases.md). A task that is
        tracked twice has two leases, which know nothing of each other, and a warning in the log.

        Raises `ValueError` for an argument out of its limits. Entering raises `LeaseLost` if the
        service refuses the task, `ack_timeout` passes or the quota cannot hold it, `ReportRejected`
        if the configuration allows no report, `ReporterClosed` outside the reporter's block.

        Args:
            task_id: As PollForTask gave it, 1 to 2,048 characters.
            fields: Sent with the first report; see `TrackedTask.update`.
            assigned_at: When it was handed out, by `anyio.current_time()`; now if not given.
            interval: For this task. If only `lease_timeout` is given, at most a third of it.
            ack_timeout: As above.
            lease_timeout: As above, for example its object's `reportProgressTimeout`.
            interrupt: Cancel the block when the task ends under it, once, as `asyncio.timeout`
                does; `TaskCanceled` or `LeaseLost` is raised from it, or before it begins.

        """
        check_task_id(task_id)
        timing = self._timing.override(
            interval=interval, ack_timeout=ack_timeout, lease_timeout=lease_timeout
        )
        at = None if assigned_at is None else seconds("assigned_at", assigned_at)
        tracking = Tracking(self._open_parts, TrackedTask, task_id, timing, at, _pending(fields))
        return InterruptingTracking(tracking) if interrupt else tracking

    async def run(
        self,
        task_id: str,
        work: Callable[[*_Ts], Awaitable[_T]] | Coroutine[Any, Any, _T],
        *args: *_Ts,
        **track_options: Unpack[TrackOptions],
    ) -> _T:
        """Do the work while the task is kept alive; return its result.

        If the task ends under it, the work is canceled and has 15 minutes to clean up; then
        `TaskCanceled` or `LeaseLost` is raised. Work that goes on as if it had not been canceled is
        canceled again, and after a minute it is named in the log. A task that is canceled from the
        start is never worked on. An exception of the work comes out as it is. Inside,
        `current_task()` is the `TrackedTask`. No status is set: end the work with
        `await current_task().set_status(...)`, while the task is still kept alive.

        Raises what `track` raises, and `TypeError` for work that is no coroutine and does not
        return one when it is called.
        """
        try:
            check_work(work, args)
            async with self.track(task_id, interrupt=True, **track_options) as task:
                return await work_as_current(task, work, args)
        finally:
            if inspect.iscoroutine(work):
                work.close()  # no "was never awaited" if it did not come to that

    @property
    def capacity(self) -> int | None:
        """How many leases of the default length the quota can keep alive; None without a quota."""
        return capacity(self._quota, self._timing)

    def statistics(self) -> Statistics:
        """Return a snapshot; not from other threads.

        Raises `ReporterClosed` before the reporter is opened.
        """
        if self._engine is None:
            raise ReporterClosed("the reporter has not been opened: use `async with`")
        return self._engine.statistics()

    def _open_engine(self) -> AbstractAsyncContextManager[tuple[EngineAccess, StatusAccess]]:
        if not self._own_thread:
            return self._running_parts()
        self._session = own_session(self._session)
        return in_own_thread(self._running_parts(), interval=self._timing.interval)

    @asynccontextmanager
    async def _running_parts(self) -> AsyncGenerator[tuple[Engine, StatusSetter]]:
        """Run the engine inside the block, in the event loop in which this is entered."""
        async with self._open_transport() as transport:
            engine = Engine(
                transport,
                self._timing,
                self._quota,
                clock=self._new_clock(),
                jitter=self._new_jitter(),
                max_in_flight=self._max_in_flight,
                region_name=region_of(self._session, self._region_name),
            )
            async with running(engine):
                yield engine, StatusSetter(engine, transport, self._quota)

    def _open_transport(self) -> AbstractAsyncContextManager[Transport]:
        """Open what carries the calls; a subclass may carry them otherwise."""
        return open_transport(
            self._session,
            region_name=self._region_name,
            endpoint_url=self._endpoint_url,
            config=self._config,
            attempt_timeout=self._timing.attempt_timeout,
            interval=self._timing.interval,
            max_in_flight=self._max_in_flight,
        )

    def _new_clock(self) -> LeaseClock:
        """Return the clock of the leases; a subclass may judge them by another."""
        return LeaseClock()

    def _new_jitter(self) -> Callable[[], float]:
        """Return what draws the numbers from 0 to 1 that spread retries; as above."""
        return SystemRandom().random  # processes that seed `random` alike do not retry at once

    @property
    def _max_in_flight(self) -> int:
        if self._quota is None:
            return _MAX_CONNECTIONS
        hanging = self._quota.rate * self._timing.attempt_timeout + self._quota.burst
        return min(_MAX_CONNECTIONS, math.ceil(hanging))

    def _open_parts(self) -> tuple[EngineAccess, StatusAccess]:
        if self._engine is None or self._statuses is None or self._state != "open":
            raise ReporterClosed(
                f"the reporter is {self._state}: track inside its `async with` block"
            )
        return self._engine, self._statuses


def _pending(fields: Mapping[str, FieldValue] | None) -> PendingFields | None:
    if not fields:
        return None
    pending = PendingFields()
    pending.update(fields)
    return pending
