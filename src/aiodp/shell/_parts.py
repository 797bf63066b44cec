"""Objects that are uploaded to S3 in parts, and files of which a few parts are in memory."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

from aiodp._concurrency import for_each
from aiodp.shell._pace import in_time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from aiodp.shell._uri import S3Uri

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

MAX_TRANSFERS: Final = 8
"""Files, and parts of files, that are transferred at once for one task."""
TRANSFER: Final = "aiodp S3 transfer"
"""The name of the tasks that transfer them."""
PART_BYTES: Final = 8 * 1024 * 1024
"""The size of a part, unless a file would have more parts than S3 accepts.

Larger files are uploaded in parts.
"""
MAX_PARTS: Final = 10_000  # S3's user guide, "Multipart upload limits"
_COMPLETION_BYTES: Final = 16 * 1024 * 1024
"""Joining the parts may take S3 several minutes (API reference of CompleteMultipartUpload): as long
as moving so many bytes."""
_ABORT_TIMEOUT: Final = 10.0


async def read_in_thread(read: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
    """Read in a thread, which a cancellation does not wait for: a file of a command may hang."""
    return await anyio.to_thread.run_sync(read, *args, abandon_on_cancel=True)


def read_part(path: Path, start: int, size: int) -> bytes:
    """Return some bytes of a file, fewer at its end; raise `OSError`."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


class Parts:
    """The parts of one object. Without completion they are to be aborted, for they cost money."""

    def __init__(self, client: Any, uri: S3Uri) -> None:
        self._client = client
        self._target = {"Bucket": uri.bucket, "Key": uri.key}
        self._tags: dict[int, str] = {}

    @property
    def is_begun(self) -> bool:
        """Whether there is anything to abort."""
        return "UploadId" in self._target

    async def begin(self) -> None:
        """Begin an upload in parts."""
        created = await in_time(partial(self._client.create_multipart_upload, **self._target))
        self._target["UploadId"] = created["UploadId"]

    async def upload(self, number: int, body: bytes) -> None:
        """Upload a part; their numbers begin with 1."""
        upload = partial(self._client.upload_part, **self._target)
        answer = await in_time(partial(upload, PartNumber=number, Body=body), size=len(body))
        self._tags[number] = answer["ETag"]

    async def complete(self) -> None:
        """Join the parts to an object."""
        tags = sorted(self._tags.items())
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in tags]
        complete = partial(self._client.complete_multipart_upload, **self._target)
        await in_time(partial(complete, MultipartUpload={"Parts": parts}), size=_COMPLETION_BYTES)

    async def abort(self) -> None:
        """Abort the upload in bounded time, also amid a cancellation; raise nothing."""
        with anyio.move_on_after(_ABORT_TIMEOUT, shield=True):
            with suppress(Exception):  # the error that led here is the one to raise
                await self._client.abort_multipart_upload(**self._target)


class MultipartUpload:
    """The upload of one file in parts."""

    def __init__(
        self, client: Any, uri: S3Uri, path: Path, size: int, limiter: anyio.CapacityLimiter
    ) -> None:
        self._parts = Parts(client, uri)
        self._path = path
        self._size = size
        self._part_size = max(PART_BYTES, -(-size // MAX_PARTS))
        self._limiter = limiter

    async def upload(self) -> None:
        """Upload the file; raise whatever goes wrong."""
        await self._parts.begin()
        try:
            await for_each(self._numbers(), self._upload_part, limit=MAX_TRANSFERS, name=TRANSFER)
            await self._parts.complete()
        except BaseException:
            await self._parts.abort()
            raise

    async def _numbers(self) -> AsyncGenerator[int, None]:
        for number in range(1, -(-self._size // self._part_size) + 1):
            yield number

    async def _upload_part(self, number: int) -> None:
        async with self._limiter:
            start = (number - 1) * self._part_size
            body = await read_in_thread(read_part, self._path, start, self._part_size)
            await self._parts.upload(number, body)
