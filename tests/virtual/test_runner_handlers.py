"""TaskRunner: what a handler may return and raise without harm to other tasks."""

from __future__ import annotations

import asyncio
import concurrent.futures
import gc
import warnings

import anyio
import anyio.lowlevel
import pytest

from virtual.kit import asyncio_only
from virtual.runner_kit import attempts, running

pytestmark = pytest.mark.anyio


async def never():
    """What a handler forgets to await."""
    raise AssertionError("nobody awaits this")


def error_named(name):
    """Return a class of exceptions whose `__name__` is what a property says."""
    metaclass: type = type("Named", (type,), {"__name__": property(name)})
    return metaclass("NamelessError", (Exception,), {})


def no_name(cls):
    raise AttributeError("no name")


async def only_attempt(kit, runner, handler):
    """Run one task by a handler; return the fields of its attempt."""
    pipeline = kit.activity()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        await runner(handler).run(max_tasks=1)
        gc.collect()
    [attempt] = attempts(kit, pipeline)
    return attempt


@pytest.mark.parametrize(
    "make",
    [
        never,
        lambda: [never(), never()],
        lambda: (never(),),
        lambda: {never()},
        lambda: {"one": never()},
        lambda: (number for number in range(3)),
        concurrent.futures.Future,
    ],
    ids=["coroutine", "list", "tuple", "set", "mapping", "generator", "future of a pool"],
)
async def test_what_was_not_awaited_is_not_done(kit, runner, make):
    """A forgotten `await` fails the task, and Python does not say it was never awaited."""

    async def handler(task):
        return make()

    attempt = await only_attempt(kit, runner, handler)
    assert (attempt["@status"], attempt["errorId"]) == ("FAILED", "BadReturnValue")
    assert "not been awaited" in attempt["errorMessage"]


async def test_what_a_plain_function_returns_is_awaited_once(kit, runner):
    """A lambda may call a coroutine function; what that returns is not awaited again."""

    async def handler(task):
        return never()

    attempt = await only_attempt(kit, runner, lambda task: handler(task))  # noqa: PLW0108 - plain
    assert attempt["errorId"] == "BadReturnValue"


@asyncio_only
async def test_a_task_that_a_handler_leaves_is_canceled(kit, runner):
    """It must not work on beside the next attempt, whose task is somebody else's."""
    ends = []

    async def work():
        try:
            await anyio.sleep(3600)
        except asyncio.CancelledError:
            ends.append("canceled")
            raise

    async def handler(task):
        left = asyncio.ensure_future(work())
        await anyio.sleep(1)
        return left

    attempt = await only_attempt(kit, runner, handler)
    assert attempt["errorId"] == "BadReturnValue"
    await anyio.lowlevel.checkpoint()
    assert ends == ["canceled"]


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_a_raised_interrupt_fails_one_task(kit, runner, error):
    """Only a signal ends a runner: `raise KeyboardInterrupt` is the failure of that task."""
    first, second = kit.activity(), kit.activity()

    async def handler(task):
        await anyio.sleep(5)
        if task.pipeline_id == first.id:
            raise error("out of a handler")
        await anyio.sleep(60)

    one = runner(handler)
    async with running(one):
        await kit.finished(second)
        assert not one._shutdown.is_draining
    [attempt] = attempts(kit, first)
    assert (attempt["@status"], attempt["errorId"]) == ("FAILED", error.__name__)
    assert attempt["errorMessage"] == "out of a handler"


@pytest.mark.parametrize("name", [no_name, lambda _: 7], ids=["raises", "a number"])
async def test_an_exception_without_a_usable_name(kit, runner, name):
    """Its class's own name is told, whatever its metaclass says."""

    async def handler(task):
        raise error_named(name)

    attempt = await only_attempt(kit, runner, handler)
    assert (attempt["@status"], attempt["errorId"]) == ("FAILED", "NamelessError")
    assert attempt["errorMessage"] == "NamelessError"
