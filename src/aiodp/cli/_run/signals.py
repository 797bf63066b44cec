"""The signals that stop `aiodp run`: the first drains, the second interrupts, the third kills."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiodp._process.children import listen
from aiodp._process.echoes import Echoes
from aiodp.cli._shared import KILLED_BY_SIGNAL

if TYPE_CHECKING:
    from collections.abc import Callable

STOPPING: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
_HANDLED: Final = (*STOPPING, signal.SIGTSTP)
_MAX_GRACEFUL_SIGNALS: Final = 2
"""Signals that are passed to the event loop; the next one ends the process at once."""
_STDERR: Final = 2
_SHOW_CURSOR: Final = b"\x1b[?25h"


class Signals:
    """Receives signals in a thread, as a handler may block the event loop.

    The event loop calls `on_stop` with a signal and the number of signals so far, and `on_suspend`
    for SIGTSTP, which does not suspend the process. The thread calls `limit_end`, as `on_stop`, to
    bound the time in which the process ends, and ends it at the third signal.
    """

    def __init__(
        self,
        on_stop: Callable[[signal.Signals, int], None],
        on_suspend: Callable[[], None],
        limit_end: Callable[[signal.Signals, int], None],
    ) -> None:
        self.received: list[signal.Signals] = []
        self._echoes = Echoes()
        self._on_stop = on_stop
        self._on_suspend = on_suspend
        self._limit_end = limit_end
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wakeup_read, self._wakeup_write = socket.socketpair()

    def listen(self) -> None:
        """Start, in the event loop of the main thread; it goes on until the process ends."""
        self._loop = asyncio.get_running_loop()
        self._wakeup_write.setblocking(False)
        signal.set_wakeup_fd(self._wakeup_write.fileno(), warn_on_full_buffer=False)
        # A signal that was ignored from the start, as by nohup, stays ignored.
        listen((n for n in _HANDLED if signal.getsignal(n) is not signal.SIG_IGN), _noop)
        threading.Thread(target=self._receive, name="aiodp signals", daemon=True).start()

    def _receive(self) -> None:
        while numbers := self._wakeup_read.recv(1):
            if numbers[0] == signal.SIGTSTP:
                self._call(self._on_suspend)
            elif numbers[0] in STOPPING:
                self._stop(signal.Signals(numbers[0]))

    def _stop(self, number: signal.Signals) -> None:
        if self._echoes.is_echo(number):
            return
        self.received.append(number)
        count = len(self.received)
        if count > _MAX_GRACEFUL_SIGNALS:
            exit_now(KILLED_BY_SIGNAL + number)
        self._call(self._on_stop, number, count)
        with suppress(RuntimeError):  # there may be no thread left for that
            self._limit_end(number, count)

    def _call(self, function: Callable[..., object], *args: object) -> None:
        with suppress(RuntimeError):  # the loop is closed, so the process is about to end
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function, *args)


def exit_now(code: int) -> None:
    """End the process at once. The guard of each command then ends the command."""
    if os.isatty(_STDERR) and select.select([], [_STDERR], [], 0)[1]:
        os.write(_STDERR, _SHOW_CURSOR)  # the table hides it
    os._exit(code)


def _noop(*_: object) -> None:
    """Do nothing: Python writes the signal's number to the wakeup socket, which is enough."""
