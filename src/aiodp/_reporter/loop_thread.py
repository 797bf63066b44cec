"""An event loop in a thread of its own, and the way there and back.

The two loops never wait for each other: what one wants of the other is posted, and so is what comes
of it. So neither is held up when the other is blocked.
"""

from __future__ import annotations

import atexit
import threading
from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

import anyio

from aiodp._concurrency import bare_group, new_loop_runner, threadsafe_call
from aiodp._errors import ReporterClosed
from aiodp._reporter.home import Home

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from anyio.abc import TaskGroup

_T = TypeVar("_T")
_R = TypeVar("_R")

_EXIT_TIMEOUT: Final = 2.0  # seconds that the end of the interpreter waits for the thread
_ASK_TIMEOUT: Final = 0.1  # seconds until it is seen that the thread has ended
_ENDED: Final = "the reporter's thread has ended"


class LoopThread(Generic[_T]):
    """Holds a context manager open in its thread, and calls functions there.

    Made in the event loop that uses it, which is `home` here. `on_crash` is called in the thread if
    that ends by an exception, and `on_orphaned` if home is closed before the thread has ended.
    """

    def __init__(
        self,
        opened: AbstractAsyncContextManager[_T],
        *,
        name: str,
        on_crash: Callable[[_T, BaseException], object],
        on_orphaned: Callable[[_T], object],
    ) -> None:
        self._opened = opened
        self._on_crash = on_crash
        self._on_orphaned = on_orphaned
        self._home = Home()
        self._run_loop = new_loop_runner()
        self._call_home = threadsafe_call()
        self._call_there: Callable[[Callable[[], object]], object] | None = None
        self._posted: deque[Callable[[], object]] = deque()
        self._ready = anyio.Event()
        self._ended = anyio.Event()
        self._calls: set[_Call[Any]] = set()
        self._parts: list[_T] = []
        self._error: BaseException | None = None
        self._context = copy_context()
        # A daemon, for a program that ends without leaving the reporter must end all the same.
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        # Of the thread's own loop, and made there:
        self._leaving: anyio.Event
        self._posting: anyio.Event
        self._scope: anyio.CancelScope
        self.group: TaskGroup

    # At home

    async def open(self) -> _T:
        """Start the thread; return what the context manager gives, or raise what it raises."""
        self._thread.start()
        atexit.register(self._end_at_exit)
        await self._ready.wait()
        if not self._parts:
            raise self._error or ReporterClosed(_ENDED)
        return self._parts[0]

    async def close(self, *, canceled: bool, grace: float) -> None:
        """Leave the context manager; if this is canceled, wait for `grace` seconds at most.

        Raises what the thread has ended with, if it was open. In a forked child there is no thread,
        nor where it could not be started.
        """
        if self._home.is_forked or self._thread.ident is None:
            return
        self._leave(canceled=canceled)
        try:
            await self._ended.wait()
        finally:
            if not self._ended.is_set():  # canceled from outside, now or before
                self._leave(canceled=True)
                with anyio.move_on_after(grace, shield=True):
                    await self._ended.wait()
            atexit.unregister(self._end_at_exit)
        self._thread.join(_EXIT_TIMEOUT)  # its last instructions
        if self._error is not None and self._parts:
            raise self._error

    async def call(
        self, function: Callable[..., Awaitable[_R]], *args: Any, cancel_timeout: float
    ) -> _R:
        """Call an asynchronous function in the thread; return what it returns, or raise its error.

        If this is canceled, the function is as well, and has `cancel_timeout` seconds to end.
        Raises `ReporterClosed` if the thread ends before.
        """
        call = _Call(self, function, args)
        self._calls.add(call)
        try:
            self.post(call.start)
            await call.done.wait()
        except anyio.get_cancelled_exc_class():
            with suppress(ReporterClosed):
                self.post(call.cancel)
                with anyio.move_on_after(cancel_timeout, shield=True):
                    await call.done.wait()
            raise
        finally:
            self._calls.discard(call)
        return call.result()

    def post(self, function: Callable[[], object]) -> None:
        """Have a function called in the thread; raise `ReporterClosed` if that has ended."""
        if not self.running:
            raise ReporterClosed(_ENDED)
        self._posted.append(function)
        if self._call_there is not None:
            try:
                self._call_there(self._wake_up)
            except RuntimeError:  # its loop is closed
                raise ReporterClosed(_ENDED) from None

    def ask(self, function: Callable[[], _R]) -> _R:
        """Call a function that does not wait in the thread, and wait for its answer, blocked.

        The thread never waits for this one, so that takes as long as its loop needs for a turn.
        """
        future: Future[_R] = Future()
        with suppress(ReporterClosed):
            self.post(lambda: future.set_result(function()))
        while self.running:
            with suppress(TimeoutError):
                return future.result(_ASK_TIMEOUT)
        return function()

    @property
    def running(self) -> bool:
        """Whether the thread runs; in a forked child it does not."""
        return self._thread.is_alive()

    def _leave(self, *, canceled: bool) -> None:
        with suppress(ReporterClosed):
            self.post(lambda: self._scope.cancel() if canceled else self._leaving.set())

    def _end_at_exit(self) -> None:
        """Close connections in bounded time when the interpreter ends before the block is left."""
        self._orphan()
        self._thread.join(_EXIT_TIMEOUT)

    def _on_end(self) -> None:
        self._ready.set()
        self._ended.set()
        for call in self._calls:
            call.done.set()

    # In the thread

    def tell(self, function: Callable[[], object]) -> None:
        """Have a function called at home; if home is closed, end."""
        try:
            self._call_home(function)
        except RuntimeError:
            self._orphan()

    def _work(self) -> None:
        try:
            self._run_loop(self._main)
        except BaseException as error:  # noqa: BLE001 - it is raised again at home
            self._error = error
            for parts in self._parts:
                self._on_crash(parts, error)
        finally:
            self.tell(self._on_end)

    async def _main(self) -> None:
        for variable, value in self._context.items():  # as the tasks of a group have it
            variable.set(value)
        self._leaving = anyio.Event()
        self._scope = anyio.CancelScope()
        self._posting = anyio.Event()
        self._call_there = threadsafe_call()
        async with bare_group() as self.group:
            self.group.start_soon(self._call_posted, name="aiodp calls to a thread")
            with self._scope:
                async with self._opened as parts:
                    self._parts.append(parts)
                    self.tell(self._ready.set)
                    await self._leaving.wait()
            self.group.cancel_scope.cancel()

    def _wake_up(self) -> None:
        self._posting.set()

    async def _call_posted(self) -> None:
        """Call what was posted; from a task, for in asyncio's callbacks anyio finds no loop."""
        while True:
            while self._posted:
                self._posted.popleft()()
            await self._posting.wait()
            self._posting = anyio.Event()

    def _orphan(self) -> None:
        def end() -> None:
            for parts in self._parts:
                self._on_orphaned(parts)
            self._scope.cancel()

        with suppress(ReporterClosed):
            self.post(end)


class _Call(Generic[_R]):
    """One call in the thread, and what came of it."""

    def __init__(
        self, thread: LoopThread[Any], function: Callable[..., Awaitable[_R]], args: tuple[Any, ...]
    ) -> None:
        self.done = anyio.Event()
        self._thread = thread
        self._function = function
        self._args = args
        self._context = copy_context()
        self._results: list[_R] = []
        self._error: BaseException = ReporterClosed(_ENDED)  # unless it has another end
        self._scope: anyio.CancelScope  # made in the thread

    # At home

    def result(self) -> _R:
        """Return what the function has returned, or raise what it has raised."""
        if self._results:
            return self._results[0]
        try:
            raise self._error
        finally:
            del self._error  # whose traceback would keep this alive

    # In the thread

    def start(self) -> None:
        """Begin it, in the context of who made the call."""
        self._scope = anyio.CancelScope()
        with suppress(RuntimeError):  # if the thread is ending, `done` is set by its end
            start = partial(self._thread.group.start_soon, self._run, name="aiodp call")
            self._context.run(start)

    def cancel(self) -> None:
        """Cancel it, if it has begun."""
        self._scope.cancel()

    async def _run(self) -> None:
        try:
            with self._scope:
                self._results.append(await self._function(*self._args))
        except Exception as error:  # noqa: BLE001 - it is raised where the call was made
            self._error = error
        finally:
            self._thread.tell(self.done.set)
