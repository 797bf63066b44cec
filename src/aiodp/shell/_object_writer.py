"""An object of S3 that is written piece by piece; nothing is seen of it until it is whole."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiodp._concurrency import bare_group
from aiodp.shell._errors import staging_errors
from aiodp.shell._pace import in_time
from aiodp.shell._parts import MAX_PARTS, PART_BYTES, TRANSFER, Parts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import anyio
    from anyio.abc import TaskGroup

    from aiodp.shell._uri import S3Uri

PARTS_AT_ONCE: Final = 2
"""Parts of all objects of a task that are on their way, beside those that are being filled."""
_GROWTHS: Final = 10
"""How often parts become larger by `PART_BYTES`, as the size is not known and their number is
limited: so 440 GiB fit into an object."""


@asynccontextmanager
async def open_writer(
    client: Any, uri: S3Uri, room: anyio.Semaphore
) -> AsyncIterator[ObjectWriter]:
    """Yield a writer; complete the object when the block ends, unless it ends with an error.

    `room` bounds the parts that are on their way. Raises `TaskFailed` if S3 does not take it.
    """
    parts = Parts(client, uri)
    try:
        async with bare_group() as group:
            writer = ObjectWriter(client, uri, parts, group, room)
            yield writer
            await writer.flush()
        with staging_errors(uri, "uploaded"):
            if parts.is_begun:
                await parts.complete()
    except BaseException:
        if parts.is_begun:
            await parts.abort()
        raise


class ObjectWriter:
    """Writes one object. `open_writer` makes it."""

    def __init__(
        self, client: Any, uri: S3Uri, parts: Parts, group: TaskGroup, room: anyio.Semaphore
    ) -> None:
        self._put = partial(client.put_object, Bucket=uri.bucket, Key=uri.key)
        self._uri = uri
        self._parts = parts
        self._group = group
        self._room = room
        self._chunks: list[bytes] = []
        self._size = 0
        self._number = 0

    async def write(self, data: bytes) -> None:
        """Write some bytes; wait while S3 is slower than they come."""
        self._chunks.append(data)
        self._size += len(data)
        growth = 1 + self._number * _GROWTHS // MAX_PARTS
        if self._size >= growth * PART_BYTES:
            await self._begin_part()

    async def flush(self) -> None:
        """Upload what is left: all of a small object, or the last part."""
        if not self._parts.is_begun:
            body = b"".join(self._chunks)
            with staging_errors(self._uri, "uploaded"):
                await in_time(partial(self._put, Body=body), size=len(body))
        elif self._chunks:
            await self._begin_part()

    async def _begin_part(self) -> None:
        if not self._parts.is_begun:
            with staging_errors(self._uri, "uploaded"):
                await self._parts.begin()
        await self._room.acquire()
        body, self._chunks, self._size = b"".join(self._chunks), [], 0
        self._number += 1
        self._group.start_soon(self._upload_part, self._number, body, name=TRANSFER)

    async def _upload_part(self, number: int, body: bytes) -> None:
        try:
            with staging_errors(self._uri, "uploaded"):
                await self._parts.upload(number, body)
        finally:
            self._room.release()
