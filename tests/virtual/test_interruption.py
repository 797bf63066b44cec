"""An interruption that is heard: work that swallows it is told again; clean-up is left alone."""

from __future__ import annotations

import asyncio
import sys
import threading
from contextlib import suppress

import anyio
import pytest

from aiodp import LeaseLost, TaskCanceled
from aiodp.testing import Fault, FaultKind
from virtual.kit import asyncio_only
from virtual.runner_kit import running

pytestmark = pytest.mark.anyio

LOST_AT = 290  # seconds after the last report that was answered


def assign_once(service):
    """Return a task's id; no report is answered after its first one."""
    service.faults.add(Fault(kind=FaultKind.HANG, start=1.0))
    return service.assign()


def worked_on(caplog):
    """Return the warnings about work that goes on."""
    return [text for text in caplog.messages if "goes on" in text]


@asyncio_only
@pytest.mark.parametrize("swallowed", [TimeoutError, (TimeoutError, asyncio.CancelledError)])
async def test_work_that_waits_in_a_loop_ends_within_its_safety_margin(
    service, reporter, caplog, swallowed
):
    """On 3.11 `wait_for` may swallow a cancellation; others do that by hand, and then once."""
    queue: asyncio.Queue[None] = asyncio.Queue()
    swallowed_at: list[float] = []

    async def work():
        while len(swallowed_at) < 2:
            try:
                await asyncio.wait_for(queue.get(), 5)
            except swallowed as error:
                if isinstance(error, asyncio.CancelledError):
                    swallowed_at.append(anyio.current_time())

    with anyio.fail_after(LOST_AT + 3600):
        async with reporter() as opened:
            with pytest.raises(LeaseLost):
                await opened.run(*assign_once(service), work)
    assert anyio.current_time() < 300
    assert not worked_on(caplog)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@asyncio_only
async def test_work_that_is_deaf_is_told_at_growing_intervals_and_named_once(
    service, reporter, caplog
):
    """By one warning, after a minute."""
    [task_id] = assign_once(service)
    told_at: list[float] = []

    async def work():
        while len(told_at) < 14:
            with suppress(asyncio.CancelledError):
                await anyio.sleep(10_000)
                continue
            told_at.append(anyio.current_time() - LOST_AT)

    async with reporter() as opened:
        with pytest.raises(LeaseLost, match="expired"):
            await opened.run(task_id, work)
    assert told_at == pytest.approx(
        [0, 1, 2, 4, 8, 16, 32, 60, 120, 240, 480, 900, 1500, 2100], abs=0.1
    )
    [warning] = worked_on(caplog)
    assert "(lost): its work goes on 60 s after it was interrupted" in warning


@asyncio_only
@pytest.mark.parametrize(
    "clean_up",
    [
        lambda: asyncio.sleep(800),
        lambda: asyncio.wait_for(asyncio.sleep(800), 850),
        lambda: asyncio.gather(asyncio.sleep(800), asyncio.sleep(40)),
        lambda: asyncio.create_task(asyncio.sleep(800)),
    ],
    ids=["sleep", "wait_for", "gather", "task"],
)
async def test_an_orderly_clean_up_is_left_alone(service, reporter, caplog, clean_up):
    """Of 800 seconds, whatever it waits for; it is named all the same."""
    [task_id] = assign_once(service)
    cleaned_at = []

    async def work():
        try:
            await asyncio.sleep(10_000)
        finally:
            await clean_up()
            cleaned_at.append(anyio.current_time() - LOST_AT)

    async with reporter() as opened:
        with pytest.raises(LeaseLost):
            await opened.run(task_id, work)
    assert cleaned_at == pytest.approx([800], abs=0.1)
    assert len(worked_on(caplog)) == 1


@asyncio_only
async def test_clean_up_that_never_ends_is_interrupted_in_the_end(service, reporter):
    """After 15 minutes, wherever it is."""
    ended_at = []

    async def work():
        try:
            await asyncio.sleep(10_000)
        finally:
            try:
                await asyncio.sleep(10_000)
            finally:
                ended_at.append(anyio.current_time() - LOST_AT)

    async with reporter() as opened:
        with pytest.raises(LeaseLost):
            await opened.run(*assign_once(service), work)
    assert ended_at == pytest.approx([900], abs=0.1)


@asyncio_only
async def test_an_orderly_clean_up_in_children_is_left_alone(service, reporter):
    """The work itself waits for them at the same place as before."""
    cleaned_at = []

    async def child():
        try:
            await asyncio.sleep(10_000)
        finally:
            await asyncio.sleep(50)
            cleaned_at.append(anyio.current_time() - LOST_AT)

    async def group():
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            group.create_task(child())

    async def gather():
        await asyncio.gather(child(), child())

    async def one_task():
        await asyncio.create_task(child())

    async with reporter() as opened, anyio.create_task_group() as runs:

        async def run(work, task_id):
            with pytest.raises(LeaseLost):
                await opened.run(task_id, work)

        works = [group, gather, one_task]
        for work in works:
            [task_id] = assign_once(service)
            runs.start_soon(run, work, task_id)
    assert cleaned_at == pytest.approx([50] * 5, abs=0.1)


@asyncio_only
async def test_timeouts_and_groups_of_the_work_are_not_confused(service, reporter):
    """After interruptions that were swallowed, they still end what is theirs, and no more."""
    [task_id] = assign_once(service)
    seen: list[object] = []

    async def fail():
        raise ValueError("of a child")

    async def fail_in_group():
        async with asyncio.TaskGroup() as group:
            group.create_task(fail())
            await asyncio.sleep(10_000)

    async def work():
        for _ in range(3):
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(10_000)
        if sys.version_info >= (3, 11, 3):  # those before are confused by any: gh-102780
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(1):
                    await asyncio.sleep(10_000)
        seen.append("timeout")
        with pytest.raises(ExceptionGroup):
            await fail_in_group()
        seen.append("group")
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)  # where a group of Python 3.13 repeats what was swallowed
        with anyio.move_on_after(1) as scope:
            await anyio.sleep(10_000)
        seen.append(scope.cancelled_caught)
        raise ValueError("of the work")

    async with reporter() as opened:
        with pytest.raises(ValueError, match="of the work"):
            await opened.run(task_id, work)
    assert seen == ["timeout", "group", True]
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0


@asyncio_only
async def test_a_cancellation_from_outside_stays_one(service, reporter):
    """It comes out, however often the work was interrupted before."""
    [task_id] = assign_once(service)

    async def work():
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(10_000)
                continue
            if outer.cancelling() > 1 and asked:
                raise asyncio.CancelledError

    async def run():
        async with reporter() as opened:
            await opened.run(task_id, work)

    asked = False
    outer = asyncio.create_task(run())
    await asyncio.sleep(LOST_AT + 10)
    asked = True
    outer.cancel()
    with pytest.raises(asyncio.CancelledError):
        await outer
    assert outer.cancelled()


async def test_work_that_cleans_up_for_long_is_named(service, reporter, caplog):
    """Also on trio, where a scope cancels at every await: a shield takes longer than its time."""
    [task_id] = assign_once(service)

    async def work():
        try:
            await anyio.sleep(10_000)
        finally:
            with anyio.CancelScope(shield=True):
                for _ in range(70):
                    with suppress(anyio.get_cancelled_exc_class()):
                        await anyio.sleep(1)

    async with reporter() as opened:
        with pytest.raises(LeaseLost):
            await opened.run(task_id, work)
    assert len(worked_on(caplog)) == 1


async def test_work_that_ends_in_time_is_not_told_again(service, reporter, caplog):
    """Nothing is left behind that would."""
    [task_id] = service.assign()

    async def work():
        await anyio.sleep(10_000)

    async with reporter() as opened, anyio.create_task_group() as group:

        async def cancel():
            await anyio.sleep(30)
            service.cancel(task_id)

        group.start_soon(cancel)
        with pytest.raises(TaskCanceled):
            await opened.run(task_id, work)
        await anyio.sleep(1000)
    assert not worked_on(caplog)


@asyncio_only
async def test_a_handler_that_swallows_the_interruption_is_told_again(kit, runner, caplog):
    """And named, and its slot is free again."""
    pipeline = kit.activity()
    told_at: list[float] = []

    async def handler(_task):
        while len(told_at) < 8:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(10_000)
                continue
            told_at.append(anyio.current_time())

    async with running(runner(handler)) as one:
        held = await kit.held(pipeline)
        kit.cancel(held.task_id)
        await anyio.sleep(130)
        assert one.statistics().ended == {"canceled": 1}
    assert [at - told_at[0] for at in told_at] == pytest.approx(
        [0, 1, 2, 4, 8, 16, 32, 60], abs=0.1
    )
    [warning] = worked_on(caplog)
    assert "(canceled): its work goes on 60 s" in warning


async def test_a_handler_in_a_thread_that_works_on_is_named(kit, runner, caplog):
    """It cannot be interrupted, so it is to ask whether its task has ended."""
    pipeline = kit.activity()
    go_on = threading.Event()
    try:
        async with running(runner(lambda _task: go_on.wait() and None)):
            held = await kit.held(pipeline)
            kit.cancel(held.task_id)
            while not worked_on(caplog):
                await anyio.sleep(10)
            go_on.set()
    finally:
        go_on.set()
    assert len(worked_on(caplog)) == 1
