"""How the demo is watched: a live table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol, Self

import anyio
from rich.console import Group
from rich.live import Live
from rich.text import Text

from aiodp.cli._demo.board import Stage
from aiodp.cli._demo.text import lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console, RenderableType

    from aiodp.cli._demo.board import Board, Entry
    from aiodp.cli._demo.text import Marks

_STYLES: Final = {
    Stage.ASSIGNED: "yellow",
    Stage.HELD: "cyan",
    Stage.SILENT: "magenta",
    Stage.FINISHED: "green",
    Stage.CANCELED: "yellow",
    Stage.LOST: "red",
    Stage.BROKEN: "bold red",
}
_SHOWN_FIRST: Final = (
    Stage.BROKEN,
    Stage.SILENT,
    Stage.LOST,
    Stage.CANCELED,
    Stage.ASSIGNED,
    Stage.HELD,
    Stage.FINISHED,
)
_CELL: Final = 25
"""Characters of the narrowest cell: task, state, progress, lease left."""
_GAP: Final = 2
_SHORTEST_BAR, _LONGEST_BAR = 4, 30
_LEAST_NEWS: Final = 3
_FRAME: Final = 6
"""Lines around cells and news: title, stages, reports, a blank one, the head, and the cursor's."""


class View(Protocol):
    """Shows how the board changes."""

    def __enter__(self) -> Self:
        """Begin to show."""
        ...

    def __exit__(self, *_: object) -> None:
        """Show the last state and end."""
        ...

    def refresh(self) -> None:
        """Show what is new."""
        ...


class PlainView:
    """Lines, one after the other, without any escape code."""

    def __init__(self, console: Console, board: Board) -> None:
        self._console = console
        self._board = board
        self._told = 0

    def __enter__(self) -> Self:
        """Begin to show."""
        return self

    def __exit__(self, *_: object) -> None:
        """Show what is left."""
        self.refresh()

    def refresh(self) -> None:
        """Print what happened since the last time."""
        news = self._board.happenings[self._told :]
        self._told += len(news)
        for line in lines(news):
            self._console.print(Text(line), soft_wrap=True)


class LiveView:
    """A table of all tasks, drawn again and again in its place."""

    def __init__(
        self,
        console: Console,
        board: Board,
        marks: Marks,
        *,
        time_scale: float,
    ) -> None:
        self._console = console
        self._board = board
        self._marks = marks
        self._time_scale = time_scale
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._live.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        """Draw the last state and leave it standing."""
        self.refresh()
        self._live.__exit__(None, None, None)

    def refresh(self) -> None:
        """Draw the table as it is now."""
        self._live.update(self._table(), refresh=True)

    def _table(self) -> RenderableType:
        width, height = self._console.size
        entries = self._board.entries
        rows = max(1, height - _FRAME - _LEAST_NEWS)
        columns = max(1, min(-(-len(entries) // rows), (width + _GAP) // (_CELL + _GAP)))
        cell = min((width + _GAP) // columns - _GAP, _CELL + 1 + _LONGEST_BAR)
        shown = _most_interesting(entries, rows * columns)
        rows = min(rows, -(-len(shown) // columns))
        news = max(_LEAST_NEWS, min(10, height - _FRAME - rows))
        return Group(
            self._title(),
            self._stages(),
            self._reports(),
            Text(),
            _joined([_head(cell)] * columns),
            *(_joined([self._cell(e, cell) for e in shown[row::rows]]) for row in range(rows)),
            *self._news(news, width),
        )

    def _title(self) -> Text:
        elapsed = self._board.elapsed
        minutes, seconds = divmod(int(elapsed * self._time_scale), 60)
        title = Text("aiodp demo", style="bold", no_wrap=True)
        title.append(f"  {elapsed:.1f} s, {minutes}:{seconds:02} min of the service", style="dim")
        return title

    def _stages(self) -> Text:
        counts = [(stage, self._board.count(stage)) for stage in Stage]
        parts = [Text(f"{count} {stage}", style=_STYLES[stage]) for stage, count in counts if count]
        return _joined(parts)

    def _reports(self) -> Text:
        if self._board.statistics is None:
            return Text()
        now = self._board.statistics()
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
        text.append_text(self._progress(entry, width - _CELL + 4))
        left = "" if entry.deadline is None else self._lease_left(entry.deadline)
        text.append(f" {left:>5}", style="dim" if entry.stage is Stage.HELD else "magenta")
        return text

    def _progress(self, entry: Entry, width: int) -> Text:
        percent = entry.percent
        number = "" if percent is None else f"{percent}%"
        bar = width - 5
        if percent is None or bar < _SHORTEST_BAR:
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

    def _news(self, count: int, width: int) -> list[Text]:
        told = list(lines(self._board.happenings))[-count:]
        told += [""] * (count - len(told))
        return [Text(line[: width - 1], style="dim", no_wrap=True) for line in told]


def _most_interesting(entries: Sequence[Entry], room: int) -> list[Entry]:
    """Return what fits, in the order of handing out; what is over, and finished, goes first."""
    if len(entries) <= room:
        return list(entries)
    kept = sorted(entries, key=lambda entry: _SHOWN_FIRST.index(entry.stage))[:room]
    return [entry for entry in entries if entry in kept]


def _head(width: int) -> Text:
    return Text(
        f"{'task':<5} {'state':<8} {'done':>{width - _CELL + 4}} {'lease':>5}", style="bold"
    )


def _joined(cells: Sequence[Text]) -> Text:
    line = Text(" " * _GAP).join(cells)
    line.no_wrap = True
    return line
