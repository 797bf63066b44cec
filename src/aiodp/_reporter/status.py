"""SetTaskStatus: tried until it is acknowledged, never beside a report of the same task."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._aws.transport import TIMED_OUT, describe
from aiodp._core.bucket import TokenBucket
from aiodp._core.lease import retry_delay
from aiodp._core.text import shorten
from aiodp._errors import LeaseLost, StatusNotSet
from aiodp._types import Outcome, ReportKind, TaskStatus

if TYPE_CHECKING:
    from aiodp._aws.transport import Transport
    from aiodp._core.lease import Lease
    from aiodp._reporter.engine import Engine
    from aiodp._reporter.task import TrackedTask
    from aiodp._types import Quota

logger = logging.getLogger("aiodp")

_DETAILS: Final = ("errorMessage", "errorStackTrace")
_DOUBTFUL: Final = frozenset(  # after these the service may have applied the call
    {
        ReportKind.CONNECTION,
        ReportKind.MALFORMED,
        ReportKind.SERVER_ERROR,
        ReportKind.TIMEOUT,
        ReportKind.UNEXPECTED,
    }
)
_LEAST_SHARE: Final = 0.3  # of the quota: statuses come in bursts, and a task waits for each
_REPORT_FIRST: Final = (
    3  # attempts that must fit into the lease, or a due report goes before the next try
)


def _hopeless(lease: Lease) -> bool:
    """Whether no status may or can be set any more: the service has ended the lease, or we have."""
    return lease.silenced or not (lease.live or lease.winding_down)


class StatusSetter:
    """Sets statuses within their own quota, which is as large as the one of reports."""

    def __init__(self, engine: Engine, transport: Transport, quota: Quota | None) -> None:
        self._engine = engine
        self._transport = transport
        self._bucket = TokenBucket(quota, anyio.current_time())
        self._least_rate = _LEAST_SHARE * quota.rate if quota else 0.0

    async def set(self, task: TrackedTask, status: TaskStatus, members: dict[str, str]) -> None:
        """Set the status as `TrackedTask.set_status` says; mark the lease if that fails."""
        try:
            await self._set_once(task, status, members)
        except StatusNotSet:
            task._lease.status_failed = True
            raise

    async def _set_once(
        self, task: TrackedTask, status: TaskStatus, members: dict[str, str]
    ) -> None:
        lease = task._lease
        if lease.status is not None:
            self._check_repetition(lease, status)
            return
        task._check()
        self._raise_if_hopeless(task)
        lease.status = status
        try:
            await self._try_until_acknowledged(task, status, members)
        except BaseException:
            lease.status = None
            raise

    def _check_repetition(self, lease: Lease, status: TaskStatus) -> None:
        if lease.status is status and lease.status_acknowledged:
            return
        state = "was set already" if lease.status_acknowledged else "is on the way"
        raise StatusNotSet(f"task {shorten(lease.task_id)}: status {lease.status} {state}")

    def _raise_if_hopeless(self, task: TrackedTask) -> None:
        if _hopeless(task._lease):
            task._raise_if_ended()
            task._raise_if_released()

    async def _try_until_acknowledged(
        self, task: TrackedTask, status: TaskStatus, members: dict[str, str]
    ) -> None:
        lease = task._lease
        started = anyio.current_time()
        failures = 0
        doubtful = False
        while True:
            outcome, sent_at = await self._attempt(task, status, members, failures)
            if outcome.kind is ReportKind.OK:
                self._bucket.succeeded()
                return
            now = anyio.current_time()
            if outcome.kind is ReportKind.REFUSED:
                await self._learn_why(task, outcome.error, doubtful=doubtful)
                task._raise_if_ended()
            doubtful |= outcome.kind in _DOUBTFUL
            if outcome.kind is ReportKind.INVALID and members.keys() & set(_DETAILS):
                members = self._without_details(lease, members, outcome)
                continue
            self._give_up_if_due(lease, status, outcome, now - started)
            failures += 1
            if outcome.kind is ReportKind.THROTTLED and self._bucket.limited:
                self._bucket.throttled(sent_at, now, needed=self._least_rate)
                continue
            left = lease.lost_at - now if lease.live else lease.deadline - now
            jitter = random.random()  # noqa: S311 - spreads retries, keeps no secret
            await self._pause(task, retry_delay(lease.timing, failures, left, jitter))

    async def _attempt(
        self, task: TrackedTask, status: TaskStatus, members: dict[str, str], failures: int
    ) -> tuple[Outcome, float]:
        """Make one call, with no report of the task in flight; return when it was sent, too."""
        lease = task._lease
        await self._token(task)
        if failures:
            await task._until(_report_can_wait)
        self._engine.hold(lease)
        try:
            await task._until(lambda lease: not lease.in_flight)
            self._raise_if_hopeless(task)
            outcome, sent_at = TIMED_OUT, anyio.current_time()
            with anyio.move_on_after(lease.attempt_timeout(sent_at)):
                outcome = await self._transport.set_status(task.task_id, status.value, members)
            if outcome.kind is ReportKind.OK:
                lease.status_acknowledged = True
                self._engine.finish(lease)
            return outcome, sent_at
        finally:
            self._engine.resume(lease)

    async def _token(self, task: TrackedTask) -> None:
        now = anyio.current_time()
        self._bucket.take(now)
        called = False
        try:
            await self._pause(task, self._bucket.ready_at(now, tokens=0) - now)
            self._raise_if_hopeless(task)
            called = True
        finally:
            if not called:
                self._bucket.give_back()

    async def _learn_why(
        self, task: TrackedTask, error: Exception | None, *, doubtful: bool
    ) -> None:
        """Ask by a report whether the task was canceled, which a refusal does not tell."""
        lease = task._lease
        try:
            with anyio.move_on_after(lease.timing.attempt_timeout):
                await self._engine.report_now(task)
                return
            self._engine.refuse(lease, error)  # nobody says that it is still ours
            task._raise_if_ended()
        except LeaseLost as lost:
            if doubtful:
                lost.add_note("A try that was not answered may have set the status all the same.")
            raise

    async def _pause(self, task: TrackedTask, delay: float) -> None:
        """Sleep, but no longer than there is hope."""
        if delay > 0:
            with anyio.move_on_after(delay):
                await task._until(_hopeless)

    def _without_details(
        self, lease: Lease, members: dict[str, str], outcome: Outcome
    ) -> dict[str, str]:
        task, error = shorten(lease.task_id), describe(outcome.error)
        message = "task %s: an error's message and stack trace were refused and dropped: %s"
        logger.warning(message, task, error, extra={"task": task, "error": error})
        return {name: text for name, text in members.items() if name not in _DETAILS}

    def _give_up_if_due(
        self, lease: Lease, status: TaskStatus, outcome: Outcome, elapsed: float
    ) -> None:
        """Raise `StatusNotSet` when further tries are futile, or the lease is over.

        A held lease can be held for ever. What reports do not suffer from, a missing permission for
        one, is given the time of one lease to be mended.
        """
        contradictory = outcome.kind in (ReportKind.CONFIGURATION, ReportKind.REFUSED)
        futile = outcome.kind is ReportKind.INVALID or (
            contradictory and elapsed > lease.timing.lease_timeout
        )
        over = not lease.live and anyio.current_time() >= lease.deadline
        if futile or over:
            why = "the service does not accept it" if futile else "the lease ran out"
            raise StatusNotSet(
                f"task {shorten(lease.task_id)}: status {status} was not acknowledged: {why}; "
                f"last answer: {outcome.kind}: {describe(outcome.error)}"
            ) from outcome.error


def _report_can_wait(lease: Lease) -> bool:
    now = anyio.current_time()
    enough = _REPORT_FIRST * lease.timing.attempt_timeout
    return not lease.live or lease.due_at > now or lease.lost_at - now > enough
