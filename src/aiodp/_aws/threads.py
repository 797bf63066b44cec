"""Threads of our own, for what would otherwise wait in those that the program's work fills."""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from threading import Lock, Thread
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

from aiodp._concurrency import threadsafe_call

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Job(Generic[_T]):
    """What runs in a thread. Any number of tasks may wait for it; none of them cuts it off."""

    def __init__(self, future: Future[_T]) -> None:
        self._future = future
        self._done = anyio.Event()
        call = threadsafe_call()

        def wake(_: Future[_T]) -> None:
            with suppress(RuntimeError):  # the event loop has ended, and nobody waits
                call(self._done.set)

        future.add_done_callback(wake)

    @property
    def done(self) -> bool:
        """Whether it has returned, or raised."""
        return self._done.is_set()

    async def result(self) -> _T:
        """Wait until it is done; return what it returned, raise what it raised."""
        await self._done.wait()
        return self._future.result()


class Threads:
    """A few threads, which run while there is work. They do not keep the program from ending."""

    def __init__(self, count: int, name: str) -> None:
        self._count = count
        self._name = name
        self._lock = Lock()
        self._running = 0
        self._waiting: deque[Callable[[], None]] = deque()

    def start(self, work: Callable[[], _T]) -> Job[_T]:
        """Start work in a thread, as soon as one is free."""
        future: Future[_T] = Future()
        job = Job(future)
        with self._lock:
            self._waiting.append(partial(_run, work, future))
            if self._running < self._count:
                Thread(target=self._work, name=self._name, daemon=True).start()
                self._running += 1
        return job

    def close(self) -> None:
        """Start nothing more; what runs is left alone, and not waited for."""
        with self._lock:
            self._waiting.clear()

    def _work(self) -> None:
        while (run := self._next()) is not None:
            run()

    def _next(self) -> Callable[[], None] | None:
        with self._lock:
            if self._waiting:
                return self._waiting.popleft()
            self._running -= 1
            return None


def _run(work: Callable[[], _T], future: Future[_T]) -> None:
    try:
        future.set_result(work())
    except BaseException as error:  # noqa: BLE001 - for those who wait
        future.set_exception(error)
