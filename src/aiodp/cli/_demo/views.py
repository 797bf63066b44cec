"""The demo's views of the task log: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, Self

import anyio
from rich.console import Group
from rich.live import Live
from rich.text import Text

from aiodp.cli._demo.event_lines import lines
from aiodp.cli._demo.task_log import Stage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType

    from aiodp.cli._demo.event_lines import Marks
    from aiodp.cli._demo.task_log import Entry, TaskLog

_STYLES: Final = {
    Stage.ASSIGNED: "yellow",
    Stage.HELD: "cyan",
    Stage.SILENT: "magenta",
    Stage.FINISHED: "green",
    Stage.CANCELED: "yellow",
    Stage.LOST: "red",
    Stage.FAILED: "bold red",
}
_ORDER_OF_INTEREST: Final = (
    Stage.FAILED,
    Stage.SILENT,
    Stage.LOST,
    Stage.CANCELED,
    Stage.ASSIGNED,
    Stage.HELD,
    Stage.FINISHED,
)
_MIN_CELL_WIDTH: Final = 25
"""Characters for task, state, progress without a bar, and lease left."""
_GAP: Final = 2
_MIN_BAR_WIDTH, _MAX_BAR_WIDTH = 4, 30
_MIN_EVENT_LINES, _MAX_EVENT_LINES = 3, 10
_OTHER_LINES: Final = 6
"""Title, stages, reports, a blank one, the head, and the cursor's."""


class View(Protocol):
    """Shows the task log."""

    def __enter__(self) -> Self:
        """Start to show."""
        ...

    def __exit__(self, *_: object) -> None:
        """Show the last state and stop."""
        ...

    def refresh(self) -> None:
        """Show what is new."""
        ...


class PlainView:
    """Lines of text without escape codes."""

    def __init__(self, console: Console, log: TaskLog) -> None:
        self._console = console
        self._log = log
        self._printed = 0

    def __enter__(self) -> Self:
        """Start to show."""
        return self

    def __exit__(self, *_: object) -> None:
        """Print the last events."""
        self.refresh()

    def refresh(self) -> None:
        """Print the new events."""
        new = self._log.events[self._printed :]
        self._printed += len(new)
        for line in lines(new):
            self._console.print(Text(line), soft_wrap=True)


class LiveView:
    """A table of all tasks, which is redrawn in its place."""

    def __init__(
        self,
        console: Console,
        log: TaskLog,
        marks: Marks,
        *,
        time_scale: float,
    ) -> None:
        self._console = console
        self._log = log
        self._marks = marks
        self._time_scale = time_scale
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        """Start to draw."""
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Draw the last state, which stays on the terminal."""
        self.refresh()
        self._live.__exit__(None, None, None)

    def refresh(self) -> None:
        """Draw the present state."""
        self._live.update(self._table(), refresh=True)

    def _table(self) -> RenderableType:
        width, height = self._console.size
        entries = self._log.entries
        rows = max(1, height - _OTHER_LINES - _MIN_EVENT_LINES)
        columns = max(1, min(-(-len(entries) // rows), (width + _GAP) // (_MIN_CELL_WIDTH + _GAP)))
        cell = min((width + _GAP) // columns - _GAP, _MIN_CELL_WIDTH + 1 + _MAX_BAR_WIDTH)
        shown = _most_interesting(entries, rows * columns)
        rows = min(rows, -(-len(shown) // columns))
        events = max(_MIN_EVENT_LINES, min(_MAX_EVENT_LINES, height - _OTHER_LINES - rows))
        return Group(
            self._title(),
            self._stages(),
            self._reports(),
            Text(),
            _joined([_head(cell)] * columns),
            *(
                _joined([self._cell(entry, cell) for entry in shown[row::rows]])
                for row in range(rows)
            ),
            *self._event_lines(events, width),
        )

    def _title(self) -> Text:
        elapsed = self._log.elapsed
        minutes, seconds = divmod(int(elapsed * self._time_scale), 60)
        title = Text("aiodp demo", style="bold", no_wrap=True)
        title.append(f"  {elapsed:.1f} s, {minutes}:{seconds:02} min of the service", style="dim")
        return title

    def _stages(self) -> Text:
        counts = [(stage, self._log.count(stage)) for stage in Stage]
        parts = [Text(f"{count} {stage}", style=_STYLES[stage]) for stage, count in counts if count]
        return _joined(parts)

    def _reports(self) -> Text:
        if self._log.statistics is None:
            return Text()
        now = self._log.statistics()
        failed = ", ".join(f"{count} {kind}" for kind, count in now.failed.items() if count)
        return Text(
            f"{now.sent} reports: {now.succeeded} ok, {now.throttled} throttled"
            + (f", {failed}" if failed else ""),
            style="dim",
            no_wrap=True,
            overflow="crop",
        )

    def _cell(self, entry: Entry, width: int) -> Text:
        text = Text(f"{entry.label:<5} ")
        text.append(f"{entry.stage:<8} ", style=_STYLES[entry.stage])
        text.append_text(self._progress(entry, width - _MIN_CELL_WIDTH + 4))
        left = "" if entry.deadline is None else self._lease_left(entry.deadline)
        text.append(f" {left:>5}", style="dim" if entry.stage is Stage.HELD else "magenta")
        return text

    def _progress(self, entry: Entry, width: int) -> Text:
        percent = entry.percent
        number = "" if percent is None else f"{percent}%"
        bar = width - 5
        if percent is None or bar < _MIN_BAR_WIDTH:
            return Text(f"{number:>{width}}")
        done = bar * percent // 100
        style = _STYLES[entry.stage]
        text = Text(self._marks.done * done, style=style)
        text.append(self._marks.open * (bar - done), style="dim")
        text.append(f" {number:>4}")
        return text

    def _lease_left(self, deadline: float) -> str:
        left = (deadline - anyio.current_time()) * self._time_scale
        return f"{max(0, left):.0f} s"

    def _event_lines(self, count: int, width: int) -> list[Text]:
        shown = list(lines(self._log.events))[-count:]
        shown += [""] * (count - len(shown))
        return [Text(line[: width - 1], style="dim", no_wrap=True) for line in shown]


def _most_interesting(entries: Sequence[Entry], most: int) -> list[Entry]:
    """Return the entries that fit, in the order of assignment; finished ones are left out first."""
    if len(entries) <= most:
        return list(entries)
    kept = sorted(entries, key=lambda entry: _ORDER_OF_INTEREST.index(entry.stage))[:most]
    return [entry for entry in entries if entry in kept]


def _head(width: int) -> Text:
    return Text(
        f"{'task':<5} {'state':<8} {'done':>{width - _MIN_CELL_WIDTH + 4}} {'lease':>5}",
        style="bold",
    )


def _joined(cells: Sequence[Text]) -> Text:
    line = Text(" " * _GAP).join(cells)
    line.no_wrap = True
    return line
