"""The command line: `aiodp demo`, `doctor`, `emulate`, `hold` and `run`."""

from __future__ import annotations

import os
import sys
from typing import Final

KILLED_BY_SIGNAL: Final = 128
"""Shells add a signal's number to it for the exit code of a command that died of the signal."""
_LOCAL: Final = frozenset({"demo", "emulate"})
"""Commands that start a local service."""


def hint(command: str = "") -> str:
    """Return how to install the extras that a command needs."""
    extras = "cli,emulator" if command in _LOCAL else "cli"
    return f'install what is missing: pip install "aiodp[{extras}]"'


def main() -> int:
    """Run the command line and return the exit code."""
    try:
        from aiodp.cli._main import run  # noqa: PLC0415 - click is an extra
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("aiodp"):
            raise
        sys.stderr.write(f"aiodp: no module {error.name}; {hint(*sys.argv[1:2])}\n")
        return 1
    try:
        return run()
    finally:
        _flush_or_discard()


def _flush_or_discard() -> None:
    """Flush stdout and stderr; discard the buffer of a closed pipe.

    Otherwise the interpreter would fail to flush it at its end, and the exit code would be 120.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None if it is closed from the start
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
