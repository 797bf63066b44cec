"""A table of the running tasks below the log, on a terminal."""

from __future__ import annotations

import logging
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from aiodp._reporter.task import record_of
from aiodp._types import RunEnd
from aiodp.cli._shared import printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import RenderableType

    from aiodp import RunnerStatistics, Task, TaskRunner

_STATE_STYLES: Final = {
    "assigned": "yellow",
    "held": "cyan",
    "canceled": "magenta",
    "lost": "red",
    "released": "green",
}
_LEVEL_STYLES: Final = ((logging.ERROR, "bold red"), (logging.WARNING, "yellow"))
_TOTALS: Final = (
    ("finished", (RunEnd.FINISHED, RunEnd.FALSE)),
    ("failed", (RunEnd.FAILED,)),
    ("canceled", (RunEnd.CANCELED,)),
    ("lost", (RunEnd.LOST,)),
)
_OTHER_LINES: Final = 5
"""Beside the tasks: a blank one, totals, the head, the number left out, and the cursor's."""
_MIN_ROWS: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A running task. Times are in seconds."""

    attempt: str
    type: str
    state: str
    age: float
    lease_left: float
    fields: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """What the table shows at one moment."""

    rows: tuple[Row, ...]
    totals: Mapping[str, int]


class TaskSampler:
    """Takes samples of the running tasks, in the event loop; remembers their reported fields."""

    def __init__(self) -> None:
        self._fields: dict[Task, dict[str, str]] = {}

    def sample(self, tasks: Iterable[Task], now: RunnerStatistics) -> Frame:
        """Return the present state."""
        self._fields = {task: self._reported(task) for task in tasks}
        return Frame(
            rows=tuple(_row(task, fields) for task, fields in self._fields.items()),
            totals={"polls": now.polls}
            | {name: sum(now.ended.get(end, 0) for end in ends) for name, ends in _TOTALS},
        )

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
        self._console = console or Console(stderr=True, highlight=False)
        self._sampler = TaskSampler()
        self._live = Live(
            console=self._console,
            auto_refresh=False,
            vertical_overflow="crop",
            # The output of handlers goes above the table, but only if it goes to the terminal.
            redirect_stdout=bool(sys.stdout and sys.stdout.isatty()),
        )

    @property
    def is_possible(self) -> bool:
        """Whether stderr is a terminal that can show a table."""
        return self._console.is_terminal and not self._console.is_dumb_terminal

    def sample(self, runner: TaskRunner) -> Frame:
        """Return the present state of a runner; to be called in its event loop."""
        return self._sampler.sample(runner.tasks, runner.statistics())

    def start(self) -> None:
        """Start to draw."""
        self._live.start()

    def close(self) -> None:
        """Stop to draw; the last state stays on the terminal."""
        self._live.stop()
        super().close()

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record above the table."""
        style = next((style for level, style in _LEVEL_STYLES if record.levelno >= level), "")
        self._console.print(Text(self.format(record), style=style), soft_wrap=True)

    def show(self, frame: Frame) -> None:
        """Draw the table."""
        self._live.update(self._render(frame), refresh=True)

    def _render(self, frame: Frame) -> RenderableType:
        max_rows = max(_MIN_ROWS, self._console.size.height - _OTHER_LINES)
        shown, left_out = frame.rows[:max_rows], len(frame.rows) - max_rows
        parts: list[Any] = [Text(), _totals(frame.totals)]
        if shown:
            parts.append(_table(shown))
        if left_out > 0:
            parts.append(Text(f"and {left_out} more", style="dim"))
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
    text = Text("aiodp run  ", style="bold", no_wrap=True, overflow="crop")
    counts = ", ".join(f"{count} {name}" for name, count in totals.items())
    return text.append(counts, style="not bold")


def _table(rows: Iterable[Row]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name, options in _COLUMNS.items():
        table.add_column(name, no_wrap=True, **options)
    for row in rows:
        table.add_row(
            Text(row.attempt),
            Text(row.type),
            Text(row.state, style=_STATE_STYLES.get(row.state, "")),
            f"{row.age:.0f} s",
            f"{row.lease_left:.0f} s",
            Text(row.fields),
        )
    return table


_COLUMNS: Final[Mapping[str, dict[str, Any]]] = {
    "attempt": {"overflow": "ellipsis", "ratio": 4},
    "type": {"overflow": "ellipsis", "ratio": 2},
    "state": {"min_width": 8},
    "age": {"justify": "right", "min_width": 5},
    "lease": {"justify": "right", "min_width": 5},
    "reported": {"overflow": "ellipsis", "ratio": 3},
}
