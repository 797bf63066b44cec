"""Waiting for whichever comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


async def first_of(*waits: Callable[[], Awaitable[object]]) -> None:
    """Return when one of them does; the others are canceled."""
    async with anyio.create_task_group() as group:

        async def one(wait: Callable[[], Awaitable[object]]) -> None:
            await wait()
            group.cancel_scope.cancel()

        for wait in waits:
            group.start_soon(one, wait, name="aiodp wait")
