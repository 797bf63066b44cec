"""One thread which lets each service do what is due by itself, such as a timeout or an alarm."""

from __future__ import annotations

import math
import time
from threading import TIMEOUT_MAX, Condition, Thread
from typing import TYPE_CHECKING, Final

from aiodp._log import logger_of
from aiodp.emulator._server.waiting import MIN_PAUSE

if TYPE_CHECKING:
    from aiodp.emulator._server.locked import LockedService

_RETRY_INTERVAL: Final = 1.0
"""Real seconds after which a service that failed is tried again."""
logger = logger_of("aiodp.emulator")


class Ticker:
    """Knows when something is due in each service; there is one for each account and region."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._to_run: set[LockedService] = set()
        self._due: dict[LockedService, float] = {}  # real, monotonic times
        self._closed = False
        self._thread = Thread(target=self._run, name="aiodp-ticker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def add(self, service: LockedService) -> None:
        """Have the thread run soon what is due in a service; the caller may hold its lock."""
        with self._changed:
            self._to_run.add(service)
            self._changed.notify()

    def close(self, timeout: float) -> None:
        """End the thread, and wait at most that many seconds for it."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._closed and not self._to_run:
                    self._wait()
                if self._closed:
                    return
                services, self._to_run = self._to_run, set()
            for service in services:  # without this lock, because each of them takes its own
                self._run_due(service)

    def _run_due(self, service: LockedService) -> None:
        self._due[service] = time.monotonic() + _RETRY_INTERVAL
        try:
            self._set_due(service, service.run_due())
        except Exception:  # or no service would do anything by itself any more
            logger.exception("a service failed to do what was due")

    def _wait(self) -> None:
        earliest = min(self._due.values(), default=math.inf)
        pause = max(earliest - time.monotonic(), MIN_PAUSE)
        self._changed.wait(min(pause, TIMEOUT_MAX))
        now = time.monotonic()
        self._to_run |= {service for service, due in self._due.items() if due <= now}

    def _set_due(self, service: LockedService, seconds: float) -> None:
        if math.isinf(seconds):
            self._due.pop(service, None)
        else:
            self._due[service] = time.monotonic() + seconds
