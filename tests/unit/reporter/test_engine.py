"""The loop that keeps all leases, in virtual time, over calls made by hand."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest

from aiodp import LeaseLost, LostReason, Quota, ReporterClosed, TaskStatus
from aiodp._reporter.clock import LeaseClock
from aiodp._reporter.engine import Engine
from aiodp._reporter.running import running
from aiodp._types import Outcome, ReportKind
from aiodp.testing import VIRTUAL_TIME, Fault, FaultKind
from unit.reporter.kit import TIMING
from virtual.fake_transport import FakeReporter
from virtual.kit import block

pytestmark = pytest.mark.anyio

OK = Outcome(kind=ReportKind.OK)


@pytest.fixture
def anyio_backend():
    """Asyncio on a clock that jumps."""
    return VIRTUAL_TIME


class Calls:
    """Reports that take so many seconds, and can or cannot be broken off."""

    def __init__(self):
        self.seconds = 0.0
        self.can_be_broken_off = True
        self.error: BaseException | None = None
        self.sent = 0

    async def report(self, *_):
        """Report."""
        self.sent += 1
        with anyio.CancelScope(shield=not self.can_be_broken_off):
            await anyio.sleep(self.seconds)
        if self.error is not None:
            raise self.error
        return OK


@pytest.fixture
def calls():
    """Those of the engine."""
    return Calls()


@pytest.fixture
async def engine(calls):
    """One without a quota, that does not run."""
    return Engine(
        calls,
        TIMING,
        None,
        clock=LeaseClock(),
        jitter=lambda: 1.0,
        max_in_flight=10,
        region_name=None,
    )


def new_record(engine, task_id="task"):
    """Return what is kept of a task that was assigned just now."""
    return engine.new_record(task_id, TIMING, anyio.current_time(), None)


@asynccontextmanager
async def tracked_elsewhere(engine):
    """Keep a task, of which nobody sees what becomes of it, until the end of the block."""
    record = new_record(engine)
    await engine.acquire(record)
    try:
        yield record
    finally:
        await engine.release(record)


async def test_to_stop_the_engine_ends_the_wait_for_tasks(engine):
    """Those that are tracked are lost, and nobody waits for the next report."""
    async with running(engine):
        record = new_record(engine)
        await engine.acquire(record)
        async with anyio.create_task_group() as group:
            group.start_soon(engine.wait_idle)
            await anyio.wait_all_tasks_blocked()
            engine.stop()
        await anyio.lowlevel.checkpoint()
    assert anyio.current_time() == 0.0
    assert record.lost_reason is LostReason.REPORTER_CLOSED


async def test_an_engine_that_is_stopped_takes_no_task(engine):
    """Nor waits for an answer."""
    async with running(engine):
        engine.stop()
        with pytest.raises(ReporterClosed, match="is closed"):
            await engine.acquire(new_record(engine))
    assert engine.tracked == 0


async def test_an_engine_whose_event_loop_ends_takes_no_task(engine):
    """Which has canceled all tasks of it, this one among them."""
    async with running(engine), tracked_elsewhere(engine):
        [loop] = [one for one in asyncio.all_tasks() if one.get_name() == "aiodp reporter"]
        loop.cancel()
        await anyio.sleep(1)
        with pytest.raises(ReporterClosed, match="its event loop is ending"):
            await engine.acquire(new_record(engine, "another"))
        assert engine.tracked == 1


async def test_a_crash_ends_the_wait_for_tasks(engine, calls, caplog):
    """Those who track them may never look; the log says what became of each."""
    async with running(engine):
        record = new_record(engine)
        await engine.acquire(record)
        calls.error = ZeroDivisionError()
        async with anyio.create_task_group() as group:
            group.start_soon(engine.wait_idle)
        assert record.lost_reason is LostReason.REPORTER_FAILED
        assert "task task ended: reporter failed" in caplog.messages
        await engine.wait_idle()
    assert engine.tracked == 1


class StoppedClock(LeaseClock):
    """A clock of a process that may be stopped right after it has been read."""

    stopped = 0.0  # seconds

    def now(self):
        """Return the time before that."""
        now = super().now()
        if self.stopped:
            block(self.stopped)
            self.stopped = 0.0
        return now


async def test_a_stop_between_two_sleeps_of_the_engine_is_told(engine, caplog):
    """With what it cost: the process may be stopped wherever it is."""
    engine.clock.__class__ = StoppedClock
    async with running(engine), tracked_elsewhere(engine):
        engine.clock.stopped = 300.0
        await anyio.sleep(400)
    told = "the event loop was blocked for 300.0 s, or the process was stopped"
    assert [message for message in caplog.messages if message.startswith(told)] == [
        f"{told}: heartbeats were late, 1 lease was lost"
    ]


async def test_who_waits_for_tasks_waits_for_the_last_one(engine):
    """A report or an end between does not end that."""
    async with running(engine), anyio.create_task_group() as group:
        records = [new_record(engine, task_id) for task_id in ("a", "b")]
        for record in records:
            await engine.acquire(record)

        async def leave():
            for record in records:
                await anyio.sleep(200)
                await engine.release(record)

        group.start_soon(leave)
        await engine.wait_idle()
        assert anyio.current_time() == 400.0


async def test_a_forked_child_keeps_no_lease(engine, calls, monkeypatch):
    """The parent does; a child that runs the same event loop reports nothing."""
    process = os.getpid()
    async with running(engine), tracked_elsewhere(engine):
        await anyio.sleep(100)
        sent = calls.sent
        with monkeypatch.context() as forked:
            forked.setattr(os, "getpid", lambda: process + 1)
            await anyio.sleep(1000)
        assert calls.sent == sent


async def test_a_cancellation_while_a_task_is_acknowledged_comes_out(engine, calls):
    """One that comes once, as by `Task.cancel`; the task is forgotten when that was answered."""
    calls.seconds = 2.0
    async with running(engine):
        task = asyncio.create_task(engine.acquire(new_record(engine)))
        await anyio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert anyio.current_time() == 2.0
        assert engine.tracked == 0


async def test_leaving_a_task_waits_for_its_report_although_it_is_canceled(engine, calls):
    """No report is sent once somebody else may have the task."""
    async with running(engine):
        record = new_record(engine)
        await engine.acquire(record)
        calls.seconds = 9.0
        engine.make_due(record)
        await anyio.sleep(1)
        assert record.in_flight
        with anyio.CancelScope() as scope:
            scope.cancel()
            await engine.release(record)
        assert not record.in_flight
        assert anyio.current_time() == 9.0


async def test_leaving_a_task_waits_for_its_report_as_long_as_it_may_take(engine, calls):
    """And no longer for one that cannot be broken off."""
    calls.can_be_broken_off = False
    async with running(engine):
        for seconds, ended_after in ((9.5, 9.5), (100.0, 11.0)):
            calls.seconds = 0.0
            record = new_record(engine)
            await engine.acquire(record)
            calls.seconds = seconds
            engine.make_due(record)
            await anyio.lowlevel.checkpoint()
            began = anyio.current_time()
            await engine.release(record)
            assert anyio.current_time() - began == ended_after


async def test_who_waits_for_a_report_is_told_when_the_task_is_left(service):
    """At once, though the next try is not due."""
    async with FakeReporter(service) as reporter, anyio.create_task_group() as group:
        tracking = reporter.track(*service.assign())
        task = await tracking.__aenter__()
        service.faults.add(Fault(kind=FaultKind.RESET))
        told_at = []

        async def report():
            with pytest.raises(ReporterClosed, match="is not tracked any more"):
                await task.report()
            told_at.append(anyio.current_time())

        group.start_soon(report)
        await anyio.sleep(20)
        await tracking.__aexit__(None, None, None)
        left_at = anyio.current_time()
    assert told_at == [left_at]


async def test_who_sets_a_status_is_told_when_the_task_is_left(service):
    """At once, though its lease was over before and the next try is not due."""
    async with FakeReporter(service) as reporter, anyio.create_task_group() as group:
        tracking = reporter.track(*service.assign())
        task = await tracking.__aenter__()
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR))
        block(295)
        told_at = []

        async def set_status():
            with pytest.raises(LeaseLost, match="expired"):
                await task.set_status(TaskStatus.FINISHED)
            told_at.append(anyio.current_time())

        group.start_soon(set_status)
        await anyio.sleep(20.5)
        await tracking.__aexit__(None, None, None)
        left_at = anyio.current_time()
    assert told_at == [left_at]


async def test_what_becomes_of_a_task_is_logged_before_it_is_raised(service, caplog):
    """Whoever notices it: the one who tracks it, who sets its status, or who looks."""
    first, second, third = service.assign(3)
    small = Quota(rate=0.01, burst=1)
    async with FakeReporter(service, quota=small) as reporter, reporter.track(first):
        with pytest.raises(LeaseLost, match="overloaded"):
            async with reporter.track(second, interval=5, lease_timeout=20):
                pytest.fail("the body must not begin")
        assert "more tasks than the quota can keep alive" in caplog.text
    async with FakeReporter(service) as reporter, reporter.track(third) as task:
        service.give_away(third)
        service.faults.add(Fault(kind=FaultKind.HANG, actions=frozenset({"ReportTaskProgress"})))
        with pytest.raises(LeaseLost, match="refused"):
            await task.set_status(TaskStatus.FINISHED)
        assert [text for text in caplog.messages if "ended: refused" in text]
    service.faults.clear()
    caplog.clear()
    async with FakeReporter(service) as reporter, reporter.track(*service.assign()) as task:
        block(300)
        assert task.lost.is_set()
        assert [text for text in caplog.messages if "ended: expired" in text]


async def test_each_block_of_the_loop_is_told_with_what_it_cost(service, caplog):
    """Not with what others have cost before."""
    async with FakeReporter(service) as reporter:
        for count in (2, 1):
            async with anyio.create_task_group() as group:

                async def lose(task_id):
                    async with reporter.track(task_id) as task:
                        await task.lost.wait()

                for task_id in service.assign(count):
                    group.start_soon(lose, task_id)
                await anyio.sleep(30)
                block(289)
    told = [text.rpartition(", ")[2] for text in caplog.messages if "was blocked" in text]
    assert told == ["2 leases were lost", "1 lease was lost"]
