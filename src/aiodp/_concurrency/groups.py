"""Task groups that raise one error, and what is built on them."""

from __future__ import annotations

from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from anyio.abc import TaskGroup

_T = TypeVar("_T")


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
