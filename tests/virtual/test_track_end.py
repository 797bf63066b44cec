"""Blocks of `track` whose task ends under them: interrupted, or left with a warning."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import suppress

import anyio
import anyio.to_thread
import pytest

from aiodp import (
    LeaseLost,
    LeaseState,
    LostReason,
    ReporterClosed,
    StatusNotSet,
    TaskCanceled,
    TaskStatus,
)
from aiodp.testing import Fault, FaultKind
from virtual.kit import asyncio_only
from virtual.runner_kit import running

pytestmark = pytest.mark.anyio


def ran_on(caplog):
    """Return the warnings about work that ran on."""
    return [record for record in caplog.records if "ran on" in record.getMessage()]


# `interrupt=True`


async def test_a_cancel_interrupts_the_block_and_is_raised_from_it(service, reporter, caplog):
    """The block is canceled at the next heartbeat, cleans up while kept alive, and raises."""
    [task_id] = service.assign()
    cleaned = []

    async def work(task):
        assert task.state is LeaseState.HELD
        service.cancel(task_id)
        try:
            await anyio.sleep(10_000)
        finally:
            cleaned.append(anyio.current_time())

    async with reporter() as opened:
        with pytest.raises(TaskCanceled) as caught:
            async with opened.track(task_id, interrupt=True) as task:
                await work(task)
        assert caught.value.task_id == task_id
        assert opened.statistics().tracked == 0
    assert cleaned[0] <= 60
    assert not ran_on(caplog)


async def test_a_lost_lease_interrupts_the_block(service, reporter):
    """Before its deadline, with the reason."""
    service.faults.add(Fault(kind=FaultKind.HANG, start=1.0))
    async with reporter() as opened:
        with pytest.raises(LeaseLost) as caught:
            async with opened.track(*service.assign(), interrupt=True):
                await anyio.sleep(10_000)
    assert caught.value.reason is LostReason.EXPIRED
    assert anyio.current_time() <= 300


@asyncio_only
async def test_on_asyncio_the_block_is_canceled_once(service, reporter):
    """As by `asyncio.timeout`: a plain `finally: await` runs, and the task is not left canceled."""
    [task_id] = service.assign()
    cleaned = []

    async def work():
        service.cancel(task_id)
        try:
            await asyncio.sleep(10_000)
        finally:
            await asyncio.sleep(7)
            cleaned.append(True)

    async with reporter() as opened:
        with pytest.raises(TaskCanceled):
            async with opened.track(task_id, interrupt=True):
                await work()
    assert cleaned == [True]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_a_task_that_is_canceled_from_the_start_does_not_begin(service, reporter):
    """Entering raises."""
    [task_id] = service.assign()
    service.cancel(task_id)
    async with reporter() as opened:
        with pytest.raises(TaskCanceled):
            async with opened.track(task_id, interrupt=True):
                pytest.fail("the block must not begin")
        assert opened.statistics().tracked == 0


@pytest.mark.parametrize("error", [ValueError("mine"), TimeoutError("mine")])
@pytest.mark.parametrize("cleaning_up", [False, True])
async def test_an_exception_of_an_interrupting_block_comes_out_as_it_is(
    service, reporter, error, cleaning_up
):
    """Also one of its clean-up."""
    [task_id] = service.assign()

    async def work():
        if cleaning_up:
            service.cancel(task_id)
            with suppress(anyio.get_cancelled_exc_class()):
                await anyio.sleep(10_000)
        raise error

    async with reporter() as opened:
        with pytest.raises(type(error)) as caught:
            async with opened.track(task_id, interrupt=True):
                await work()
    assert caught.value is error


async def test_an_interrupting_block_that_ends_in_time(service, reporter):
    """Nothing is raised, also when it has set its status; entered twice, it says so."""
    [task_id] = service.assign()
    async with reporter() as opened:
        block = opened.track(task_id, interrupt=True, fields={"a": 1})
        async with block as task:
            await task.set_status(TaskStatus.FINISHED)
        with pytest.raises(ReporterClosed, match="entered before"):
            async with block:
                pytest.fail("it was entered before")
    assert service.task(task_id).fields["a"]


async def test_a_cancellation_from_outside_is_not_taken_for_the_end_of_the_task(service, reporter):
    """It goes on as what it is."""
    async with reporter() as opened:
        with anyio.move_on_after(5) as scope:
            async with opened.track(*service.assign(), interrupt=True):
                await anyio.sleep(10_000)
    assert scope.cancelled_caught


# The warning


@pytest.mark.parametrize("lost", [False, True])
async def test_work_that_ran_on_is_one_warning(service, reporter, caplog, lost):
    """Nobody looked, the work went on to its own end: once, at WARNING, with what to do."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id):
        if lost:
            service.faults.add(Fault(kind=FaultKind.HANG, start=1.0))
        else:
            service.cancel(task_id)
        await anyio.sleep(3600)
    [record] = ran_on(caplog)
    assert record.levelno == logging.WARNING
    message = record.getMessage()
    assert "was lost (expired)" in message if lost else "was canceled" in message
    assert "interrupt=True" in message


async def test_work_that_fails_after_its_task_has_ended_ran_on_as_well(service, reporter, caplog):
    """An exception of the block says nothing about the task."""
    [task_id] = service.assign()

    async def work():
        service.cancel(task_id)
        await anyio.sleep(100)
        raise ValueError("mine")

    async with reporter() as opened:
        with pytest.raises(ValueError, match="mine"):
            async with opened.track(task_id):
                await work()
    assert len(ran_on(caplog)) == 1


LOOKS = {
    "is_set": lambda task: task.canceled.is_set(),
    "ended": lambda task: task.ended.is_set(),
    "state": lambda task: task.state,
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
async def test_who_has_read_it_is_not_warned(service, reporter, caplog, look):
    """Reading an event as set, or the state after the end, is looking."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.cancel(task_id)
        await anyio.sleep(100)
        look(task)
    assert not ran_on(caplog)


@pytest.mark.parametrize("call", ["wait", "raise", "report", "status", "thread"])
async def test_who_was_told_is_not_warned(service, reporter, caplog, call):
    """Nor is who has waited for it, or called what raises or returns it."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.cancel(task_id)
        if call == "wait":
            await task.canceled.wait()
        await anyio.sleep(100)
        if call == "report":
            assert await task.report()
        with suppress(TaskCanceled):
            if call == "raise":
                task.raise_if_ended()
            if call == "status":
                await task.set_status(TaskStatus.FINISHED)
            if call == "thread":
                await anyio.to_thread.run_sync(task.raise_if_ended)
    assert not ran_on(caplog)


async def test_who_looked_before_the_end_only_is_warned(service, reporter, caplog):
    """What was read before says nothing, and `lost` is not what has happened to this task."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        assert not task.ended.is_set()
        service.cancel(task_id)
        await anyio.sleep(100)
        assert not task.lost.is_set()
    assert len(ran_on(caplog)) == 1


async def test_a_status_that_was_accepted_is_the_end_that_counts(service, reporter, caplog):
    """Also one that the service took after the lease had run out here."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.HANG, start=1.0, duration=291.0))
        await anyio.sleep(295)
        await task.set_status(TaskStatus.FINISHED)
    assert not ran_on(caplog)


async def test_a_status_that_could_not_be_set_has_said_it(service, reporter, caplog):
    """Its error told of the end; the work was done before."""
    async with reporter() as opened, opened.track(*service.assign()) as task:
        service.faults.add(Fault(kind=FaultKind.HANG, start=0.0))
        with pytest.raises(StatusNotSet, match="12 hours"):
            await task.set_status(TaskStatus.FINISHED)
    assert not ran_on(caplog)


@pytest.mark.parametrize("in_thread", [False, True])
async def test_the_tasks_of_a_runner_are_looked_at(kit, runner, caplog, in_thread):
    """Whatever its handlers do."""
    pipeline = kit.activity()
    go_on = threading.Event()

    async def handler(_task):
        with suppress(anyio.get_cancelled_exc_class()):
            await anyio.sleep(10_000)

    async with running(runner((lambda _task: go_on.wait() and None) if in_thread else handler)):
        held = await kit.held(pipeline)
        kit.cancel(held.task_id)
        await anyio.sleep(100)
        go_on.set()
    assert not ran_on(caplog)


async def test_the_work_of_run_is_interrupted_and_not_warned_of(service, reporter, caplog):
    """Also if it swallows that."""
    [task_id] = service.assign()

    async def work():
        service.cancel(task_id)
        with suppress(anyio.get_cancelled_exc_class()):
            await anyio.sleep(10_000)

    async with reporter() as opened:
        with pytest.raises(TaskCanceled):
            await opened.run(task_id, work)
    assert not ran_on(caplog)
