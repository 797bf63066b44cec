"""Downloads and uploads of whole files, of which a part at a time is in memory.

S3 has a limited time for each call and each byte, see `_pace.py`. Whatever goes wrong is raised as
a `TaskFailed` (`StagingFailed`) that names the address, and never as an exception of botocore.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
from aiobotocore.config import AioConfig

from aiodp._aws.credentials import INVALID, shared_credentials
from aiodp._aws.errors import describe
from aiodp._aws.secrets import remember_secrets
from aiodp._errors import TaskFailed
from aiodp.shell._errors import staging_failed
from aiodp.shell._pace import Pace, StalledBodyError, in_time
from aiodp.shell._parts import MAX_TRANSFERS, PART_BYTES, MultipartUpload, read_in_thread, read_part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import BinaryIO

    from aiobotocore.session import AioSession

    from aiodp._aws.credentials import SharedCredentials
    from aiodp.shell._uri import S3Uri

_CHUNK_BYTES: Final = 1024 * 1024
_MAX_DOWNLOADS: Final = 3
"""How often a download is tried if the connection breaks while the object comes."""
_CLOSE_TIMEOUT: Final = 5.0
"""Seconds that closing the client may take."""


class _BrokenDownloadError(Exception):
    """The connection broke while a body came; botocore retries only before a body begins."""


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

    async def get(self, uri: S3Uri, path: Path) -> None:
        """Download an object to a file; make the directories that it needs."""
        with staging_errors(uri, "downloaded"):
            client = await self._connected()
            for left in reversed(range(_MAX_DOWNLOADS)):
                try:
                    await self._get(client, uri, path)
                except (_BrokenDownloadError, StalledBodyError):
                    if not left:
                        raise
                else:
                    break

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

    async def _get(self, client: Any, uri: S3Uri, path: Path) -> None:
        answer = await in_time(partial(client.get_object, Bucket=uri.bucket, Key=uri.key))
        async with answer["Body"] as body:
            pace = Pace()
            with await anyio.to_thread.run_sync(_create, path) as file:
                while chunk := await pace.next_chunk(partial(_next_chunk, body)):
                    await anyio.to_thread.run_sync(_write, file, chunk)

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


async def _next_chunk(body: Any) -> bytes:
    try:
        return bytes(await body.read(_CHUNK_BYTES))
    except Exception as error:  # of botocore, or of the HTTP library that it uses
        raise _BrokenDownloadError(describe(error)) from error


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb", buffering=0)


def _write(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def staging_errors(uri: S3Uri, what: str) -> Iterator[None]:
    """Raise every error as a `TaskFailed` that says what could not be done."""
    try:
        yield
    except TaskFailed:
        raise
    except OSError as error:
        reason = f"{error.strerror or error} ({error.filename})" if error.filename else str(error)
        raise staging_failed(f"{uri} could not be {what}: {reason}") from error
    except Exception as error:  # botocore lets errors of broken answers through
        raise staging_failed(f"{uri} could not be {what}: {describe(error)}") from error
