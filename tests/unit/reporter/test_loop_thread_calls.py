"""Calls in an event loop that runs in a thread of its own."""

from __future__ import annotations

import gc
import math
import weakref
from contextlib import asynccontextmanager

import anyio
import pytest

from aiodp import ReporterClosed
from aiodp._reporter.loop_thread import LoopThread

pytestmark = pytest.mark.anyio

LONG = 60.0  # seconds, for what comes much sooner on any machine


@asynccontextmanager
async def opened_thread():
    """Yield a thread that is open, and close it."""

    @asynccontextmanager
    async def nothing():
        yield None

    thread = LoopThread(nothing(), name="aiodp test", on_crash=print, on_orphaned=print)
    await thread.open()
    try:
        yield thread
    finally:
        await thread.close(canceled=False, grace=math.inf)


class FailureError(Exception):
    """Of a function in the thread."""


async def test_who_opens_it_waits_until_its_block_has_begun():
    """However long that takes in the thread."""
    begun = []

    class Slow:
        @asynccontextmanager
        async def open(self):
            self.may_begin = anyio.Event()
            await self.may_begin.wait()
            yield "begun"

    slow = Slow()
    thread = LoopThread(slow.open(), name="aiodp test", on_crash=print, on_orphaned=print)

    async def open_thread():
        begun.append(await thread.open())

    async with anyio.create_task_group() as group:
        group.start_soon(open_thread)
        await anyio.wait_all_tasks_blocked()
        assert begun == []
        thread.post(lambda: slow.may_begin.set())  # noqa: PLW0108 - it is made in the thread
    assert begun == ["begun"]
    await thread.close(canceled=False, grace=math.inf)


async def test_what_the_block_raises_when_it_is_opened_comes_out():
    """At home; there is nothing to close then."""

    async def fail():
        raise FailureError

    @asynccontextmanager
    async def opened():
        yield await fail()

    thread = LoopThread(opened(), name="aiodp test", on_crash=print, on_orphaned=print)
    with pytest.raises(FailureError):
        await thread.open()
    await thread.close(canceled=False, grace=math.inf)


class Work:
    """Waits until it is canceled, and then until it may clean up."""

    def __init__(self, thread):
        self._thread = thread
        self.begun, self.cleaning_up = anyio.Event(), anyio.Event()  # at home
        self.ended = False

    async def __call__(self):
        """Do so, in the thread."""
        self.may_clean_up = anyio.Event()
        self._thread.tell(self.begun.set)
        try:
            await anyio.sleep_forever()
        finally:
            self._thread.tell(self.cleaning_up.set)
            with anyio.CancelScope(shield=True):
                await self.may_clean_up.wait()
            self.ended = True


async def test_a_call_that_is_canceled_ends_when_its_function_has_cleaned_up():
    """Which is canceled as well, in its own loop; what comes out is the cancellation."""
    ended_at_home: list[bool] = []

    async def call():
        with scope:
            try:
                await thread.call(work, cancel_timeout=math.inf)
            finally:
                ended_at_home.append(work.ended)

    async with opened_thread() as thread, anyio.create_task_group() as group:
        work, scope = Work(thread), anyio.CancelScope()
        group.start_soon(call)
        with anyio.fail_after(LONG):
            await work.begun.wait()
            scope.cancel()
            await work.cleaning_up.wait()
        await anyio.wait_all_tasks_blocked()
        assert ended_at_home == []
        thread.post(work.may_clean_up.set)
    assert ended_at_home == [True]
    assert scope.cancelled_caught


async def test_a_call_that_is_canceled_waits_for_a_while_only():
    """For a function that does not end."""
    async with opened_thread() as thread, anyio.create_task_group() as group:
        work = Work(thread)
        with anyio.CancelScope() as scope:

            async def cancel():
                await work.begun.wait()
                scope.cancel()

            group.start_soon(cancel)
            await thread.call(work, cancel_timeout=0.0)
        assert scope.cancelled_caught
        assert not work.ended
        with anyio.fail_after(LONG):
            await work.cleaning_up.wait()
        thread.post(work.may_clean_up.set)


async def test_a_thread_that_nobody_asks_for_anything_is_idle():
    """What was posted wakes it up once."""
    async with opened_thread() as thread:
        for _ in range(2):
            with anyio.fail_after(LONG):
                await thread.call(anyio.wait_all_tasks_blocked, cancel_timeout=0.0)


async def test_nothing_refers_to_a_call_that_has_ended():
    """A reporter that runs for months does not grow."""

    class Thing:
        """What a call is about."""

    async def work(thing):
        return thing

    async with opened_thread() as thread:
        thing = await thread.call(work, Thing(), cancel_timeout=0.0)
        gone = weakref.ref(thing)
        del thing
        await thread.call(anyio.wait_all_tasks_blocked, cancel_timeout=0.0)
        gc.collect()
        assert gone() is None


async def test_an_error_of_a_call_that_was_handled_is_gone_at_once():
    """Its traceback keeps the frames of the work; none of ours keeps the error in turn."""

    async def fail():
        raise FailureError

    async with opened_thread() as thread:
        gc.disable()
        try:
            try:
                await thread.call(fail, cancel_timeout=0.0)
            except FailureError as error:
                raised = weakref.ref(error)
            await thread.call(anyio.wait_all_tasks_blocked, cancel_timeout=0.0)
            assert raised() is None
        finally:
            gc.enable()


async def test_a_thread_that_has_ended_is_asked_nothing():
    """Who asks has its answer all the same: by the function itself, called at home."""
    async with opened_thread() as thread:
        assert thread.ask(lambda: 1) == 1
    assert thread.ask(lambda: 2) == 2
    with pytest.raises(ReporterClosed, match="has ended"):
        await thread.call(anyio.sleep, 0, cancel_timeout=math.inf)
