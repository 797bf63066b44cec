"""The work of a task runner beside a block, from its first poll to its last status."""

from __future__ import annotations

from contextlib import asynccontextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._concurrency import bare_group
from aiodp._runner.shutdown import Step

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from aiodp._runner.shutdown import Shutdown

_around: Final[ContextVar[tuple[Shutdown, ...]]] = ContextVar("aiodp._around", default=())
"""Of the runners in whose blocks this runs."""


@asynccontextmanager
async def beside(
    work: Callable[[], Awaitable[None]], shutdown: Shutdown
) -> AsyncGenerator[anyio.Event]:
    """Do the work beside the block, and wait for its end; yield the event of that.

    Leaving the block lets the work drain. An exception of the block, or a cancellation, interrupts
    the tasks in hand, and comes out as it is: it does not pass through the task group, of which
    trio makes a new one of exception groups that do.
    """
    over = anyio.Event()
    raised: BaseException | None = None
    around = _around.get()
    _around.set((*around, shutdown))

    async def run() -> None:
        try:
            await work()
        finally:
            over.set()

    async with bare_group() as group:
        group.start_soon(run, name="aiodp task runner")
        try:
            try:
                yield over
            except BaseException as error:  # noqa: BLE001 - raised again below, outside the group
                raised = error
            finally:
                _around.set(around)
            await _wait_drained(over, shutdown, raised)
        finally:
            if not over.is_set():
                shutdown.reach(Step.CANCELING)
    if raised is not None:
        raise raised


async def _wait_drained(
    over: anyio.Event, shutdown: Shutdown, raised: BaseException | None
) -> None:
    """Let the work drain, and wait for that, unless the block has failed."""
    # A signal that ends the runner by itself may cancel blocks of other runners around this one.
    by_itself = (
        shutdown.by_itself
        and isinstance(raised, anyio.get_cancelled_exc_class())
        and any(other.by_itself for other in _around.get())
    )
    if not over.is_set() and (raised is None or by_itself):
        shutdown.reach(Step.DRAINING)
        with anyio.CancelScope(shield=by_itself):
            await over.wait()
