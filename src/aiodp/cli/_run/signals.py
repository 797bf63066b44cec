"""The signals that ask `aiodp run` to stop: each one more urgently than the one before."""

from __future__ import annotations

import asyncio
import math
import os
import select
import signal
import socket
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

STOPPING: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_HEARD: Final = (*STOPPING, signal.SIGTSTP)
DIED: Final = 128
"""Plus a signal's number: the exit code of what died of it, by the custom of shells."""
_PATIENCE: Final = 2
"""Signals that are answered in the event loop; the next one ends the process."""
_TOGETHER: Final = 1.0
"""Seconds in which SIGHUP after another signal means nothing more.

A terminal that is closed sends it twice, and systemd's SendSIGHUP once after SIGTERM.
"""
_STDERR: Final = 2
_SHOW_CURSOR: Final = b"\x1b[?25h"


class Signals:
    """Hears signals in a thread, so even while a handler blocks the event loop; acts in the loop.

    `act` is called with each signal and its number in the row; the third one ends the process at
    once. `suspended` is called instead of an obedience to SIGTSTP.
    """

    def __init__(
        self, act: Callable[[signal.Signals, int], None], suspended: Callable[[], None]
    ) -> None:
        self.heard: list[signal.Signals] = []
        self._last = -math.inf
        self._act = act
        self._suspended = suspended
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ear, self._mouth = socket.socketpair()

    def listen(self) -> None:
        """Begin, in the event loop of the main thread, until the process ends."""
        self._loop = asyncio.get_running_loop()
        os.register_at_fork(
            before=_put_off, after_in_parent=_take_again, after_in_child=_forget_all
        )
        self._mouth.setblocking(False)
        signal.set_wakeup_fd(self._mouth.fileno(), warn_on_full_buffer=False)
        for one in _HEARD:
            # What is ignored from the start, as nohup does, stays so.
            if signal.getsignal(one) is not signal.SIG_IGN:
                signal.signal(one, _pass)
        threading.Thread(target=self._hear, name="aiodp signals", daemon=True).start()

    def _hear(self) -> None:
        while numbers := self._ear.recv(1):
            if numbers[0] == signal.SIGTSTP:
                self._call(self._suspended)
            elif numbers[0] in STOPPING:
                self._on_stop(signal.Signals(numbers[0]))

    def _on_stop(self, number: signal.Signals) -> None:
        now = time.monotonic()
        since, self._last = now - self._last, now
        if number is signal.SIGHUP and since < _TOGETHER:
            return
        self.heard.append(number)
        count = len(self.heard)
        if count > _PATIENCE:
            leave(DIED + number)
        self._call(self._act, number, count)

    def _call(self, function: Callable[..., object], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed: the process is about to end
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function, *args)


def leave(code: int) -> None:
    """End the process at once. The guards of commands end these."""
    if os.isatty(_STDERR) and select.select([], [_STDERR], [], 0)[1]:
        os.write(_STDERR, _SHOW_CURSOR)  # which a table hides
    os._exit(code)


_before_fork: Final = threading.local()


def _put_off() -> None:
    """Let no signal come to a forked child before it has forgotten what we do with it."""
    _before_fork.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _HEARD)


def _take_again() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _before_fork.mask)


def _forget_all() -> None:
    """Let a child, of a handler that uses multiprocessing, obey signals, and tell us of none."""
    signal.set_wakeup_fd(-1)
    for one in _HEARD:
        if signal.getsignal(one) is _pass:
            signal.signal(one, signal.SIG_DFL)
    _take_again()


def _pass(*_: object) -> None:
    """Do nothing: the byte that Python writes when a signal comes is all that is needed."""
