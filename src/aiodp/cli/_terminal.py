"""Streams that are terminals: no control code but colors reaches them, whoever prints it.

Messages of ours are escaped where they are made, for they go to pipes and files as well. This holds
for the rest: what handlers print, warnings and tracebacks of Python, lines of other libraries.
"""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any, Final

from aiodp._core.text import printable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import TextIO

_COLOR: Final = re.compile(r"(\x1b\[[0-9;]*m)")
_KEPT: Final = "\n\r\t"


class SafeTerminal:
    """A text stream that escapes what is written to it."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        parts = enumerate(_COLOR.split(text))
        self.stream.write(
            "".join(part if place % 2 else printable(part, keep=_KEPT) for place, part in parts)
        )
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stream, name)


def guard_terminals() -> None:
    """Let stdout and stderr escape what is written to them, if they are terminals."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream.isatty():
            setattr(sys, name, SafeTerminal(stream))


def unguarded(stream: TextIO) -> TextIO:
    """Return the stream below, for who draws on it and escapes by itself."""
    return stream.stream if isinstance(stream, SafeTerminal) else stream
