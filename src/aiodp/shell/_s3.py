"""The seam to S3: whole files in and out, a part of them at a time in memory.

Whatever goes wrong is a `TaskFailed` (`StagingFailed`) that names the address; no exception of
botocore's leaves it.
"""

from __future__ import annotations

from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread
from aiobotocore.config import AioConfig

from aiodp._aws.transport import describe
from aiodp._errors import TaskFailed
from aiodp.shell._errors import staging_failed
from aiodp.shell._parts import PART, WORKERS, Parts, read_part, reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path
    from typing import BinaryIO

    from aiobotocore.session import AioSession

    from aiodp.shell._uri import S3Uri

_CHUNK: Final = 1024 * 1024
_TRIES: Final = 3
"""How often an object is asked for, if the connection breaks while it comes."""
_CLOSE_TIMEOUT: Final = 5.0


class _BrokenError(Exception):
    """A body broke off midway; botocore's own retries end where it begins."""


class Store:
    """S3 as far as staging needs it. The client is made when it is first needed."""

    def __init__(self, connect: Callable[[], AbstractAsyncContextManager[Any]]) -> None:
        self._connect = connect
        self._client: Any = None
        self._connecting = anyio.Lock()
        self._in_memory = anyio.CapacityLimiter(WORKERS)
        self._closing = AsyncExitStack()

    async def keys(self, directory: S3Uri) -> AsyncIterator[str]:
        """Give all keys that begin like this one."""
        with named(directory, "listed"):
            client = await self._connected()
            paginator = client.get_paginator("list_objects_v2")
            async for page in paginator.paginate(Bucket=directory.bucket, Prefix=directory.key):
                for one in page.get("Contents", ()):
                    yield one["Key"]

    async def first(self, beginning: S3Uri) -> str | None:
        """Return the first key that begins like this one, None if there is none."""
        with named(beginning, "looked for"):
            client = await self._connected()
            page = await client.list_objects_v2(
                Bucket=beginning.bucket, Prefix=beginning.key, MaxKeys=1
            )
            found = page.get("Contents", ())
            return found[0]["Key"] if found else None

    async def get(self, uri: S3Uri, path: Path) -> None:
        """Bring an object to a file, in directories which are made for it."""
        with named(uri, "downloaded"):
            client = await self._connected()
            for left in reversed(range(_TRIES)):
                try:
                    await self._get(client, uri, path)
                except _BrokenError:
                    if not left:
                        raise
                else:
                    break

    async def put(self, path: Path, uri: S3Uri) -> None:
        """Take a file to an object."""
        with named(uri, "uploaded"):
            client = await self._connected()
            size = (await reading(path.stat)).st_size
            if size > PART:
                await Parts(client, uri, path, size, self._in_memory).upload()
            else:
                await self._put(client, path, uri)

    async def _get(self, client: Any, uri: S3Uri, path: Path) -> None:
        answer = await client.get_object(Bucket=uri.bucket, Key=uri.key)
        async with answer["Body"] as body:
            with await anyio.to_thread.run_sync(_create, path) as file:
                while chunk := await _next_chunk(body):
                    await anyio.to_thread.run_sync(_write, file, chunk)

    async def _put(self, client: Any, path: Path, uri: S3Uri) -> None:
        async with self._in_memory:
            body = await reading(read_part, path, 0, PART)
            await client.put_object(Bucket=uri.bucket, Key=uri.key, Body=body)

    async def _connected(self) -> Any:
        async with self._connecting:
            if self._client is None:
                self._client = await self._closing.enter_async_context(self._connect())
        return self._client


@asynccontextmanager
async def open_store(
    session: AioSession, *, region_name: str | None, endpoint_url: str | None
) -> AsyncIterator[Store]:
    """Give a store over a client of its own, which is closed at the end."""
    config = AioConfig(
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=2 * WORKERS,
        retries={"total_max_attempts": 4, "mode": "standard"},
    )
    store = Store(
        partial(
            session.create_client,
            "s3",
            region_name=region_name,
            endpoint_url=endpoint_url,
            config=config,
        )
    )
    try:
        yield store
    finally:
        with anyio.move_on_after(_CLOSE_TIMEOUT, shield=True):
            await store._closing.aclose()


async def _next_chunk(body: Any) -> bytes:
    try:
        return bytes(await body.read(_CHUNK))
    except Exception as error:  # of botocore, or of the HTTP library behind it
        raise _BrokenError(describe(error)) from error


def _create(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("wb", buffering=0)


def _write(file: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


@contextmanager
def named(uri: S3Uri, what: str) -> Iterator[None]:
    """Turn whatever goes wrong into a `TaskFailed` that says what could not be done."""
    try:
        yield
    except TaskFailed:
        raise
    except OSError as error:
        told = f"{error.strerror or error} ({error.filename})" if error.filename else str(error)
        raise staging_failed(f"{uri} could not be {what}: {told}") from error
    except Exception as error:  # the seam; botocore lets errors of broken answers through
        raise staging_failed(f"{uri} could not be {what}: {describe(error)}") from error
