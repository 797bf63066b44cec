"""How long the command of an ended task may go on, and how its end is described."""

from __future__ import annotations

import signal
from typing import Final, Protocol

KILL_MARGIN: Final = 0.25
"""Seconds before its deadline at which the command of a lost task is killed at the latest."""


class _Flag(Protocol):
    def is_set(self) -> bool: ...


class HeldTask(Protocol):
    """A task, as far as the end of its command depends on it."""

    @property
    def canceled(self) -> _Flag:
        """Whether the service has cancelled it."""
        ...

    @property
    def deadline(self) -> float:
        """The time at which the service may give it to somebody else."""
        ...


def time_to_stop(task: HeldTask, grace: float, now: float) -> float:
    """Return the grace, cut short if the service may soon give the task to somebody else.

    The service gives a cancelled task to nobody, so its command has all of the grace.
    """
    if task.canceled.is_set():
        return grace
    return max(0.0, min(grace, task.deadline - now - KILL_MARGIN))


def describe_exit(returncode: int) -> str:
    """Return "exit code n", or for -n "killed by" the name of signal n."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        return f"killed by {signal.Signals(-returncode).name}"
    except ValueError:  # a real-time signal has no name
        return f"killed by signal {-returncode}"
