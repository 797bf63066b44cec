"""An event loop in a thread of its own: how it ends, whoever ends it."""

from __future__ import annotations

import asyncio
import math
import os
import threading
from contextlib import asynccontextmanager, closing
from types import SimpleNamespace
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import pytest

from aiodp import ReporterClosed
from aiodp._concurrency import new_loop_runner
from aiodp._reporter import loop_thread
from aiodp._reporter.loop_thread import LoopThread

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.anyio

NAME = "aiodp test"
LONG = 60.0  # seconds, for what comes much sooner on any machine


class Opened:
    """A block in the thread that takes its time to end, and how it ended."""

    def __init__(self, *, cleans_up_at_once=True):
        self._cleans_up_at_once = cleans_up_at_once
        self.thread = LoopThread(
            self._open(), name=NAME, on_crash=self._note, on_orphaned=self._note
        )
        self.is_ending = anyio.Event()  # at home
        self.is_cleaning_up = anyio.Event()
        self.ends = []

    async def close(self, *, grace=math.inf):
        """Close it, and wait until its block has ended by itself."""
        await self.thread.close(canceled=False, grace=grace)

    def _note(self, *args):
        self.ends.append(args)

    @asynccontextmanager
    async def _open(self):
        self.may_end = anyio.Event()
        self.may_clean_up = anyio.Event()
        if self._cleans_up_at_once:
            self.may_clean_up.set()
        yield self
        try:
            self.thread.tell(self.is_ending.set)
            await self.may_end.wait()
        except anyio.get_cancelled_exc_class():
            self.thread.tell(self.is_cleaning_up.set)
            with anyio.CancelScope(shield=True):
                await self.may_clean_up.wait()
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


async def close_while_canceled(opened, *, grace):
    """Close the thread, and cancel that when the block there has begun to end."""
    with anyio.CancelScope() as scope:

        async def cancel():
            await opened.is_ending.wait()
            scope.cancel()

        async with anyio.create_task_group() as group:
            group.start_soon(cancel)
            await opened.close(grace=grace)
    assert scope.cancelled_caught


async def test_who_is_canceled_while_it_closes_waits_for_the_clean_up_in_the_thread():
    """For as long as it may take."""
    opened = Opened(cleans_up_at_once=False)
    await opened.thread.open()
    ends = []

    async def close():
        await close_while_canceled(opened, grace=math.inf)
        ends.extend(opened.ends)

    async with anyio.create_task_group() as group:
        group.start_soon(close)
        await opened.is_cleaning_up.wait()
        await anyio.wait_all_tasks_blocked()
        opened.thread.post(opened.may_clean_up.set)
    assert ends == ["canceled"]


async def test_the_wait_for_a_clean_up_in_the_thread_is_bounded():
    """What takes longer is left to itself."""
    opened = Opened(cleans_up_at_once=False)
    await opened.thread.open()
    await close_while_canceled(opened, grace=0.0)
    assert opened.ends == []
    [thread] = [one for one in threading.enumerate() if one.name == NAME]
    opened.thread.post(opened.may_clean_up.set)
    await anyio.to_thread.run_sync(thread.join)
    assert opened.ends == ["canceled"]


class AtExit:
    """What is called at the end of the interpreter."""

    def __init__(self):
        self.callbacks: list[Callable[[], None]] = []
        self.register, self.unregister = self.callbacks.append, self.callbacks.remove


async def test_at_the_end_of_the_interpreter_the_thread_ends(monkeypatch):
    """Nobody leaves the block any more; it is a daemon, so that it does not hold up the end."""
    at_exit = AtExit()
    monkeypatch.setattr(loop_thread, "atexit", at_exit)
    opened = Opened()
    await opened.thread.open()
    [thread] = [one for one in threading.enumerate() if one.name == NAME]
    assert thread.daemon
    [end] = at_exit.callbacks
    end()
    assert not thread.is_alive()
    assert opened.ends == [(opened,)]
    await opened.close()
    assert at_exit.callbacks == []


async def test_a_thread_that_was_closed_runs_no_more(monkeypatch):
    """Its last instructions come after its end was told."""

    class Slow(threading.Thread):
        """Ends when somebody waits for that."""

        is_joined = threading.Event()

        def run(self):
            super().run()
            self.is_joined.wait(LONG)

        def join(self, timeout=None):
            self.is_joined.set()
            super().join(timeout)

    monkeypatch.setattr(loop_thread, "threading", SimpleNamespace(Thread=Slow))
    opened = Opened()
    await opened.thread.open()
    opened.thread.post(opened.may_end.set)
    await opened.close()
    running = opened.thread.running
    Slow.is_joined.set()
    assert not running


async def test_in_a_forked_child_nothing_of_the_thread_is_waited_for(monkeypatch):
    """There it does not run."""
    opened = Opened()
    await opened.thread.open()
    process, is_alive = os.getpid(), threading.Thread.is_alive
    with monkeypatch.context() as forked:
        forked.setattr(os, "getpid", lambda: process + 1)
        forked.setattr(threading.Thread, "is_alive", lambda one: one.name != NAME and is_alive(one))
        await opened.close()
        assert opened.thread.ask(lambda: "here") == "here"
        with pytest.raises(ReporterClosed, match="has ended"):
            opened.thread.post(lambda: opened.ends.append("posted"))
    opened.thread.post(opened.may_end.set)
    await opened.close()
    assert opened.ends == ["left"]


def test_the_thread_ends_when_home_is_closed():
    """It is told so before its block is canceled."""
    with closing(asyncio.new_event_loop()) as loop:

        async def main():
            opened = Opened()
            await opened.thread.open()
            return opened

        opened = loop.run_until_complete(main())
    [thread] = [one for one in threading.enumerate() if one.name == NAME]
    opened.thread.post(lambda: opened.thread.tell(opened.ends.clear))
    thread.join(LONG)
    assert not thread.is_alive()
    assert opened.ends == [(opened,)]


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
