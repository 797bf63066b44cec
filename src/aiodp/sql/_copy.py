"""The work of one copy: from S3 or a table, to S3 or a table."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from aiodp._concurrency import for_each
from aiodp.shell._errors import bad_definition
from aiodp.shell._parts import TRANSFER
from aiodp.sql._columns import empty_as_null
from aiodp.sql._errors import bad_data
from aiodp.sql._records import ENCODING, Decoder
from aiodp.sql._s3_nodes import (
    check_no_manifest,
    check_readable,
    check_writable,
    list_objects,
)
from aiodp.sql._streams import compressed, decoded, encoded, read_bytes

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiodp._runner.task import Task
    from aiodp.shell._s3 import Store
    from aiodp.shell._uri import S3Uri
    from aiodp.sql._rows import Batch
    from aiodp.sql._s3_nodes import S3Node
    from aiodp.sql._tables import TableNode

_OBJECTS_AT_ONCE: Final = 3
"""Each fills a part of 8 MiB in memory."""
_PART_NAME: Final = "part-00000"
"""The object that a table becomes in a directory; that of another try replaces it."""


class Progress:
    """Tells the service how much is copied, with the next report."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._records = 0
        self._bytes = 0

    def add(self, *, records: int = 0, size: int = 0) -> None:
        """Count what was copied."""
        self._records += records
        self._bytes += size
        counts = {"records": self._records, "bytes": self._bytes}
        shown = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
        self._task.update(attemptStatus=f"copied {shown}")


async def copy_to_table(task: Task, store: Store, source: S3Node, target: TableNode) -> None:
    """Write the records of S3 into a table, in one transaction; raise `TaskFailed`."""
    from aiodp.sql._tables import write_rows  # noqa: PLC0415 - needs the extra `sql`

    check_readable(source)
    async with aclosing(_counted(_read_records(store, source), Progress(task))) as batches:
        await write_rows(target, batches)


async def copy_between_tables(task: Task, source: TableNode, target: TableNode) -> None:
    """Write the rows of a table into another one, in one transaction; raise `TaskFailed`."""
    from aiodp.sql._tables import read_rows, write_rows  # noqa: PLC0415 - as above

    async with aclosing(_counted(read_rows(source), Progress(task))) as batches:
        await write_rows(target, batches)


async def copy_from_table(task: Task, store: Store, source: TableNode, target: S3Node) -> None:
    """Write the rows of a table to one object; raise `TaskFailed`."""
    from aiodp.sql._tables import read_rows  # noqa: PLC0415 - as above

    check_writable(target)
    uri = target.target(f"{_PART_NAME}{target.format.extension}")
    progress = Progress(task)
    rows = _counted(read_rows(source), progress)
    writing = Writing(task, store, progress)
    await writing.write(uri, encoded(rows, target.format, uri), compress=target.is_compressed)


class Writing:
    """Writes objects of S3, each of which appears when it is whole."""

    def __init__(self, task: Task, store: Store, progress: Progress) -> None:
        self._task = task
        self._store = store
        self._progress = progress

    async def write(
        self, uri: S3Uri, chunks: AsyncGenerator[bytes, None], *, compress: bool
    ) -> None:
        """Write an object; raise `TaskFailed`, and `TaskCanceled` or `LeaseLost` at its end."""
        if compress:
            chunks = compressed(chunks)
        async with aclosing(chunks), self._store.writer(uri) as writer:
            async for chunk in chunks:
                await writer.write(chunk)
                self._progress.add(size=len(chunk))
            self._task.raise_if_ended()


class S3Copy:
    """A copy from S3 to S3: bytes as they are, or records if the formats differ."""

    def __init__(self, task: Task, store: Store, source: S3Node, target: S3Node) -> None:
        self._progress = Progress(task)
        self._writing = Writing(task, store, self._progress)
        self._store = store
        self._source = source
        self._target = target
        self._names: set[str] = set()

    async def run(self) -> None:
        """Copy each object to one, or all to one file; raise `TaskFailed`."""
        source, target = self._source, self._target
        _check_apart(source, target)
        if source.format == target.format:
            check_no_manifest(target)
        else:
            check_readable(source)
            check_writable(target)
        if target.is_file and not source.is_file:
            uri = target.place.uri
            await self._writing.write(uri, self._joined(), compress=target.is_compressed)
        else:
            objects = list_objects(self._store, source)
            await for_each(objects, self._copy, limit=_OBJECTS_AT_ONCE, name=TRANSFER)

    async def _copy(self, item: tuple[S3Uri, str]) -> None:
        uri, name = item
        if name in self._names:
            raise bad_data(f"{self._source.place.uri}: two of its files have the name {name}")
        self._names.add(name)
        source, target = self._source, self._target
        place = target.target(name, from_compressed=source.is_compressed)
        if source.format == target.format and source.is_compressed == target.is_compressed:
            chunks = read_bytes(self._store, uri, decompressed=False)
            await self._writing.write(place, chunks, compress=False)
        else:
            await self._writing.write(place, self._converted(uri), compress=target.is_compressed)

    def _converted(self, uri: S3Uri) -> AsyncGenerator[bytes, None]:
        """Return the bytes of an object in the target's format, not compressed."""
        source, target = self._source, self._target
        chunks = read_bytes(self._store, uri, decompressed=source.is_compressed)
        if source.format == target.format:
            return chunks
        rows = decoded(chunks, Decoder(source.format), uri)
        return encoded(_counted(rows, self._progress), target.format, uri)

    async def _joined(self) -> AsyncGenerator[bytes, None]:
        """Yield all objects, the last record of each of which is ended."""
        separator = self._target.format.record_separator.encode(ENCODING)
        async with aclosing(list_objects(self._store, self._source)) as objects:
            async for uri, _ in objects:
                tail = separator
                async with aclosing(self._converted(uri)) as chunks:
                    async for chunk in chunks:
                        tail = (tail + chunk)[-len(separator) :]
                        yield chunk
                if tail != separator:
                    yield separator


async def _read_records(store: Store, source: S3Node) -> AsyncGenerator[Batch, None]:
    """Yield the rows of all objects for a table; all have as many fields as the first one."""
    width = None
    async with aclosing(list_objects(store, source)) as objects:
        async for uri, _ in objects:
            decoder = Decoder(source.format, width)
            chunks = read_bytes(store, uri, decompressed=source.is_compressed)
            async with aclosing(decoded(chunks, decoder, uri)) as batches:
                async for batch in batches:
                    yield empty_as_null(batch, source.format.columns)
            width = decoder.width


async def _counted(
    batches: AsyncGenerator[Batch, None], progress: Progress
) -> AsyncGenerator[Batch, None]:
    async with aclosing(batches):
        async for batch in batches:
            yield batch
            progress.add(records=len(batch))


def _check_apart(source: S3Node, target: S3Node) -> None:
    """Raise `TaskFailed` if the copy would be read, or would replace what it is made of."""
    uri = source.place.uri
    if source.place.is_directory:
        within = target.place.uri.bucket == uri.bucket and target.place.uri.key.startswith(uri.key)
    else:
        written = target.target(uri.name, from_compressed=source.is_compressed)
        within = source.is_file and written == uri
    if within:
        raise bad_definition(
            f"{target.id} ({target.place.uri}) is within {source.id} ({uri}): a copy cannot be "
            f"written into what it is made of"
        )
