"""Messages which are sent in the background."""

from __future__ import annotations

from queue import SimpleQueue
from threading import Lock, Thread
from typing import TYPE_CHECKING

from aiodp._log import logger_of

if TYPE_CHECKING:
    from collections.abc import Callable

logger = logger_of("aiodp.emulator")


class Outbox:
    """Sends one message after the other in a thread, which is started for the first of them.

    Whoever puts a message holds the service's lock. Delivery may take long, and the receiver may
    call the service before it ends, so it must not happen under that lock.
    """

    def __init__(self) -> None:
        self._waiting: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._lock = Lock()
        self._thread: Thread | None = None
        self._closed = False

    def put(self, send: Callable[[], object]) -> None:
        """Have `send` called soon; an exception of it is a warning in the log."""
        with self._lock:
            if self._closed:
                return
            self._waiting.put(send)
            if self._thread is None:
                self._thread = Thread(target=self._run, name="aiodp-emulator-outbox", daemon=True)
                self._thread.start()

    def close(self, timeout: float) -> None:
        """Accept no more, and wait at most that many seconds until all is sent."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._waiting.put(None)
            thread.join(timeout)

    def _run(self) -> None:
        while (send := self._waiting.get()) is not None:
            try:
                send()
            except Exception as error:  # noqa: BLE001 - one message must not stop the others
                logger.warning("a message was not delivered", extra={"reason": repr(error)})
