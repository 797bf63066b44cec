"""How the demo puts things: the marks it uses, and its happenings as lines."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from aiodp.cli._demo.board import Happening, Stage

_TOGETHER: Final = 0.6
"""Real seconds within which equal stages of several tasks make one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """The characters beyond ASCII that are used, or what stands for them."""

    kept: str
    broken: str
    done: str
    open: str

    @classmethod
    def fit_for(cls, encoding: str) -> Marks:
        """Return marks which the encoding can carry."""
        try:
            "".join(astuple(_UNICODE)).encode(encoding)
        except (UnicodeEncodeError, LookupError):
            return _ASCII
        return _UNICODE


_UNICODE: Final = Marks(kept="✓", broken="✗", done="━", open="─")
_ASCII: Final = Marks(kept="ok", broken="NO", done="#", open=".")


def lines(happenings: Sequence[Happening]) -> Iterator[str]:
    """Return a line for each happening; equal stages that follow each other share one."""
    start = 0
    while start < len(happenings):
        end = start + 1
        while end < len(happenings) and _belong_together(happenings[start], happenings[end]):
            end += 1
        yield _line(happenings[start:end])
        start = end


def _belong_together(one: Happening, other: Happening) -> bool:
    same: Stage | None = one.stage
    return same is not None and other.stage is same and other.at - one.at < _TOGETHER


def _line(together: Sequence[Happening]) -> str:
    first = together[0]
    labels = ranges([each.text for each in together])
    text = first.text if first.stage is None else f"{first.stage}: {labels}"
    return f"{first.at:5.1f} s  {text}"


def ranges(labels: Sequence[str]) -> str:
    """Shorten `01 02 03 07` to `01-03 07`."""
    parts: list[list[str]] = []
    for label in sorted(labels):
        if parts and _follows(parts[-1][-1], label):
            parts[-1].append(label)
        else:
            parts.append([label])
    return " ".join(p[0] if len(p) == 1 else f"{p[0]}-{p[-1]}" for p in parts)


def _follows(one: str, other: str) -> bool:
    return one.isdigit() and other.isdigit() and int(other) == int(one) + 1
