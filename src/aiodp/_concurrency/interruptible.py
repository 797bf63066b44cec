"""Cancellation that comes once, and again if it was not heard."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol, cast

import anyio

from aiodp._concurrency.loop import on_asyncio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class Interrupt(Protocol):
    """The way to cancel what runs inside `interruptible`, from the same event loop."""

    def __call__(self) -> None:
        """Cancel it, now or at its next await; a second call does nothing."""
        ...

    def again(self) -> None:
        """Cancel it once more, from outside of it."""
        ...

    def is_unheard(self) -> bool:
        """Return whether the block waits anew at the instruction at which it was canceled last.

        Another cancellation does there what the last one did, so it breaks no clean-up.
        """
        ...


@asynccontextmanager
async def interruptible() -> AsyncIterator[Interrupt]:
    """Yield what cancels the block; the cancellation ends at the block's end.

    Anyio's cancel scopes cancel again at every await until the scope is left. Trio's users know
    that; for asyncio's it means that `finally: await connection.close()` cannot run. So there the
    scope is asyncio's own, the one behind `asyncio.timeout`, which cancels once.
    """
    if on_asyncio():
        async with _interruptible_asyncio() as interrupt:
            yield interrupt
    else:
        with anyio.CancelScope() as scope:
            yield _ScopeInterrupt(scope)


class _ScopeInterrupt:
    """Cancels a scope that cancels at every await."""

    def __init__(self, scope: anyio.CancelScope) -> None:
        self._scope = scope

    def __call__(self) -> None:
        self._scope.cancel()

    def again(self) -> None:
        pass

    def is_unheard(self) -> bool:
        return False


class _AsyncioInterrupt:
    """Cancels a block of the current task: by its timeout's scope first, then by hand."""

    def __init__(self, scope: asyncio.Timeout) -> None:
        self._scope: asyncio.Timeout | None = scope
        self._loop = asyncio.get_running_loop()
        self._task = cast("asyncio.Task[object]", asyncio.current_task())
        self._repetitions = 0
        self._place: list[tuple[object, int]] = []

    def __call__(self) -> None:
        if self._scope is not None and self._scope.when() is None:
            self._loop.call_soon(self._note_place)
            self._scope.reschedule(self._loop.time())

    def again(self) -> None:
        if self._scope is not None:
            self._note_place()
            self._repetitions += 1
            self._task.cancel()

    def is_unheard(self) -> bool:
        place = _place_of(self._task)
        for (before, line_before), (now, line) in zip(self._place, place, strict=False):
            if now is not before:
                return True  # the same line has called it anew
            if line != line_before:
                return False
        return False

    def end(self) -> None:
        """Cancel no more, and take back what the scope does not know of."""
        self._scope = None
        self._place = []
        for _ in range(self._repetitions):
            self._task.uncancel()

    def _note_place(self) -> None:
        self._place = _place_of(self._task)


def _place_of(task: asyncio.Task[object]) -> list[tuple[object, int]]:
    """Return the calls in which a task waits, each with its instruction, and for what it waits."""
    place = []
    awaited: Any = task.get_coro()
    while (frame := getattr(awaited, "cr_frame", None)) is not None:
        place.append((awaited, frame.f_lasti))
        awaited = awaited.cr_await
    return [*place, (awaited, 0)]


@asynccontextmanager
async def _interruptible_asyncio() -> AsyncIterator[Interrupt]:
    scope = asyncio.timeout(None)
    interrupt = _AsyncioInterrupt(scope)
    raised: BaseException | None = None
    try:
        async with scope:
            try:
                yield interrupt
            except Exception as error:
                raised = error
                raise
            finally:
                interrupt.end()
    except TimeoutError as error:
        if error is raised or not scope.expired():
            raise
