"""What a command does when nobody reads its output, or when it cannot be written."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from traceback import walk_tb
from typing import TYPE_CHECKING, Final

import click

from aiodp.cli._shared import KILLED_BY_SIGNAL

if TYPE_CHECKING:
    from collections.abc import Iterator

BROKEN_PIPE: Final = KILLED_BY_SIGNAL + getattr(signal, "SIGPIPE", 13)
"""The exit code of a command whose reader has gone: it says nothing, as other programs do."""
UNWRITABLE: Final = 74
"""The exit code where output could not be written: `EX_IOERR` of sysexits.h."""

_WRITERS: Final = frozenset({"click.utils", "rich.console"})
"""The modules by which commands print."""


class UnwritableError(click.ClickException):
    """Output could not be written, such as to a full disk."""

    exit_code = UNWRITABLE


@contextmanager
def output_errors() -> Iterator[None]:
    """Raise `UnwritableError`, or `click.exceptions.Exit`, for an error of stdout or stderr."""
    try:
        yield
    except BrokenPipeError as error:
        raise click.exceptions.Exit(BROKEN_PIPE) from error
    except OSError as error:
        if (name := _stream_of(error)) is None:
            raise
        raise UnwritableError(f"{name} cannot be written: {error.strerror}.") from error


def _stream_of(error: OSError) -> str | None:
    """Return which stream an error comes from, by what has written to it."""
    *_, (frame, _) = walk_tb(error.__traceback__)
    if frame.f_globals.get("__name__") not in _WRITERS:
        return None
    return "stderr" if frame.f_locals.get("file") is sys.stderr else "stdout"
