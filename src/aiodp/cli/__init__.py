"""The command line: `aiodp demo`, `doctor`, `emulate`, `hold` and `run`."""

from __future__ import annotations

import os
import sys
from typing import Final

LOCAL: Final = frozenset({"demo", "emulate"})
"""Commands with a service of their own."""


def hint(command: str = "") -> str:
    """Return how to install what a command needs."""
    extras = "cli,emulator" if command in LOCAL else "cli"
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
        _give_up_closed_streams()


def _give_up_closed_streams() -> None:
    """Let nothing be written to a stream that nobody reads any more.

    What is left in its buffer would fail once more when the interpreter ends, and make the exit
    code 120, whatever the command returned.
    """
    for stream in filter(None, (sys.stdout, sys.stderr)):  # None: it was closed from the start
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
