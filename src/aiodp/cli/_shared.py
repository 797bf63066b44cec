"""What several commands share."""

from __future__ import annotations

from typing import Final

KILLED_BY_SIGNAL: Final = 128
"""Shells add a signal's number to it for the exit code of a command that died of the signal."""
_LOCAL: Final = frozenset({"demo", "emulate"})
"""Commands that start a local service."""


def hint(command: str = "") -> str:
    """Return how to install the extras that a command needs."""
    extras = "cli,emulator" if command in _LOCAL else "cli"
    return f'install what is missing: pip install "aiodp[{extras}]"'
