"""Nothing of a command outlives its task."""

from __future__ import annotations

import ctypes
import os
import random
import signal
import sys
import time
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import anyio
import pytest

from aiodp import LeaseLost
from aiodp._concurrency import interruptible
from aiodp._process.command import Command
from aiodp.shell import CommandFailed, _logs, _run
from aiodp.shell._s3 import Store
from unit.shell.kit import (
    IGNORES_TERM,
    TOO_LONG,
    FakeTask,
    alive,
    eventually,
    filled,
    group_alive,
    handle,
    interrupt,
    logs,
)

pytestmark = pytest.mark.anyio


async def test_a_leaked_process_is_ended_and_holds_up_nothing(run, stdout):
    """What the command leaves in its session is dead before the task has its status."""
    await run(command="sleep 1000 & echo $!; exit 0")
    assert not alive(int(stdout()))


@pytest.fixture
def orphans():
    """Makes this process the parent of orphans, for which it does not wait.

    So is the first process of a container that is no init.
    """
    pids: list[int] = []
    be_subreaper = partial(ctypes.CDLL(None).prctl, 36)
    assert be_subreaper(1) == 0
    yield pids
    be_subreaper(0)
    for pid in pids:
        os.waitpid(pid, 0)


async def test_a_dead_process_without_init_holds_up_nothing(orphans, run, stdout):
    """The system lists it for ever, but neither the grace nor more is waited for it."""
    await run(command="sleep 1000 & echo $!", options={"grace": 2 * TOO_LONG})
    orphans.append(int(stdout()))
    os.killpg(os.getpgid(orphans[0]), 0)


async def test_a_leaked_process_that_ignores_sigterm_is_killed(run, stdout):
    """SIGKILL follows after the grace."""
    wait = "while [ ! -e ready ]; do sleep 0.01; done"
    command = f"(trap '' TERM; touch ready; {IGNORES_TERM}) & {wait}; echo $!"
    await run(command=command, options={"grace": 0.2})
    assert not alive(int(stdout()))


GROUPS = {
    "timeout": "timeout 1000 sh -c 'echo $$ >{pid}; {rest}'",
    "job control": "set -m; sh -c 'echo $$ >{pid}; {rest}' & wait",
}
"""Commands that put what they start into process groups of its own."""


@pytest.mark.parametrize("command", GROUPS.values(), ids=GROUPS)
async def test_groups_within_its_session_end_with_it(cancelled, tmp_path, command):
    """What `timeout` runs, or a shell with job control, does not outlive the task."""
    pid = tmp_path / "pid"
    command = command.format(pid=pid, rest="trap : TERM; while :; do sleep 0.05; done")
    task = FakeTask({"command": command})
    await cancelled(task, tmp_path, when=filled(pid), grace=0.2)
    assert not alive(int(pid.read_text()))


@pytest.mark.parametrize("command", GROUPS.values(), ids=GROUPS)
async def test_what_is_left_in_other_groups_is_ended_as_well(run, tmp_path, command):
    """The command has ended, what it started has not."""
    pid = tmp_path / "pid"
    command = command.format(pid=pid, rest="sleep 1000")
    await run(command=f"({command}) & while [ ! -s {pid} ]; do sleep 0.01; done")
    assert not alive(int(pid.read_text()))


async def test_a_daemon_that_keeps_the_output_open_holds_up_nothing(run, stdout, tmp_path):
    """It left the session, so it lives; what it writes later is not waited for."""
    try:
        daemon = f"setsid sh -c 'echo $$ >{tmp_path}/daemon; exec sleep 1000' &"
        await run(
            command=f"{daemon} while [ ! -s {tmp_path}/daemon ]; do sleep 0.01; done; echo on"
        )
        assert stdout() == "on\n"
        assert alive(int((tmp_path / "daemon").read_text()))
    finally:
        os.kill(int((tmp_path / "daemon").read_text()), signal.SIGKILL)


@pytest.fixture(params=["once, as a runner does", "by a scope"])
def cancelled(request):
    """Has a task done, cancels that as soon as something is true, and waits for its end."""

    async def in_scope(task, output, *, when, **options):
        async def cancel_then():
            await eventually(when)
            scope.cancel()

        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(cancel_then)
                await handle(task, output, **options)

    return interrupt if "runner" in request.param else in_scope


async def test_a_cancelled_command_may_clean_up(cancelled, tmp_path):
    """SIGTERM goes to the group, and what it says then is still kept."""
    command = f'trap "echo bye; exit 0" TERM; touch {tmp_path}/on; while :; do sleep 0.05; done'
    task = FakeTask({"command": command})
    task.canceled.happened = True
    await cancelled(task, tmp_path, when=(tmp_path / "on").exists, grace=2 * TOO_LONG)
    assert (logs(tmp_path) / "StdOutput").read_text() == "bye\n"
    assert list((tmp_path / "work").iterdir()) == []


async def test_a_command_that_ignores_sigterm_is_killed_after_the_grace(cancelled, tmp_path):
    """Nothing of a cancelled command stays, though it and its children ignore SIGTERM."""
    command = f"echo $$ >{tmp_path}/pid; ({IGNORES_TERM}) & {IGNORES_TERM}"
    task, grace = FakeTask({"command": command}), timedelta(milliseconds=200)
    await cancelled(task, tmp_path, when=filled(tmp_path / "pid"), grace=grace)
    assert not group_alive(int((tmp_path / "pid").read_text()))


async def test_a_lost_task_s_command_is_dead_before_the_deadline(cancelled, tmp_path):
    """The grace is cut short: afterwards the task may be somebody else's."""
    task = FakeTask({"command": f"echo $$ >{tmp_path}/pid; {IGNORES_TERM}"})

    def lost():
        if not filled(tmp_path / "pid")():
            return False
        task.lost.happened = True
        task.deadline = anyio.current_time() + 1
        return True

    await cancelled(task, tmp_path, when=lost, grace=3600)
    assert not group_alive(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(
    "moments", [8, pytest.param(40, marks=pytest.mark.slow)], ids=["a few", "many"]
)
async def test_cancellation_at_any_moment_leaves_nothing(tmp_path, moments):
    """Neither processes nor directories nor descriptors, in whichever step it comes.

    The moments are spread at random over twice the time that a whole task takes on this machine.
    """
    dice = random.Random(moments)
    await handle(FakeTask({"command": "true"}), tmp_path)  # which also imports what it needs
    begun = anyio.current_time()
    await handle(FakeTask({"command": "true"}), tmp_path)
    whole = anyio.current_time() - begun
    before = descriptors()
    for number in range(moments):
        command = f"echo $$ >{tmp_path}/{number}.pid; sleep 1000 & {IGNORES_TERM}"
        task = FakeTask({"command": command}, attempt_id=f"attempt{number}")
        delay = 2 * whole * (number + dice.random()) / moments
        await interrupt(task, tmp_path, when=passed(delay), grace=0.02)
    assert list((tmp_path / "work").iterdir()) == []
    assert descriptors() == before
    for path in tmp_path.glob("*.pid"):
        assert not filled(path)() or not group_alive(int(path.read_text()))


def passed(delay: float):
    until = anyio.current_time() + delay
    return lambda: anyio.current_time() >= until


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_no_output_of_a_task_that_ended_unnoticed_is_uploaded(tmp_path):
    """The command was through, but the task is not ours any more."""
    task = FakeTask({"command": "true"})
    task.lost.happened = True
    with pytest.raises(LeaseLost):
        await handle(task, tmp_path)
    assert task.statuses == ["staging", "running"]


async def test_a_blocked_event_loop_lets_no_command_outlive_its_lease(monkeypatch, tmp_path):
    """Nobody can report, nor be told of the loss: the command is killed all the same."""
    commands = []

    class Noted(Command):
        def __init__(self, *args, **settings):
            super().__init__(*args, **settings)
            commands.append(self)

    monkeypatch.setattr(_run, "Command", Noted)
    pid = tmp_path / "pid"
    task = FakeTask({"command": f"echo $$ >{pid}; {IGNORES_TERM}"})
    async with anyio.create_task_group() as group:

        async def fail():
            with pytest.raises(CommandFailed, match="SIGKILL"):
                await handle(task, tmp_path)

        group.start_soon(fail)
        await eventually(filled(pid))
        await eventually(lambda: commands[0].is_running)  # the event loop knows of it by then
        task.deadline = anyio.current_time() + 0.5
        until = time.monotonic() + TOO_LONG
        while alive(int(pid.read_text())):  # blocks the event loop, on purpose
            assert time.monotonic() < until
            time.sleep(0.01)  # noqa: ASYNC251


@pytest.mark.parametrize("command", ["true", "exit 3"])
async def test_an_interruption_while_logs_are_copied_undoes_no_work(monkeypatch, tmp_path, command):
    """S3 hangs when all is done: how the command ended is what the task is told by."""
    hanging = anyio.Event()

    async def put(*_):
        hanging.set()
        await anyio.sleep_forever()

    async def interrupt_then(interrupt):
        await hanging.wait()
        interrupt()

    monkeypatch.setattr(Store, "put", put)
    monkeypatch.setattr(_logs, "_INTERRUPTED_TIMEOUT", 0.1)
    task = FakeTask({"command": command, "stdout": "s3://logs/here"})
    ends = []
    async with interruptible() as interrupt, anyio.create_task_group() as group:
        group.start_soon(interrupt_then, interrupt)
        try:
            ends.append(await handle(task, tmp_path))
        except CommandFailed as failed:
            ends.append(failed.returncode)
    assert ends == [True if command == "true" else 3]


@pytest.mark.parametrize("forks", [False, True], ids=["alone", "with a child of its own"])
async def test_the_end_of_the_worker_is_the_end_of_its_commands(tmp_path, anyio_backend, forks):
    """Though the worker gets SIGKILL: guards end their sessions, though they ignore SIGTERM."""
    pids = [tmp_path / name for name in ("shell", "timeout")]
    commands = [
        f"{prefix}sh -c 'echo $$ >{pid}; {IGNORES_TERM}'"
        for prefix, pid in zip(("", "timeout 1000 "), pids, strict=True)
    ]
    code = f"""
import anyio, os, pathlib, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from unit.shell.kit import FakeTask, eventually, filled, handle

async def main():
    here = pathlib.Path({str(tmp_path)!r})
    async with anyio.create_task_group() as group:
        for number, command in enumerate({commands!r}):
            task = FakeTask({{"command": command}}, attempt_id=f"attempt{{number}}")
            group.start_soon(lambda task=task: handle(task, here, grace=0.2))
        for name in ("shell", "timeout"):
            await eventually(filled(here / name))
        if {forks} and os.fork() == 0:  # as multiprocessing does
            signal.pause()
        (here / "ready").write_text("yes")
        await anyio.sleep_forever()

anyio.run(main, backend={anyio_backend!r})
"""
    async with await anyio.open_process(
        [sys.executable, "-c", code], start_new_session=True
    ) as worker:
        try:
            await eventually(filled(tmp_path / "ready"))
            worker.kill()
            await eventually(lambda: not any(alive(int(pid.read_text())) for pid in pids))
        finally:
            with suppress(ProcessLookupError):  # of the child, if there is one
                os.killpg(worker.pid, signal.SIGKILL)
