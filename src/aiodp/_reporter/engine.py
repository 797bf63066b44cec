"""The one loop that holds all leases: asks the schedule what to do, does it, and tells it."""

from __future__ import annotations

import logging
import math
import random
import threading
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from aiodp._aws.transport import TIMED_OUT, describe
from aiodp._concurrency import clock
from aiodp._core.lease import TICK, Lease
from aiodp._core.schedule import Schedule
from aiodp._core.text import shorten
from aiodp._errors import ReporterClosed, ReportRejected
from aiodp._reporter.status import StatusSetter
from aiodp._reporter.task import TrackedTask
from aiodp._types import LeaseState, LostReason, Outcome, ReportKind, Statistics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from anyio.abc import TaskGroup

    from aiodp._aws.transport import Transport
    from aiodp._core.fields import PendingFields, WireField
    from aiodp._core.timing import Timing
    from aiodp._types import Quota

logger = logging.getLogger("aiodp")
_T = TypeVar("_T", bound=TrackedTask)

EXIT_GRACE: Final = (
    900.0  # the service's longer ownership window: API reference of ReportTaskProgress
)
_NOTEWORTHY_LAG: Final = 1.0  # seconds that the event loop may be late without a word


class Engine:
    """Holds the leases in one event loop. Users reach it through a reporter and its tasks."""

    def __init__(
        self, transport: Transport, timing: Timing, quota: Quota | None, *, max_in_flight: int
    ) -> None:
        self.schedule = Schedule(quota, max_in_flight=max_in_flight, now=anyio.current_time())
        self.failure: BaseException | None = None
        self._transport = transport
        self._timing = timing
        self.statuses = StatusSetter(self, transport, quota)
        self.clock = clock()
        self._thread = threading.get_ident()
        self._wake = anyio.Event()
        self._left = anyio.Event()
        self._stopping = False
        self._canceled_at: float | None = None
        self._last_seen: dict[str, float] = {}

    async def run(self) -> None:
        """Hold the leases until `stop`. Whatever else ends this ends every lease."""
        try:
            while not self._over:
                await self._run_shielded()
        except BaseException as error:
            self._crash(error)
            if not isinstance(error, Exception):
                raise
        self.schedule.lose_all(LostReason.REPORTER_CLOSED)
        self._publish()

    def stop(self) -> None:
        """End `run`; leases that are left are lost."""
        self._stopping = True
        self._wake.set()

    def register(
        self,
        task_id: str,
        timing: Timing,
        assigned_at: float,
        fields: PendingFields | None,
        make: Callable[[Engine, Lease], _T],
    ) -> _T:
        """Start a lease, make what its user holds; raise `ReporterClosed` if nobody holds it."""
        if self.failure is not None:
            raise ReporterClosed("the reporter has crashed, see the cause") from self.failure
        if self._stopping or self._canceled_at is not None:
            raise ReporterClosed("the reporter is closed, or its event loop is ending")
        lease = Lease(task_id, timing, assigned_at)
        lease.fields = fields
        task = make(self, lease)
        lease.watcher = task
        now = anyio.current_time()
        self.schedule.add(lease, now)
        self.schedule.check(lease, now)
        self._publish()
        self._wake.set()
        return task

    async def acknowledged(self, task: TrackedTask) -> None:
        """Return once the service has acknowledged the task; raise if it does not."""
        await task._until(lambda lease: lease.state is not LeaseState.ASSIGNED)
        lease = task._lease
        if lease.state is LeaseState.RELEASED:
            raise ReportRejected(
                f"task {shorten(lease.task_id)}: the first report was refused; check credentials, "
                f"permission (datapipeline:ReportTaskProgress), region and endpoint: "
                f"{describe(lease.error)}"
            ) from lease.error
        if lease.state is LeaseState.LOST:
            task._raise_if_ended()

    async def release(self, task: TrackedTask) -> None:
        """Start no new report of the task, and wait for the one in flight."""
        lease = task._lease
        self.schedule.remove(lease)
        self._left.set()
        self._wake.set()
        if lease.in_flight:
            with anyio.move_on_after(lease.timing.attempt_timeout + 1, shield=True):
                await task._until(lambda lease: not lease.in_flight)
        task._notify()

    async def all_left(self) -> None:
        """Return when no task is tracked any more."""
        while self.schedule.leases:
            self._left = anyio.Event()
            await self._left.wait()

    async def report_now(self, task: TrackedTask) -> bool:
        """Report as soon as the quota allows; return whether the task is canceled."""
        lease = task._lease
        begun = lease.begun

        def settled(lease: Lease) -> bool:
            if lease.last_success > begun or not lease.live:
                return True
            if lease.begun == begun:
                self.schedule.hurry(lease, anyio.current_time())
                self._wake.set()
            return False

        await task._until(settled)
        if lease.state is LeaseState.CANCELED:
            return True
        task._raise_if_ended()
        task._raise_if_released()
        return False

    def check(self, lease: Lease) -> None:
        """Notice that a lease ran out while the event loop was blocked; not from other threads."""
        if threading.get_ident() == self._thread:
            self.schedule.check(lease, self.clock())
            self._publish()

    def finish(self, lease: Lease) -> None:
        """End a lease whose status is acknowledged: no report of it is ever sent."""
        self.schedule.finish(lease)
        self._publish()

    def refuse(self, lease: Lease, error: Exception | None) -> None:
        """End a lease that the service refused in another call."""
        self.schedule.end_refused(lease, error)
        self._publish()

    def hold(self, lease: Lease) -> None:
        """Start no report of this lease until `resume`."""
        self.schedule.hold(lease)

    def resume(self, lease: Lease) -> None:
        """Let reports of this lease start again."""
        self.schedule.resume(lease)
        self._wake.set()

    def statistics(self) -> Statistics:
        """Return a snapshot."""
        schedule = self.schedule
        now = self.clock()
        first_lost_at = schedule.first_lost_at
        failed = {
            kind.value: count
            for kind, count in schedule.outcomes.items()
            if kind not in (ReportKind.OK, ReportKind.THROTTLED)
        }
        return Statistics(
            tracked=len(schedule.leases),
            acknowledged=schedule.held,
            sent=schedule.sent,
            succeeded=schedule.outcomes[ReportKind.OK],
            failed=MappingProxyType(failed),
            throttled=schedule.outcomes[ReportKind.THROTTLED],
            in_flight=schedule.in_flight,
            next_due=schedule.next_due,
            smallest_remaining_lease=None if first_lost_at is None else first_lost_at - now,
            worst_lag=schedule.worst_lag,
            effective_rate=schedule.bucket.rate if schedule.bucket.limited else None,
        )

    def note(self, key: str, level: int, message: str, *args: object, **extra: object) -> None:
        """Log what is new, not what goes on: again only after an interval without it."""
        now = anyio.current_time()
        if now - self._last_seen.get(key, -math.inf) > self._timing.interval:
            logger.log(level, message, *args, extra=extra)
        self._last_seen[key] = now

    # Inside

    @property
    def _over(self) -> bool:
        if self._stopping or self._canceled_at is None:
            return self._stopping
        return not self.schedule.leases or anyio.current_time() > self._canceled_at + EXIT_GRACE

    async def _run_shielded(self) -> None:
        """Report until it is over, or until asyncio's own cancellation, which no shield stops.

        An event loop that ends cancels all its tasks at once, this one and those that are tracked.
        Heartbeats are to be the last to stop, so they go on until the others have cleaned up.
        """
        try:
            with anyio.CancelScope(shield=True):
                async with anyio.create_task_group() as reports:
                    await self._pump(reports)
        except anyio.get_cancelled_exc_class():
            self._canceled_at = anyio.current_time()

    async def _pump(self, reports: TaskGroup) -> None:
        while not self._over:
            now = anyio.current_time()
            self.schedule.expire(now)
            self._publish()
            while lease := self.schedule.take(now):
                reports.start_soon(self._report, lease, name="aiodp report")
            self._publish()  # some may have been given up for others
            await self._sleep_until(self.schedule.wake_at(now), now)

    async def _sleep_until(self, wake_at: float | None, now: float) -> None:
        delay = math.inf if wake_at is None else max(wake_at - now, TICK)
        with anyio.move_on_after(delay):
            await self._wake.wait()
        self._wake = anyio.Event()
        if (lag := anyio.current_time() - now - delay) > _NOTEWORTHY_LAG:
            message = "the event loop was blocked for %.1f s, heartbeats were late"
            self.note("blocked", logging.WARNING, message, lag, lag=lag)

    async def _report(self, lease: Lease) -> None:
        sent_at = anyio.current_time()
        lease.begun += 1
        version, fields = lease.fields.snapshot() if lease.fields else (0, [])
        outcome = await self._attempt(lease, fields, lease.attempt_timeout(sent_at))
        now = anyio.current_time()
        dropped = bool(fields) and outcome.kind is ReportKind.INVALID
        if lease.fields and (dropped or outcome.kind is ReportKind.OK):
            lease.fields.settle(version)
        self._log_failure(lease, outcome, dropped=dropped)
        self.schedule.settle(
            lease,
            outcome,
            sent_at=sent_at,
            now=now,
            jitter=random.random(),  # noqa: S311 - spreads retries, keeps no secret
            at_once=dropped,
        )
        if outcome.kind is ReportKind.CONFIGURATION and lease.state is LeaseState.ASSIGNED:
            self.schedule.finish(lease)  # see `acknowledged`
        self._publish()
        if isinstance(lease.watcher, TrackedTask):
            lease.watcher._notify()
        self._wake.set()

    async def _attempt(self, lease: Lease, fields: Sequence[WireField], limit: float) -> Outcome:
        outcome = TIMED_OUT
        try:
            with anyio.move_on_after(limit):
                outcome = await self._transport.report(lease.task_id, fields)
        except anyio.get_cancelled_exc_class() as error:
            # Nobody here cancels a report. What it awaited was canceled, or the event loop ends; in
            # both cases the lease goes on, and there is nothing left to await in this task.
            return Outcome(kind=ReportKind.UNEXPECTED, error=RuntimeError(f"canceled: {error!r}"))
        return outcome

    def _publish(self) -> None:
        """Tell the world which leases ended."""
        for lease in self.schedule.take_ended():
            if lease.state is not LeaseState.RELEASED:
                self._log_end(lease)
            if isinstance(lease.watcher, TrackedTask):
                lease.watcher._notify()

    def _log_end(self, lease: Lease) -> None:
        level = logging.WARNING if lease.state is LeaseState.LOST else logging.INFO
        if lease.lost_reason is LostReason.OVERLOADED:  # one line for all, and each for who wants
            level = logging.INFO
            message = "more tasks than the quota can keep alive: the newest are given up"
            self.note("overloaded", logging.WARNING, message)
        task, reason = shorten(lease.task_id), lease.lost_reason or lease.state.value
        extra = {"task": task, "reason": str(reason)}
        logger.log(level, "task %s ended: %s", task, reason, extra=extra)

    def _log_failure(self, lease: Lease, outcome: Outcome, *, dropped: bool) -> None:
        task, error, kind = shorten(lease.task_id), describe(outcome.error), outcome.kind
        if dropped:
            extra = {"task": task, "error": error}
            logger.warning("task %s: fields were refused and dropped: %s", task, error, extra=extra)
        elif kind not in (ReportKind.OK, ReportKind.REFUSED):
            level = logging.ERROR if kind is ReportKind.CONFIGURATION else logging.WARNING
            extra = {"kind": kind.value, "task": task, "error": error}
            self.note(kind, level, "reports fail (%s): %s", kind, error, **extra)

    def _crash(self, error: BaseException) -> None:
        while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
            error = error.exceptions[0]
        self.failure = error
        logger.critical("the reporter crashed, every task is lost", exc_info=error)
        self.schedule.lose_all(LostReason.REPORTER_FAILED, error)
        self._publish()
