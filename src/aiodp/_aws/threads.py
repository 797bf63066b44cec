"""Threads of our own, for what would otherwise wait in those that the program's work fills."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from threading import Thread
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
    """A few threads, which begin with their first work."""

    def __init__(self, count: int, name: str) -> None:
        self._executor = ThreadPoolExecutor(count, thread_name_prefix=name)

    def start(self, work: Callable[[], _T]) -> Job[_T]:
        """Start work in a thread, as soon as one is free."""
        return Job(self._executor.submit(work))

    def close(self) -> None:
        """Start nothing more; what runs is left alone, and not waited for."""
        self._executor.shutdown(wait=False, cancel_futures=True)


def in_new_thread(work: Callable[[], _T], name: str) -> Job[_T]:
    """Start work in a thread for it alone, which does not keep the program from ending."""
    future: Future[_T] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except Exception as error:  # noqa: BLE001 - for those who wait
            future.set_exception(error)

    job = Job(future)
    Thread(target=run, name=name, daemon=True).start()
    return job
