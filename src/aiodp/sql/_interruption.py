"""Work of a server that ends there when it is interrupted here."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from aiodp._concurrency import bare_group

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_T = TypeVar("_T")

_TIMEOUT: Final = 4.0
"""Seconds that the server has to end what it was asked to end."""
_INTERVAL: Final = 0.5
"""Seconds after which it is asked again: a statement may have begun just then."""


async def run_on_server(
    work: Callable[[], Awaitable[_T]], cancel: Callable[[], Awaitable[object]]
) -> _T:
    """Await the work of a server; when this is cancelled, ask the server to end it, and wait.

    What the interrupted work returns or raises is dropped. The work is given up if the server does
    not end it in time.
    """
    interruption = _Interruption(cancel)
    results: list[_T] = []
    async with bare_group() as group:
        group.start_soon(interruption.watch, name="aiodp SQL interruption")
        with interruption.scope:
            try:
                results.append(await work())
            except Exception:
                if not interruption.begun:
                    raise
            finally:
                interruption.work_ended.set()
        await interruption.wait_checked()
        group.cancel_scope.cancel()
    return results[0]


class _Interruption:
    """What turns a cancellation into one of the server's work."""

    def __init__(self, cancel: Callable[[], Awaitable[object]]) -> None:
        self.scope = anyio.CancelScope(shield=True)
        self.work_ended = anyio.Event()
        self.begun = False
        self._cancel = cancel

    async def watch(self) -> None:
        """Wait to be cancelled, which is when the work is to end."""
        try:
            await anyio.sleep_forever()
        finally:
            if not self.work_ended.is_set():
                self.begun = True
                with anyio.move_on_after(_TIMEOUT, shield=True):
                    await self._end_work()
                self.scope.cancel()

    async def wait_checked(self) -> None:
        """Raise the cancellation that interrupted the work, if one did."""
        if self.begun:
            await anyio.sleep_forever()

    async def _end_work(self) -> None:
        while not self.work_ended.is_set():
            with suppress(Exception):  # it is tried again, and the connection is closed anyway
                await self._cancel()
            with anyio.move_on_after(_INTERVAL):
                await self.work_ended.wait()
