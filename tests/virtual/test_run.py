"""`run`: work wrapped in a lease."""

from __future__ import annotations

import asyncio
import threading

import anyio
import anyio.to_thread
import pytest

import aiodp
from aiodp import LeaseLost, LeaseState, LostReason, TaskCanceled, current_task
from aiodp._reporter.task import record_of
from aiodp.testing import Fault, FaultKind
from virtual.kit import asyncio_only, block, trio_slow

pytestmark = pytest.mark.anyio


async def test_the_result_of_the_work(service, reporter):
    """A function with its arguments, or a coroutine: the result comes back."""

    async def work(a, b):
        await anyio.sleep(600)
        return a + b

    async with reporter() as opened:
        assert await opened.run(*service.assign(), work, 1, 2) == 3
        assert await opened.run(*service.assign(), work(3, 4)) == 7
        [task_id] = service.assign()
        assert await opened.run(task_id, work, 1, 2, fields={"step": "one"}) == 3
    assert service.task(task_id).fields["step"] == "one"


async def test_cancel_stops_the_work_and_lets_it_clean_up(service, reporter):
    """`run` raises TaskCanceled after the work's `finally`, which may await; no call follows."""
    [task_id] = service.assign()
    cleaned = []

    async def work():
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(5)
            cleaned.append(anyio.current_time())

    async with reporter() as opened, anyio.create_task_group() as group:

        async def cancel():
            await anyio.sleep(90)
            service.cancel(task_id)

        group.start_soon(cancel)
        with pytest.raises(TaskCanceled, match="no status needs to be set") as caught:
            await opened.run(task_id, work)
        assert caught.value.task_id == task_id
        assert cleaned == [anyio.current_time()]
        calls = service.calls.total()
        await anyio.sleep(3600)
        assert service.calls.total() == calls


@asyncio_only
async def test_on_asyncio_the_work_is_canceled_once(service, reporter):
    """A plain `finally: await ...` runs to its end, as asyncio's users expect."""
    [task_id] = service.assign()
    cleaned = []

    async def work():
        try:
            await asyncio.sleep(10_000)
        finally:
            await asyncio.sleep(7)
            await asyncio.sleep(7)
            cleaned.append(True)

    async with reporter() as opened:
        service.faults.add(Fault(kind=FaultKind.HANG, start=1.0))
        with pytest.raises(LeaseLost) as caught:
            await opened.run(task_id, work)
    assert caught.value.reason is LostReason.EXPIRED
    assert cleaned == [True]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


async def test_work_that_was_canceled_before_it_began_does_not_begin(service, reporter, recwarn):
    """A first answer of `canceled`: the work is never started, not even as a coroutine."""
    [task_id] = service.assign()
    service.cancel(task_id)
    begun = []

    async def work():
        begun.append(True)

    async with reporter() as opened:
        with pytest.raises(TaskCanceled):
            await opened.run(task_id, work)
        with pytest.raises(TaskCanceled):
            await opened.run(task_id, work())
        with pytest.raises(LeaseLost):
            await opened.run("unknown", work())
        with pytest.raises(ValueError, match="task_id"):
            await opened.run("", work())
    assert not begun
    assert not [warning for warning in recwarn if "never awaited" in str(warning.message)]


async def test_work_that_swallows_the_cancellation_gets_no_result_through(service, reporter):
    """A result that was made on somebody else's lease is not handed out."""
    [task_id] = service.assign()

    async def work():
        try:
            await anyio.sleep_forever()
        except anyio.get_cancelled_exc_class():
            return "a result"

    async with reporter() as opened:
        service.faults.add(Fault(kind=FaultKind.HANG, start=1.0))
        with pytest.raises(LeaseLost):
            await opened.run(task_id, work)


@pytest.mark.parametrize(
    "error", [ValueError("mine"), TimeoutError("mine"), ExceptionGroup("g", [OSError()])]
)
async def test_an_exception_of_the_work_comes_out_as_it_is(service, reporter, error):
    """Bare, and the very same object; the task may be run again."""

    async def work():
        await anyio.sleep(1)
        raise error

    [task_id] = service.assign()
    async with reporter() as opened:
        with pytest.raises(type(error)) as caught:
            await opened.run(task_id, work)
        assert caught.value is error
        assert opened.statistics().tracked == 0


@pytest.mark.parametrize("error", [ValueError("in cleaning up"), TimeoutError("in cleaning up")])
async def test_an_exception_of_the_cleaning_up_comes_out_too(service, reporter, error):
    """What the work raises after its cancellation is its own."""

    async def work():
        try:
            await anyio.sleep_forever()
        finally:
            raise error

    async with reporter() as opened:
        service.faults.add(Fault(kind=FaultKind.HANG, start=1.0))
        with pytest.raises(type(error)) as caught:
            await opened.run(*service.assign(), work)
        assert caught.value is error


async def test_what_is_no_work_is_refused(service, reporter):
    """TypeError, before anything is sent where that can be known."""

    async def work():
        pass

    def blocking():
        return 7

    async with reporter() as opened:
        with pytest.raises(TypeError, match="coroutine function"):
            await opened.run("task", 7)
        with pytest.raises(TypeError, match="no arguments"):
            await opened.run("task", work(), 1)
        with pytest.raises(TypeError):
            await opened.run("task", work, unknown_option=1)
        assert service.calls.total() == 0
        with pytest.raises(TypeError, match="run what blocks in a thread"):
            await opened.run(*service.assign(), blocking)
        assert opened.statistics().tracked == 0


async def test_the_current_task(service, reporter):
    """Inside the work and in the threads it starts; nowhere else."""
    [task_id] = service.assign()

    async def work():
        task = current_task()
        assert task.task_id == task_id
        assert await anyio.to_thread.run_sync(current_task) is task
        task.update(percentComplete=50)
        assert await task.report() is False

    async with reporter() as opened:
        # A thread is real time: the virtual clock would race on.
        with anyio.fail_after(1e9):
            await opened.run(task_id, work)
    assert service.task(task_id).fields["percentComplete"] == "50"
    with pytest.raises(LookupError, match="no current task"):
        current_task()


async def test_events_can_be_read_in_threads(service, reporter):
    """`is_set` and `raise_if_ended` work anywhere."""
    [task_id] = service.assign()
    service.cancel(task_id)
    seen = {}
    async with reporter() as opened, opened.track(task_id) as task:

        def look():
            seen["canceled"] = task.canceled.is_set()
            with pytest.raises(TaskCanceled):
                task.raise_if_ended()

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert seen == {"canceled": True}


async def test_a_thread_sees_a_lapse_that_the_blocked_loop_did_not(service, reporter):
    """The clock decides in threads as well, though they change nothing."""
    [task_id] = service.assign()
    seen = []
    async with reporter() as opened, opened.track(task_id) as task:
        block(289.9995)

        def look():
            seen.extend([task.lost.is_set(), task.ended.is_set(), task.lost_reason])
            with pytest.raises(LeaseLost):
                task.raise_if_ended()

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
        assert seen == [True, True, LostReason.EXPIRED]
        assert record_of(task).state is LeaseState.HELD


async def test_updates_from_many_threads(service, reporter):
    """None is lost, however the threads interleave."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        threads = [
            threading.Thread(target=task.update, args=({f"k{number}": number},))
            for number in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        await task.report()
    fields = service.task(task_id).fields
    assert {f"k{number}": str(number) for number in range(40)}.items() <= fields.items()


async def test_arguments_that_do_not_fit_are_refused_before_anything_is_sent(service, reporter):
    """The task is not even acknowledged, so somebody else gets it."""

    async def work(first, second): ...

    [task_id] = service.assign()
    async with reporter() as opened:
        with pytest.raises(TypeError, match=r"work\(first, second\) cannot be called with 1 arg"):
            await opened.run(task_id, work, 1)
    assert service.task(task_id).reports == 0


@trio_slow
async def test_many_at_once(service, reporter):
    """Three hundred pieces of work over one reporter, each with its own end."""
    results = {}
    canceled = set()

    async def work(number):
        await anyio.sleep(100 + number)
        return number

    async def work_on(opened, number, task_id):
        try:
            results[number] = await opened.run(task_id, work, number)
        except TaskCanceled:
            canceled.add(number)

    ids = service.assign(300)
    async with reporter() as opened, anyio.create_task_group() as group:
        for number, task_id in enumerate(ids):
            group.start_soon(work_on, opened, number, task_id)
        await anyio.sleep(60)
        for task_id in ids[100:150]:
            service.cancel(task_id)
    assert canceled == set(range(100, 150))
    assert results == {n: n for n in range(300) if n not in canceled}
    assert aiodp.AiodpError in LeaseLost.__mro__
