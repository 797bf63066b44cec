"""What anyio does not give: a clock for threads, and a cancellation that comes once.

Anyio's cancel scopes cancel again at every await until the scope is left. Trio's users know that;
for asyncio's it means that `finally: await connection.close()` cannot run. So there the scope is
asyncio's own, the one behind `asyncio.timeout`, which cancels once.
"""

from __future__ import annotations

import asyncio
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Protocol

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


class Interrupt(Protocol):
    """The way to cancel what runs inside `interruptible`, from the same event loop."""

    def __call__(self) -> None:
        """Cancel it, now or at its next await."""
        ...


def clock() -> Callable[[], float]:
    """Return a function that gives `anyio.current_time()` of this event loop in any thread."""
    if _on_asyncio():
        return asyncio.get_running_loop().time
    from trio.lowlevel import current_clock  # noqa: PLC0415 - trio is an extra

    return current_clock().current_time


def threadsafe_call() -> Callable[[Callable[[], object]], object]:
    """Return a function that lets another one run in this event loop, at its next turn.

    It may be called from any thread, and from a signal handler; the loop wakes up for it.
    """
    if _on_asyncio():
        return asyncio.get_running_loop().call_soon_threadsafe
    from trio.lowlevel import current_trio_token  # noqa: PLC0415 - trio is an extra

    return current_trio_token().run_sync_soon


def may_replace_handler(handler: object) -> bool:
    """Return whether a signal with this handler may be listened to.

    What is ignored from the start, as nohup does, stays so; and asyncio's loops have one handler
    for each signal, which is not to be taken from the program.
    """
    taken = getattr(getattr(asyncio, "unix_events", None), "_sighandler_noop", None)
    return handler is not signal.SIG_IGN and (taken is None or handler is not taken)


def cancellation_requested() -> bool:
    """Return whether this task was asked to end, and not only something that it awaited."""
    if not _on_asyncio():
        return True
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _on_asyncio() -> bool:
    return anyio.get_cancelled_exc_class() is asyncio.CancelledError


@asynccontextmanager
async def interruptible() -> AsyncIterator[Interrupt]:
    """Give a function that cancels the block; the cancellation ends at the block's end."""
    if _on_asyncio():
        async with _interruptible_asyncio() as interrupt:
            yield interrupt
    else:
        with anyio.CancelScope() as scope:
            yield scope.cancel


@asynccontextmanager
async def _interruptible_asyncio() -> AsyncIterator[Interrupt]:
    loop = asyncio.get_running_loop()
    over = False

    def interrupt() -> None:
        nonlocal over
        if not over:
            over = True
            scope.reschedule(loop.time())

    scope = asyncio.timeout(None)
    raised: BaseException | None = None
    try:
        async with scope:
            try:
                yield interrupt
            except Exception as error:
                raised = error
                raise
            finally:
                over = True
    except TimeoutError as error:
        if error is raised or not scope.expired():
            raise
