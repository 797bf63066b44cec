"""Cancellation from outside: heartbeats are the last to stop, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import weakref

import anyio
import anyio.lowlevel
import pytest
from aiobotocore.session import get_session

from aiodp import (
    AiodpError,
    LeaseState,
    LostReason,
    ProgressReporter,
    TaskCanceled,
    TaskStatus,
)
from aiodp._core.lease import Lease
from aiodp.testing import Fault, FaultKind, MemoryService, VirtualTimeLoop
from virtual.kit import asyncio_only

pytestmark = pytest.mark.anyio


async def test_heartbeats_go_on_while_a_canceled_body_cleans_up(service, reporter):
    """Ten minutes of cleaning up after a cancellation from outside are ten minutes of reports."""
    [task_id] = service.assign()
    kept = []
    with anyio.CancelScope() as scope:
        async with reporter() as opened, opened.track(task_id) as task:
            await anyio.sleep(30)
            try:
                scope.cancel()
                await anyio.sleep_forever()
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(600)
                kept.append((task.state, task.reports))
    assert kept == [(LeaseState.HELD, 11)]
    assert service.calls["ReportTaskProgress", "ok"] == 11


@asyncio_only
async def test_heartbeats_go_on_through_a_native_cancellation(service, reporter):
    """The same for asyncio's own `Task.cancel`, with a plain `finally: await`."""
    [task_id] = service.assign()
    kept = []

    async def worker():
        async with reporter() as opened, opened.track(task_id) as task:
            try:
                await asyncio.sleep(10_000)
            finally:
                await asyncio.sleep(600)
                kept.append((task.state, task.reports))

    running = asyncio.get_running_loop().create_task(worker())
    await anyio.sleep(30)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert kept == [(LeaseState.HELD, 11)]


@asyncio_only
async def test_a_loop_that_is_canceled_alone_ends_with_the_last_tracked_task(service, reporter):
    """It goes on until then, and does not wait for the next report, which nobody needs."""
    async with reporter() as opened:
        async with opened.track(*service.assign()) as task:
            [loop] = [one for one in asyncio.all_tasks() if one.get_name() == "aiodp reporter"]
            loop.cancel()
            await anyio.sleep(100)
            assert task.reports == 2
        await anyio.sleep(1)
        assert loop.done()


async def test_heartbeats_go_on_through_the_reporters_own_exit(service, reporter):
    """Leaving the reporter waits for tasks that are tracked elsewhere, and holds them meanwhile."""
    tasks = []

    async def worker(opened, task_id):
        async with opened.track(task_id) as task:
            tasks.append(task)
            await anyio.sleep(2000)
            tasks.append((task.state, task.reports))

    async with anyio.create_task_group() as group:
        async with reporter() as opened:
            group.start_soon(worker, opened, *service.assign())
            await anyio.sleep(100)
        assert anyio.current_time() == pytest.approx(2000)
    assert tasks[1] == (LeaseState.HELD, 34)


async def test_the_wait_for_others_is_bounded_once_it_is_canceled(service, reporter):
    """Canceled, the reporter's exit gives them fifteen minutes, and then says that it is closed."""
    reasons = []

    async def worker(opened, task_id):
        async with opened.track(task_id) as task:
            await task.lost.wait()
            reasons.append((task.lost_reason, anyio.current_time()))

    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as scope:
            async with reporter() as opened:
                group.start_soon(worker, opened, *service.assign())
                await anyio.sleep(100)
                scope.cancel()
                await anyio.sleep_forever()
        assert anyio.current_time() == pytest.approx(1000)
    assert reasons == [(LostReason.REPORTER_CLOSED, 1000.0)]


@asyncio_only
async def test_the_wait_is_bounded_for_a_native_cancellation_too(service, reporter):
    """`Task.cancel` is heard once; the exit must not wait for ever after it."""
    reasons = []

    async def worker(opened, task_id):
        async with opened.track(task_id) as task:
            await task.lost.wait()
            reasons.append(task.lost_reason)

    async def owner():
        async with reporter() as opened:
            group.start_soon(worker, opened, *service.assign())
            await anyio.sleep_forever()

    async with anyio.create_task_group() as group:
        running = asyncio.get_running_loop().create_task(owner())
        await anyio.sleep(100)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert anyio.current_time() == pytest.approx(1000)
    assert reasons == [LostReason.REPORTER_CLOSED]


def test_heartbeats_go_on_while_an_event_loop_ends():
    """`asyncio.run` cancels all tasks at once; reports go on until the bodies have cleaned up."""
    kept = []

    async def worker():
        service = MemoryService()
        session = service.attach(get_session())
        async with ProgressReporter(session) as opened, opened.track(*service.assign()) as task:
            try:
                await asyncio.sleep(10_000)
            finally:
                await asyncio.sleep(600)
                kept.append((task.state, task.reports))

    async def main():
        running = asyncio.get_running_loop().create_task(worker())
        await asyncio.sleep(30)
        assert not running.done()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())
    assert kept == [(LeaseState.HELD, 11)]


def test_a_reporter_that_nobody_leaves_does_not_keep_its_loop_from_ending():
    """Entered by hand and forgotten, with nothing tracked: the loop ends at once."""

    async def main():
        session = MemoryService().attach(get_session())
        await ProgressReporter(session).__aenter__()

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        runner.run(main())


@asyncio_only
async def test_a_report_that_is_canceled_by_what_it_awaits(service, client_reporter, session):
    """A credential refresh that is shared and canceled elsewhere costs one try, not the lease."""
    cancel_next: list[bool] = []

    async def refresh(**_):
        if cancel_next:
            cancel_next.pop()
            raise anyio.get_cancelled_exc_class()("elsewhere")

    session.register("before-sign.data-pipeline", refresh)
    async with client_reporter() as opened, opened.track(*service.assign()) as task:
        await anyio.sleep(30)
        cancel_next.append(True)
        await anyio.sleep(600)
        assert task.state is LeaseState.HELD
        assert dict(opened.statistics().failed) == {"unexpected": 1}
        cancel_next.append(True)
        await task.set_status(TaskStatus.FINISHED)
        assert not cancel_next


async def test_a_reporter_that_is_left_with_an_exception_holds_on_too(service, reporter):
    """The exception comes out after the tasks that others track have ended."""

    async def worker(opened, task_id):
        async with opened.track(task_id) as task:
            await anyio.sleep(500)
            assert task.state is LeaseState.HELD

    async with anyio.create_task_group() as group:
        with pytest.raises(ValueError, match="mine"):  # noqa: PT012
            async with reporter() as opened:
                group.start_soon(worker, opened, *service.assign())
                await anyio.sleep(10)
                raise ValueError("mine")
        assert anyio.current_time() == pytest.approx(500)


async def story(service, opened, task_id, *, slow=True):
    """Every call that a user can wait in; without `slow`, in no time at all."""

    async def work():
        await (anyio.sleep(1) if slow else anyio.lowlevel.checkpoint())

    async with opened.track(task_id) as task:
        task.update(a=1)
        await task.report()
        await opened.run(task_id, work)
        if slow:
            service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, count=1))
        await task.set_status(TaskStatus.FINISHED)


def leftovers():
    """What asyncio would still run."""
    try:
        return [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    except RuntimeError:
        return []


@pytest.mark.parametrize("latency", [0.0, 0.4])
async def test_cancel_at_every_await(service, client_reporter, latency):
    """Wherever track, run, report and set_status are canceled, nothing is left behind."""
    finished = 0
    async with client_reporter() as opened:
        before = len(leftovers())
        for step in range(80):
            service.latency = latency
            [task_id] = service.assign()
            with anyio.CancelScope() as scope:

                async def cancel(scope=scope, step=step):
                    if latency:
                        await anyio.sleep(step * 0.1)
                    for _ in range(0 if latency else step):
                        await anyio.lowlevel.checkpoint()
                    scope.cancel()

                async with anyio.create_task_group() as group:
                    group.start_soon(cancel)
                    try:
                        await story(service, opened, task_id, slow=bool(latency))
                        finished += 1
                    except AiodpError:
                        pytest.fail("a cancellation must not come out as something else")
            assert opened.statistics().tracked == 0
            calls = service.calls.total()
            await anyio.sleep(100)
            assert service.calls.total() == calls
            assert opened.statistics().in_flight == 0
            service.faults.clear()
            assert len(leftovers()) == before
    assert 0 < finished < 80, "the range of steps must reach from the first await to the last"


@asyncio_only
@pytest.mark.parametrize("tenths", range(0, 60, 2))
async def test_native_cancel_at_every_time(service, client_reporter, tenths):
    """The same for `Task.cancel`, which shields do not stop."""
    service.latency = 0.4
    [task_id] = service.assign()
    before = len(leftovers())

    async def worker():
        async with client_reporter() as opened:
            await story(service, opened, task_id)

    running = asyncio.get_running_loop().create_task(worker())
    await anyio.sleep(tenths / 10)
    running.cancel()
    try:
        await running
    except asyncio.CancelledError:
        assert running.cancelled()
    assert len(leftovers()) == before
    calls = service.calls.total()
    await anyio.sleep(1000)
    assert service.calls.total() == calls


async def test_nothing_refers_to_a_task_that_was_left(service, reporter):
    """A reporter that runs for months does not grow."""

    async def once(opened, task_id):
        async with opened.track(task_id, fields={"a": 1}) as task:
            await task.report()

    def leases():
        gc.collect()
        return [thing for thing in gc.get_objects() if isinstance(thing, Lease)]

    of_other_tests = leases()
    async with reporter() as opened:
        for task_id in service.assign(50):
            await once(opened, task_id)
        await anyio.sleep(1)
        assert len(leases()) <= len(of_other_tests) + 1  # the engine may still name the last one


async def test_an_error_that_was_handled_is_gone_at_once(service, reporter):
    """Its traceback keeps the frames of the work; none of ours may keep the error in turn."""
    [task_id] = service.assign()
    service.cancel(task_id)
    gc.disable()
    try:
        async with reporter() as opened, opened.track(task_id) as task:
            try:
                task.raise_if_ended()
            except TaskCanceled as error:
                raised = weakref.ref(error)
            assert raised() is None
    finally:
        gc.enable()
