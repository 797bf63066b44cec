"""The same work for many things, a few of them at once."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Generic, TypeVar

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable

    from anyio.abc import TaskGroup
    from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

_T = TypeVar("_T")


async def spread(
    things: AsyncGenerator[_T, None], work: Callable[[_T], Awaitable[None]], *, workers: int
) -> None:
    """Do the work for all things, at most `workers` of them at once.

    Things are asked for only when a worker is free. The first error ends all, and is raised bare.
    """
    spreading = _Spreading(work)
    await spreading.run(things, workers)
    if spreading.errors:
        raise spreading.errors[0]


class _Spreading(Generic[_T]):
    def __init__(self, work: Callable[[_T], Awaitable[None]]) -> None:
        self.errors: list[Exception] = []
        self._work = work

    async def run(self, things: AsyncGenerator[_T, None], workers: int) -> None:
        send, receive = anyio.create_memory_object_stream[_T](0)
        with send, receive:
            async with anyio.create_task_group() as group:
                for _ in range(workers):
                    worker = self._serve, receive.clone()
                    group.start_soon(self._guarded, group, *worker, name="aiodp S3 transfer")
                await self._guarded(group, self._hand_out, things, send)

    async def _guarded(
        self, group: TaskGroup, part: Callable[..., Awaitable[None]], *args: object
    ) -> None:
        try:
            await part(*args)
        except Exception as error:  # noqa: BLE001 - raised by `spread`, outside the group
            self.errors.append(error)
            group.cancel_scope.cancel()

    async def _hand_out(
        self, things: AsyncGenerator[_T, None], send: MemoryObjectSendStream[_T]
    ) -> None:
        with send:
            async with aclosing(things):
                async for thing in things:
                    await send.send(thing)

    async def _serve(self, receive: MemoryObjectReceiveStream[_T]) -> None:
        with receive:
            async for thing in receive:
                await self._work(thing)
