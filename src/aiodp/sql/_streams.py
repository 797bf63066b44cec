"""Bytes and rows on their way between S3 and tables: each step takes what the one before yields.

What takes time is done in threads, so that the heartbeats of all tasks go on.
"""

from __future__ import annotations

from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Final, TypeVar, TypeVarTuple

import anyio.to_thread

from aiodp.sql._errors import bad_data
from aiodp.sql._gzip import Compressor, Decompressor

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterator

    from aiodp.shell._s3 import Store
    from aiodp.shell._uri import S3Uri
    from aiodp.sql._records import Decoder, Format
    from aiodp.sql._rows import Batch

_T = TypeVar("_T")
_Ts = TypeVarTuple("_Ts")

_SLICE_BYTES: Final = 128 * 1024
"""What is decoded at once: its rows take much more memory."""


async def read_bytes(
    store: Store, uri: S3Uri, *, decompressed: bool
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of an object; raise `TaskFailed` if they cannot be had or decompressed."""
    async with aclosing(store.read(uri)) as chunks:
        if not decompressed:
            async for chunk in chunks:
                yield chunk
            return
        decompressor = Decompressor()
        with data_errors(uri):
            async for chunk in chunks:
                pieces = decompressor.pieces(chunk)
                while (piece := await anyio.to_thread.run_sync(next, pieces, None)) is not None:
                    yield piece
            decompressor.end()


async def decoded(
    chunks: AsyncGenerator[bytes, None], decoder: Decoder, uri: S3Uri
) -> AsyncGenerator[Batch, None]:
    """Yield the rows of an object; raise `TaskFailed` for what is not of its format."""
    async with aclosing(_slices(chunks)) as slices:
        async for part in slices:
            if rows := await _convert(uri, decoder.decode, part):
                yield rows
        if rows := await _convert(uri, decoder.end):
            yield rows


async def encoded(
    batches: AsyncGenerator[Batch, None], data_format: Format, uri: S3Uri
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes of rows; raise `TaskFailed` for a row that the format cannot write."""
    async with aclosing(batches):
        async for batch in batches:
            yield await _convert(uri, data_format.encode, batch)


async def _convert(uri: S3Uri, function: Callable[[*_Ts], _T], *args: *_Ts) -> _T:
    """Call the function in a thread; raise `TaskFailed` if its errors are of the data."""
    with data_errors(uri):
        return await anyio.to_thread.run_sync(function, *args)


async def compressed(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """Yield the bytes, compressed."""
    compressor = Compressor()
    async with aclosing(chunks):
        async for chunk in chunks:
            if data := await anyio.to_thread.run_sync(compressor.feed, chunk):
                yield data
    yield compressor.end()


async def _slices(chunks: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    async with aclosing(chunks):
        async for chunk in chunks:
            for start in range(0, len(chunk), _SLICE_BYTES):
                yield chunk[start : start + _SLICE_BYTES]


@contextmanager
def data_errors(uri: S3Uri) -> Iterator[None]:
    """Raise a `ValueError` as a `TaskFailed` (`BadData`) that names the object."""
    try:
        yield
    except ValueError as error:
        raise bad_data(f"{uri}: {error}") from error
