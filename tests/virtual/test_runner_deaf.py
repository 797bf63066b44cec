"""TaskRunner: handlers that go on although they are interrupted."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import anyio
import anyio.lowlevel
import pytest

from virtual.kit import asyncio_only
from virtual.runner_kit import attempts, running

pytestmark = pytest.mark.anyio


class Deaf:
    """A handler that swallows what interrupts it, in a loop."""

    def __init__(self, *, to_all=False):
        self.begun = False
        self.closed = False
        self._to_all = to_all  # to GeneratorExit, too

    async def __call__(self, _):
        self.begun = True
        swallowed = BaseException if self._to_all else anyio.get_cancelled_exc_class()
        try:
            while True:
                with suppress(swallowed):
                    await anyio.sleep(5)
        finally:
            self.closed = True


async def stop_deaf(kit, runner, handler, caplog):
    """Drain a runner with such a handler; return how many seconds its end took."""
    pipeline = kit.activity()
    one = runner(handler, drain_timeout=5)
    with anyio.fail_after(3600):
        async with running(one):
            await kit.until(lambda: handler.begun)
            began = kit.now
            one.stop()
    [attempt] = attempts(kit, pipeline)
    assert (attempt["@status"], attempt["errorId"]) == ("FAILED", "RunnerStopped")
    assert one.statistics().ended == {"FAILED": 1}
    assert "its handler goes on although it is interrupted" in caplog.text
    return kit.now - began


async def test_a_deaf_handler_is_closed_in_time(kit, runner, caplog):
    """After `drain_timeout`, and half a minute to clean up; its task is FAILED, not forgotten."""
    handler = Deaf()
    seconds = await stop_deaf(kit, runner, handler, caplog)
    assert seconds <= 5 + 30 + 2
    assert handler.closed


@pytest.mark.filterwarnings("ignore:Exception ignored:pytest.PytestUnraisableExceptionWarning")
async def test_one_that_is_deaf_to_all_is_left(kit, runner, caplog):
    """It swallows GeneratorExit, too: its coroutine is never resumed."""
    handler = Deaf(to_all=True)
    seconds = await stop_deaf(kit, runner, handler, caplog)
    assert seconds <= 5 + 30 + 2


async def await_task(work):
    await asyncio.create_task(work())


async def await_gathered(work):
    await asyncio.gather(work(), asyncio.sleep(0))


async def await_two_deep(work):
    await asyncio.create_task(await_task(work))


async def await_group(work):
    async with asyncio.TaskGroup() as group:
        group.create_task(work())


class DeafInside:
    """A handler that awaits a task which swallows what interrupts it, in a loop."""

    def __init__(self, wait):
        self.begun = False
        self.closed = False
        self.over = asyncio.Event()
        self._wait = wait

    async def __call__(self, _):
        self.begun = True
        try:
            await self._wait(self._work)
        finally:
            self.closed = True

    async def _work(self):
        while not self.over.is_set():
            with suppress(asyncio.CancelledError):
                await self.over.wait()


@asyncio_only
@pytest.mark.parametrize("wait", [await_task, await_gathered, await_two_deep, await_group])
async def test_a_handler_that_awaits_a_deaf_task_is_closed_in_time(kit, runner, caplog, wait):
    """The handler hears of no interruption, for it is the task that gets them; that is left."""
    handler = DeafInside(wait)
    seconds = await stop_deaf(kit, runner, handler, caplog)
    assert seconds <= 5 + 30 + 2
    assert handler.closed
    handler.over.set()


@asyncio_only
async def test_tasks_that_a_handler_awaits_end_as_anywhere(kit, runner):
    """With what they return or raise; if the runner stops, they clean up, and the handler after."""
    pipeline = kit.activity()
    seen = []

    async def fail():
        await asyncio.sleep(1)
        raise ValueError("of the task")

    async def clean_up():
        try:
            await asyncio.sleep(3600)
        finally:
            await asyncio.sleep(5)
            seen.append("task")

    async def handler(_):
        seen.append(await asyncio.create_task(asyncio.sleep(1, "result")))
        with suppress(ValueError):
            await asyncio.gather(fail(), asyncio.sleep(5))
        try:
            await asyncio.create_task(clean_up())
        finally:
            seen.append("handler")

    one = runner(handler)
    async with running(one):
        await kit.held(pipeline)
        await anyio.sleep(10)
        assert seen == ["result"]
        one.cancel()
    assert seen == ["result", "task", "handler"]
    assert attempts(kit, pipeline)[0]["errorId"] == "RunnerStopped"


async def test_many_clean_ups_are_not_deafness(kit, runner, caplog):
    """A handler that closes hundreds of connections, one after the other, comes to its end."""
    pipeline = kit.activity()
    closed = []

    async def handler(_):
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.sleep(31)  # from then on, asyncio cancels at each await as well
            for number in range(300):
                with suppress(anyio.get_cancelled_exc_class()):
                    await anyio.sleep(1)
                closed.append(number)

    one = runner(handler)
    async with running(one):
        await kit.until(lambda: one.statistics().running)
        await kit.held(pipeline)
        await anyio.sleep(1)
        one.cancel()
    assert len(closed) == 300
    assert "goes on although" not in caplog.text
