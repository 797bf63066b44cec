"""Where the log of `aiodp run` goes: to stderr, with a table below it perhaps, and to files."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Final, Self

from aiodp.cli._run.background import Aside, Sideline
from aiodp.cli._run.formatters import JsonLines, TaskRunnerLines, TextLines
from aiodp.cli._run.hourly_log import HourlyLog
from aiodp.cli._run.options import LogFormat

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from aiodp.cli._run.table import Screen

_aiodp: Final = logging.getLogger("aiodp")
_LAST_LINES: Final = 5.0
"""Seconds for what is not written yet when all is over."""


class Log:
    """Writes all records of `aiodp`, and the warnings of everything else.

    Each of its two ways has a thread: neither a paused terminal nor a slow disk stops the other, or
    the heartbeats.
    """

    def __init__(
        self, log_format: LogFormat, *, table: bool | None, secrets: Sequence[str]
    ) -> None:
        """Begin with stderr."""
        self.screen = _screen(log_format, table=table)
        self.display = Sideline("aiodp log lines")
        self.disk = Sideline("aiodp log files")
        self._files: HourlyLog | None = None
        self._secrets = secrets
        lines = self.screen or logging.StreamHandler()
        json = log_format is LogFormat.JSON
        lines.setFormatter(JsonLines(secrets) if json else TextLines(secrets))
        self._added: list[logging.Handler] = []
        self._add(Aside(lines, self.display))
        self._level = _aiodp.level
        _aiodp.setLevel(logging.INFO)
        _aiodp.disabled = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def files(self) -> HourlyLog:
        """The files, once they are open."""
        assert self._files is not None  # noqa: S101 - `open_files` comes first
        return self._files

    def open_files(self, output: Path) -> None:
        """Write to files, too; raise `OSError`."""
        self._files = HourlyLog(output)
        self._files.setFormatter(TaskRunnerLines(self._secrets))
        self._add(Aside(self._files, self.disk))

    def start_table(self) -> None:
        """Show the table from now on, if there is to be one."""
        if self.screen is not None:
            self.display.call(self.screen.start)

    def close(self) -> None:
        """Write what is left, in bounded time; once."""
        _aiodp.setLevel(self._level)
        while self._added:
            logging.getLogger().removeHandler(self._added.pop())
        for sideline, handler in ((self.display, self.screen), (self.disk, self._files)):
            if handler is not None:
                sideline.call(handler.close)
            sideline.close(_LAST_LINES)

    def _add(self, handler: logging.Handler) -> None:
        # To the root, so that the modules of handlers are heard as well, and set up nothing else.
        logging.getLogger().addHandler(handler)
        self._added.append(handler)


def _screen(log_format: LogFormat, *, table: bool | None) -> Screen | None:
    terminal = sys.stderr and sys.stderr.isatty()
    if table is False or log_format is LogFormat.JSON or not terminal:
        return None
    from aiodp.cli._run.table import Screen  # noqa: PLC0415 - rich takes its time

    screen = Screen()
    return screen if screen.is_possible else None
