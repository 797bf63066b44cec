"""What several commands share."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

KILLED_BY_SIGNAL: Final = 128
"""Shells add a signal's number to it for the exit code of a command that died of the signal."""
_LOCAL: Final = frozenset({"demo", "emulate", "validate"})
"""Commands that need what the local service needs."""


def die_of_interrupts() -> None:
    """Let Ctrl-C end the process at once, without a traceback, as long as nothing is begun."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


def hear_interrupts() -> None:
    """Let Ctrl-C raise `KeyboardInterrupt` again; one that is ignored from the start stays so."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def read_text(path: Path) -> str:
    """Return what a file says, without a byte order mark that an editor may have written.

    Raises `ValueError` for one that cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8: {error.reason}") from error
    except OSError as error:
        raise ValueError(error.strerror or str(error)) from error


def hint(command: str = "") -> str:
    """Return how to install the extras that a command needs."""
    extras = "cli,emulator" if command in _LOCAL else "cli"
    return f'install what is missing: pip install "aiodp[{extras}]"'
