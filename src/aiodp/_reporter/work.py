"""The work that `ProgressReporter.run` wraps in a lease."""

from __future__ import annotations

import inspect
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple

from anyio import AsyncContextManagerMixin

from aiodp._concurrency import interruptible
from aiodp._reporter.interruption import Interruption
from aiodp._reporter.task import TrackedTask, as_current, record_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine

    from aiodp._reporter.task import Tracking

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")


def check_work(work: object, args: tuple[object, ...]) -> None:
    """Raise `TypeError` for what can be no work, before anything is sent."""
    if inspect.iscoroutine(work):
        if args:
            raise TypeError("work is a coroutine already, so it takes no arguments")
    elif not callable(work):
        raise TypeError(f"work must be a coroutine function or a coroutine, not {work!r:.40}")
    elif not accepts(work, *args):
        raise TypeError(f"{signature_of(work)} cannot be called with {len(args)} arguments")


def accepts(function: Callable[..., object], *args: object) -> bool:
    """Return whether a function can be called with these arguments, or whether that is unknown."""
    signature = _signature(function)
    try:
        if signature is not None:
            signature.bind(*args)
    except TypeError:
        return False
    return True


def signature_of(function: Callable[..., object]) -> str:
    """Return a function's name and parameters, as messages show them."""
    named = function.func if isinstance(function, partial) else function
    name = getattr(named, "__qualname__", None) or type(named).__name__
    return f"{name}{_signature(function)}"


def _signature(function: Callable[..., object]) -> inspect.Signature | None:
    """Return the signature; some built-in functions have none.

    Python 3.14 evaluates annotations for it, which may name what is imported for type checkers.
    """
    try:
        return inspect.signature(function)
    except (ValueError, TypeError, NameError, AttributeError):
        return None


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


@asynccontextmanager
async def interrupted(task: TrackedTask) -> AsyncGenerator[None]:
    """Cancel the block once when the task ends under it; then raise how it ended."""
    async with interruptible() as interrupt:
        with Interruption(record_of(task), interrupt):
            yield
    # The end of the lease interrupts the work, but raises nothing. A runner's task has its own
    # `raise_if_ended`, which raises for the end of the runner as well: not asked for here.
    TrackedTask.raise_if_ended(task)


class InterruptingTracking(AsyncContextManagerMixin):
    """A block in which a task is kept alive, and which is interrupted when the task ends."""

    def __init__(self, tracking: Tracking[TrackedTask]) -> None:
        self._tracking = tracking

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[TrackedTask]:
        async with self._tracking as task:
            task.raise_if_ended()  # one that is canceled from the start is not begun
            async with interrupted(task):
                yield task


async def work_as_current(
    task: TrackedTask,
    work: Callable[[*_Ts], Awaitable[_T]] | Coroutine[Any, Any, _T],
    args: tuple[*_Ts],
) -> _T:
    """Do the work, in which `current_task` is this one; return its result."""
    with as_current(task):
        return await _started(work, args)
