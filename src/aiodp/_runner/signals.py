"""The signals that end the runners of a process: the first one drains, a second one cancels."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiodp._concurrency import may_replace_handler
from aiodp._log import logger
from aiodp._process.children import listen, unlisten
from aiodp._process.echoes import Echoes
from aiodp._runner.shutdown import Step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp._runner.shutdown import Shutdown

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_shutdowns: Final[list[Shutdown]] = []
"""Of the runners that listen. All of them hear each signal, for only one handler can be set."""
_before: Final[dict[int, Any]] = {}
"""The handlers that were there before the first runner listened."""
_echoes: Final = Echoes()


@contextmanager
def listening(shutdown: Shutdown) -> Iterator[None]:
    """Let the shutdown hear the signals that the program has no use for, in the main thread."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if not _shutdowns:
        handlers = {number: signal.getsignal(number) for number in _SIGNALS}
        _before.update(
            (number, handler)
            for number, handler in handlers.items()
            if may_replace_handler(handler)
        )
        _echoes.forget()
        listen(_before, _hear)
    _shutdowns.append(shutdown)
    try:
        yield
    finally:
        _shutdowns.remove(shutdown)
        if not _shutdowns:
            while _before:
                unlisten(*_before.popitem())


def _hear(number: int, _: object) -> None:
    if _echoes.is_echo(number):
        return
    for shutdown in _shutdowns:
        shutdown.call_soon(partial(_on_signal, signal.Signals(number), shutdown))


def _on_signal(number: signal.Signals, shutdown: Shutdown) -> None:
    draining = shutdown.is_draining
    what = "the tasks are interrupted" if draining else "draining; a second one interrupts"
    logger.warning("%s: %s", number.name, what)
    shutdown.reach(Step.CANCELING if draining else Step.DRAINING)
