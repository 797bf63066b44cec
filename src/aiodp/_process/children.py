"""Forked children are not this process: they do not hear the signals that it listens to.

A child inherits the signal handlers, and the wake-up descriptor, to which Python writes the numbers
of the signals that come: those that somebody sends to a worker of a process pool would be heard
here.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_listened: Final[dict[int, Any]] = {}
"""The handlers that children must not have, by the numbers of their signals."""
_before_fork: Final = threading.local()


def listen(numbers: Iterable[int], handler: Any) -> None:
    """Set the handler of these signals, here but not in children; only in the main thread."""
    for number in numbers:
        _listened[number] = handler
        signal.signal(number, handler)


def unlisten(number: int, before: Any) -> None:
    """Set the handler that was there before, unless somebody has set another one since."""
    if signal.getsignal(number) is _listened.pop(number, None):
        signal.signal(number, signal.SIG_DFL if before is None else before)


if sys.platform != "win32":  # which cannot fork

    def _block() -> None:
        """Deliver no signal to a child before `_reset` has run in it."""
        _before_fork.mask = signal.pthread_sigmask(signal.SIG_BLOCK, _listened)

    def _unblock() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, _before_fork.mask)

    def _reset() -> None:
        """Give the child the default handlers, in place of ours."""
        if _listened:
            signal.set_wakeup_fd(-1)
        for number, handler in _listened.items():
            if signal.getsignal(number) is handler:
                signal.signal(number, signal.SIG_DFL)
        _listened.clear()
        _unblock()

    os.register_at_fork(before=_block, after_in_parent=_unblock, after_in_child=_reset)
