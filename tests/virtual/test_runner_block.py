"""TaskRunner as an async context manager: what its block starts, waits for and interrupts."""

from __future__ import annotations

import asyncio
import signal

import anyio
import pytest

from aiodp import ReporterClosed, ReportRejected, TaskRunner
from aiodp.testing import Fault, FaultKind
from virtual.kit import asyncio_only
from virtual.runner_kit import attempts, calls

pytestmark = pytest.mark.anyio


class OfTheBlockError(Exception):
    """What the block raises."""


async def work_long(_):
    await anyio.sleep(3600)


async def test_leaving_drains(kit, runner):
    """Tasks are done beside the block; the one in hand at its end is done, and no further one."""
    pipelines = [kit.activity(), kit.activity()]

    async def work(task):
        await anyio.sleep(600)

    one = runner(work, max_concurrency=1)
    async with one as entered:
        assert entered is one
        assert one._state == "running"
        await kit.finished(pipelines[:1])
        await kit.held(pipelines[1])
    kit.assert_finished(pipelines)
    assert (one._state, one.tasks) == ("closed", ())
    assert one.statistics().ended == {"FINISHED": 2}


async def test_a_block_that_does_nothing_ends(kit, runner):
    """Nothing is polled for."""
    async with runner(work_long):
        pass
    assert (kit.now, calls(kit, "PollForTask")) == (0, 0)


async def test_what_is_wrong_is_raised_at_the_start(kit, runner, client_runner):
    """The block is not entered: no region, no handler, a runner that was used before."""
    with pytest.raises(ReportRejected, match="no client for Data Pipeline could be made"):
        async with client_runner(work_long, region_name="no region"):
            raise AssertionError
    with pytest.raises(ValueError, match="give the runner a handler"):
        async with runner():
            raise AssertionError
    one = runner(work_long)
    async with one:
        with pytest.raises(ReporterClosed, match="is running, and can be run once"):
            await one.run()
    with pytest.raises(ReporterClosed, match="is closed, and can be run once"):
        async with one:
            raise AssertionError


@pytest.mark.parametrize("error", [OfTheBlockError(), ExceptionGroup("two", [OfTheBlockError()])])
async def test_an_exception_of_the_block_interrupts_the_tasks(kit, runner, error):
    """They clean up, and are FAILED; then the exception comes out as it is."""
    pipeline = kit.activity(maximumRetries="0")
    ends = []
    begun = anyio.Event()

    async def work(task):
        begun.set()
        try:
            await anyio.sleep(3600)
        finally:
            ends.append("interrupted")

    async def block():
        async with runner(work):
            await begun.wait()
            raise error

    with pytest.raises(type(error)) as caught:
        await block()
    assert caught.value is error
    assert ends == ["interrupted"]
    assert attempts(kit, pipeline)[0]["errorId"] == "RunnerStopped"
    assert kit.now < 60


async def test_a_cancellation_of_the_block_interrupts_the_tasks(kit, runner):
    """As it does with `run`."""
    pipeline = kit.activity()
    with anyio.CancelScope() as scope:
        async with runner(work_long):
            await kit.held(pipeline)
            scope.cancel()
            await anyio.sleep(3600)
    assert scope.cancelled_caught
    assert attempts(kit, pipeline)[0]["errorId"] == "RunnerStopped"


async def test_a_cancellation_of_the_drain_interrupts_the_tasks(kit, runner):
    """Whoever waits for the end of the block has had enough."""
    pipeline = kit.activity()
    with anyio.move_on_after(100):
        async with runner(work_long):
            await kit.held(pipeline)
    assert kit.now == pytest.approx(100, abs=2)
    assert attempts(kit, pipeline)[0]["errorId"] == "RunnerStopped"


async def test_a_runner_that_is_told_to_terminate_interrupts_the_block(kit, runner):
    """The block may clean up; the tasks are done, and the program goes on after it."""
    pipeline = kit.activity()
    ends = []

    async def work(task):
        await anyio.sleep(1200)

    async with runner(work, taskrunner_id="mine"):
        await kit.held(pipeline)
        kit.terminate("mine")
        try:
            await anyio.sleep_forever()
        finally:
            ends.append(kit.now)
    assert ends[0] == pytest.approx(900, abs=5)
    assert kit.now == pytest.approx(1200, abs=5)
    kit.assert_finished(pipeline)


@asyncio_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_during_the_start_interrupts_the_block(kit, runner, number):
    """The runner has ended by itself before the block begins, which would wait for ever."""
    kit.faults.add(Fault(kind=FaultKind.HANG, actions=frozenset({"ReportTaskRunnerHeartbeat"})))
    loop = asyncio.get_running_loop()
    loop.call_later(1, signal.raise_signal, number)
    one = runner(work_long)
    ends = []
    async with one:
        try:
            await anyio.sleep(1000)
        finally:
            ends.append(kit.now)
    assert ends == [1]
    assert one._state == "closed"


@pytest.mark.parametrize(("in_block", "end"), [(False, 1000), (True, 1100)])
async def test_a_cancellation_after_the_runner_has_ended_by_itself_interrupts(
    kit, runner, in_block, end
):
    """Whoever gives a drain so much time is not made to wait for its end; nor one's clean-up."""
    pipeline = kit.activity(maximumRetries="0")

    async def work(_):
        kit.terminate("mine")
        await anyio.sleep(36_000)

    one = runner(work, taskrunner_id="mine")

    async def block():
        async with one:
            try:
                await anyio.sleep_forever()
            finally:
                with anyio.move_on_after(200, shield=True):  # its clean-up
                    await anyio.sleep_forever()

    with anyio.move_on_after(1000):
        await (block() if in_block else one.run())
    assert kit.now == pytest.approx(end, abs=5)
    assert attempts(kit, pipeline)[0]["errorId"] == "RunnerStopped"


@pytest.mark.parametrize("end", [TaskRunner.stop, TaskRunner.cancel])
async def test_a_stop_of_the_programs_own_leaves_the_block_alone(kit, runner, end):
    """It was not the runner's doing, so the program knows when to leave."""
    one = runner(work_long)
    async with one:
        await kit.until(lambda: one.statistics().polling)
        end(one)
        await anyio.sleep(1000)
    assert kit.now == pytest.approx(1000, abs=5)
    assert one._state == "closed"


async def test_a_crash_of_the_reporter_ends_the_block(kit, runner):
    """Without it no task can be held, so the block is interrupted, and the reason is raised."""
    one = runner(work_long)

    def crash(*_):
        raise RuntimeError("a bug")

    async def block():
        async with one:
            one._reporter._engine.schedule.next_lease = crash
            kit.activity()
            await anyio.sleep_forever()

    with pytest.raises(ReporterClosed, match="crashed") as caught:
        await block()
    assert str(caught.value.__cause__) == "a bug"


@asyncio_only
async def test_a_block_that_is_left_in_another_task_says_so(runner):
    """As fixtures of pytest-asyncio do; what it began is ended all the same."""
    one = runner(work_long)
    before = asyncio.all_tasks()
    await asyncio.create_task(one.__aenter__())
    with pytest.raises(RuntimeError, match="the task runner is left in another task"):
        await asyncio.create_task(one.__aexit__(None, None, None))
    assert one._state == "closed"
    assert asyncio.all_tasks() == before
