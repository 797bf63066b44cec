"""The exit codes of `aiodp run`, and how the process ends with one in bounded time."""

from __future__ import annotations

import sys
import threading
import time
from enum import IntEnum
from typing import TYPE_CHECKING, Final

from aiodp._types import RunEnd
from aiodp.cli._run.background import BackgroundCalls
from aiodp.cli._run.signals import exit_now
from aiodp.cli._shared import KILLED_BY_SIGNAL

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from signal import Signals

    from aiodp import RunnerStatistics

EXIT_CODES: Final = """\b
Exit codes:
  0    it stopped as it was asked to, and every status was set
  1    with --once or --max-tasks: a task did not end FINISHED (or FALSE);
       otherwise: a task's status could not be set while it stopped
  2    wrong usage, nothing was sent
  3    with --once: there was no task
  4    with --once: the poll failed
  5    as 1, but only because it is in doubt whether a status is set
  123  keys, region or endpoint allow no client, or are refused at the start
  125  a fault in aiodp itself
  128+N  a second or third signal, of number N, interrupted the tasks"""

_SUCCESSFUL_ENDS: Final = frozenset({RunEnd.FINISHED, RunEnd.FALSE, RunEnd.DUPLICATE})
_UNREPORTED_ENDS: Final = (RunEnd.NO_STATUS, RunEnd.IN_DOUBT, RunEnd.INTERRUPTED)
THREADS_TIMEOUT: Final = 5.0
"""Seconds for which threads of handlers may delay the end of the process."""
_FLUSH_TIMEOUT: Final = 1.0


class Exit(IntEnum):
    """Exit codes beside 128 plus a signal's number."""

    DONE = 0
    TASK_FAILED = 1
    NO_TASK = 3
    POLL_FAILED = 4
    IN_DOUBT = 5
    REJECTED = 123
    INTERNAL_ERROR = 125


def exit_code(
    end: RunnerStatistics,
    *,
    once: bool,
    counted: bool,
    signals: Sequence[Signals],
    before_stop: Mapping[str, int],
) -> int:
    """Return the exit code of a runner that has ended with these statistics.

    `counted` says that the number of tasks was limited. `before_stop` has the number of tasks by
    their end at the time of the first signal.
    """
    if len(signals) > 1:
        return KILLED_BY_SIGNAL + signals[1]
    if once and not end.received:
        if signals:
            return Exit.DONE
        return Exit.POLL_FAILED if end.polls_failed else Exit.NO_TASK
    if once or counted:
        ended = {name for name, count in end.ended.items() if count}
        failures = ended - _SUCCESSFUL_ENDS
    else:
        failures = {
            name for name in _UNREPORTED_ENDS if end.ended.get(name, 0) > before_stop.get(name, 0)
        }
    if not failures:
        return Exit.DONE
    return Exit.IN_DOUBT if failures == {RunEnd.IN_DOUBT} else Exit.TASK_FAILED


def exit_after(code: int, timeout: float = THREADS_TIMEOUT) -> None:
    """End the process with this code in `timeout` seconds, whatever still runs then."""

    def end() -> None:
        time.sleep(timeout)
        flushing = BackgroundCalls("aiodp flush")  # it blocks if nobody reads the output
        flushing.call(_flush)
        flushing.close(_FLUSH_TIMEOUT)
        exit_now(code)

    threading.Thread(target=end, name="aiodp end", daemon=True).start()


def _flush() -> None:
    sys.stdout.flush()  # a service may have no stdout: the exception is dropped
