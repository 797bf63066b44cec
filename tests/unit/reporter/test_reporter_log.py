"""What a reporter logs of one change, and what not."""

from __future__ import annotations

import logging

import anyio
import pytest

from aiodp import LostReason, ReportKind
from aiodp._core.lease import Lease
from aiodp._reporter.leaps import Leap
from aiodp._reporter.log import ReporterLog
from aiodp._types import Outcome
from aiodp.testing import VIRTUAL_TIME
from unit.reporter.kit import TIMING

pytestmark = pytest.mark.anyio

OK = Outcome(kind=ReportKind.OK)
RECOVERY = "reports succeed again"


@pytest.fixture
def anyio_backend():
    """Asyncio on a clock that jumps."""
    return VIRTUAL_TIME


@pytest.fixture
def log(caplog):
    """One whose every level is seen."""
    caplog.set_level(logging.INFO, logger="aiodp")
    return ReporterLog(60.0)


def failed(kind):
    """Return the outcome of a report that failed."""
    return Outcome(kind=kind, error=ValueError("why"))


@pytest.mark.parametrize(
    ("suspended", "blocked", "message", "lag"),
    [
        (90.0, 5.0, "the machine was suspended for 90.0 s", 90.0),
        (5.0, 90.0, "the event loop was blocked for 90.0 s", 90.0),
        (5.0, 5.0, "the event loop was blocked for 5.0 s", 5.0),
    ],
)
async def test_the_longer_of_a_suspension_and_a_block_is_told(
    log, caplog, suspended, blocked, message, lag
):
    """If none is, the block, for only that can be mended."""
    log.time_leapt(Leap(suspended=suspended, blocked=blocked), 0)
    [record] = caplog.records
    assert record.getMessage().startswith(message)
    assert record.lag == lag


async def test_a_leap_that_cost_leases_is_always_told(log, caplog):
    """One that cost none once an interval."""
    for lost in (0, 0, 1, 1):
        log.time_leapt(Leap(suspended=90.0, blocked=0.0), lost)
    assert [record.lost for record in caplog.records] == [0, 1, 1]


async def test_a_task_that_was_left_is_no_news(log, caplog):
    """Whoever left it knows."""
    lease = Lease("task", TIMING, 0.0)
    lease.release()
    log.lease_ended(lease)
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("kind", "recovers"), [(ReportKind.SERVER_ERROR, True), (ReportKind.THROTTLED, False)]
)
async def test_reports_that_succeed_after_throttling_are_no_recovery(log, caplog, kind, recovers):
    """The quota was used up; nothing was wrong."""
    lease = Lease("task", TIMING, 0.0)
    log.report_answered(lease, failed(kind), dropped=False)
    log.report_answered(lease, OK, dropped=False)
    assert (RECOVERY in caplog.messages) is recovers


async def test_a_report_that_fails_without_a_lease_is_nothing_to_recover_from(log, caplog):
    """A lost task is reported while its work winds down."""
    lease = Lease("task", TIMING, 0.0)
    lease.lose(LostReason.EXPIRED)
    log.report_answered(lease, failed(ReportKind.SERVER_ERROR), dropped=False)
    log.report_answered(Lease("other", TIMING, 0.0), OK, dropped=False)
    assert RECOVERY not in caplog.messages


async def test_a_recovery_is_told_once_an_interval_at_most(log, caplog):
    """And the failure before it as often."""
    lease = Lease("task", TIMING, 0.0)
    for gap, recoveries in ((0, 1), (30, 1), (30, 1), (1, 2)):
        await anyio.sleep(gap)
        log.report_answered(lease, failed(ReportKind.SERVER_ERROR), dropped=False)
        log.report_answered(lease, OK, dropped=False)
        assert caplog.messages.count(RECOVERY) == recoveries
    assert len(caplog.messages) == 2 + 2


async def test_fields_that_were_dropped_are_told_with_the_task_and_the_error(log, caplog):
    """Each time; the reports go on without them, so nothing has to recover."""
    lease = Lease("task", TIMING, 0.0)
    for _ in range(2):
        log.report_answered(lease, failed(ReportKind.INVALID), dropped=True)
    log.report_answered(lease, OK, dropped=False)
    assert caplog.messages == ["task task: fields were refused and dropped: why"] * 2
    assert [(record.task, record.error) for record in caplog.records] == [("task", "why")] * 2


async def test_a_failure_is_told_with_its_kind_its_error_and_the_task(log, caplog):
    """Once for all tasks."""
    for task_id in ("one", "other"):
        lease = Lease(task_id, TIMING, 0.0)
        log.report_answered(lease, failed(ReportKind.CONFIGURATION), dropped=False)
    [record] = caplog.records
    assert record.getMessage() == "reports fail (configuration): why"
    assert (record.levelname, record.task, record.kind) == ("ERROR", "one", "configuration")
