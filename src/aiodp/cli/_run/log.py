"""The log of `aiodp run`: to stderr, above a table if there is one, and to files."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final, Self

from aiodp._log import logger as safe_logger
from aiodp.cli._formatters import JsonLines, TaskRunnerLines, TextLines
from aiodp.cli._run.background import BackgroundCalls, QueueHandler
from aiodp.cli._run.hourly_log import HourlyLog
from aiodp.cli._run.options import LogFormat

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aiodp.cli._run.table import Screen

logger = logging.getLogger("aiodp")

_CLOSE_TIMEOUT: Final = 5.0
"""Seconds in which the lines that wait are written at the end."""


class Log:
    """Writes all records of `aiodp`, and the warnings of everything else.

    Display and files have a thread each, so that neither a paused terminal nor a slow disk delays
    the other one, or the heartbeats.
    """

    def __init__(
        self, log_format: LogFormat, *, table: bool | None, secrets: Sequence[str]
    ) -> None:
        """Write to stderr from now on."""
        self.screen = _screen(log_format, table=table)
        self.display = BackgroundCalls("aiodp log lines")
        self.disk = BackgroundCalls("aiodp log files")
        self._files: HourlyLog | None = None
        self._secrets = secrets
        lines = self.screen or logging.StreamHandler()
        text = TextLines(secrets, terminal=bool(sys.stderr and sys.stderr.isatty()))
        lines.setFormatter(JsonLines(secrets) if log_format is LogFormat.JSON else text)
        self._guarded = [(guarded, guarded.handlers) for guarded in (logging.getLogger(), logger)]
        for guarded, handlers in self._guarded:
            guarded.handlers = [_Guarded(handler) for handler in handlers]
        self._added: list[logging.Handler] = []
        self._add(QueueHandler(lines, self.display))
        self._level = logger.level
        logger.setLevel(logging.INFO)
        logger.disabled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def files(self) -> HourlyLog:
        """The files; `open_files` must have been called."""
        assert self._files is not None  # noqa: S101 - the command calls `open_files` first
        return self._files

    def open_files(self, output: Path) -> None:
        """Write to files as well from now on; raise `OSError`."""
        self._files = HourlyLog(output)
        self._files.setFormatter(TaskRunnerLines(self._secrets))
        self._add(QueueHandler(self._files, self.disk))

    def start_table(self) -> None:
        """Show the table from now on, if there is one."""
        if self.screen is not None:
            self.display.call(self.screen.start)

    def close(self) -> None:
        """Remove the handlers and write the lines that wait, in bounded time. Idempotent."""
        logger.setLevel(self._level)
        while self._added:
            logging.getLogger().removeHandler(self._added.pop())
        while self._guarded:
            guarded, handlers = self._guarded.pop()
            guarded.handlers = handlers
        for calls, handler in ((self.display, self.screen), (self.disk, self._files)):
            if handler is not None:
                calls.call(handler.close)
            calls.close(_CLOSE_TIMEOUT)

    def _add(self, handler: logging.Handler) -> None:
        # To the root logger: the loggers of the user's handlers reach it too, and a
        # `logging.basicConfig` of theirs then does nothing.
        logging.getLogger().addHandler(handler)
        self._added.append(handler)


class _Guarded(logging.Handler):
    """Passes records to a handler that a module of the user's has added, which may raise.

    What logs them, botocore or the module itself, is not ours to change.
    """

    def __init__(self, handler: logging.Handler) -> None:
        super().__init__(handler.level)
        self._handler = handler

    def handle(self, record: logging.LogRecord) -> bool:
        """Pass it on; show what is raised."""
        try:
            return bool(self._handler.handle(record))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - tasks run beside it
            safe_logger.show(error)
            return False


def _screen(log_format: LogFormat, *, table: bool | None) -> Screen | None:
    terminal = sys.stderr and sys.stderr.isatty()
    if table is False or log_format is LogFormat.JSON or not terminal:
        return None
    from aiodp.cli._run.table import Screen  # noqa: PLC0415 - importing rich takes time

    screen = Screen()
    return screen if screen.is_possible else None
