"""The errors of commands, as `aiodp` prints them."""

from __future__ import annotations

import click

from aiodp._core.text import printable
from aiodp._redaction import redact


class LinesError(click.ClickException):
    """An error of several lines; any other is printed as one."""

    def __init__(self, *lines: str) -> None:
        super().__init__("\n".join(lines))
        self.lines = lines


def message_of(error: click.ClickException) -> str:
    """Return what is printed for an error, without secrets and without what is not printable."""
    lines = error.lines if isinstance(error, LinesError) else (error.format_message(),)
    return "\n    ".join(printable(redact(line)) for line in lines)
