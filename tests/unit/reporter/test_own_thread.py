"""The way to an engine in a thread of its own, over a thread and an engine made by hand."""

from __future__ import annotations

import asyncio
import threading
from contextlib import asynccontextmanager
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from aiodp import LeaseState, ReporterClosed
from aiodp._reporter.own_thread import (
    EngineElsewhere,
    RecordElsewhere,
    StatusesElsewhere,
    in_own_thread,
)
from aiodp.testing import VIRTUAL_TIME

if TYPE_CHECKING:
    from collections.abc import Callable
from unit.reporter.kit import TIMING

pytestmark = pytest.mark.anyio

LONG = 60.0  # seconds, for what comes much sooner on any machine


class Engine:
    """Notes what it is told; its leases are acknowledged at once."""

    def __init__(self):
        self.told: list[object] = []
        self.failure: BaseException | None = None
        self.tracked = 0
        self.clock = SimpleNamespace(from_user=lambda moment: moment + 1000.0)
        self.to_user_time = lambda moment: moment - 1000.0
        self.state_of = lambda record: record.state
        self.raise_if_ended = lambda record: self.told.append(("look at", record.task_id))
        self.has_room = lambda count, timing: count <= timing.interval

    async def acquire(self, record):
        """Keep a lease."""
        self.told.append(("acquire", record.task_id))

    async def release(self, record):
        """Leave it, which takes a turn of the event loop."""
        await anyio.lowlevel.checkpoint()
        self.told.append(("release", record.task_id))

    async def report_now(self, record):
        """Report it."""
        self.told.append(("report", record.task_id))
        return True

    def statistics(self):
        """Break down."""
        raise ZeroDivisionError

    def crash(self, error):
        """End every lease."""
        self.told.append(error)

    def stop(self):
        """End it."""
        self.told.append("stop")


class Thread:
    """Calls functions where it is asked to; an answer comes when it may."""

    def __init__(self):
        self.limits: list[float] = []
        self.may_answer = anyio.Event()
        self.may_answer.set()

    async def call(self, function, *args, cancel_timeout):
        """Call it, and answer."""
        self.limits.append(cancel_timeout)
        result = await function(*args)
        await self.may_answer.wait()
        return result


def make():
    """Return a thread, an engine in it, the way to it, and a task."""
    thread, engine = Thread(), Engine()
    way = EngineElsewhere(thread, engine)  # type: ignore[arg-type]
    return thread, engine, way, way.new_record("task", TIMING, 5.0, None)


async def test_what_a_task_is_asked_is_asked_of_the_engine():
    """And the answer comes back."""
    thread, engine, way, record = make()
    assert record.deadline == 1005.0 + TIMING.ack_timeout

    async def set_status(record, status, members):
        engine.told.append((record.task_id, status, members))

    await way.acquire(record)
    assert await way.report_now(record) is True
    statuses = StatusesElsewhere(thread, SimpleNamespace(set=set_status))  # type: ignore[arg-type]
    await statuses.set(record, "FINISHED", {"errorId": "a"})  # type: ignore[arg-type]
    await way.release(record)
    assert engine.told == [
        ("acquire", "task"),
        ("report", "task"),
        ("task", "FINISHED", {"errorId": "a"}),
        ("release", "task"),
    ]


async def test_what_only_reads_is_asked_of_the_engine_in_any_thread():
    """No answer of its thread is waited for."""
    thread, engine, way, record = make()
    engine.tracked = 3
    assert way.to_user_time(record.deadline) == 5.0 + TIMING.ack_timeout
    assert way.state_of(record) is LeaseState.ASSIGNED
    way.raise_if_ended(record)
    assert (way.has_room(60, TIMING), way.has_room(61, TIMING)) == (True, False)
    assert way.tracked == 3
    assert engine.told == [("look at", "task")]
    assert thread.limits == []
    way.home.check()


async def test_who_is_canceled_when_the_task_is_acknowledged_releases_it():
    """It would be kept alive for ever; that is waited for, though this is canceled."""
    thread, engine, way, record = make()
    thread.may_answer = anyio.Event()
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as group:

            async def acquire():
                try:
                    await way.acquire(record)
                except anyio.get_cancelled_exc_class():
                    engine.told.append("canceled")
                    raise

            group.start_soon(acquire)
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
            thread.may_answer.set()
    assert scope.cancelled_caught
    assert engine.told == [("acquire", "task"), ("release", "task"), "canceled"]


async def test_a_task_is_released_where_the_thread_has_ended():
    """There is nothing left to release."""
    thread, engine, way, record = make()

    async def closed(*_, cancel_timeout):
        raise ReporterClosed(f"in {cancel_timeout}")

    thread.call = closed
    await way.release(record)
    assert engine.told == []


async def test_each_waits_longer_than_what_it_waits_for(monkeypatch):
    """An attempt, its end in the other loop, and a release that waits for both."""
    thread, _, way, record = make()
    limits = []

    def move_on_after(delay, *, shield):
        limits.append(delay)
        return anyio.CancelScope(shield=shield)

    monkeypatch.setattr("aiodp._reporter.own_thread.anyio.move_on_after", move_on_after)
    await way.release(record)
    assert [TIMING.attempt_timeout] < thread.limits < limits


async def test_a_change_wakes_up_who_waits_in_the_loop_of_the_work():
    """And interrupts the work there."""
    told: list[Callable[[], None]] = []
    record = RecordElsewhere(SimpleNamespace(tell=told.append), "task", TIMING, 0.0, None)  # type: ignore[arg-type]
    ended: list[str] = []

    async def wait():
        await record.wait_until(lambda record: record.state is LeaseState.CANCELED)
        ended.append("here")

    record.on_change()
    assert told == [], "nobody waits for it at home"
    async with anyio.create_task_group() as group:
        group.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        record.on_change()
        told.pop()()
        await anyio.wait_all_tasks_blocked()
        assert ended == []
        record.cancel()
        record.on_change()
        told.pop()()
    assert ended == ["here"]
    record.interrupt = lambda: ended.append("interrupted")
    record.on_change()
    assert ended == ["here"]
    told.pop()()
    assert ended == ["here", "interrupted"]


class Parts:
    """The engine's block in its thread, and how that ended."""

    def __init__(self):
        self.engine = Engine()
        self.ended = "not"

    @asynccontextmanager
    async def open(self):
        """Yield an engine."""
        try:
            yield self.engine, None
        except anyio.get_cancelled_exc_class():
            self.ended = "canceled"
            raise
        self.ended = "left"


async def test_the_end_of_the_block_is_no_cancellation_of_the_engine():
    """It waits for its tasks without a limit."""
    parts = Parts()
    async with in_own_thread(parts.open(), interval=60.0):
        assert "aiodp reporter" in [thread.name for thread in threading.enumerate()]
    assert parts.ended == "left"
    assert parts.engine.told == []


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_a_cancellation_that_comes_once_cancels_the_engine():
    """As by `Task.cancel`; it does not wait for its tasks without a limit."""
    parts, opened = Parts(), asyncio.Event()

    async def hold():
        async with in_own_thread(parts.open(), interval=60.0):
            opened.set()
            await asyncio.sleep(LONG)

    task = asyncio.create_task(hold())
    await opened.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert parts.ended == "canceled"


@pytest.mark.parametrize("anyio_backend", [VIRTUAL_TIME])
async def test_who_is_canceled_leaves_tasks_their_15_minutes_and_connections_some_time_more(
    monkeypatch,
):
    """What takes longer in the thread is left to itself; only here is the time virtual."""
    runner = partial(anyio.run, backend="asyncio")
    monkeypatch.setattr("aiodp._reporter.loop_thread.new_loop_runner", lambda: runner)
    may_end = threading.Event()

    @asynccontextmanager
    async def engine_that_hangs():
        try:
            yield Engine(), None
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(may_end.wait)

    try:
        with anyio.CancelScope() as scope:
            async with in_own_thread(engine_that_hangs(), interval=60.0):
                scope.cancel()
        assert 900 < anyio.current_time() <= 960
    finally:
        may_end.set()
        [thread] = [one for one in threading.enumerate() if one.name == "aiodp reporter"]
        thread.join(LONG)


@pytest.mark.parametrize("failure", [None, ValueError("before")])
async def test_a_thread_that_breaks_down_loses_every_lease(failure):
    """Unless the engine has done that before."""
    parts = Parts()
    parts.engine.failure = failure
    with pytest.raises(ZeroDivisionError):
        async with in_own_thread(parts.open(), interval=60.0) as (engine, _):
            engine.statistics()
    errors = [type(error) for error in parts.engine.told]
    assert errors == ([] if failure else [ZeroDivisionError])


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_event_loop_that_is_closed_stops_the_engine():
    """Nobody is left whose tasks it could keep."""
    parts = Parts()

    def run():
        loop = asyncio.new_event_loop()
        block = in_own_thread(parts.open(), interval=0.01)
        loop.run_until_complete(block.__aenter__())
        loop.close()
        [thread] = [one for one in threading.enumerate() if one.name == "aiodp reporter"]
        thread.join(LONG)
        return thread.is_alive()

    assert not await anyio.to_thread.run_sync(run)
    assert parts.engine.told == ["stop"]
