"""A command that runs while a task is ours, and ends when it is not."""

from __future__ import annotations

import signal
from enum import IntEnum
from typing import TYPE_CHECKING, Final, NoReturn, Protocol

import anyio

from aiodp import AiodpError, LeaseLost, ReportRejected, StatusNotSet, TaskCanceled, TaskStatus
from aiodp._concurrency import first_of
from aiodp._core.text import shorten
from aiodp._process import Command, describe_exit, time_to_stop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager
    from signal import Signals

    from aiodp import ProgressReporter, TrackedTask

STOPPING: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)
"""Signals that are handed on to the command."""
_KILLED: Final = 128
"""Plus a signal's number: the exit code of what died of it, by the custom of shells."""


class Exit(IntEnum):
    """Exit codes of `aiodp hold` beside those of the command."""

    CANCELED = 121
    LOST = 122
    REJECTED = 123
    STATUS_NOT_SET = 124
    BROKEN = 125
    NOT_EXECUTABLE = 126
    NOT_FOUND = 127


_CODES: Final[dict[type[AiodpError], Exit]] = {
    TaskCanceled: Exit.CANCELED,
    LeaseLost: Exit.LOST,
    ReportRejected: Exit.REJECTED,
    StatusNotSet: Exit.STATUS_NOT_SET,
}


class Say(Protocol):
    """Where messages go, each of them one line."""

    def __call__(self, message: str, *, error: bool = False) -> None:
        """Write a line; what is no error may be left out."""
        ...


class _Terminated(Exception):  # noqa: N818 - no error, but the way out
    def __init__(self, code: Exit) -> None:
        super().__init__()
        self.code = code


class Holding:
    """One command for one task, once.

    Until the command runs, a signal of `STOPPING` ends everything. Then the first one is handed on
    and the second one kills; the task is kept alive until the command has ended.
    """

    def __init__(self, command: Sequence[str], *, grace: float, set_status: bool, say: Say) -> None:
        self._argv = command
        self._grace = grace
        self._set_status = set_status
        self._say = say
        self._command: Command | None = None
        self._starting = False
        self._stops: list[Signals] = []
        self._exit: int | None = None
        self._scope = anyio.CancelScope()

    async def run(
        self, reporter: ProgressReporter, tracking: AbstractAsyncContextManager[TrackedTask]
    ) -> int:
        """Hold the task while the command runs; return the exit code."""
        # What was ignored from the start, as nohup does, stays so, here and in the command.
        heard = [one for one in STOPPING if signal.getsignal(one) is not signal.SIG_IGN]
        with anyio.open_signal_receiver(*heard, signal.SIGTSTP) as signals:
            async with anyio.create_task_group() as group:
                group.start_soon(self._listen, signals, name="aiodp hold signals")
                with self._scope:
                    await self._hold(reporter, tracking)
                group.cancel_scope.cancel()
        return _KILLED + self._stops[-1] if self._exit is None else self._exit

    async def _hold(
        self, reporter: ProgressReporter, tracking: AbstractAsyncContextManager[TrackedTask]
    ) -> None:
        try:
            async with reporter, tracking as task:
                if task.canceled.is_set():
                    self._say("the command is not started", error=True)
                    task.raise_if_ended()
                failure = await self._run_command(task)
                if self._set_status:
                    await self._tell(task, failure)
        except _Terminated as over:
            self._exit = over.code
        except AiodpError as error:
            self._say(str(error), error=True)
            self._exit = _CODES.get(type(error), Exit.BROKEN)
        except Exception as error:  # noqa: BLE001 - the last resort: a line instead of a traceback
            self._say(f"{type(error).__name__}: {error}", error=True)
            self._exit = Exit.BROKEN

    async def _run_command(self, task: TrackedTask) -> str | None:
        """Run the command; return how it failed, or None if it did not."""
        self._say(f"task {shorten(task.task_id)} is ours, running {self._argv[0]}")
        try:
            self._command = await self._start()
        except OSError as error:
            missing = isinstance(error, FileNotFoundError)
            self._exit = Exit.NOT_FOUND if missing else Exit.NOT_EXECUTABLE
            failure = f"{self._argv[0]} cannot be run: {error.strerror}"
            self._say(failure, error=True)
            return failure
        try:
            return await self._watch(task, self._command)
        finally:
            self._command.close()
            self._command = None

    async def _start(self) -> Command:
        self._starting = True
        try:
            return await Command.start(self._argv, grace=self._grace)
        finally:
            self._starting = False

    async def _watch(self, task: TrackedTask, command: Command) -> str | None:
        for count, number in enumerate(self._stops, 1):  # they came while it was being started
            self._hand_on(command, number, count)
        await first_of(command.wait, task.ended.wait)
        if command.returncode is None:
            await self._terminate(task, command)
        code = command.returncode or 0
        self._exit = code if code >= 0 else _KILLED - code
        return describe_exit(code) if code else None

    async def _terminate(self, task: TrackedTask, command: Command) -> NoReturn:
        canceled = task.canceled.is_set()
        what = "canceled" if canceled else f"lost ({task.lost_reason})"
        message = f"task {shorten(task.task_id)} is {what}, so {self._argv[0]} is terminated"
        self._say(message, error=True)
        await command.stop(time_to_stop(task, self._grace, anyio.current_time()))
        if command.returncode is None:  # it runs as another user, or hangs in the kernel
            self._say(f"{self._argv[0]} could not be ended, it still runs", error=True)
        raise _Terminated(Exit.CANCELED if canceled else Exit.LOST)

    async def _tell(self, task: TrackedTask, failure: str | None) -> None:
        code, self._exit = self._exit, Exit.STATUS_NOT_SET
        status = TaskStatus.FAILED if failure else TaskStatus.FINISHED
        await task.set_status(
            status, error_id="CommandFailed" if failure else None, error_message=failure
        )
        self._say(f"task {shorten(task.task_id)} is {status}")
        self._exit = code

    async def _listen(self, signals: AsyncIterator[Signals]) -> None:
        async for number in signals:
            if number is signal.SIGTSTP:
                self._say("not suspended: the task would be lost while the command runs")
            else:
                self._stops.append(number)
                self._stop(number)

    def _stop(self, number: Signals) -> None:
        if self._command is not None:
            self._hand_on(self._command, number, len(self._stops))
        elif not self._starting:
            self._say(f"{number.name}: nothing more is done", error=True)
            self._scope.cancel()

    def _hand_on(self, command: Command, number: Signals, count: int) -> None:
        sent = number if count == 1 else signal.SIGKILL
        self._say(f"{sent.name} is sent to {self._argv[0]}")
        command.signal(sent)
