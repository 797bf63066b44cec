"""A file that goes to S3 in parts, a few of them at once in memory."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar, TypeVarTuple

import anyio
import anyio.to_thread

from aiodp._concurrency import for_each

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable
    from pathlib import Path

    from aiodp.shell._uri import S3Uri

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

WORKERS: Final = 8
"""Files, and parts of files, that are transferred at once for one task."""
TRANSFER: Final = "aiodp S3 transfer"
"""The name of the tasks in which they are."""
PART: Final = 8 * 1024 * 1024
"""Bytes of a part, unless S3 would need more parts than it takes; larger files go in parts."""
_MAX_PARTS: Final = 10_000  # S3's user guide, "Multipart upload limits"
_ABORT_TIMEOUT: Final = 10.0


async def reading(read: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
    """Read in a thread, which is left behind at a cancellation: what a command left may hang."""
    return await anyio.to_thread.run_sync(read, *args, abandon_on_cancel=True)


def read_part(path: Path, start: int, size: int) -> bytes:
    """Return some bytes of a file, fewer at its end; raise `OSError`."""
    with path.open("rb") as file:
        file.seek(start)
        return file.read(size)


class Parts:
    """One upload in parts. What was begun and not completed would be paid for: it is aborted."""

    def __init__(
        self, client: Any, uri: S3Uri, path: Path, size: int, in_memory: anyio.CapacityLimiter
    ) -> None:
        self._client = client
        self._target = {"Bucket": uri.bucket, "Key": uri.key}
        self._path = path
        self._size = size
        self._part = max(PART, -(-size // _MAX_PARTS))
        self._in_memory = in_memory
        self._tags: dict[int, str] = {}

    async def upload(self) -> None:
        """Do it; raise whatever goes wrong."""
        begun = await self._client.create_multipart_upload(**self._target)
        self._target["UploadId"] = begun["UploadId"]
        try:
            await for_each(self._numbers(), self._upload_part, limit=WORKERS, name=TRANSFER)
            parts = [{"PartNumber": one, "ETag": tag} for one, tag in sorted(self._tags.items())]
            await self._client.complete_multipart_upload(
                **self._target, MultipartUpload={"Parts": parts}
            )
        except BaseException:
            with anyio.move_on_after(_ABORT_TIMEOUT, shield=True):
                await self._abort()
            raise

    async def _numbers(self) -> AsyncGenerator[int, None]:
        for number in range(1, -(-self._size // self._part) + 1):
            yield number

    async def _upload_part(self, number: int) -> None:
        async with self._in_memory:
            start = (number - 1) * self._part
            body = await reading(read_part, self._path, start, self._part)
            answer = await self._client.upload_part(**self._target, PartNumber=number, Body=body)
            self._tags[number] = answer["ETag"]

    async def _abort(self) -> None:
        with suppress(Exception):  # the error that led here is the one to be told
            await self._client.abort_multipart_upload(**self._target)
