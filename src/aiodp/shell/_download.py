"""The bytes of one object of S3, which go on where a connection broke."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from aiodp._aws.errors import describe
from aiodp.shell._pace import Pace, StalledBodyError, in_time

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiodp.shell._uri import S3Uri

_CHUNK_BYTES: Final = 1024 * 1024
_MAX_CONNECTIONS: Final = 3
"""How many connections may break, one after the other, before so much has come."""
_PROGRESS_BYTES: Final = 8 * 1024 * 1024


class BrokenDownloadError(Exception):
    """The connection broke while a body came; botocore retries only before a body begins."""


class Download:
    """One download."""

    def __init__(self, client: Any, uri: S3Uri) -> None:
        self._get = partial(client.get_object, Bucket=uri.bucket, Key=uri.key)
        self._offset = 0
        self._rest: dict[str, str] = {}
        """What asks for the bytes that are missing, unless the object was replaced meanwhile."""

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the bytes as they come, at most a MiB at once; raise whatever goes wrong."""
        left, progress = _MAX_CONNECTIONS, _PROGRESS_BYTES
        while True:
            try:
                async with aclosing(self._connection()) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except (BrokenDownloadError, StalledBodyError):
                if self._offset >= progress:
                    left, progress = _MAX_CONNECTIONS, self._offset + _PROGRESS_BYTES
                left -= 1
                if not left:
                    raise
            else:
                return

    async def _connection(self) -> AsyncGenerator[bytes, None]:
        answer = await in_time(partial(self._get, **self._rest))
        body = answer["Body"]
        async with body:  # which gives another object, in older versions of aiobotocore
            if self._rest and "ContentRange" not in answer:
                raise BrokenDownloadError("S3 did not go on where the connection broke")
            pace = Pace()
            while chunk := await pace.next_chunk(partial(next_chunk, body)):
                self._offset += len(chunk)
                self._rest = {"Range": f"bytes={self._offset}-", "IfMatch": answer["ETag"]}
                yield chunk


async def next_chunk(body: Any) -> bytes:
    """Read some bytes of a body; raise `BrokenDownloadError` if there is an error instead."""
    try:
        return bytes(await body.read(_CHUNK_BYTES))
    except Exception as error:  # of botocore, or of the HTTP library that it uses
        raise BrokenDownloadError(describe(error)) from error
