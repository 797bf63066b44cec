"""The errors that tell users how the lease of a task ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodp._aws.errors import describe
from aiodp._core.text import shorten
from aiodp._errors import LeaseLost, ReporterClosed, ReportRejected, StatusInDoubt, TaskCanceled
from aiodp._log import logger
from aiodp._reporter.record import ENDED
from aiodp._reporter.slow_calls import UNANSWERED, advice
from aiodp._types import LeaseState, LostReason

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp._core.lease import Lease
    from aiodp._reporter.record import TaskRecord

_HELP: Final = {
    LostReason.EXPIRED: "no report succeeded in time; stop the work, others may get the task",
    LostReason.REFUSED: "the service says it is not ours; stop the work, others may have it",
    LostReason.OVERLOADED: "the quota cannot keep so many alive; track fewer tasks",
    LostReason.TIME_LIMIT: "it was held for max_lease; stop the work, others may get the task",
    LostReason.REPORTER_FAILED: "the reporter crashed, see the cause; stop the work",
    LostReason.REPORTER_CLOSED: "the reporter was closed under it; leave track first",
}
_UNSEEN: Final = (
    "task %s was %s while its block ran, and nothing in the block looked at that, so its work ran "
    "on: let track(..., interrupt=True) interrupt it, or wait for task.ended"
)
_UNKNOWN: Final = (
    "unknown to the service in %s; is this the region and account that PollForTask used, and has "
    "it ended?"
)
_NOT_MADE: Final = (
    "no report was made in time, for the event loop was blocked (see own_thread), or the process "
    "or the machine did not run; stop the work, others may get the task"
)
_FOR_AN_ERROR: Final = (LostReason.REFUSED, LostReason.EXPIRED)
_NEVER_OURS: Final = "the service did not acknowledge it in time; the work was not begun"


def raise_if_ended(
    record: TaskRecord,
    state: LeaseState,
    to_user_time: Callable[[float], float],
    region_name: str | None,
) -> None:
    """Raise `TaskCanceled` or `LeaseLost` if the lease is in such a state.

    Not after a status that the service took although the lease had run out here.
    """
    if state is LeaseState.CANCELED:
        record.end_seen = True
        raise TaskCanceled(
            f"task {shorten(record.task_id)} was canceled in the service; stop the work, "
            f"no status needs to be set",
            task_id=record.task_id,
        ) from record.error
    if state is LeaseState.LOST and not record.status_acknowledged:
        record.end_seen = True
        raise _lost_error(record, to_user_time, region_name) from record.error


def warn_if_unseen(record: TaskRecord, state: LeaseState) -> None:
    """Log that work on a task that had ended ran on to its own end, for it did not look."""
    told = record.end_seen or record.status_acknowledged or record.status_failed
    if told or state not in ENDED:
        return
    task, reason, how = shorten(record.task_id), state.value, state.value
    if state is LeaseState.LOST:
        reason = str(record.lost_reason or record.lapse_reason)
        how = f"lost ({reason})"
    extra = {**record.extra, "state": state.value, "reason": reason}
    logger.warning(_UNSEEN, task, how, extra=extra)


def cause_of_loss(lease: Lease, region_name: str | None) -> str:
    """Return what led to the loss of a lease, as far as its reason does not say it."""
    if lease.lost_reason is LostReason.REFUSED and lease.last_reported_at is None:
        return _UNKNOWN % (region_name or "this region")
    return describe(lease.error) if lease.error and lease.lost_reason in _FOR_AN_ERROR else ""


def _why_lost(record: TaskRecord, reason: LostReason, region_name: str | None) -> str:
    """Return why a lease was lost, with the last error, and what to do."""
    never = record.last_reported_at is None
    if reason is LostReason.REFUSED and never:
        return cause_of_loss(record, region_name)
    if reason is LostReason.EXPIRED and never:
        why = _NEVER_OURS
    elif reason is LostReason.EXPIRED and not (record.error or record.failures):
        why = _NOT_MADE
    else:
        why = _HELP[reason]
    if record.error is not None and reason in _FOR_AN_ERROR:
        why = f"{why}; the last error: {describe(record.error)}"
        if record.failures >= UNANSWERED and isinstance(record.error, TimeoutError):
            why = f"{why}; {advice(record.timing.attempt_timeout)}"
    return why


def _lost_error(
    record: TaskRecord, to_user_time: Callable[[float], float], region_name: str | None
) -> LeaseLost:
    reason = record.lost_reason or record.lapse_reason
    last = record.last_reported_at
    task, last_reported_at = shorten(record.task_id), None if last is None else to_user_time(last)
    if record.ended_in_doubt and record.status_in_doubt is not None:
        return StatusInDoubt(
            f"task {task} is in doubt: status {record.status_in_doubt} was sent without an answer, "
            f"and the task is not ours any more ({reason}): the status may be set; look at the "
            f"attempt before the work is done again",
            task_id=record.task_id,
            reason=reason,
            last_reported_at=last_reported_at,
            status=record.status_in_doubt,
        )
    return LeaseLost(
        f"task {task} is lost ({reason}): {_why_lost(record, reason, region_name)}",
        task_id=record.task_id,
        reason=reason,
        last_reported_at=last_reported_at,
    )


def raise_if_rejected(record: TaskRecord) -> None:
    """Raise `ReportRejected` if the configuration did not allow the first report."""
    if record.rejected:
        raise ReportRejected(
            f"task {shorten(record.task_id)}: the first report was refused; check credentials, "
            f"permission (datapipeline:ReportTaskProgress), region and endpoint: "
            f"{describe(record.error)}"
        ) from record.error


def raise_if_released(record: TaskRecord) -> None:
    """Raise `ReporterClosed` if the task has its status, or if its block was left."""
    if record.state is LeaseState.RELEASED or record.status_acknowledged:
        if record.status_acknowledged:
            why = "has its status"
        else:
            why = "is not tracked any more: do this inside track"
        raise ReporterClosed(f"task {shorten(record.task_id)} {why}")
