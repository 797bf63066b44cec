"""The arguments of a task runner, checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiodp._core.text import shown
from aiodp._core.timing import seconds

if TYPE_CHECKING:
    from datetime import timedelta

    from aiodp._runner.handlers import Handler


def at_least_one(name: str, number: Any) -> int:
    """Return a whole number of at least one; raise `ValueError` for anything else."""
    if isinstance(number, bool) or not isinstance(number, int) or number < 1:
        raise ValueError(f"{name} must be a whole number of at least 1, not {shown(number)}")
    return number


def leaves(unsupported: str, handler: Handler | None) -> bool:
    """Return whether tasks without a handler are left to others; raise `ValueError`."""
    if unsupported not in ("fail", "leave"):
        raise ValueError(f"unsupported must be 'fail' or 'leave', not {shown(unsupported)}")
    if unsupported == "leave" and handler is not None:
        raise ValueError("unsupported='leave' leaves nothing, for `handler` takes all types")
    return unsupported == "leave"


def timeout_of(name: str, value: float | timedelta | None) -> float | None:
    """Return a limit in seconds, None for no limit; raise `ValueError`."""
    timeout = None if value is None else seconds(name, value)
    if timeout is not None and timeout < 0:
        raise ValueError(f"{name} must not be negative, but is {timeout:g} s")
    return timeout
