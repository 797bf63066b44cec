"""The demo's events as lines of text, and the characters for its marks."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiodp.cli._demo.task_log import Event, Stage

_SAME_LINE_WINDOW: Final = 0.6
"""Real seconds within which equal stages of several tasks share a line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The marks of the demo, in Unicode or in ASCII."""

    kept: str
    broken: str
    done: str
    open: str

    @classmethod
    def for_encoding(cls, encoding: str) -> Marks:
        """Return marks that the encoding has."""
        try:
            "".join(astuple(_UNICODE)).encode(encoding)
        except (UnicodeEncodeError, LookupError):
            return _ASCII
        return _UNICODE


_UNICODE: Final = Marks(kept="✓", broken="✗", done="━", open="─")
_ASCII: Final = Marks(kept="ok", broken="NO", done="#", open=".")


def lines(events: Sequence[Event]) -> Iterator[str]:
    """Return a line for each event; equal stages that follow each other share one."""
    start = 0
    while start < len(events):
        end = start + 1
        while end < len(events) and _share_line(events[start], events[end]):
            end += 1
        yield _line(events[start:end])
        start = end


def _share_line(first: Event, event: Event) -> bool:
    stage: Stage | None = first.stage
    return stage is not None and event.stage is stage and event.at - first.at < _SAME_LINE_WINDOW


def _line(events: Sequence[Event]) -> str:
    first = events[0]
    labels = ranges([event.text for event in events])
    text = first.text if first.stage is None else f"{first.stage}: {labels}"
    return f"{first.at:5.1f} s  {text}"


def ranges(labels: Sequence[str]) -> str:
    """Shorten `01 02 03 07` to `01-03 07`."""
    runs: list[list[str]] = []
    for label in sorted(labels):
        if runs and _follows(runs[-1][-1], label):
            runs[-1].append(label)
        else:
            runs.append([label])
    return " ".join(run[0] if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)


def _follows(label: str, following: str) -> bool:
    return label.isdigit() and following.isdigit() and int(following) == int(label) + 1
