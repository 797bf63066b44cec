"""What the event loop that runs is asked for: its time, its timers, its signals."""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_T = TypeVar("_T")

_EVENT_LOOPS: Final = ("asyncio", "trio")
_CLOCK_TOLERANCE: Final = 0.1  # seconds; uvloop reads the clock once for each turn


def on_asyncio() -> bool:
    """Return whether asyncio's event loop runs this, and not trio's."""
    return anyio.get_cancelled_exc_class() is asyncio.CancelledError


def running_loop() -> object:
    """Return what stands for the event loop that runs this, and for no other."""
    if on_asyncio():
        return asyncio.get_running_loop()
    from trio.lowlevel import current_trio_token  # noqa: PLC0415 - trio is an extra

    return current_trio_token()


def timers() -> Callable[[float, Callable[[], object]], Callable[[], object]]:
    """Return a function that has another one called in this event loop after so many seconds.

    It returns what prevents that; it may be called wherever the loop runs something.
    """
    if on_asyncio():
        loop = asyncio.get_running_loop()
        return lambda delay, function: loop.call_later(delay, function).cancel
    from trio.lowlevel import spawn_system_task  # noqa: PLC0415 - trio is an extra

    def call_later(delay: float, function: Callable[[], object]) -> Callable[[], object]:
        scope = anyio.CancelScope()

        async def wait() -> None:
            with scope:
                await anyio.sleep(delay)
                function()

        spawn_system_task(wait)
        return scope.cancel

    return call_later


def system_time() -> float:
    """Return the monotonic time of the system in seconds, whatever a test does to module `time`.

    On Windows it is the time that the module gives.
    """
    if sys.platform == "win32":
        return time.monotonic()
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def clock() -> Callable[[], float]:
    """Return a function that gives `anyio.current_time()` of this event loop in any thread.

    A loop of asyncio asks `time.monotonic`, which freezegun replaces in the middle of a run. So
    where that is the system's time, the system is asked.
    """
    if on_asyncio():
        loop_time = asyncio.get_running_loop().time
        on_system_time = abs(loop_time() - system_time()) < _CLOCK_TOLERANCE
        return system_time if on_system_time else loop_time
    from trio.lowlevel import current_clock  # noqa: PLC0415 - trio is an extra

    return current_clock().current_time


def threadsafe_call() -> Callable[[Callable[[], object]], object]:
    """Return a function that has another one called in this event loop at its next turn.

    It may be called from any thread, and from a signal handler; the loop wakes up for it.
    """
    if on_asyncio():
        return asyncio.get_running_loop().call_soon_threadsafe
    from trio.lowlevel import current_trio_token  # noqa: PLC0415 - trio is an extra

    return current_trio_token().run_sync_soon


def follows_system_time() -> bool:
    """Return whether another event loop has the time of this one, which tests may make up."""
    if on_asyncio():
        loop = asyncio.get_running_loop()
        return not isinstance(loop, asyncio.BaseEventLoop) or (
            type(loop).time is asyncio.BaseEventLoop.time
        )
    from trio.lowlevel import current_clock  # noqa: PLC0415 - trio is an extra
    from trio.testing import MockClock  # noqa: PLC0415 - trio is an extra

    return not isinstance(current_clock(), MockClock)


def new_loop_runner() -> Callable[[Callable[[], Awaitable[_T]]], _T]:
    """Return a function that runs another one in an event loop of the same kind, in any thread.

    `anyio.current_time()` is the same there. Raises `RuntimeError` in an event loop whose time is
    made up, which no other can follow.
    """
    if not follows_system_time():
        raise RuntimeError("a thread of its own cannot follow this event loop's virtual time")
    if on_asyncio():
        return partial(anyio.run, backend="asyncio")
    from trio.lowlevel import current_clock  # noqa: PLC0415 - trio is an extra

    return partial(anyio.run, backend="trio", backend_options={"clock": current_clock()})


def may_replace_handler(handler: object) -> bool:
    """Return whether a signal with this handler may be listened to.

    What is ignored from the start, as under `nohup`, stays ignored, and what is not Python's is
    left alone. A loop of asyncio has one callback for each signal; one that the program has set
    there is not to be taken away. In Python the loop sets a handler out of the module that it is
    defined in, asyncio's own or uvloop's.
    """
    if handler in (signal.SIG_IGN, None) or not on_asyncio():
        return handler not in (signal.SIG_IGN, None)
    add = asyncio.get_running_loop().add_signal_handler
    return getattr(handler, "__module__", None) != add.__module__


def is_default_handler(handler: object) -> bool:
    """Return whether a signal's handler is one that no program has set: it ends the program.

    It is the system's, Python's, or the one of `asyncio.run` or `trio.run`, for Ctrl-C.
    """
    if handler in (signal.SIG_DFL, signal.default_int_handler):
        return True
    module = getattr(getattr(handler, "func", handler), "__module__", None) or ""
    return module.partition(".")[0] in _EVENT_LOOPS


def cancellation_requested() -> bool:
    """Return whether this task was asked to end, and not only something that it awaited."""
    if not on_asyncio():
        return True
    task = asyncio.current_task()
    return task is None or task.cancelling() > 0
