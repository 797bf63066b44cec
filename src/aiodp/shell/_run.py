"""One run of a script, from its start until all its processes have ended."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._concurrency import clock
from aiodp._process.command import Command
from aiodp._process.exits import KILL_MARGIN, time_to_stop
from aiodp.shell._errors import local_failed
from aiodp.shell._log import warn
from aiodp.shell._recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from aiodp._errors import TaskFailed
    from aiodp._runner.task import Task

_STOP_MARGIN: Final = 10.0
"""Seconds beyond its grace that the end of a command may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """How a script ended, and whether its output could be kept."""

    returncode: int
    """Its exit code, or -n if signal n killed it."""
    stderr: bytes
    """The end of what it wrote there."""
    output_error: TaskFailed | None
    """Why its output could not be kept, None if it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptRun:
    """What is run, and where. `streams` are the files for stdout and stderr."""

    argv: Sequence[str]
    cwd: Path
    env: Mapping[str, str]
    streams: tuple[Path, Path]
    grace: float
    max_output: int

    async def execute(self, task: Task) -> RunResult:
        """Run it; return how it ended, once all processes of its session have.

        Raises `OSError` if it cannot be started. If this is cancelled, its session is ended.
        """
        recorder = Recorder(self.streams, self.max_output)
        stdout, stderr = (stream.write_end for stream in recorder.streams)
        command = Command(
            self.argv,
            grace=self.grace,
            cwd=self.cwd,
            env=self.env,
            stdout=stdout,
            stderr=stderr,
            inherits_input=False,
        )
        recorder.tick = partial(_kill_if_overdue, command, task, clock())
        try:
            await self._start_and_wait(command, recorder, task)
        finally:
            command.close()
            if not await recorder.finish():
                warn(task, "its output is not on the disk yet, which hangs")
        return RunResult(
            returncode=command.returncode or 0,
            stderr=recorder.streams[1].tail,
            output_error=_output_error(recorder),
        )

    async def _start_and_wait(self, command: Command, recorder: Recorder, task: Task) -> None:
        """Return once the command, and what it left in its session, has ended."""
        try:
            try:
                await command.begin()
            finally:
                recorder.close_writing()
            await command.wait()
            await command.stop(self.grace)
        except BaseException:
            await self._stop(command, task)
            raise

    async def _stop(self, command: Command, task: Task) -> None:
        grace = time_to_stop(task, self.grace, anyio.current_time())
        try:
            with anyio.move_on_after(grace + _STOP_MARGIN, shield=True):
                await command.stop(grace)
        except BaseException:
            command.signal(signal.SIGKILL)
            raise
        if command.is_running:  # it runs as another user, or hangs in the kernel
            warn(task, "its command could not be ended, it still runs")


def _kill_if_overdue(command: Command, task: Task, now: Callable[[], float]) -> None:
    """Kill a command whose task the service may give to another worker.

    Usually the event loop has ended it long before; this is called in a thread, for the case that
    the event loop is blocked.
    """
    if now() >= task.deadline - KILL_MARGIN and not task.canceled.is_set():
        command.signal(signal.SIGKILL)


def _output_error(recorder: Recorder) -> TaskFailed | None:
    for stream in recorder.streams:
        if (error := stream.error) is not None:
            failure = local_failed(f"{stream.path.name} could not be kept: {error.strerror}")
            failure.__cause__ = error
            return failure
    return None
