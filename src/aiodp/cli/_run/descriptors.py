"""How many tasks the file descriptors of this process suffice for."""

from __future__ import annotations

import resource
from contextlib import suppress
from typing import Final

from aiodp.shell._parts import MAX_TRANSFERS

PER_TASK: Final = 3 * MAX_TRANSFERS + 2
"""At most: two connections to S3 and a file for each transfer while it stages, a report, a poll.

Without staging it is about eight, for its command.
"""
RESERVE: Final = 64
"""For the process itself, its logs and their upload, and the calls of the runner."""


def needed(tasks: int) -> int:
    """Return how many descriptors so many tasks need at most."""
    return tasks * PER_TASK + RESERVE


def tasks_at_once(tasks: int) -> int:
    """Raise the soft limit as far as needed; return how many of so many tasks it suffices for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = needed(tasks)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return tasks
    raised = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with suppress(ValueError, OSError):  # macOS has a lower limit beside the hard one
        resource.setrlimit(resource.RLIMIT_NOFILE, (raised, hard))
        soft = raised
    return min(tasks, max((soft - RESERVE) // PER_TASK, 1))
