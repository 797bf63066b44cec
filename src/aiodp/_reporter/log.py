"""What a reporter logs: changes, not repetitions."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._aws.errors import describe
from aiodp._core.text import shorten
from aiodp._log import OncePer, logger
from aiodp._reporter.ends import cause_of_loss
from aiodp._reporter.slow_calls import UNANSWERED, advice
from aiodp._types import LeaseState, LostReason, ReportKind

if TYPE_CHECKING:
    from aiodp._core.lease import Lease
    from aiodp._reporter.leaps import Leap
    from aiodp._types import Outcome

_BLOCKED: Final = (
    "the event loop was blocked for %.1f s, or the process was stopped: heartbeats were late, %s"
)
_TRACKED_TWICE: Final = (
    "task %s is tracked already: now two leases of it are kept, which know nothing of each other, "
    "and its work may be done twice; track it once, and hand on what `track` gives"
)


class ReporterLog:
    """Logs the ends of leases, and what goes on for long only when it begins."""

    def __init__(self, interval: float, region_name: str | None = None) -> None:
        self._interval = interval
        self._once = OncePer(interval)
        self._failures = OncePer(interval)
        self._region_name = region_name
        self._unanswered = 0  # reports in a row
        self._failing: set[Lease] = set()  # whose last report failed, and was not throttled
        self._have_failed = False  # since it was logged that they succeed
        self._recovered_at = -math.inf

    def time_leapt(self, leap: Leap, lost: int) -> None:
        """Log that time passed unseen, and how many leases ran out meanwhile."""
        leases = f"{lost} lease was lost" if lost == 1 else f"{lost} leases were lost"
        if leap.suspended > leap.blocked:
            message, seconds = "the machine was suspended for %.1f s: %s", leap.suspended
        else:
            message, seconds = _BLOCKED, leap.blocked
        if lost:
            logger.warning(message, seconds, leases, extra={"lag": seconds, "lost": lost})
        else:
            self._once.log(logging.WARNING, "leap", message, seconds, leases, lag=seconds, lost=0)

    def work_blocked(self, seconds: float) -> None:
        """Log that the event loop of the work has run nothing for so long."""
        message = "the event loop has been blocked for %.0f s; tasks are kept alive from a thread"
        self._once.log(logging.WARNING, "work blocked", message, seconds, lag=seconds)

    def lease_ended(self, lease: Lease) -> None:
        """Log how a lease ended, unless it was left."""
        self._failing.discard(lease)
        if lease.state is LeaseState.RELEASED:
            return
        level = logging.WARNING if lease.state is LeaseState.LOST else logging.INFO
        if lease.lost_reason is LostReason.OVERLOADED:  # one warning for all, details at INFO
            level = logging.INFO
            message = "more tasks than the quota can keep alive: the newest are given up"
            self._once.log(logging.WARNING, "overloaded", message)
        task, reason = shorten(lease.task_id), lease.lost_reason or lease.state.value
        extra = {**lease.extra, "reason": str(reason)}
        why = cause_of_loss(lease, self._region_name)
        logger.log(level, "task %s ended: %s%s", task, reason, why and f": {why}", extra=extra)

    def tracked_twice(self, lease: Lease) -> None:
        """Log that another lease of the same task is kept already."""
        logger.warning(_TRACKED_TWICE, shorten(lease.task_id), extra=lease.extra)

    def report_answered(self, lease: Lease, outcome: Outcome, *, dropped: bool) -> None:
        """Log a report that failed; `dropped` says that its fields are not sent again."""
        kind = outcome.kind
        self._count_unanswered(lease, outcome)
        if kind in (ReportKind.OK, ReportKind.REFUSED):
            self._failing.discard(lease)
            self._log_recovery()
            return
        task, error = shorten(lease.task_id), describe(outcome.error)
        if dropped:
            extra = {**lease.extra, "error": error}
            logger.warning("task %s: fields were refused and dropped: %s", task, error, extra=extra)
        else:
            level = logging.ERROR if kind is ReportKind.CONFIGURATION else logging.WARNING
            extra = {**lease.extra, "kind": kind.value, "error": error}
            if lease.live and kind is not ReportKind.THROTTLED:
                self._failing.add(lease)
                self._have_failed = True
            self._failures.log(level, kind, "reports fail (%s): %s", kind, error, **extra)

    def _log_recovery(self) -> None:
        """Log that reports succeed, once the last one of each task has; once an interval at most.

        The next failure is a new one, which is logged at once.
        """
        if not self._have_failed or self._failing:
            return
        now = anyio.current_time()
        if now - self._recovered_at > self._interval:
            self._have_failed = False
            self._recovered_at = now
            self._failures = OncePer(self._interval)
            logger.info("reports succeed again")

    def _count_unanswered(self, lease: Lease, outcome: Outcome) -> None:
        if outcome.kind is not ReportKind.TIMEOUT:
            self._unanswered = 0
            return
        self._unanswered += 1
        if self._unanswered >= UNANSWERED:
            limit = lease.timing.attempt_timeout
            extra = {"attempt_timeout": limit}
            self._once.log(logging.WARNING, "unanswered", "%s", advice(limit), **extra)
