"""SetTaskStatus: tried until it is taken or refused, never beside a report of the same task.

Also after the lease has run out here: a late status harms nobody, for the service refuses it if it
has given the task away, and without it the work would be done again.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._aws.errors import describe
from aiodp._aws.waiting import answer_within
from aiodp._core.bucket import TokenBucket
from aiodp._core.lease import retry_delay
from aiodp._core.text import shorten
from aiodp._errors import LeaseLost, StatusNotSet
from aiodp._log import logger
from aiodp._reporter.ends import raise_if_released
from aiodp._reporter.last_report import report_fields
from aiodp._types import Outcome, ReportKind, TaskStatus

if TYPE_CHECKING:
    from aiodp._aws.transport import Transport
    from aiodp._reporter.engine import Engine
    from aiodp._reporter.record import TaskRecord
    from aiodp._types import Quota

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
_MIN_SHARE: Final = 0.3  # of the quota: statuses come in bursts, and a task waits for each
_ATTEMPTS_LEFT: Final = 3
"""Attempts that must fit into the lease, or a report that is due goes before the next try."""
_MAX_HOURS: Final = 12  # of tries that nothing comes of


def _is_impossible(record: TaskRecord) -> bool:
    """Return whether no status can be set any more: the service has ended the lease, or we have."""
    return record.reporting_stopped or not (record.live or record.winding_down)


def _report_can_wait(record: TaskRecord, now: float) -> bool:
    enough = _ATTEMPTS_LEFT * record.timing.attempt_timeout
    return not record.live or record.due_at > now or record.lost_at - now > enough


class StatusSetter:
    """Sets statuses within their own quota, which is as large as the one of reports."""

    def __init__(self, engine: Engine, transport: Transport, quota: Quota | None) -> None:
        self._engine = engine
        self._now = engine.clock.now
        self._transport = transport
        self._bucket = TokenBucket(quota, engine.clock.now())
        self._min_rate = _MIN_SHARE * quota.rate if quota else 0.0

    async def set(self, record: TaskRecord, status: TaskStatus, members: dict[str, str]) -> None:
        """Set the status as `TrackedTask.set_status` says; mark the record if that fails."""
        try:
            await self._set_once(record, status, members)
        except StatusNotSet:
            record.status_failed = True
            raise

    async def _set_once(
        self, record: TaskRecord, status: TaskStatus, members: dict[str, str]
    ) -> None:
        if record.status is not None:
            self._check_repetition(record, status)
            return
        self._raise_if_impossible(record)
        record.status = status
        try:
            await report_fields(self._engine, record)
            await self._try_until_acknowledged(record, status, members)
        except BaseException:
            record.status = None
            record.on_change()  # an interruption may have waited for this
            raise

    def _check_repetition(self, record: TaskRecord, status: TaskStatus) -> None:
        if record.status is status and record.status_acknowledged:
            return
        state = "was set already" if record.status_acknowledged else "is on the way"
        raise StatusNotSet(f"task {shorten(record.task_id)}: status {record.status} {state}")

    def _raise_if_impossible(self, record: TaskRecord) -> None:
        if _is_impossible(record):
            self._engine.raise_if_ended(record)
            raise_if_released(record)

    async def _try_until_acknowledged(
        self, record: TaskRecord, status: TaskStatus, members: dict[str, str]
    ) -> None:
        started = self._now()
        failures = 0
        said = False
        while True:
            outcome, sent_at = await self._attempt(record, status, members, failures)
            if outcome.kind is ReportKind.OK:
                self._bucket.succeeded()
                return
            now = self._now()
            self._engine.check(record)  # the event loop may have been blocked for a lease
            if outcome.kind is ReportKind.REFUSED:
                await self._ask_why(record, outcome.error)
            if outcome.kind is ReportKind.INVALID and members.keys() & set(_DETAILS):
                members = self._without_details(record, members, outcome)
                continue
            self._give_up_if_due(record, status, outcome, now - started)
            if not (record.live or said):
                said = True
                self._log_late(record, status)
            failures += 1
            if outcome.kind is ReportKind.THROTTLED:
                self._bucket.throttled(sent_at, now, needed=self._min_rate)
            left = record.lost_at - now if record.live else record.deadline - now
            jitter = self._engine.jitter()
            delay = retry_delay(record.timing, failures, left, jitter, elapsed=now - started)
            await self._sleep(record, delay)

    async def _attempt(
        self, record: TaskRecord, status: TaskStatus, members: dict[str, str], failures: int
    ) -> tuple[Outcome, float]:
        """Make one call, with no report of the task in flight; return when it was sent, too."""
        await self._spend_token(record)
        if failures:
            await record.wait_until(lambda record: _report_can_wait(record, self._now()))
        self._engine.pause(record)
        try:
            await record.wait_until(lambda record: not record.in_flight)
            self._raise_if_impossible(record)
            sent_at = self._now()
            doubt, record.status_in_doubt = record.status_in_doubt, status  # until it is answered
            outcome = await answer_within(
                record.attempt_timeout(sent_at),
                self._transport.set_status(record.task_id, status.value, members),
            )
            if outcome.kind not in _DOUBTFUL:
                record.status_in_doubt = doubt
            if outcome.kind is ReportKind.OK:
                record.status_acknowledged = True
                self._engine.finish(record)
            return outcome, sent_at
        finally:
            self._engine.resume(record)

    async def _spend_token(self, record: TaskRecord) -> None:
        now = self._now()
        self._bucket.spend(now)
        called = False
        try:
            await self._sleep(record, self._bucket.ready_at(now, tokens=0) - now)
            self._raise_if_impossible(record)
            called = True
        finally:
            if not called:
                self._bucket.refund()

    async def _ask_why(self, record: TaskRecord, error: Exception | None) -> None:
        """Raise because of a refusal, unless a report says that the task is still ours.

        The report also says whether the task was canceled, which a refusal does not.
        """
        answered = False
        if record.live:
            with anyio.move_on_after(record.timing.attempt_timeout), suppress(LeaseLost):
                await self._engine.report_now(record)
                answered = True
        if not answered:
            self._engine.refuse(record, error)
        self._engine.raise_if_ended(record)

    async def _sleep(self, record: TaskRecord, delay: float) -> None:
        """Sleep, but no longer than a status can be set."""
        if delay > 0:
            with anyio.move_on_after(delay):
                await record.wait_until(_is_impossible)

    def _without_details(
        self, record: TaskRecord, members: dict[str, str], outcome: Outcome
    ) -> dict[str, str]:
        task, error = shorten(record.task_id), describe(outcome.error)
        message = "task %s: an error's message and stack trace were refused and dropped: %s"
        logger.warning(message, task, error, extra={**record.extra, "error": error})
        return {name: text for name, text in members.items() if name not in _DETAILS}

    def _log_late(self, record: TaskRecord, status: TaskStatus) -> None:
        message = (
            "task %s: its lease ran out here, but its status %s is tried for up to %d hours; the "
            "service refuses it if it has given the task away"
        )
        task = shorten(record.task_id)
        logger.warning(message, task, status, _MAX_HOURS, extra=record.extra)

    def _give_up_if_due(
        self, record: TaskRecord, status: TaskStatus, outcome: Outcome, elapsed: float
    ) -> None:
        """Raise `StatusNotSet` when further tries are futile, or have lasted too long.

        While reports succeed, an error of this call alone, such as a missing permission, is an
        answer: it is asked for again for the time of one lease only.
        """
        contradictory = outcome.kind in (ReportKind.CONFIGURATION, ReportKind.REFUSED)
        if outcome.kind is ReportKind.INVALID or (
            contradictory and record.live and elapsed > record.timing.lease_timeout
        ):
            why = "the service does not accept it"
        elif elapsed > _MAX_HOURS * 3600:
            why = f"it was tried for {_MAX_HOURS} hours"
        else:
            return
        maybe = ", but may be set" if record.status_in_doubt else ""
        raise StatusNotSet(
            f"task {shorten(record.task_id)}: status {status} was not acknowledged{maybe}: {why}; "
            f"last answer: {outcome.kind}: {describe(outcome.error)}"
        ) from outcome.error
