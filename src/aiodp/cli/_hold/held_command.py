"""A command that runs while its task is held, and is ended when the task is canceled or lost."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Final, Protocol

import anyio

from aiodp import (
    AiodpError,
    LeaseLost,
    ReportRejected,
    StatusInDoubt,
    StatusNotSet,
    TaskCanceled,
    TaskStatus,
)
from aiodp._concurrency import first_of
from aiodp._core.text import shorten
from aiodp._process.command import Command
from aiodp._process.echoes import Echoes
from aiodp._process.exits import describe_exit, time_to_stop
from aiodp.cli._shared import KILLED_BY_SIGNAL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from signal import Signals

    from aiodp import ProgressReporter, TrackedTask

_FORWARDED: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""Signals that are sent on to the command."""


class Exit(IntEnum):
    """Exit codes of `aiodp hold` beside those of the command."""

    IN_DOUBT = 120
    CANCELED = 121
    LOST = 122
    REJECTED = 123
    STATUS_NOT_SET = 124
    INTERNAL_ERROR = 125
    NOT_EXECUTABLE = 126
    NOT_FOUND = 127


_CODES: Final[dict[type[AiodpError], Exit]] = {
    TaskCanceled: Exit.CANCELED,
    LeaseLost: Exit.LOST,
    StatusInDoubt: Exit.IN_DOUBT,
    ReportRejected: Exit.REJECTED,
    StatusNotSet: Exit.STATUS_NOT_SET,
}


class Say(Protocol):
    """Writes messages, one a line."""

    def __call__(self, message: str, *, error: bool = False) -> None:
        """Write a message; one that is not an error may be left out."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outcome:
    """How the command ended. `failure` is None if it succeeded."""

    code: int
    failure: str | None = None
    task_ended: bool = False
    """Whether it was terminated because the task was canceled or lost: then no status is due."""


class HeldCommand:
    """One command for one task; not to be reused.

    Until the command runs, any of the forwarded signals ends `run`. Then the first one is sent on
    to the command and the second one kills it; the task is held until the command has ended.
    """

    def __init__(self, command: Sequence[str], *, grace: float, set_status: bool, say: Say) -> None:
        self._argv = command
        self._grace = grace
        self._set_status = set_status
        self._say = say
        self._command: Command | None = None
        self._starting = False
        self._signals: list[Signals] = []
        self._echoes = Echoes()
        self._exit_code: int | None = None
        self._scope = anyio.CancelScope()

    async def run(
        self, reporter: ProgressReporter, tracking: AbstractAsyncContextManager[TrackedTask]
    ) -> int:
        """Hold the task while the command runs; return the exit code."""
        # A signal that was ignored from the start, as by nohup, stays ignored, and the command
        # inherits that.
        handled = [
            number for number in _FORWARDED if signal.getsignal(number) is not signal.SIG_IGN
        ]
        with anyio.open_signal_receiver(*handled, signal.SIGTSTP) as signals:
            async with anyio.create_task_group() as group:
                group.start_soon(self._receive, signals, name="aiodp hold signals")
                with self._scope:
                    await self._keep_alive(reporter, tracking)
                group.cancel_scope.cancel()
        return KILLED_BY_SIGNAL + self._signals[-1] if self._exit_code is None else self._exit_code

    async def _keep_alive(
        self, reporter: ProgressReporter, tracking: AbstractAsyncContextManager[TrackedTask]
    ) -> None:
        try:
            async with reporter, tracking as task:
                if task.canceled.is_set():
                    self._say("the command is not started", error=True)
                    task.raise_if_ended()
                outcome = await self._run_command(task)
                self._exit_code = outcome.code
                if self._set_status and not outcome.task_ended:
                    await self._report_status(task, outcome)
        except AiodpError as error:
            self._say(str(error), error=True)
            self._exit_code = _CODES.get(type(error), Exit.INTERNAL_ERROR)
        except Exception as error:  # noqa: BLE001 - any fault becomes a line and an exit code
            self._say(f"{type(error).__name__}: {error}", error=True)
            self._exit_code = Exit.INTERNAL_ERROR

    async def _run_command(self, task: TrackedTask) -> _Outcome:
        self._say(f"task {shorten(task.task_id)} is ours, running {self._argv[0]}")
        try:
            self._command = await self._start()
        except OSError as error:
            failure = f"{self._argv[0]} cannot be run: {error.strerror}"
            self._say(failure, error=True)
            missing = isinstance(error, FileNotFoundError)
            return _Outcome(
                code=Exit.NOT_FOUND if missing else Exit.NOT_EXECUTABLE, failure=failure
            )
        try:
            return await self._wait_command(task, self._command)
        finally:
            self._command.close()
            self._command = None

    async def _start(self) -> Command:
        self._starting = True
        try:
            return await Command.start(self._argv, grace=self._grace)
        finally:
            self._starting = False

    async def _wait_command(self, task: TrackedTask, command: Command) -> _Outcome:
        """Return once the command has ended; terminate it if the task ends first."""
        for count, number in enumerate(self._signals, 1):  # those that came during its start
            self._forward(command, number, count)
        await first_of(command.wait, task.ended.wait)
        if command.returncode is None:
            return await self._terminate(task, command)
        code = command.returncode
        return _Outcome(
            code=code if code >= 0 else KILLED_BY_SIGNAL - code,
            failure=describe_exit(code) if code else None,
        )

    async def _terminate(self, task: TrackedTask, command: Command) -> _Outcome:
        canceled = task.canceled.is_set()
        state = "canceled" if canceled else f"lost ({task.lost_reason})"
        message = f"task {shorten(task.task_id)} is {state}, so {self._argv[0]} is terminated"
        self._say(message, error=True)
        await command.stop(time_to_stop(task, self._grace, anyio.current_time()))
        if command.returncode is None:  # it runs as another user, or hangs in the kernel
            self._say(f"{self._argv[0]} could not be ended, it still runs", error=True)
        return _Outcome(code=Exit.CANCELED if canceled else Exit.LOST, task_ended=True)

    async def _report_status(self, task: TrackedTask, outcome: _Outcome) -> None:
        self._exit_code = Exit.STATUS_NOT_SET  # also if a signal ends the attempts to set it
        status = TaskStatus.FAILED if outcome.failure else TaskStatus.FINISHED
        await task.set_status(
            status,
            error_id="CommandFailed" if outcome.failure else None,
            error_message=outcome.failure,
        )
        self._say(f"task {shorten(task.task_id)} is {status}")
        self._exit_code = outcome.code

    async def _receive(self, signals: AsyncIterator[Signals]) -> None:
        async for number in signals:
            if number is signal.SIGTSTP:
                self._say("not suspended: the task would be lost while the command runs")
            elif not self._echoes.is_echo(number):
                self._signals.append(number)
                self._on_signal(number)

    def _on_signal(self, number: Signals) -> None:
        if self._command is not None:
            self._forward(self._command, number, len(self._signals))
        elif not self._starting:
            self._say(f"{number.name}: nothing more is done", error=True)
            self._scope.cancel()

    def _forward(self, command: Command, number: Signals, count: int) -> None:
        sent = number if count == 1 else signal.SIGKILL
        self._say(f"{sent.name} is sent to {self._argv[0]}")
        command.signal(sent)
