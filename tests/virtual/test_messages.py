"""Messages name the cause and the remedy: what is raised, and what is logged."""

from __future__ import annotations

import logging

import anyio
import boto3
import botocore.session
import pytest
from aiobotocore.session import get_session

from aiodp import LeaseLost, LostReason, ProgressReporter, TaskRunner, poll
from aiodp.shell import ShellHandler
from aiodp.testing import Fault, FaultKind
from virtual.kit import asyncio_only, block

pytestmark = pytest.mark.anyio


# Why a task is lost


async def test_an_expired_lease_tells_the_last_error(service, reporter, caplog):
    """In the service's own words, in the exception and in the log."""
    async with reporter() as opened, opened.track(*service.assign()) as task:
        service.faults.add(Fault(kind=FaultKind.ACCESS_DENIED, start=1.0))
        await task.lost.wait()
        with pytest.raises(LeaseLost) as caught:
            task.raise_if_ended()
    assert caught.value.reason is LostReason.EXPIRED
    [ended] = [text for text in caplog.messages if "ended: expired" in text]
    for text in (str(caught.value), ended):
        assert "AccessDeniedException: User is not authorized to perform this action" in text
    assert "; the last error: " in str(caught.value)


async def test_a_lease_that_expired_without_an_error_names_what_held_the_reports_up(
    service, reporter
):
    """No report failed: the event loop had no turn for one."""
    async with reporter() as opened, opened.track(*service.assign()) as task:
        await anyio.sleep(30)
        block(289)
        with pytest.raises(LeaseLost, match=r"the event loop was blocked \(see own_thread\)"):
            task.raise_if_ended()


@asyncio_only
@pytest.mark.parametrize("region", ["eu-west-1", None])
async def test_a_task_of_elsewhere_names_the_region_that_was_asked(service, region, caplog):
    """Also in the log; it is the session's where the reporter is given none."""
    session = get_session()
    session.set_config_variable("region", "us-east-2")
    async with ProgressReporter(service.attach(session), region_name=region) as opened:
        with pytest.raises(LeaseLost, match=f"in {region or 'us-east-2'}; is this the region"):
            async with opened.track("of-elsewhere"):
                pytest.fail("the block must not begin")
    assert f"ended: refused: unknown to the service in {region or 'us-east-2'};" in caplog.text


# What a user gives


@pytest.mark.parametrize("session", [botocore.session.get_session(), boto3.Session()])
async def test_a_session_of_another_library_is_refused_by_the_name_of_the_right_one(session):
    """At once, wherever a session is taken, and not by an `await` that fails later."""
    words = r"aiobotocore\.session\.get_session\(\) makes it, not boto(core|3)\.session\.Session$"
    with pytest.raises(TypeError, match=words):
        ProgressReporter(session)
    with pytest.raises(TypeError, match=words):
        TaskRunner(session, worker_group="workers")
    with pytest.raises(TypeError, match=words):
        ShellHandler(session)
    with pytest.raises(TypeError, match=words):
        await poll(session, worker_group="workers")


async def test_a_task_that_is_tracked_already_is_a_warning(service, reporter, caplog):
    """Once for each further time, and no more when it was left; another task is none."""
    [task_id, other] = service.assign(2)

    def warnings():
        return [text for text in caplog.messages if "is tracked already" in text]

    async with reporter() as opened:
        async with opened.track(task_id), opened.track(other):
            assert not warnings()
            async with opened.track(task_id):
                assert len(warnings()) == 1
            async with opened.track(task_id):
                assert len(warnings()) == 2
        async with opened.track(task_id):
            assert len(warnings()) == 2
    assert task_id not in caplog.text


# Reports that fail, and succeed again


async def test_recovery_is_logged_when_the_last_task_has_recovered(service, reporter, caplog):
    """At INFO, as that of polls is."""
    caplog.set_level(logging.INFO, logger="aiodp")
    ids = service.assign(3)

    async def hold(task_id):
        async with opened.track(task_id):
            await anyio.sleep(1000)

    async with reporter() as opened, anyio.create_task_group() as group:
        for task_id in ids:
            group.start_soon(hold, task_id)
        await anyio.sleep(1)
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, duration=100))
        await anyio.sleep(130)
        assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
            "reports fail (server_error)",
            "reports succeed again",
        ]
        assert caplog.records[1].levelno == logging.INFO


async def test_reports_that_fail_now_and_then_are_two_lines_an_interval_at_most(
    service, reporter, caplog
):
    """A new failure after a recovery is told at once; recoveries are not told in a row."""
    caplog.set_level(logging.INFO, logger="aiodp")
    async with reporter() as opened, opened.track(*service.assign()) as task:
        for _ in range(40):
            service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, count=1))
            await task.report()
            await anyio.sleep(10)
        until = anyio.current_time()
    assert opened.statistics().failed["server_error"] == 40
    recoveries = caplog.messages.count("reports succeed again")
    assert 2 <= recoveries <= until // 60 + 1
    assert len(caplog.messages) - 2 * recoveries in (0, 1)  # of the last failure, maybe


async def test_a_task_that_was_left_while_its_reports_failed_holds_no_recovery_up(
    service, reporter, caplog
):
    """Nor one that was lost."""
    caplog.set_level(logging.INFO, logger="aiodp")
    [left, lost, kept] = service.assign(3)
    async with reporter() as opened, opened.track(lost, lease_timeout=60) as task:
        async with opened.track(left), opened.track(kept):
            service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, duration=200))
            await task.lost.wait()
            await anyio.sleep(100)
        async with opened.track(*service.assign()):
            await anyio.sleep(200)
    assert caplog.messages.count("reports succeed again") == 1


# Time without the event loop


async def test_a_block_of_three_seconds_is_three_seconds(service, reporter, caplog):
    """In the log and in `worst_lag`, whenever it begins, and though no report was due."""
    for begins in (20.0, 20.04, 20.09):
        caplog.clear()
        async with reporter(suspended=lambda: 0.0) as opened, opened.track(*service.assign()):
            await anyio.sleep(begins)
            block(3)
            await anyio.sleep(1)
            assert opened.statistics().worst_lag == pytest.approx(3, abs=0.11)
        [told] = [record for record in caplog.records if hasattr(record, "lag")]
        assert told.lag == pytest.approx(3, abs=0.11)
        assert "blocked for 3." in told.getMessage()


async def test_what_is_not_worth_a_word_is_no_lag(service, reporter, caplog):
    """An event loop that is idle, or busy for a moment, does not lag."""
    async with reporter(suspended=lambda: 0.0) as opened, opened.track(*service.assign()):
        await anyio.sleep(20)
        block(0.5)
        await anyio.sleep(100)
        assert opened.statistics().worst_lag < 0.01
    assert not caplog.records
