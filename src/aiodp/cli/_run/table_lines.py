"""The lines of the table: values that change are whole, those that stay the same give way.

State, age and lease are never cut. What a task has reported is wrapped at words: beside the rest if
there is room for that, else below. The attempt's id is shortened, and the type left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

_GAP: Final = "  "
_MIN_ATTEMPT: Final = 20
_MIN_TYPE: Final = 10
_STATE_STYLES: Final = {
    "assigned": "yellow",
    "held": "cyan",
    "canceled": "magenta",
    "lost": "red",
    "released": "green",
}
_LONGEST_STATE: Final = max(map(len, _STATE_STYLES))
_LONGEST_TIME: Final = len("300 s")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A running task. Times are in seconds."""

    attempt: str
    type: str
    state: str
    age: float
    lease_left: float
    fields: str

    @property
    def times(self) -> tuple[str, str]:
        """Its age and what is left of its lease, as they are shown."""
        return f"{self.age:.0f} s", f"{self.lease_left:.0f} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The widths of the columns. A `type` of 0 is left out; a `reported` of 0 stands below."""

    attempt: int
    type: int
    times: tuple[int, int]
    reported: int

    @classmethod
    def of(cls, rows: Sequence[Row], width: int) -> Layout:
        """Return the widths for these rows on a terminal."""
        columns = zip(*(row.times for row in rows), strict=True)
        age, lease = (max(_LONGEST_TIME, *map(len, column)) for column in columns)
        room = width - _LONGEST_STATE - age - lease - 3 * len(_GAP)
        beside = room - _MIN_ATTEMPT - _MIN_TYPE - 2 * len(_GAP)
        has_room = beside >= _longest("", (word for row in rows for word in row.fields.split()))
        reported = min(beside, _longest("reported", (row.fields for row in rows))) * has_room
        if reported:
            room -= reported + len(_GAP)
        attempt = _longest("attempt", (row.attempt for row in rows))
        kind = _longest("type", (row.type for row in rows))
        if room >= _MIN_ATTEMPT + len(_GAP) + _MIN_TYPE:
            room -= len(_GAP)
            attempt = min(attempt, room - _MIN_TYPE)
            kind = min(kind, room - attempt)
        else:
            attempt, kind = max(1, min(attempt, room)), 0
        return cls(attempt=attempt, type=kind, times=(age, lease), reported=reported)

    def head(self) -> Text:
        """Return the names of the columns."""
        return Text(style="bold").append_text(
            self._line(Text("attempt"), Text("type"), Text("state"), ("age", "lease"), "reported")
        )

    def lines(self, row: Row, console: Console) -> Iterator[Text]:
        """Yield the lines of a row."""
        width = self.reported or console.width - len(_GAP)
        reported = list(Text(row.fields).wrap(console, width)) if row.fields else []
        beside = reported.pop(0).plain if self.reported and reported else ""
        state = Text(row.state, style=_STATE_STYLES.get(row.state, ""))
        yield self._line(Text(row.attempt), Text(row.type), state, row.times, beside)
        indent = self._before_reported if self.reported else len(_GAP)
        for line in reported:
            yield Text(" " * indent).append_text(line)

    @property
    def _before_reported(self) -> int:
        columns = [self.attempt, *([self.type] if self.type else []), _LONGEST_STATE, *self.times]
        return sum(columns) + len(_GAP) * len(columns)

    def _line(
        self, attempt: Text, kind: Text, state: Text, times: Sequence[str], reported: str
    ) -> Text:
        attempt.truncate(self.attempt, overflow="ellipsis", pad=True)
        kind.truncate(self.type, overflow="ellipsis", pad=True)
        state.truncate(_LONGEST_STATE, pad=True)
        ages = [f"{text:>{width}}" for text, width in zip(times, self.times, strict=True)]
        parts = [attempt, *([kind] if self.type else []), state, *map(Text, ages)]
        if self.reported and reported:
            parts.append(Text(reported))
        return Text(_GAP).join(parts)


def table_lines(rows: Sequence[Row], console: Console, height: int) -> tuple[list[Text], int]:
    """Return the lines of the rows that fit, with the head, and the number of those left out.

    `height` is that of the rows. At least one is shown.
    """
    layout = Layout.of(rows, console.width)
    lines = [layout.head()]
    for count, row in enumerate(rows):
        new = list(layout.lines(row, console))
        if count and len(lines) - 1 + len(new) > height:
            return lines, len(rows) - count
        lines += new
    return lines, 0


def wrap_at_words(text: Text, console: Console, indent: str = "") -> list[Text]:
    """Return the lines of a text on the terminal; those that it is wrapped into are indented."""
    first, *more = text.wrap(console, max(1, console.width - len(indent)))
    return [first, *(Text(indent).append_text(line) for line in more)]


def _longest(head: str, texts: Iterable[str]) -> int:
    """Return the width of the longest text of a column, with its head."""
    return max(cell_len(text) for text in (head, *texts))
