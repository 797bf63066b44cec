"""`aiodp demo`: forty-one tasks, one reporter and a service that fails."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NoReturn

import anyio
from rich.console import Console
from rich.text import Text

from aiodp.cli._command import command
from aiodp.cli._demo.environment import fake_session, isolated_environment
from aiodp.cli._demo.event_lines import Marks
from aiodp.cli._demo.pipelines import HELLO_GROUP, LONG_TASKS
from aiodp.cli._demo.promises import judge
from aiodp.cli._demo.scenario import REGION, TIME_SCALE, play
from aiodp.cli._demo.summary import summary
from aiodp.cli._demo.task_log import TaskLog
from aiodp.cli._demo.views import LiveView, PlainView
from aiodp.cli._shared import KILLED_BY_SIGNAL
from aiodp.cli._terminal import unguarded
from aiodp.emulator import EmulatorServer, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.cli._demo.promises import Evidence
    from aiodp.cli._demo.views import View

logger = logging.getLogger("aiodp")

_REFRESH_INTERVAL: Final = 0.125  # real seconds
_INTERRUPTED: Final = KILLED_BY_SIGNAL + signal.SIGINT


@command()
def demo() -> int:
    """Hold forty tasks at once while a local service fails.

    Starts a local Data Pipeline whose clock runs thirty times as fast, activates
    helloworld.json of AWS and forty longer tasks, and holds all of them with one
    reporter: while some are canceled, while a worker dies, and while the service
    fails and throttles. Then it judges by the service's own records whether each
    promise was kept; if one was not, the exit code is 1. Needs no AWS account,
    touches none, and takes about 15 seconds. Ctrl-C ends it, with exit code 130.
    """
    stdout = unguarded(sys.stdout)
    if isinstance(stdout, io.TextIOWrapper):
        stdout.reconfigure(errors="replace")  # a log line may have any character
    try:
        return _demo()
    except ExceptionGroup as group:  # the error of a stream, out of a task
        _, others = group.split(OSError)
        first: BaseException = group
        while isinstance(first, BaseExceptionGroup):
            first = first.exceptions[0]
        raise others or first from None


def _demo() -> int:
    terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    console = _console(terminal=terminal)
    marks = Marks.for_encoding(console.encoding)
    settings = Settings(
        resource_worker_group=HELLO_GROUP,
        resource_startup=0.0,  # no delay as if an EC2 instance started
        epoch=datetime.now(UTC),
    )
    try:
        with (
            isolated_environment(),
            EmulatorServer(time_scale=TIME_SCALE, settings=settings) as server,
        ):
            evidence = anyio.run(_play_and_show, server, console, marks)
    except KeyboardInterrupt:
        console.print(Text("aiodp demo: interrupted, so no promise was judged."), soft_wrap=True)
        return _INTERRUPTED
    promises = judge(evidence, tasks=LONG_TASKS + 1)
    for line in summary(evidence, promises, marks, time_scale=TIME_SCALE):
        console.print(line, soft_wrap=True)
    return 0 if all(promise.kept for promise in promises) else 1


async def _play_and_show(server: EmulatorServer, console: Console, marks: Marks) -> Evidence:
    """Play the scenario while a view shows the log."""
    log = TaskLog(service_clock=lambda: server.service(REGION).now)
    view: View
    if console.is_terminal:
        view = LiveView(console, log, marks, time_scale=TIME_SCALE)
    else:
        view = PlainView(console, log)
    with _warnings_to(log), view:
        async with anyio.create_task_group() as group:
            group.start_soon(_refresh, view, name="view")
            evidence = await play(server, fake_session(), log)
            group.cancel_scope.cancel()
    return evidence


async def _refresh(view: View) -> NoReturn:
    while True:
        view.refresh()
        await anyio.sleep(_REFRESH_INTERVAL)


class _Console(Console):
    """A console that raises `BrokenPipeError`; rich's exits the process with code 1."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def _console(*, terminal: bool) -> Console:
    """Return a console that writes escape codes to terminals only, even with FORCE_COLOR."""
    if terminal:
        return _Console(file=unguarded(sys.stdout), highlight=False)
    return _Console(highlight=False, force_terminal=False, color_system=None)


class _TaskLogHandler(logging.Handler):
    """Adds the library's warnings to the task log."""

    def __init__(self, log: TaskLog) -> None:
        super().__init__(logging.WARNING)
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        """Add a record."""
        self._log.add_text(f"aiodp logs: {record.getMessage()}")


@contextmanager
def _warnings_to(log: TaskLog) -> Iterator[None]:
    handler, propagate = _TaskLogHandler(log), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
