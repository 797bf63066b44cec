"""How `aiodp run` ends, as a number."""

from __future__ import annotations

import sys
import threading
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from aiodp._types import RunEnd
from aiodp.cli._run.background import Sideline
from aiodp.cli._run.signals import DIED, leave

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from signal import Signals

    from aiodp import RunnerStatistics

EXIT_CODES: Final = """\b
Exit codes:
  0    it stopped as it was asked to, and everything was told to the service
  1    with --once or --max-tasks: a task did not end FINISHED (or FALSE);
       otherwise: a task's end could not be told while it stopped
  2    wrong usage, nothing was sent
  3    with --once: there was no task
  4    with --once: the poll failed
  123  keys, region or endpoint allow no client
  125  a fault in aiodp itself
  128+N  a second or third signal, of number N, broke off the tasks"""

_GOOD: Final = frozenset({RunEnd.FINISHED, RunEnd.FALSE, RunEnd.DUPLICATE})
_UNTOLD: Final = (RunEnd.NO_STATUS, RunEnd.INTERRUPTED)
PATIENCE: Final = 5.0
"""Seconds that threads of handlers may go on when all else is over."""
_FLUSHING: Final = 1.0


class Exit(IntEnum):
    """Exit codes beside 128 and a signal's number."""

    DONE = 0
    NOT_WELL = 1
    NO_TASK = 3
    NO_ANSWER = 4
    REJECTED = 123
    BROKEN = 125


def verdict(
    end: RunnerStatistics,
    *,
    once: bool,
    counted: bool,
    signals: Sequence[Signals],
    before_stop: Mapping[str, int],
) -> int:
    """Return the exit code of a runner that came to its end.

    `counted` tells that only so many tasks were to be done, and `before_stop` how many had ended in
    which way when the first signal came.
    """
    if len(signals) > 1:
        return DIED + signals[1]
    if once and not end.received:
        if signals:
            return Exit.DONE
        return Exit.NO_ANSWER if end.polls_failed else Exit.NO_TASK
    if once or counted:
        well = all(one in _GOOD for one, count in end.ended.items() if count)
    else:
        well = all(end.ended.get(one, 0) <= before_stop.get(one, 0) for one in _UNTOLD)
    return Exit.DONE if well else Exit.NOT_WELL


def insist(code: int, patience: float = PATIENCE) -> None:
    """Let the process end with this code in so many seconds, whatever goes on."""

    def end() -> None:
        time.sleep(patience)
        flushing = Sideline("aiodp flush")  # nobody may read what they wrote
        flushing.call(_flush)
        flushing.close(_FLUSHING)
        leave(code)

    threading.Thread(target=end, name="aiodp end", daemon=True).start()


def _flush() -> None:
    sys.stdout.flush()  # in a service there may be none: what this raises is dropped
