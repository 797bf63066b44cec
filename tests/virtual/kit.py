"""What the tests in virtual time share."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
import trio.lowlevel

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp import ProgressReporter

asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
"""For what only asyncio has: a cancellation that comes once, and one that needs no scope."""
trio_slow = pytest.mark.parametrize(
    "anyio_backend", ["asyncio", pytest.param("trio", marks=pytest.mark.slow)], indirect=True
)
"""For what computes for long, and is on trio the same again."""


def set_jitter(reporter: ProgressReporter, draw: Callable[[], float]) -> None:
    """Let what is drawn spread the retries of a reporter, and of the runner that it belongs to."""
    vars(reporter)["_new_jitter"] = lambda: draw


def block(seconds: float) -> None:
    """Let time pass without the event loop, as a blocking call does."""
    try:
        clock = trio.lowlevel.current_clock()
    except RuntimeError:
        asyncio.get_running_loop()._jumping.offset += seconds  # type: ignore[attr-defined]
    else:
        clock.jump(seconds)  # type: ignore[attr-defined]
