"""`aiodp demo`: forty-one tasks, one reporter and a service that has a bad day."""

from __future__ import annotations

import io
import logging
import os
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NoReturn

import anyio
import click
from rich.console import Console
from rich.text import Text

from aiodp.cli._demo.board import Board
from aiodp.cli._demo.environment import made_up_session, undisturbed
from aiodp.cli._demo.pipelines import HELLO_GROUP, LONG_TASKS
from aiodp.cli._demo.promises import judge
from aiodp.cli._demo.scenario import REGION, TIME_SCALE, play
from aiodp.cli._demo.summary import summary
from aiodp.cli._demo.text import Marks
from aiodp.cli._demo.views import LiveView, PlainView
from aiodp.emulator import EmulatorServer, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.cli._demo.promises import Evidence
    from aiodp.cli._demo.views import View

_REFRESH: Final = 0.125  # real seconds between two looks
_INTERRUPTED: Final = 130  # 128 + SIGINT, as shells have it
_UNREAD: Final = 141  # 128 + SIGPIPE: nobody reads what is printed


@click.command()
def demo() -> int:
    """Hold forty tasks at once through trouble, on a local service.

    Starts a local Data Pipeline whose clock runs thirty times as fast, activates
    helloworld.json of AWS and forty longer tasks, and holds all of them with one
    reporter: while some are canceled, while a worker dies, and while the service
    fails and throttles. Then it judges by the service's own records whether each
    promise was kept; if one was not, the exit code is 1. Needs no AWS account,
    touches none, and takes about 15 seconds. Ctrl-C ends it, with exit code 130.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a log line may hold what the encoding cannot
    try:
        return _demo()
    except (BrokenPipeError, ExceptionGroup) as error:
        if isinstance(error, ExceptionGroup) and error.split(BrokenPipeError)[1]:
            raise
        return _UNREAD


def _demo() -> int:
    terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
    console = _console(terminal=terminal)
    marks = Marks.fit_for(console.encoding)
    settings = Settings(
        resource_worker_group=HELLO_GROUP,
        resource_startup=0.0,  # the scenario waits for no machine
        epoch=datetime.now(UTC),
    )
    try:
        with undisturbed(), EmulatorServer(time_scale=TIME_SCALE, settings=settings) as server:
            evidence = anyio.run(_watched, server, console, marks)
    except KeyboardInterrupt:
        console.print(Text("aiodp demo: interrupted, so no promise was judged."), soft_wrap=True)
        return _INTERRUPTED
    promises = judge(evidence, tasks=LONG_TASKS + 1)
    for line in summary(evidence, promises, marks, time_scale=TIME_SCALE):
        console.print(line, soft_wrap=True)
    return 0 if all(promise.kept for promise in promises) else 1


async def _watched(server: EmulatorServer, console: Console, marks: Marks) -> Evidence:
    """Play the scenario and show it meanwhile."""
    board = Board(service_clock=lambda: server.service(REGION).now)
    view: View
    if console.is_terminal:
        view = LiveView(console, board, marks, time_scale=TIME_SCALE)
    else:
        view = PlainView(console, board)
    with _logged_to(board), view:
        async with anyio.create_task_group() as watching:
            watching.start_soon(_refresh, view, name="view")
            evidence = await play(server, made_up_session(), board)
            watching.cancel_scope.cancel()
    return evidence


async def _refresh(view: View) -> NoReturn:
    while True:
        view.refresh()
        await anyio.sleep(_REFRESH)


class _Console(Console):
    """A console that leaves it to its user what a broken pipe means."""

    def on_broken_pipe(self) -> NoReturn:
        raise BrokenPipeError


def _console(*, terminal: bool) -> Console:
    """Return a console which writes escape codes to terminals only, whatever FORCE_COLOR says."""
    if terminal:
        return _Console(highlight=False)
    return _Console(highlight=False, force_terminal=False, color_system=None)


class _BoardHandler(logging.Handler):
    """Tells what the library logs to those who watch the board."""

    def __init__(self, board: Board) -> None:
        super().__init__(logging.WARNING)
        self._board = board

    def emit(self, record: logging.LogRecord) -> None:
        """Tell one record."""
        self._board.say(f"aiodp logs: {record.getMessage()}")


@contextmanager
def _logged_to(board: Board) -> Iterator[None]:
    logger = logging.getLogger("aiodp")
    handler, propagate = _BoardHandler(board), logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
