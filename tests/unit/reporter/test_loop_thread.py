"""An event loop in a thread of its own: how it ends, whoever ends it."""

from __future__ import annotations

import math
import threading
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest

from aiodp import ReporterClosed
from aiodp._concurrency import new_loop_runner
from aiodp._reporter import loop_thread
from aiodp._reporter.loop_thread import LoopThread

pytestmark = pytest.mark.anyio


class Opened:
    """A block in the thread that takes its time to end, and how it ended."""

    def __init__(self):
        self.thread = LoopThread(
            self._open(), name="aiodp test", on_crash=self._note, on_orphaned=self._note
        )
        self.is_ending = anyio.Event()  # at home
        self.ends = []

    async def close(self):
        """Close it, and wait until its block has ended by itself."""
        await self.thread.close(canceled=False, grace=math.inf)

    def _note(self, *args):
        self.ends.append(args)

    @asynccontextmanager
    async def _open(self):
        self.may_end = anyio.Event()
        yield self
        try:
            self.thread.tell(self.is_ending.set)
            await self.may_end.wait()
        except anyio.get_cancelled_exc_class():
            self.ends.append("canceled")
            raise
        self.ends.append("left")


async def test_the_block_in_the_thread_is_left_and_not_canceled():
    """Home waits until it has ended by itself."""
    opened = Opened()
    await opened.thread.open()
    async with anyio.create_task_group() as group:
        group.start_soon(opened.close)
        await opened.is_ending.wait()
        opened.thread.post(opened.may_end.set)
    assert opened.ends == ["left"]


async def test_who_is_canceled_while_it_closes_cancels_the_block_in_the_thread():
    """Which would wait for ever otherwise."""
    opened = Opened()
    await opened.thread.open()
    async with anyio.create_task_group() as group:
        group.start_soon(opened.close)
        await opened.is_ending.wait()
        group.cancel_scope.cancel()
    assert opened.ends == ["canceled"]


async def test_nothing_is_posted_to_a_loop_that_is_closed(monkeypatch):
    """Its thread may run on for some instructions, in which nobody would call it."""
    closed, may_end = threading.Event(), threading.Event()
    run_loop = new_loop_runner()

    def run_and_hold(main):
        try:
            run_loop(main)
        finally:
            closed.set()
            may_end.wait()

    monkeypatch.setattr(loop_thread, "new_loop_runner", lambda: run_and_hold)
    opened = Opened()
    await opened.thread.open()
    opened.thread.post(opened.may_end.set)
    async with anyio.create_task_group() as group:
        group.start_soon(opened.close)
        await anyio.to_thread.run_sync(closed.wait)
        try:
            assert opened.thread.running
            with pytest.raises(ReporterClosed, match="has ended"):
                opened.thread.post(opened.ends.clear)
        finally:
            may_end.set()
    assert opened.ends == ["left"]


async def test_a_call_that_never_began_ends_with_the_thread():
    """Its loop breaks down before its turn comes."""
    opened = Opened()
    await opened.thread.open()
    may_crash = threading.Event()
    error = ZeroDivisionError()
    raised = []

    def crash():
        may_crash.wait()
        raise error

    async def call():
        with pytest.raises(ReporterClosed, match="has ended"):
            await opened.thread.call(anyio.sleep, 0, cancel_timeout=math.inf)
        raised.append(True)

    opened.thread.post(crash)
    async with anyio.create_task_group() as group:
        group.start_soon(call)
        await anyio.wait_all_tasks_blocked()
        may_crash.set()
    with pytest.raises(ZeroDivisionError):
        await opened.close()
    assert raised == [True]
    assert opened.ends == [(opened, error)]
