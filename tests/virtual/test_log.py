"""Logging without repetitions."""

from __future__ import annotations

import logging

import anyio
import pytest

from aiodp import LostReason, ReportKind
from aiodp._core.lease import Lease
from aiodp._core.timing import Timing
from aiodp._log import OncePer
from aiodp._reporter.leaps import Leap
from aiodp._reporter.log import ReporterLog
from aiodp._types import Outcome

pytestmark = pytest.mark.anyio


async def test_a_message_that_goes_on_is_logged_once(caplog):
    """Again after an interval without it, and for each key by itself."""
    once = OncePer(60.0)
    for second in range(300):
        once.log(logging.WARNING, "room", "no room at %d", second, second=second)
        await anyio.sleep(1)
    assert [record.getMessage() for record in caplog.records] == ["no room at 0"]
    assert caplog.records[0].second == 0
    once.log(logging.ERROR, "other", "another message")
    assert caplog.records[-1].levelno == logging.ERROR
    await anyio.sleep(59)
    once.log(logging.WARNING, "room", "still too early")
    await anyio.sleep(61)
    once.log(logging.WARNING, "room", "no room again")
    assert [record.getMessage() for record in caplog.records[1:]] == [
        "another message",
        "no room again",
    ]


def lease():
    timing = Timing.checked(
        interval=60, ack_timeout=120, lease_timeout=300, safety_margin=10, attempt_timeout=10
    )
    return Lease("task", timing, 0.0)


def logged(caplog):
    return [(record.levelname, record.getMessage()) for record in caplog.records]


async def test_tasks_that_are_given_up_for_others_are_one_warning(caplog):
    """However many they are; each by itself is at INFO."""
    caplog.set_level(logging.INFO)
    log = ReporterLog(60.0)
    for _ in range(2):
        lost = lease()
        lost.lose(LostReason.OVERLOADED)
        log.lease_ended(lost)
    assert logged(caplog) == [
        ("WARNING", "more tasks than the quota can keep alive: the newest are given up"),
        ("INFO", "task task ended: overloaded"),
        ("INFO", "task task ended: overloaded"),
    ]


async def test_a_lost_task_is_a_warning_and_a_canceled_one_is_not(caplog):
    """With the task and the reason beside the message."""
    caplog.set_level(logging.INFO)
    log = ReporterLog(60.0)
    lost, canceled = lease(), lease()
    lost.succeed(0.0, 1.0)
    lost.lose(LostReason.REFUSED, ValueError("not found"))
    canceled.cancel()
    log.lease_ended(lost)
    log.lease_ended(canceled)
    assert logged(caplog) == [
        ("WARNING", "task task ended: refused: not found"),
        ("INFO", "task task ended: canceled"),
    ]
    assert [(record.task, record.reason) for record in caplog.records] == [
        ("task", "refused"),
        ("task", "canceled"),
    ]


async def test_failures_of_one_kind_are_logged_when_they_begin(caplog):
    """Configuration as an error; what is fine or refused is told elsewhere."""
    log = ReporterLog(60.0)
    for kind in (
        ReportKind.OK,
        ReportKind.REFUSED,
        ReportKind.TIMEOUT,
        ReportKind.TIMEOUT,
        ReportKind.CONFIGURATION,
    ):
        log.report_answered(lease(), Outcome(kind=kind, error=ValueError("why")), dropped=False)
    log.report_answered(lease(), Outcome(kind=ReportKind.INVALID), dropped=True)
    levels = [record.levelname for record in caplog.records]
    assert levels == ["WARNING", "ERROR", "WARNING"]
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "reports fail (timeout)",
        "reports fail (configuration)",
        "task task",
    ]
    assert caplog.records[0].kind == "timeout"


async def test_calls_that_are_not_answered_are_counted_anew_after_an_answer(caplog):
    """Three in a row are a reason for advice."""
    log = ReporterLog(60.0)
    unanswered, answered = Outcome(kind=ReportKind.TIMEOUT), Outcome(kind=ReportKind.OK)
    for outcome in (unanswered, unanswered, answered, unanswered, unanswered):
        log.report_answered(lease(), outcome, dropped=False)
    assert "calls or more in a row" not in caplog.text
    log.report_answered(lease(), unanswered, dropped=False)
    assert caplog.text.count("3 calls or more in a row were not answered") == 1


@pytest.mark.parametrize("lost", [0, 1, 2])
async def test_time_that_passed_unseen_is_logged_with_what_it_cost(caplog, lost):
    """In numbers, too."""
    ReporterLog(60.0).time_leapt(Leap(suspended=90.0, blocked=0.0), lost)
    [record] = caplog.records
    assert (record.lag, record.lost) == (90.0, lost)
    assert record.getMessage().startswith("the machine was suspended for 90.0 s: ")
