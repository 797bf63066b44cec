"""The interruption of work whose task has ended: told once, and again if that was not heard.

How clean-up and deafness are told apart: work has 15 minutes to clean up. Until that is over it is
told again only if it waits anew at the very instruction at which it was interrupted, for whatever
catches a cancellation there caught the first one too. After that it is told again wherever it is,
until it ends. The intervals grow. Work that runs on for a minute is named in the log, once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodp._concurrency import timers
from aiodp._core.text import shorten
from aiodp._log import logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp._concurrency import Interrupt
    from aiodp._reporter.record import TaskRecord

_NAMED_AFTER: Final = 60.0  # seconds
_CLEAN_UP_TIME: Final = 900.0
"""Seconds, as a canceled reporter waits: the service's longer ownership window."""
_FIRST_PAUSE: Final = 1.0  # seconds until it is looked whether the work has heard
_LONGEST_PAUSE: Final = 600.0


class Interruption:
    """Interrupts the work on a task, from when it is called until the end of its `with` block.

    `interrupt` is None for work that nothing can interrupt, such as a thread: it is named only.
    """

    def __init__(self, record: TaskRecord, interrupt: Interrupt | None) -> None:
        self._record = record
        self._interrupt = interrupt
        self._call_later = timers()
        self._elapsed = 0.0  # from the interruption to the next check
        self._is_named = False
        self._stop_timer: Callable[[], object] | None = None

    def __enter__(self) -> None:
        self._record.interrupt = self
        self._record.interrupt_if_ended()  # by now: the engine may run in another thread

    def __exit__(self, *_: object) -> None:
        self._record.interrupt = None
        if self._stop_timer is not None:
            self._stop_timer()

    def __call__(self) -> None:
        """Interrupt the work; a second call does nothing."""
        if self._stop_timer is None:
            if self._interrupt is not None:
                self._interrupt()
            self._start_timer()

    def _start_timer(self) -> None:
        pause = min(max(self._elapsed, _FIRST_PAUSE), _LONGEST_PAUSE)
        for moment in (_NAMED_AFTER, _CLEAN_UP_TIME):
            if self._elapsed < moment:
                pause = min(pause, moment - self._elapsed)
        self._elapsed += pause
        self._stop_timer = self._call_later(pause, self._check)

    def _check(self) -> None:
        if self._record.status is None or self._record.status_acknowledged:  # or it has an end
            self._tell_again()
        self._start_timer()

    def _tell_again(self) -> None:
        if self._elapsed >= _NAMED_AFTER and not self._is_named:
            self._is_named = True
            task, state = shorten(self._record.task_id), self._record.state.value
            extra = {**self._record.extra, "state": state, "seconds": self._elapsed}
            message = "task %s (%s): its work goes on %.0f s after it was interrupted"
            logger.warning(message, task, state, self._elapsed, extra=extra)
        is_late = self._elapsed >= _CLEAN_UP_TIME
        if self._interrupt is not None and (is_late or self._interrupt.is_unheard()):
            self._interrupt.again()
