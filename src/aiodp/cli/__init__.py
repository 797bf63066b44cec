"""The command line: `aiodp demo`, `doctor`, `emulate`, `hold`, `poll`, `run` and `validate`."""

from __future__ import annotations

import os
import sys

from aiodp.cli._shared import die_of_interrupts, hint
from aiodp.cli._terminal import guard_terminals


def main() -> int:
    """Run the command line and return the exit code."""
    die_of_interrupts()
    _open_closed()
    guard_terminals()
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


def _open_closed() -> None:
    """Discard what is written to a stream that is closed from the start."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 - until the end


def _flush_or_discard() -> None:
    """Flush stdout and stderr; discard the buffer of a closed pipe.

    Otherwise the interpreter would fail to flush it at its end, and the exit code would be 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
