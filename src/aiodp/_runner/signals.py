"""The signals that end the runners of a process: the first one drains, a second one cancels.

A handler of the program's own, such as that of a web server, is called as well: it expects the
signal, and ends what surrounds the runner. Where there is none, the block beside the runner is
interrupted.
"""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiodp._concurrency import is_default_handler, may_replace_handler
from aiodp._log import logger
from aiodp._process.children import listen, unlisten
from aiodp._process.echoes import Echoes
from aiodp._runner.shutdown import Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from aiodp._runner.shutdown import Shutdown

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)

_shutdowns: Final[list[Shutdown]] = []
"""Of the runners that listen. All of them hear each signal, for only one handler can be set."""
_before: Final[dict[int, Any]] = {}
"""The handlers that were there before the first runner listened."""
_echoes: Final = Echoes()
_heard: Final[set[int]] = set()


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
        _heard.clear()
        listen(_before, _hear)
    _shutdowns.append(shutdown)
    try:
        yield
    finally:
        _shutdowns.remove(shutdown)
        if not _shutdowns:
            for number, before in _before.items():
                unlisten(number, before)
            _before.clear()


def _hear(number: int, frame: FrameType | None) -> None:
    before = _before[number]
    is_ours = is_default_handler(before)
    if not _echoes.is_echo(number):
        # Parents of servers' processes send SIGTERM where the terminal has sent SIGINT.
        interrupts = is_ours or number in _heard
        _heard.add(number)
        for shutdown in _shutdowns:
            end = shutdown.end_by_itself if is_ours else shutdown.reach
            name = signal.Signals(number).name
            shutdown.call_soon(partial(_on_signal, shutdown, end, name, interrupts=interrupts))
    if not is_ours:
        before(number, frame)


def _on_signal(
    shutdown: Shutdown, end: Callable[[Step], None], name: str, *, interrupts: bool
) -> None:
    if not shutdown.is_draining:
        logger.warning("%s: draining; a second one interrupts", name)
        end(Step.DRAINING)
    elif interrupts:
        logger.warning("%s: the tasks are interrupted", name)
        end(Step.CANCELING)
