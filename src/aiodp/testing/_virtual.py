"""Virtual time for a test under any plugin for coroutines, and a clock that follows the loop."""

from __future__ import annotations

import asyncio
from functools import wraps
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

import anyio

from aiodp.testing._clock import VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    P = ParamSpec("P")
    T = TypeVar("T")

VIRTUAL_TIME: Final[tuple[str, dict[str, Any]]] = ("asyncio", {"loop_factory": VirtualTimeLoop})
"""A value for anyio's fixture `anyio_backend`: asyncio on a clock that jumps."""


def virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """Make a plain test of a coroutine function, which runs in virtual time.

    The test has its own event loop, so it needs no plugin for asynchronous tests and no marker of
    one; asynchronous fixtures, which run in another loop, cannot be used with it.
    """

    @wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(test(*args, **kwargs))

    return run


class LoopClock:
    """Seconds of the event loop since this clock was first asked within one.

    Outside of a loop it stands still, so that work can be put in before the loop runs; a later loop
    goes on where the one before it ended.
    """

    def __init__(self) -> None:
        self._start: float | None = None
        self._elapsed = 0.0

    def __call__(self) -> float:
        """Return the time, which never goes back."""
        try:
            now = anyio.current_time()
        except RuntimeError:  # no loop runs; anyio has had two exceptions for it, both of this type
            return self._elapsed
        if self._start is None or now - self._start < self._elapsed:
            self._start = now - self._elapsed
        self._elapsed = now - self._start
        return self._elapsed
