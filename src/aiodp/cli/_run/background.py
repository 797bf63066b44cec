"""A thread for calls that must never delay a heartbeat, such as writing to a slow disk."""

from __future__ import annotations

import logging
import queue
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

from aiodp._log import subject

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_WAITING_CALLS: Final = 10_000
"""A call that comes while so many wait is dropped."""


class BackgroundCalls:
    """Makes calls one after the other in a thread of its own. Exceptions of theirs are dropped.

    The thread is a daemon: it does not keep the process alive.
    """

    def __init__(self, name: str, *, max_waiting: int = MAX_WAITING_CALLS) -> None:
        self._queue: queue.Queue[Callable[[], object] | None] = queue.Queue(max_waiting)
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, function: Callable[..., object], *args: object) -> bool:
        """Queue a call; return False if the queue is full. May be called from any thread."""
        try:
            self._queue.put_nowait(partial(function, *args))
        except queue.Full:
            return False
        return True

    @property
    def idle(self) -> bool:
        """Whether no call waits."""
        return self._queue.empty()

    def flush(self, timeout: float) -> bool:
        """Wait until all earlier calls are done; return whether they are after `timeout` s."""
        done = threading.Event()
        return self._put(done.set, timeout) and done.wait(timeout)

    def close(self, timeout: float) -> bool:
        """Make the calls that wait and end the thread; return whether it ended in `timeout` s."""
        deadline = time.monotonic() + timeout
        if self._put(None, timeout):
            self._thread.join(max(0.0, deadline - time.monotonic()))
        return not self._thread.is_alive()

    def _put(self, call: Callable[[], object] | None, timeout: float) -> bool:
        try:
            self._queue.put(call, timeout=timeout)
        except queue.Full:
            return False
        return True

    def _run(self) -> None:
        while (call := self._queue.get()) is not None:
            with suppress(Exception, SystemExit):  # rich exits when it writes to a broken pipe
                call()


class QueueHandler(logging.Handler):
    """Passes log records to another handler in the background, and logs how many were dropped."""

    def __init__(self, handler: logging.Handler, calls: BackgroundCalls) -> None:
        super().__init__()
        self._handler = handler
        self._calls = calls
        self._dropped = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a record. Its message is formatted now, as its arguments may change later."""
        record = logging.makeLogRecord(record.__dict__)
        if (about := subject.get()) is not None and not hasattr(record, "task"):
            record.__dict__.update(about.extra)  # also what a handler's module logs
        record.msg, record.args = _message(record), None
        if self._dropped and self._calls.call(self._handler.handle, self._dropped_record(record)):
            self._dropped = 0
        if not self._calls.call(self._handler.handle, record):
            self._dropped += 1

    def _dropped_record(self, record: logging.LogRecord) -> logging.LogRecord:
        text = f"{self._dropped} lines were dropped, for they could not be written"
        return logging.makeLogRecord(
            {"name": record.name, "levelno": logging.WARNING, "levelname": "WARNING", "msg": text}
        )


def _message(record: logging.LogRecord) -> str:
    """Return the message; a wrong logging call in a handler's module must not fail its task."""
    for message in (record.getMessage, lambda: f"{record.msg} {record.args!r:.200}"):
        with suppress(Exception):
            return message()
    return "(a message that cannot be shown)"
