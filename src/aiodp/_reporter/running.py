"""The engine beside the block of its reporter, from its opening to its end."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio

from aiodp._concurrency import bare_group
from aiodp._log import logger
from aiodp._reporter.engine import EXIT_GRACE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiodp._reporter.engine import Engine


@asynccontextmanager
async def running(engine: Engine) -> AsyncGenerator[None]:
    """Run the engine beside the block, and let the block's exception out as it is.

    It does not pass through the task group: that would cancel the engine, which must go on, and
    trio makes new ones of exception groups that pass through.
    """
    raised: BaseException | None = None
    async with bare_group() as group:
        group.start_soon(engine.run, name="aiodp reporter")
        try:
            try:
                yield
            except BaseException as error:  # noqa: BLE001 - raised again below, outside the group
                raised = error
            await _wait_idle(engine, canceled=isinstance(raised, anyio.get_cancelled_exc_class()))
        finally:
            engine.stop()
    if raised is not None:
        raise raised


async def _wait_idle(engine: Engine, *, canceled: bool) -> None:
    """Wait until no task is tracked; heartbeats go on meanwhile, for a time even if canceled."""
    if tracked := engine.tracked:
        logger.warning("closing: waiting until %d tasks are not tracked any more", tracked)
    try:
        if not canceled:
            await engine.wait_idle()
    finally:  # canceled from outside, now or before
        with anyio.move_on_after(EXIT_GRACE, shield=True):
            await engine.wait_idle()
