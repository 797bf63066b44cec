"""A thread for what must never hold up a heartbeat: a slow disk, a terminal that is paused."""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_ROOM: Final = 10_000
"""Calls that may wait; what comes while so many do is dropped."""


class Sideline:
    """Makes calls one after the other, in a thread of its own. What they raise is dropped.

    The thread ends no later than the process.
    """

    def __init__(self, name: str, *, room: int = _ROOM) -> None:
        self._calls: queue.Queue[Callable[[], object] | None] = queue.Queue(room)
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., object], *args: object) -> bool:
        """Make a call later; return False if there is no room for it. From any thread."""
        try:
            self._calls.put_nowait(partial(function, *args))
        except queue.Full:
            return False
        return True

    @property
    def idle(self) -> bool:
        """Whether no call waits."""
        return self._calls.empty()

    def flush(self, timeout: float) -> bool:
        """Wait until what was called before is done; return whether it was, in so many seconds."""
        done = threading.Event()
        return self._put(done.set, timeout) and done.wait(timeout)

    def close(self, timeout: float) -> bool:
        """Let all be done, and end; return whether it did, in so many seconds."""
        deadline = time.monotonic() + timeout
        if self._put(None, timeout):
            self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _put(self, call: Callable[[], object] | None, timeout: float) -> bool:
        try:
            self._calls.put(call, timeout=timeout)
        except queue.Full:
            return False
        return True

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            with suppress(Exception, SystemExit):  # rich ends what writes to a broken pipe
                call()


def _text(record: logging.LogRecord) -> str:
    """Return the message; a bad line of a handler's module must not fail its task."""
    for tell in (record.getMessage, lambda: f"{record.msg} {record.args!r:.200}"):
        with suppress(Exception):
            return tell()
    return "(a message that cannot be shown)"


class Aside(logging.Handler):
    """Hands log records to another handler on a sideline, and tells how many it had to drop."""

    def __init__(self, handler: logging.Handler, sideline: Sideline) -> None:
        super().__init__()
        self._handler = handler
        self._sideline = sideline
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Hand one on; its text is made here, before what it tells of changes."""
        record = logging.makeLogRecord(record.__dict__)
        record.msg, record.args = _text(record), None
        if self._dropped and self._sideline.call(self._handler.handle, self._lament(record)):
            self._dropped = 0
        if not self._sideline.call(self._handler.handle, record):
            self._dropped += 1

    def _lament(self, record: logging.LogRecord) -> logging.LogRecord:
        text = f"{self._dropped} lines were dropped, for they could not be written"
        return logging.makeLogRecord(
            {"name": record.name, "levelno": logging.WARNING, "levelname": "WARNING", "msg": text}
        )
