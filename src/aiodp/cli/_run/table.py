"""A table of the running tasks below the log, on a terminal."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
from rich.console import Console, Group
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.text import Text

from aiodp._core.text import printable
from aiodp._reporter.task import record_of
from aiodp._types import RunEnd
from aiodp.cli._formatters import MORE
from aiodp.cli._run.table_lines import Row, table_lines, wrap_at_words
from aiodp.cli._terminal import SafeTerminal, unguarded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import RenderableType

    from aiodp import RunnerStatistics, Task, TaskRunner

_LEVEL_STYLES: Final = ((logging.ERROR, "bold red"), (logging.WARNING, "yellow"))
_TOTALS: Final = (
    ("finished", (RunEnd.FINISHED, RunEnd.FALSE)),
    ("failed", (RunEnd.FAILED,)),
    ("canceled", (RunEnd.CANCELED,)),
    ("lost", (RunEnd.LOST,)),
)
_OTHER_LINES: Final = 4
"""Beside totals and tasks: a blank one, the head, the number left out, and the cursor's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What the table shows at one moment."""

    rows: tuple[Row, ...]
    totals: Mapping[str, int]
    idle: str = ""
    """What the runner waits for, if it has no task."""


class TaskSampler:
    """Takes samples of the running tasks, in the event loop.

    It remembers the fields that they have reported, and since when the newest poll is under way.
    """

    def __init__(self) -> None:
        self._fields: dict[Task, dict[str, str]] = {}
        self._newest_poll = (0, 0.0)  # its number, and when it was first seen

    def sample(self, tasks: Iterable[Task], now: RunnerStatistics, worker_group: str = "") -> Frame:
        """Return the present state; without a worker group, nothing is waited for any more."""
        self._fields = {task: self._reported(task) for task in tasks}
        if now.polls != self._newest_poll[0]:
            self._newest_poll = now.polls, anyio.current_time()
        idle = self._idle(worker_group, now) if worker_group and not self._fields else ""
        return Frame(
            rows=tuple(_row(task, fields) for task, fields in self._fields.items()),
            totals={"polls": now.polls}
            | {name: sum(now.ended.get(end, 0) for end in ends) for name, ends in _TOTALS},
            idle=idle,
        )

    def _idle(self, worker_group: str, now: RunnerStatistics) -> str:
        number, since = self._newest_poll
        poll = f" (poll {number}, {anyio.current_time() - since:.0f} s)" if now.polling else ""
        return f"waiting for tasks of {printable(worker_group)}{poll}"

    def _reported(self, task: Task) -> dict[str, str]:
        """Return the fields of a task, including those that the service has acknowledged."""
        known = self._fields.get(task, {})
        fields = record_of(task).fields
        if fields is None:
            return known
        pending = fields.snapshot()[1]
        new = {item["key"]: item.get("stringValue") or item.get("refValue", "") for item in pending}
        return known | new


class Screen(logging.Handler):
    """Writes the table, and log records above it. Only `sample` may be called in another thread."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__()
        self._console = console or Console(file=unguarded(sys.stderr), highlight=False)
        self._sampler = TaskSampler()
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            vertical_overflow="crop",
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._redirected: list[tuple[str, Any]] = []

    @property
    def is_possible(self) -> bool:
        """Whether stderr is a terminal that can show a table."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def sample(self, runner: TaskRunner, *, ended: bool) -> Frame:
        """Return the present state of a runner; to be called in its event loop."""
        group = "" if ended else runner.worker_group
        return self._sampler.sample(runner.tasks, runner.statistics(), group)

    def start(self) -> None:
        """Start to draw. What handlers print goes above the table, if it goes to the terminal."""
        self._live.start()
        for name in ("stdout", "stderr"):
            stream = getattr(sys, name)
            if stream.isatty():
                self._redirected.append((name, stream))
                setattr(sys, name, SafeTerminal(FileProxy(self._console, stream)))

    def close(self) -> None:
        """Stop to draw; the last state stays on the terminal."""
        while self._redirected:
            setattr(sys, *self._redirected.pop())
        self._live.stop()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record above the table, wrapped at words."""
        style = next((style for level, style in _LEVEL_STYLES if record.levelno >= level), "")
        lines = [
            part
            for line in self.format(record).split("\n")
            for part in wrap_at_words(Text(line, style=style), self._console, MORE)
        ]
        self._console.print(Text("\n").join(lines))

    def show(self, frame: Frame) -> None:
        """Draw the table."""
        self._live.update(self._render(frame), refresh=True)

    def _render(self, frame: Frame) -> RenderableType:
        totals = wrap_at_words(_totals(frame.totals), self._console)
        parts: list[Text] = [Text(), *totals]
        height = self._console.size.height - _OTHER_LINES - len(totals)
        if frame.rows:
            lines, left_out = table_lines(frame.rows, self._console, height)
            parts += lines
            if left_out:
                parts.append(Text(f"and {left_out} more", style="dim"))
        elif frame.idle:
            parts += wrap_at_words(Text(frame.idle, style="dim"), self._console)
        return Group(*parts)


def _row(task: Task, fields: Mapping[str, str]) -> Row:
    now = anyio.current_time()
    return Row(
        attempt=printable(task.attempt_id),
        type=printable(task.type),
        state=task.state.value,
        age=now - task.assigned_at,
        lease_left=max(0.0, task.deadline - now),
        fields=printable(" ".join(f"{key}={value}" for key, value in fields.items())),
    )


def _totals(totals: Mapping[str, int]) -> Text:
    counts = ", ".join(f"{count} {name}" for name, count in totals.items())
    return Text("aiodp run  ", style="bold").append(counts, style="not bold")
