"""Checks how much of the account's quota is left for a task runner."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import anyio

from aiodp import ProgressReporter
from aiodp._types import ReportKind
from aiodp.cli._doctor.calls import BUSY, FakeNames, call
from aiodp.cli._doctor.findings import Finding

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

_REPORTS: Final = 10
"""Reports in a second that the account may make (Developer Guide, "AWS Data Pipeline Limits")."""
_REPORT_TIMEOUT: Final = 2.0


async def check_quota(client: Any, names: FakeNames) -> Finding:
    """Make the reports of one second at once, about a task that does not exist."""
    kinds: Counter[ReportKind] = Counter()

    async def report() -> None:
        outcome = await call(
            client, "report_task_progress", {"taskId": names.name}, _REPORT_TIMEOUT
        )
        kinds[outcome.kind] += 1

    async with anyio.create_task_group() as group:
        for _ in range(_REPORTS):
            group.start_soon(report, name="aiodp doctor report")
    return quota_finding(
        throttled=kinds[ReportKind.THROTTLED], let_through=kinds[ReportKind.REFUSED]
    )


def quota_finding(*, throttled: int, let_through: int) -> Finding:
    """Return the finding about the numbers of reports that were throttled and that were not."""
    found = f"of {_REPORTS} reports at once, {throttled} were throttled"
    if throttled and not let_through:
        return Finding.failed("quota", f"{found}: no task could be acknowledged now", BUSY)
    if throttled:
        return Finding.warning("quota", found, BUSY)
    if let_through < _REPORTS:
        found = (
            f"of {_REPORTS} reports at once, {_REPORTS - let_through} were not answered as expected"
        )
        return Finding.warning("quota", found, "Try again.")
    found = f"{_REPORTS} reports at once were let through"
    return Finding.ok("quota", found)


def check_tasks(session: AioSession, tasks: int) -> Finding:
    """Check whether the published quota can keep so many tasks alive."""
    capacity = ProgressReporter(session).capacity
    if capacity is None or tasks <= capacity:
        found = f"{tasks:,} at once; the quota keeps up to {capacity:,} alive"
        return Finding.ok("tasks", found)
    return Finding.warning(
        "tasks",
        f"{tasks:,} at once, but the quota keeps only {capacity:,} alive: no more are taken",
        "Ask for fewer, or ask AWS for a higher quota of ReportTaskProgress.",
    )
