"""What the tests in virtual time share."""

from __future__ import annotations

import asyncio

import pytest
import trio.lowlevel

asyncio_only = pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
"""For what only asyncio has: a cancellation that comes once, and one that needs no scope."""


def block(seconds: float) -> None:
    """Let time pass without the event loop, as a blocking call does."""
    try:
        clock = trio.lowlevel.current_clock()
    except RuntimeError:
        asyncio.get_running_loop()._jumping.offset += seconds  # type: ignore[attr-defined]
    else:
        clock.jump(seconds)  # type: ignore[attr-defined]
