"""The signals that end a runner: the first one drains it, a second one cancels."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._concurrency import may_replace_handler
from aiodp._log import logger
from aiodp._runner.shutdown import Step

if TYPE_CHECKING:
    from aiodp._runner.shutdown import Shutdown

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


async def listen(shutdown: Shutdown, listening: anyio.CancelScope) -> None:
    """Take the signals that the program has no use for, until the scope is canceled."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    ours = [number for number, handler in before.items() if may_replace_handler(handler)]
    if not ours:
        return
    try:
        with listening, anyio.open_signal_receiver(*ours) as signals:
            async for number in signals:
                _on_signal(number, shutdown)
    finally:
        for number in ours:  # the receiver leaves the defaults behind
            signal.signal(number, before[number] or signal.SIG_DFL)


def _on_signal(number: signal.Signals, shutdown: Shutdown) -> None:
    draining = shutdown.is_draining
    what = "the tasks are interrupted" if draining else "draining; a second one interrupts"
    logger.warning("%s: %s", number.name, what)
    shutdown.reach(Step.CANCELING if draining else Step.DRAINING)
