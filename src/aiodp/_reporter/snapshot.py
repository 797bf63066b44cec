"""The statistics of a reporter."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodp._types import Counts, ReportKind, Statistics

if TYPE_CHECKING:
    from aiodp._core.schedule import Schedule
    from aiodp._reporter.clock import LeaseClock


def snapshot(schedule: Schedule, clock: LeaseClock, longest_block: float) -> Statistics:
    """Return what a reporter's schedule tells, with times on the scale of its user."""
    first_lost_at, next_due = schedule.first_lost_at, schedule.next_due
    failed = {
        kind.value: count
        for kind, count in schedule.outcomes.items()
        if kind not in (ReportKind.OK, ReportKind.THROTTLED)
    }
    return Statistics(
        tracked=len(schedule.registrations),
        acknowledged=schedule.held_count,
        sent=schedule.sent,
        succeeded=schedule.outcomes[ReportKind.OK],
        failed=Counts(failed),
        throttled=schedule.outcomes[ReportKind.THROTTLED],
        in_flight=schedule.in_flight,
        next_due=None if next_due is None else clock.to_user(next_due),
        smallest_remaining_lease=None if first_lost_at is None else first_lost_at - clock.now(),
        worst_lag=max(schedule.worst_lag, longest_block),
        effective_rate=schedule.bucket.rate if schedule.bucket.limited else None,
    )
