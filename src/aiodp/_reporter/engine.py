"""The loop that keeps all leases: it sends what the schedule says and records the outcomes."""

from __future__ import annotations

import math
import threading
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._concurrency import bare_group
from aiodp._core.lease import TICK
from aiodp._core.schedule import Schedule
from aiodp._errors import ReporterClosed
from aiodp._log import logger
from aiodp._reporter.attempt import attempt
from aiodp._reporter.ends import raise_if_ended, raise_if_rejected, raise_if_released
from aiodp._reporter.home import Home
from aiodp._reporter.leaps import LeapWatch
from aiodp._reporter.log import ReporterLog
from aiodp._reporter.record import TaskRecord
from aiodp._reporter.snapshot import snapshot
from aiodp._types import LeaseState, LostReason, ReportKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

    from aiodp._aws.transport import Transport
    from aiodp._core.fields import PendingFields
    from aiodp._core.registration import Registration
    from aiodp._core.timing import Timing
    from aiodp._reporter.clock import LeaseClock
    from aiodp._types import Quota, Statistics

EXIT_GRACE: Final = 900.0
"""Seconds: the service's longer ownership window (API reference of ReportTaskProgress)."""


class Engine:
    """Keeps the leases in one event loop. Users reach it through a reporter and its tasks."""

    def __init__(
        self,
        transport: Transport,
        timing: Timing,
        quota: Quota | None,
        *,
        clock: LeaseClock,
        jitter: Callable[[], float],
        max_in_flight: int,
        region_name: str | None,
    ) -> None:
        self.home = Home()
        self.clock = clock
        self.jitter = jitter
        self.schedule = Schedule(quota, max_in_flight=max_in_flight, now=clock.now())
        self._watch = LeapWatch(clock)
        self._log = ReporterLog(timing.interval, region_name)
        self._region_name = region_name
        self._expired = 0  # leases, since the beginning
        self.failure: BaseException | None = None
        self._transport = transport
        self._thread = threading.get_ident()
        self._wake, self._left = anyio.Event(), anyio.Event()
        self._stopping = False
        self._canceled_at: float | None = None

    async def run(self) -> None:
        """Keep the leases until `stop`. Whatever else ends this ends every lease."""
        try:
            while not self._over:
                await self._run_shielded()
        except BaseException as error:
            self.crash(error)
            if not isinstance(error, Exception):
                raise
        self._lose_all(LostReason.REPORTER_CLOSED)

    def stop(self) -> None:
        """End `run`; leases that are left are lost."""
        self._stopping = True
        self._wake.set()
        self._left.set()

    # The life of one task

    def new_record(
        self, task_id: str, timing: Timing, assigned_at: float, fields: PendingFields | None
    ) -> TaskRecord:
        """Return what is kept of a task."""
        return TaskRecord(task_id, timing, self.clock.from_user(assigned_at), fields)

    async def acquire(self, record: TaskRecord) -> None:
        """Keep a lease; return once the service has acknowledged it, forget it if not."""
        if self.failure is not None:
            raise ReporterClosed("the reporter has crashed, see the cause") from self.failure
        if self._stopping or self._canceled_at is not None:
            raise ReporterClosed("the reporter is closed, or its event loop is ending")
        if self.schedule.registrations.has_id(record.task_id):
            self._log.tracked_twice(record)
        self.schedule.add(record, self.clock.now())
        self._publish()
        self._wake.set()
        try:
            await record.wait_until(lambda record: record.state is not LeaseState.ASSIGNED)
        except BaseException:
            await self.release(record)
            raise
        if record.rejected or record.state is LeaseState.LOST:
            self._forget(record)  # and raise at once: what is in flight cannot change it any more
            raise_if_rejected(record)
            self.raise_if_ended(record)

    def to_user_time(self, moment: float) -> float:
        """Return a moment of the record on the scale of `anyio.current_time()`."""
        return self.clock.to_user(moment)

    def state_of(self, record: TaskRecord) -> LeaseState:
        """Return where the lease stands now, by the clock too; callable from any thread."""
        self.check(record)
        lapsed = record.lapsed(self.clock.now())  # in another thread, nothing may be changed
        return LeaseState.LOST if lapsed else record.state

    def raise_if_ended(self, record: TaskRecord) -> None:
        """Raise `TaskCanceled` or `LeaseLost` if the work must stop; callable from any thread."""
        raise_if_ended(record, self.state_of(record), self.to_user_time, self._region_name)

    def check(self, record: TaskRecord) -> None:
        """Notice that a lease ran out while the event loop was blocked; not from other threads."""
        if record.live and threading.get_ident() == self._thread:
            self.schedule.check(record, self.clock.now())
            self._publish()

    async def report_now(self, record: TaskRecord) -> bool:
        """Report as soon as the quota allows; return whether the task is canceled."""
        sequence = record.sequence

        def done(record: TaskRecord) -> bool:
            if record.last_success > sequence or not record.live:
                return True
            if record.sequence == sequence:
                self.make_due(record)
            return False

        await record.wait_until(done)
        if record.state is LeaseState.CANCELED:
            record.end_seen = True
            return True
        self.raise_if_ended(record)
        raise_if_released(record)
        return False

    def make_due(self, record: TaskRecord) -> None:
        """Report as soon as the quota allows."""
        self.schedule.make_due(record, self.clock.now())
        self._wake.set()

    def pause(self, record: TaskRecord) -> None:
        """Start no report of this lease until `resume`."""
        self.schedule.pause(record)

    def resume(self, record: TaskRecord) -> None:
        """Let reports of this lease start again."""
        self.schedule.resume(record)
        self._wake.set()

    def finish(self, record: TaskRecord) -> None:
        """End a lease whose status is acknowledged: no report of it is ever sent."""
        self.schedule.finish(record)
        self._publish()

    def refuse(self, record: TaskRecord, error: Exception | None) -> None:
        """End a lease that the service refused in another call."""
        self.schedule.refuse(record, error)
        self._publish()

    async def release(self, record: TaskRecord) -> None:
        """Start no new report of the task, and wait for the one in flight."""
        self._forget(record)
        if record.in_flight:
            with anyio.move_on_after(record.timing.attempt_timeout + 1, shield=True):
                await record.wait_until(lambda record: not record.in_flight)
        record.on_change()

    def _forget(self, record: TaskRecord) -> None:
        self.schedule.remove(record)
        self._left.set()
        self._wake.set()

    # All tasks

    async def wait_idle(self) -> None:
        """Return when no task is tracked any more, or when none can be kept alive."""
        while self.schedule.registrations and not self._stopping and self.failure is None:
            self._left = anyio.Event()
            await self._left.wait()

    def has_room(self, count: int, timing: Timing) -> bool:
        """Return whether the quota can keep so many more such leases alive."""
        return self.schedule.has_room(count, timing)

    @property
    def tracked(self) -> int:
        """How many tasks are tracked."""
        return len(self.schedule.registrations)

    def statistics(self) -> Statistics:
        """Return a snapshot."""
        return snapshot(self.schedule, self.clock, self._watch.longest_block)

    # The loop

    @property
    def _over(self) -> bool:
        if self._stopping or self.home.is_forked:
            return True
        if self._canceled_at is None:
            return False
        return not self.tracked or self.clock.now() > self._canceled_at + EXIT_GRACE

    async def _run_shielded(self) -> None:
        """Report until it is over, or until asyncio's own cancellation, which no shield stops.

        An event loop that ends cancels all its tasks at once, this one and those that are tracked.
        Heartbeats are to be the last to stop, so they go on until the others have cleaned up.
        """
        try:
            with anyio.CancelScope(shield=True):
                async with bare_group() as reports:
                    await self._pump(reports)
        except anyio.get_cancelled_exc_class():
            self._canceled_at = self.clock.now()

    async def _pump(self, reports: TaskGroup) -> None:
        now = self.clock.now()
        while not self._over:
            self.schedule.expire(now)
            while registration := self.schedule.next_lease(now):
                reports.start_soon(self._report, registration, name="aiodp report")
            self._publish()
            now = await self._sleep_until(self.schedule.wake_at(now), now)

    async def _sleep_until(self, wake_at: float | None, now: float) -> float:
        delay = math.inf if wake_at is None else max(wake_at - now, TICK)
        expired = self._expired
        now, leap = await self._watch.sleep(self._wake, delay, now)
        self._wake = anyio.Event()
        if leap is not None:
            self.schedule.expire(now)
            self._publish()
            self._log.time_leapt(leap, self._expired - expired)
        return now

    async def _report(self, registration: Registration) -> None:
        sent_at = self.clock.now()
        self.schedule.check(registration, sent_at)  # the event loop may have been blocked
        version, fields = registration.start_report()
        outcome = await attempt(self._transport, registration, fields, sent_at)
        now = self.clock.now()
        dropped = bool(fields) and outcome.kind is ReportKind.INVALID
        if registration.fields and (dropped or outcome.kind is ReportKind.OK):
            registration.fields.acknowledge(version)
        self._log.report_answered(registration, outcome, dropped=dropped)
        self.schedule.record_outcome(
            registration,
            outcome,
            sent_at=sent_at,
            now=now,
            jitter=self.jitter(),
            at_once=dropped,
        )
        if outcome.kind is ReportKind.CONFIGURATION and registration.state is LeaseState.ASSIGNED:
            self.schedule.reject(registration)
        self._publish()
        registration.on_change()
        self._wake.set()

    def _publish(self) -> None:
        """Log the leases that ended, and let those who wait for it know."""
        for registration in self.schedule.take_ended():
            self._expired += registration.lost_reason is LostReason.EXPIRED
            self._log.lease_ended(registration)
            registration.on_change()

    def crash(self, error: BaseException) -> None:
        """End every lease because of an error."""
        self.failure = error
        self._left.set()
        logger.critical("the reporter crashed, every task is lost", exc_info=error)
        self._lose_all(LostReason.REPORTER_FAILED, error)

    def _lose_all(self, reason: LostReason, error: BaseException | None = None) -> None:
        self.schedule.lose_all(reason, error)
        self._publish()
        for record in self.schedule.registrations:
            record.on_change()  # what was lost before is reported no more, for which some may wait
