"""Downloads and uploads of whole objects, of which a part at a time is in memory.

S3 has a limited time for each call and each byte, see `_pace.py`. Whatever goes wrong is raised as
a `TaskFailed` (`StagingFailed`) that names the address, and never as an exception of botocore.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
from aiobotocore.config import AioConfig

from aiodp._aws.credentials import INVALID, shared_credentials
from aiodp._aws.secrets import remember_secrets
from aiodp.shell._download import Download
from aiodp.shell._errors import staging_errors
from aiodp.shell._object_writer import PARTS_AT_ONCE, open_writer
from aiodp.shell._pace import in_time
from aiodp.shell._parts import MAX_TRANSFERS, PART_BYTES, MultipartUpload, read_in_thread, read_part

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import BinaryIO

    from aiobotocore.session import AioSession

    from aiodp._aws.credentials import SharedCredentials
    from aiodp.shell._object_writer import ObjectWriter
    from aiodp.shell._uri import S3Uri

_CLOSE_TIMEOUT: Final = 5.0
"""Seconds that closing the client may take."""


class Store:
    """What staging needs of S3. The client is made when it is first needed."""

    def __init__(
        self,
        connect: Callable[[], AbstractAsyncContextManager[Any]],
        credentials: SharedCredentials,
    ) -> None:
        self._connect = connect
        self._credentials = credentials
        self._client: Any = None
        self._connecting = anyio.Lock()
        self._limiter = anyio.CapacityLimiter(MAX_TRANSFERS)
        self._room = anyio.Semaphore(PARTS_AT_ONCE)
        self._closing = AsyncExitStack()

    async def keys(self, directory: S3Uri) -> AsyncIterator[str]:
        """Yield all keys that begin with this one."""
        with staging_errors(directory, "listed"):
            client = await self._connected()
            where = {"Bucket": directory.bucket, "Prefix": directory.key}
            is_last = False
            while not is_last:
                page = await in_time(partial(client.list_objects_v2, **where))
                for entry in page.get("Contents", ()):
                    yield entry["Key"]
                token = page.get("NextContinuationToken")
                is_last = token in (None, where.get("ContinuationToken"))
                where["ContinuationToken"] = token

    async def first_key(self, prefix: S3Uri) -> str | None:
        """Return the first key that begins with this one, None if there is none."""
        with staging_errors(prefix, "looked for"):
            client = await self._connected()
            where = {"Bucket": prefix.bucket, "Prefix": prefix.key}
            page = await in_time(partial(client.list_objects_v2, **where, MaxKeys=1))
            entries = page.get("Contents", ())
            return entries[0]["Key"] if entries else None

    async def read(self, uri: S3Uri) -> AsyncGenerator[bytes, None]:
        """Yield an object's bytes as they come."""
        with staging_errors(uri, "downloaded"):
            client = await self._connected()
            async with aclosing(Download(client, uri).chunks()) as chunks:
                async for chunk in chunks:
                    yield chunk

    async def get(self, uri: S3Uri, path: Path) -> None:
        """Download an object to a file; make the directories that it needs."""
        async with aclosing(self.read(uri)) as chunks:
            with (
                staging_errors(uri, "downloaded"),
                await anyio.to_thread.run_sync(_create, path) as file,
            ):
                async for chunk in chunks:
                    await anyio.to_thread.run_sync(_write, file, chunk)

    @asynccontextmanager
    async def writer(self, uri: S3Uri) -> AsyncIterator[ObjectWriter]:
        """Yield what writes an object, which appears when the block ends without an error."""
        with staging_errors(uri, "uploaded"):
            client = await self._connected()
        async with open_writer(client, uri, self._room) as writer:
            yield writer

    async def put(self, path: Path, uri: S3Uri) -> None:
        """Upload a file to an object."""
        with staging_errors(uri, "uploaded"):
            client = await self._connected()
            size = (await read_in_thread(path.stat)).st_size
            if size > PART_BYTES:
                await MultipartUpload(client, uri, path, size, self._limiter).upload()
            else:
                await self._put(client, path, uri)

    async def close(self) -> None:
        """Close the client, in bounded time."""
        with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
            await self._closing.aclose()

    async def _put(self, client: Any, path: Path, uri: S3Uri) -> None:
        async with self._limiter:
            body = await read_in_thread(read_part, path, 0, PART_BYTES)
            put = partial(client.put_object, Bucket=uri.bucket, Key=uri.key, Body=body)
            await in_time(put, size=len(body))

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._client is None:
                self._client = await in_time(self._open)
        return self._client

    async def _open(self) -> Any:
        client = await self._closing.enter_async_context(self._connect())
        self._credentials.attach(client)
        remember_secrets(client)
        return client


@asynccontextmanager
async def open_store(
    session: AioSession, *, region_name: str | None, endpoint_url: str | None
) -> AsyncIterator[Store]:
    """Yield a store with a client of its own, which is closed at the end."""
    config = AioConfig(
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=2 * MAX_TRANSFERS,
        retries={"total_max_attempts": 4, "mode": "standard"},
    )
    connect = partial(
        session.create_client,
        "s3",
        region_name=region_name,
        endpoint_url=endpoint_url,
        config=config,
    )
    async with shared_credentials(session, INVALID) as credentials:
        store = Store(connect, credentials)
        try:
            yield store
        finally:
            await store.close()


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb", buffering=0)


def _write(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]
