"""What shows only after hours, or in the logs."""

from __future__ import annotations

import logging

import anyio
import pytest

from aiodp import LeaseState
from aiodp.testing import Fault, FaultKind
from virtual.kit import trio_slow

pytestmark = pytest.mark.anyio


@trio_slow
async def test_logs_tell_changes_not_repetitions(service, reporter, caplog):
    """Four minutes without a server, a hundred tasks: a line at each end, not a thousand."""
    caplog.set_level(logging.INFO, logger="aiodp")
    async with reporter() as opened, anyio.create_task_group() as group:

        async def hold(task_id):
            async with opened.track(task_id):
                await anyio.sleep(700)

        for task_id in service.assign(100):
            group.start_soon(hold, task_id)
        await anyio.sleep(100)
        service.faults.add(Fault(kind=FaultKind.RESET, duration=220))
        await anyio.sleep(600)
    assert opened.statistics().failed["connection"] > 500
    messages = [record.getMessage() for record in caplog.records if record.name == "aiodp"]
    failing, recovery = messages
    assert failing.startswith("reports fail (connection): ")
    assert recovery == "reports succeed again"


async def test_logs_shorten_task_ids_and_name_no_credentials(
    service, client_reporter, session, caplog
):
    """Neither whole task ids, of a thousand characters, nor secrets are in the log."""
    caplog.set_level(logging.DEBUG, logger="aiodp")
    session.set_credentials("AKIDEXAMPLE", "a-secret-key", "a-session-token")
    [task_id] = service.assign()
    async with client_reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.EXPIRED_TOKEN))
        await task.lost.wait()
    for record in caplog.records:
        if record.name == "aiodp":
            text = record.getMessage() + str(vars(record))
            assert task_id not in text
            assert "a-secret-key" not in text
            assert "a-session-token" not in text
    assert "expired" in caplog.text


async def test_hung_work_can_be_capped_by_its_user(service, reporter):
    """A heartbeat proves that the process lives, not the work: put a timeout around it."""
    [task_id] = service.assign()
    async with reporter() as opened:
        with anyio.move_on_after(3599):
            await opened.run(task_id, anyio.sleep_forever)
        calls = service.calls.total()
        assert calls == 60
        await anyio.sleep(3600)
        assert service.calls.total() == calls


async def test_three_failures_in_a_row_are_no_reason_to_give_up(service, reporter):
    """With 75 s of the lease left, a healthy task is not given up."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, count=12))
        await anyio.sleep(1000)
        assert task.state is LeaseState.HELD
        assert opened.statistics().failed["server_error"] == 12


@trio_slow
async def test_a_day(service, reporter):
    """A day of one task is 1,440 reports, and no drift."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await anyio.sleep(24 * 3600 - 1)
        assert task.reports == 1440
        assert opened.statistics().worst_lag < 0.01
