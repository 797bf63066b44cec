"""What anyio does not give: task groups that raise one error, and cancellation that comes once.

Asyncio itself is named here alone; the modules above use anyio's primitives and these functions.
"""

from __future__ import annotations

import asyncio
import signal
import time
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Final, Protocol, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from anyio.abc import TaskGroup

_T = TypeVar("_T")

_CLOCK_TOLERANCE: Final = 0.1  # seconds; uvloop reads the clock once for each turn


@asynccontextmanager
async def bare_group() -> AsyncIterator[TaskGroup]:
    """Yield a task group that raises one exception as it is, not in an `ExceptionGroup`.

    It is the first one, of the block or of a child, whichever ended the others; its cause, its
    context and, if it is a group itself, its members stay. Exceptions that came later, from the
    clean-up of the others, are named in its notes. As in every task group of anyio on asyncio, an
    exception goes before a cancellation from outside.
    """
    failures: list[BaseException] = []
    try:
        async with anyio.create_task_group() as group:
            yield group
    except BaseExceptionGroup as errors:
        failures = [error for error in errors.exceptions if not _is_cancellation(error)]
        if not failures:
            raise
    if failures:
        _raise_first(failures)


def _is_cancellation(error: BaseException) -> bool:
    """Return whether it is nothing but cancellation; trio raises groups of that."""
    if isinstance(error, BaseExceptionGroup):
        return all(_is_cancellation(member) for member in error.exceptions)
    return isinstance(error, anyio.get_cancelled_exc_class())


def _raise_first(failures: list[BaseException]) -> None:
    first, *later = failures
    for error in later:
        first.add_note(f"another exception came after it: {error!r}")
    context = first.__context__
    try:
        raise first
    finally:
        first.__context__ = context  # `raise` replaces it by the exception that ended the block
        del first, failures  # which the traceback would keep alive


async def first_of(*waits: Callable[[], Awaitable[object]]) -> None:
    """Return when one of them returns, or raise what one raises; the others are cancelled."""
    async with bare_group() as group:

        async def wait_for(wait: Callable[[], Awaitable[object]]) -> None:
            await wait()
            group.cancel_scope.cancel()

        for wait in waits:
            group.start_soon(wait_for, wait, name="aiodp wait")


async def for_each(
    items: AsyncGenerator[_T, None],
    work: Callable[[_T], Awaitable[object]],
    *,
    limit: int,
    name: str,
) -> None:
    """Do the work for all items, for at most `limit` of them at once, in tasks of this name.

    The next item is asked for only when there is room for its work. The first error ends all
    work, and is raised as it is.
    """
    room = anyio.Semaphore(limit)

    async def work_on(item: _T) -> None:
        await work(item)
        room.release()  # not after an error: nothing more is to be begun

    async with bare_group() as group, aclosing(items):
        await room.acquire()
        async for item in items:
            group.start_soon(work_on, item, name=name)
            await room.acquire()


async def run_shielded_task(work: Callable[[], Awaitable[_T]], *, name: str) -> _T:
    """Run the work in a task of its own; return what it returns, raise what it raises.

    `asyncio.Task.cancel` would interrupt the work's shields and its waits for threads, as often
    as it is called. This task is reached by way of anyio's scopes alone, which they withstand;
    whatever comes, this returns when the work has ended. A cancellation after which the work
    still returned or failed is not raised.
    """
    results: list[_T] = []
    cancellations: list[BaseException] = []

    async def run() -> None:
        try:
            results.append(await work())
        except anyio.get_cancelled_exc_class() as cancelled:
            cancellations.append(cancelled)
            raise

    try:
        async with bare_group() as group:
            group.start_soon(run, name=name)
    except anyio.get_cancelled_exc_class():
        if not results:
            raise
    if not results:  # the work was cancelled, but not by us
        raise cancellations[0]
    return results[0]


class Interrupt(Protocol):
    """The way to cancel what runs inside `interruptible`, from the same event loop."""

    def __call__(self) -> None:
        """Cancel it, now or at its next await."""
        ...


@asynccontextmanager
async def interruptible() -> AsyncIterator[Interrupt]:
    """Yield a function that cancels the block; the cancellation ends at the block's end.

    Anyio's cancel scopes cancel again at every await until the scope is left. Trio's users know
    that; for asyncio's it means that `finally: await connection.close()` cannot run. So there the
    scope is asyncio's own, the one behind `asyncio.timeout`, which cancels once.
    """
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


def system_time() -> float:
    """Return the monotonic time of the system in seconds, whatever a test does to module `time`."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def clock() -> Callable[[], float]:
    """Return a function that gives `anyio.current_time()` of this event loop in any thread.

    A loop of asyncio asks `time.monotonic`, which freezegun replaces in the middle of a run. So
    where that is the system's time, the system is asked.
    """
    if _on_asyncio():
        loop_time = asyncio.get_running_loop().time
        on_system_time = abs(loop_time() - system_time()) < _CLOCK_TOLERANCE
        return system_time if on_system_time else loop_time
    from trio.lowlevel import current_clock  # noqa: PLC0415 - trio is an extra

    return current_clock().current_time


def threadsafe_call() -> Callable[[Callable[[], object]], object]:
    """Return a function that has another one called in this event loop at its next turn.

    It may be called from any thread, and from a signal handler; the loop wakes up for it.
    """
    if _on_asyncio():
        return asyncio.get_running_loop().call_soon_threadsafe
    from trio.lowlevel import current_trio_token  # noqa: PLC0415 - trio is an extra

    return current_trio_token().run_sync_soon


def may_replace_handler(handler: object) -> bool:
    """Return whether a signal with this handler may be listened to.

    What is ignored from the start, as under `nohup`, stays ignored. A loop of asyncio has one
    callback for each signal; one that the program has set there is not to be taken away. In Python
    the loop sets a handler out of the module that it is defined in, asyncio's own or uvloop's.
    """
    if handler is signal.SIG_IGN or not _on_asyncio():
        return handler is not signal.SIG_IGN
    add = asyncio.get_running_loop().add_signal_handler
    return getattr(handler, "__module__", None) != add.__module__


def cancellation_requested() -> bool:
    """Return whether this task was asked to end, and not only something that it awaited."""
    if not _on_asyncio():
        return True
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0


def _on_asyncio() -> bool:
    return anyio.get_cancelled_exc_class() is asyncio.CancelledError
