"""The work that `ProgressReporter.run` wraps in a lease."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, cast

from aiodp._concurrency import interruptible
from aiodp._reporter.interruption import Interruption
from aiodp._reporter.task import TrackedTask, current, record_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


def check_work(work: object, args: tuple[object, ...]) -> None:
    """Raise `TypeError` for what can be no work, before anything is sent."""
    if inspect.iscoroutine(work):
        if args:
            raise TypeError("work is a coroutine already, so it takes no arguments")
    elif not callable(work):
        raise TypeError(f"work must be a coroutine function or a coroutine, not {work!r:.40}")


def _started(
    work: Callable[[*_Ts], Awaitable[_T]] | Coroutine[Any, Any, _T], args: tuple[*_Ts]
) -> Awaitable[_T]:
    started = work(*args) if callable(work) else work
    if not inspect.isawaitable(started):
        raise TypeError(
            f"work returned {started!r:.40} where a coroutine is due: make it an async function, "
            f"and run what blocks in a thread from there"
        )
    return started


async def work_on(
    task: TrackedTask,
    work: Callable[[*_Ts], Awaitable[_T]] | Coroutine[Any, Any, _T],
    args: tuple[*_Ts],
) -> _T:
    """Do the work, stop it when the task ends under it, and return its result."""
    result: Any = None
    token = current.set(task)
    try:
        async with interruptible() as interrupt:
            with Interruption(record_of(task), interrupt):
                result = await _started(work, args)
    finally:
        current.reset(token)
    # The end of the lease interrupts the work, but raises nothing. A runner's task has its own
    # `raise_if_ended`, which raises for the end of the runner as well: not asked for here.
    TrackedTask.raise_if_ended(task)
    return cast("_T", result)
