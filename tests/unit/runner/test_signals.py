"""TaskRunner: whose signals are whose, on each event loop and in forked children."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
import warnings

import anyio
import anyio.to_thread
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.httpxsession import HttpxSession
from aiobotocore.session import get_session

from aiodp import ReporterClosed, TaskRunner
from aiodp._concurrency import may_replace_handler
from aiodp._process.echoes import ECHO_WINDOW
from aiodp._runner import dispatcher
from aiodp.testing import MemoryKit

LONG = 30.0
"""Seconds after which a child ends by itself."""


def new_loop(name):
    """Return a factory of event loops of this name."""
    return asyncio.new_event_loop if name == "asyncio" else pytest.importorskip(name).new_event_loop


@pytest.fixture(params=["asyncio", pytest.param("uvloop", marks=pytest.mark.slow)])
def run(request):
    """Runs a coroutine on an event loop."""
    with asyncio.Runner(loop_factory=new_loop(request.param)) as runner:
        yield runner.run


@pytest.fixture
def kit(monkeypatch):
    monkeypatch.setattr(dispatcher, "_LAST_POLL_TIMEOUT", 0.0)
    return MemoryKit()


def make_runner(kit, handler=lambda _: None, session=None, **options):
    attached = kit.attach(session or get_session())
    return TaskRunner(attached, **{"worker_group": "workers", "handler": handler} | options)


def backend_session(backend):
    """Return a session whose clients can be used on this event loop."""
    session = get_session()
    if backend == "trio":
        session.set_default_client_config(AioConfig(http_session_cls=HttpxSession))
    return session


async def polling(kit, *runners):
    """Wait until all of them poll; they listen to signals then."""
    await kit.until(lambda: all(one.statistics().polling for one in runners))


def test_signals_drain_all_runners_of_a_process(kit, run):
    """One handler is set, and all that listen hear of it; the old one comes back at the end."""
    before = signal.getsignal(signal.SIGTERM)

    async def main():
        runners = [make_runner(kit), make_runner(kit)]
        async with anyio.create_task_group() as group:
            for one in runners:
                group.start_soon(one.run)
            await polling(kit, *runners)
            signal.raise_signal(signal.SIGTERM)

    run(main())
    assert signal.getsignal(signal.SIGTERM) == before


def test_what_the_program_gave_to_its_loop_stays_there(kit, run):
    """`loop.add_signal_handler` of asyncio and of uvloop: the runner hears nothing."""
    heard = asyncio.Event()

    async def main():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, heard.set)
        one = make_runner(kit)
        async with anyio.create_task_group() as group:
            group.start_soon(one.run)
            await polling(kit, one)
            signal.raise_signal(signal.SIGTERM)
            await heard.wait()
            assert not one._shutdown.is_draining
            one.stop()
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)

    run(main())


def test_a_runner_begins_anew_with_the_signals(kit, run):
    """The same signal at once after one that has ended another runner is none of its echoes."""

    async def main():
        async with make_runner(kit) as one:
            signal.raise_signal(signal.SIGTERM)
            await anyio.sleep(LONG)
        assert one._shutdown.step == 1

    for _ in range(2):
        began = time.monotonic()
        run(main())
        assert time.monotonic() - began < LONG


def interrupts(seen):
    """Return a handler as a program sets it."""

    def handler(number, _):
        seen.append(number)

    return handler


@pytest.fixture
def program_handler():
    """A handler of the program's own, as of a web server; gives what it has heard."""
    seen: list[int] = []
    handler = interrupts(seen)
    before = {number: signal.signal(number, handler) for number in (signal.SIGINT, signal.SIGTERM)}
    yield seen
    for number, handler_before in before.items():
        assert signal.getsignal(number) is handler
        signal.signal(number, handler_before)


def test_a_handler_of_the_program_s_own_hears_the_signal_as_well(kit, run, program_handler):
    """The runner drains, and the block goes on: the program ends it.

    Ctrl-C in a terminal reaches the processes of a server and their parent, which sends them
    SIGTERM then: the tasks are interrupted by the second Ctrl-C, not by that. A runner after it
    begins anew.
    """
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGINT]

    async def main():
        async with make_runner(kit) as one:
            await polling(kit, one)
            for number, step in zip(numbers, (1, 1, 2), strict=True):
                signal.raise_signal(number)
                await anyio.sleep(1.5 * ECHO_WINDOW)
                assert one._shutdown.step == step

    for _ in range(2):
        run(main())
    assert program_handler == 2 * numbers


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_signal_drains_all_runners_of_a_block(kit, backend):
    """Each of them cancels it, and none takes that for a cancellation from outside."""
    ends = []

    async def handler(task):
        signal.raise_signal(signal.SIGINT)
        await anyio.sleep(0.3)
        ends.append("work")

    async def main():
        kit.activity()
        session = backend_session(backend)
        async with (
            make_runner(kit, session=session, worker_group="others"),
            make_runner(kit, handler, session=session) as inner,
        ):
            await anyio.sleep_forever()
        assert inner.statistics().ended == {"FINISHED": 1}

    anyio.run(main, backend=backend)
    assert ends == ["work"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_signal_that_nobody_else_expects_ends_the_block(kit, backend, number):
    """Once the tasks in hand have ended, the program goes on after it, and no error is raised."""
    ends = []

    async def handler(task):
        signal.raise_signal(number)
        await anyio.sleep(0.05)
        ends.append("work")

    async def main():
        kit.activity()
        async with make_runner(kit, handler, session=backend_session(backend)) as one:
            try:
                await anyio.sleep_forever()
            finally:
                ends.append("block")
        ends.append("after")
        assert one.statistics().ended == {"FINISHED": 1}

    anyio.run(main, backend=backend)
    assert ends == ["block", "work", "after"]


def test_a_handler_that_is_none_of_python_s_is_left_alone():
    """What cannot be called as well is not replaced; nor is what is ignored."""
    assert not may_replace_handler(None)
    assert not may_replace_handler(signal.SIG_IGN)


def fork_and_sleep():
    """Return the id of a child that sleeps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of forks beside threads
        child = os.fork()
    if child:
        return child
    try:
        time.sleep(LONG)
    finally:
        os._exit(3)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_of_a_forked_child_is_not_the_runner_s(kit, run, number):
    """It ends the child as any process, and the runner does not hear it."""
    ends = []

    async def handler(task):
        child = fork_and_sleep()
        os.kill(child, number)
        _, status = await anyio.to_thread.run_sync(os.waitpid, child, 0)
        ends.append(os.waitstatus_to_exitcode(status))
        await anyio.sleep(0.05)

    async def main():
        kit.activity()
        one = make_runner(kit, handler)
        async with anyio.create_task_group() as group:
            group.start_soon(one.run)
            await kit.until(lambda: one.statistics().ended)
            assert not one._shutdown.is_draining
            one.stop()

    run(main())
    assert ends == [-number]


def test_a_forked_child_cannot_stop_the_runner(kit, run):
    """It raises at once there, and does not wake the parent's event loop."""
    ends: list[int] = []

    async def handler(_):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            child = os.fork()
        if not child:
            try:
                one.stop()
            except ReporterClosed:
                os._exit(7)
            finally:
                os._exit(3)
        _, status = await anyio.to_thread.run_sync(os.waitpid, child, 0)
        ends.append(os.waitstatus_to_exitcode(status))

        one.stop()  # here it may

    async def main():
        kit.activity()
        await one.run()

    one = make_runner(kit, handler)
    run(main())
    assert ends == [7]
    assert one.statistics().ended == {"FINISHED": 1}
