"""Signals that come twice for one cause.

`timeout` sends SIGTERM to the process and to its group, which it is in; a wrapper hands on the
SIGINT which Ctrl-C has sent to all processes of the terminal. A terminal that is closed sends
SIGHUP twice, and systemd's SendSIGHUP sends it after SIGTERM.
"""

from __future__ import annotations

import math
import signal
from typing import Final

from aiodp._concurrency import system_time

ECHO_WINDOW: Final = 0.1
"""Seconds after a signal in which the same one means no more. Nobody presses Ctrl-C so fast."""
_HANGUP: Final[int | None] = getattr(signal, "SIGHUP", None)
_HANGUP_WINDOW: Final = 1.0
"""Seconds after any signal in which SIGHUP means no more."""


class Echoes:
    """Tells a signal that somebody sends again from one that comes twice."""

    def __init__(self) -> None:
        self._heard_at: dict[int, float] = {}

    def is_echo(self, number: int) -> bool:
        """Return whether the signal that has come now means no more than an earlier one."""
        now, before = system_time(), self._heard_at
        last_at = max(before.values(), default=-math.inf)
        hangs_up = number == _HANGUP and now - last_at < _HANGUP_WINDOW
        repeats = now - before.get(number, -math.inf) < ECHO_WINDOW
        before[number] = now
        return hangs_up or repeats

    def forget(self) -> None:
        """Begin anew."""
        self._heard_at.clear()
