"""One thread which lets happen what is due in any service, though nobody may call: alarms ring."""

from __future__ import annotations

import logging
import math
import time
from threading import TIMEOUT_MAX, Condition, Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from aiodp.emulator._server.locked import LockedService

_AGAIN: Final = 1.0  # real seconds
logger = logging.getLogger("aiodp.emulator")

_LEAST_PAUSE: Final = 0.001  # a wait that rounds to nothing would spin


class Ticker:
    """Knows when something is due in each service; accounts and regions may be many."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._to_look_at: set[LockedService] = set()
        self._due: dict[LockedService, float] = {}  # real, monotonic times
        self._closed = False
        self._thread = Thread(target=self._run, name="aiodp-ticker", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def look(self, service: LockedService) -> None:
        """Ask a service soon what is due; for a thread which may hold its lock, so not now."""
        with self._changed:
            self._to_look_at.add(service)
            self._changed.notify()

    def close(self, timeout: float) -> None:
        """End, and wait at most that many seconds for it."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not self._to_look_at:
                    self._wait()
                if self._closed:
                    return
                services, self._to_look_at = self._to_look_at, set()
            for service in services:  # without this lock, because each of them takes its own
                self._settle(service)

    def _settle(self, service: LockedService) -> None:
        self._due[service] = time.monotonic() + _AGAIN  # if it fails
        try:
            self._note(service, service.settle())
        except Exception:  # or no service would do anything by itself any more
            logger.exception("a service failed to do what was due")

    def _wait(self) -> None:
        earliest = min(self._due.values(), default=math.inf)
        pause = max(earliest - time.monotonic(), _LEAST_PAUSE)
        self._changed.wait(min(pause, TIMEOUT_MAX))
        now = time.monotonic()
        self._to_look_at |= {service for service, due in self._due.items() if due <= now}

    def _note(self, service: LockedService, seconds: float) -> None:
        if math.isinf(seconds):
            self._due.pop(service, None)
        else:
            self._due[service] = time.monotonic() + seconds
