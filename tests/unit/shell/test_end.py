"""Nothing of a command outlives its task."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import anyio
import pytest

from aiodp import LeaseLost
from aiodp._concurrency import interruptible
from aiodp._process import Command
from aiodp.shell import CommandFailed, _logs, _run
from aiodp.shell._s3 import Store
from unit.shell.kit import (
    DEAF,
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


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    return request.param


@pytest.fixture
def run(tmp_path):
    """Runs a task of these fields; its output is below `tmp_path`."""

    async def run(*, kind="ShellCommandActivity", options=None, **fields):
        return await handle(FakeTask(fields, kind=kind), tmp_path, **(options or {}))

    return run


@pytest.fixture
def stdout(tmp_path):
    return lambda: (logs(tmp_path) / "StdOutput").read_bytes().decode()


async def test_a_leaked_process_is_ended_and_holds_up_nothing(run, stdout):
    """What the command leaves in its group is dead before the task has its status."""
    await run(command="sleep 1000 & echo $!; exit 0")
    assert not alive(int(stdout()))


async def test_a_leaked_process_that_is_deaf_is_killed(run, stdout):
    """SIGKILL follows after the grace."""
    command = (
        f"(trap '' TERM; touch deaf; {DEAF}) & while [ ! -e deaf ]; do sleep 0.01; done; echo $!"
    )
    await run(command=command, options={"grace": 0.2})
    assert not alive(int(stdout()))


GROUPS = {
    "timeout": "timeout 1000 sh -c 'echo $$ >{pid}; {deaf}'",
    "job control": "set -m; sh -c 'echo $$ >{pid}; {deaf}' & wait",
}
"""Commands that put what they start into process groups of its own."""


@pytest.mark.parametrize("command", GROUPS.values(), ids=GROUPS)
async def test_groups_within_its_session_end_with_it(cancelled, tmp_path, command):
    """What `timeout` runs, or a shell with job control, does not outlive the task."""
    pid = tmp_path / "pid"
    command = command.format(pid=pid, deaf="trap : TERM; while :; do sleep 0.05; done")
    task = FakeTask({"command": command})
    await cancelled(task, tmp_path, when=filled(pid), grace=0.2)
    assert not alive(int(pid.read_text()))


@pytest.mark.parametrize("command", GROUPS.values(), ids=GROUPS)
async def test_what_is_left_in_other_groups_is_ended_as_well(run, tmp_path, command):
    """The command has ended, what it started has not."""
    pid = tmp_path / "pid"
    command = command.format(pid=pid, deaf="sleep 1000")
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
        async def soon():
            await eventually(when)
            scope.cancel()

        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(soon)
                await handle(task, output, **options)

    return interrupt if "runner" in request.param else in_scope


async def test_a_cancelled_command_may_clean_up(cancelled, tmp_path):
    """SIGTERM goes to the group, and what it says then is still kept."""
    command = f'trap "echo bye; exit 0" TERM; touch {tmp_path}/on; while :; do sleep 0.05; done'
    task = FakeTask({"command": command})
    task.canceled.happened = True
    await cancelled(task, tmp_path, when=(tmp_path / "on").exists)
    assert (logs(tmp_path) / "StdOutput").read_text() == "bye\n"
    assert list((tmp_path / "work").iterdir()) == []


async def test_a_deaf_command_is_killed_after_the_grace(cancelled, tmp_path):
    """Nothing of a cancelled command stays, though it and its children ignore SIGTERM."""
    command = f"echo $$ >{tmp_path}/pid; ({DEAF}) & {DEAF}"
    task, grace = FakeTask({"command": command}), timedelta(milliseconds=200)
    await cancelled(task, tmp_path, when=filled(tmp_path / "pid"), grace=grace)
    assert not group_alive(int((tmp_path / "pid").read_text()))


async def test_a_lost_task_s_command_is_dead_before_the_deadline(cancelled, tmp_path):
    """The grace is cut short: afterwards the task may be somebody else's."""
    task = FakeTask({"command": f"echo $$ >{tmp_path}/pid; {DEAF}"})

    def lost():
        if not (tmp_path / "pid").exists():
            return False
        task.lost.happened = True
        task.deadline = anyio.current_time() + 1
        return True

    await cancelled(task, tmp_path, when=lost, grace=3600)
    assert not group_alive(int((tmp_path / "pid").read_text()))


async def test_cancellation_at_any_moment_leaves_nothing(tmp_path):
    """Neither processes nor directories nor descriptors, in whichever step it comes."""
    await handle(FakeTask({"command": "true"}), tmp_path)
    before = descriptors()
    for number in range(20):
        command = f"echo $$ >{tmp_path}/{number}.pid; sleep 1000 & {DEAF}"
        task = FakeTask({"command": command}, attempt_id=f"attempt{number}")
        await interrupt(task, tmp_path, when=passed(number * 0.01), grace=0.02)
    assert list((tmp_path / "work").iterdir()) == []
    assert descriptors() == before
    for path in tmp_path.glob("*.pid"):
        assert not filled(path)() or not group_alive(int(path.read_text()))


def passed(delay: float):
    until = anyio.current_time() + delay
    return lambda: anyio.current_time() >= until


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_nothing_is_taken_from_a_task_that_ended_unnoticed(tmp_path):
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
    task = FakeTask({"command": f"echo $$ >{pid}; {DEAF}"})
    async with anyio.create_task_group() as group:

        async def fail():
            with pytest.raises(CommandFailed, match="SIGKILL"):
                await handle(task, tmp_path)

        group.start_soon(fail)
        await eventually(filled(pid))
        await eventually(lambda: commands[0].lives)  # the event loop knows of it by then
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

    async def soon(interrupt):
        await hanging.wait()
        interrupt()

    monkeypatch.setattr(Store, "put", put)
    monkeypatch.setattr(_logs, "_LAST_TIMEOUT", 0.1)
    task = FakeTask({"command": command, "stdout": "s3://logs/here"})
    ends = []
    async with interruptible() as interrupt, anyio.create_task_group() as group:
        group.start_soon(soon, interrupt)
        try:
            ends.append(await handle(task, tmp_path))
        except CommandFailed as failed:
            ends.append(failed.returncode)
    assert ends == [True if command == "true" else 3]


@pytest.mark.parametrize("forks", [False, True], ids=["alone", "with a child of its own"])
@pytest.mark.parametrize("prefix", ["", "timeout 1000 "], ids=["shell", "timeout"])
async def test_the_end_of_the_worker_is_the_end_of_its_commands(tmp_path, prefix, forks):
    """Though the worker gets SIGKILL: a guard ends the session, deaf as it is."""
    deaf = f"{prefix}sh -c 'echo $$ >{tmp_path}/pid; {DEAF}'"
    code = f"""
import anyio, os, pathlib, signal, sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from unit.shell.kit import FakeTask, eventually, filled, handle

async def main():
    here = pathlib.Path({str(tmp_path)!r})
    task = FakeTask({{"command": {deaf!r}}})
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: handle(task, here, grace=0.2))
        await eventually(filled(here / "pid"))
        if {forks} and os.fork() == 0:  # as multiprocessing does
            signal.pause()
        (here / "ready").write_text("yes")

anyio.run(main)
"""
    async with await anyio.open_process(
        [sys.executable, "-c", code], start_new_session=True
    ) as worker:
        try:
            await eventually(filled(tmp_path / "ready"))
            worker.kill()
            pid = int((tmp_path / "pid").read_text())
            await eventually(lambda: not alive(pid))
        finally:
            with suppress(ProcessLookupError):  # of the child, if there is one
                os.killpg(worker.pid, signal.SIGKILL)
