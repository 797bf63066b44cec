"""What the account's quota leaves for a task runner."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import anyio

from aiodp import ProgressReporter
from aiodp._types import ReportKind
from aiodp.cli._doctor.calls import MadeUp, call
from aiodp.cli._doctor.findings import Finding, Verdict

if TYPE_CHECKING:
    from aiobotocore.session import AioSession

_CALLS: Final = 10
"""What the account may call in a second (Developer Guide, "AWS Data Pipeline Limits")."""
_PATIENCE: Final = 2.0
_MEND: Final = "Find out who else calls ReportTaskProgress in this account and region."


async def examine_quota(client: Any, made_up: MadeUp) -> Finding:
    """Make a second's worth of reports at once, about a task that there is not."""
    kinds: Counter[ReportKind] = Counter()

    async def report() -> None:
        outcome = await call(client, "report_task_progress", {"taskId": made_up.name}, _PATIENCE)
        kinds[outcome.kind] += 1

    async with anyio.create_task_group() as group:
        for _ in range(_CALLS):
            group.start_soon(report, name="aiodp doctor report")
    return judge_quota(throttled=kinds[ReportKind.THROTTLED], let_through=kinds[ReportKind.REFUSED])


def judge_quota(*, throttled: int, let_through: int) -> Finding:
    """Return the finding about reports that were throttled, and reports that were not."""
    found = f"of {_CALLS} reports at once, {throttled} were throttled"
    if throttled and not let_through:
        mend = f"{_MEND} No task could be acknowledged now."
        return Finding(check="quota", verdict=Verdict.FAILED, found=found, mend=mend)
    if throttled:
        return Finding(check="quota", verdict=Verdict.WARNING, found=found, mend=_MEND)
    if let_through < _CALLS:
        found = f"of {_CALLS} reports at once, {_CALLS - let_through} were not answered as expected"
        return Finding(check="quota", verdict=Verdict.WARNING, found=found, mend="Try again.")
    found = f"{_CALLS} reports at once were let through"
    return Finding(check="quota", verdict=Verdict.OK, found=found)


def examine_tasks(session: AioSession, tasks: int) -> Finding:
    """Compare a number of tasks with what the published quota can keep alive."""
    capacity = ProgressReporter(session).capacity
    if capacity is None or tasks <= capacity:
        found = f"{tasks:,} at once; the quota keeps up to {capacity:,} alive"
        return Finding(check="tasks", verdict=Verdict.OK, found=found)
    return Finding(
        check="tasks",
        verdict=Verdict.WARNING,
        found=f"{tasks:,} at once, but the quota keeps only {capacity:,} alive: no more are taken",
        mend="Ask for fewer, or ask AWS for a higher quota of ReportTaskProgress.",
    )
