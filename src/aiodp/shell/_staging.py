"""Inputs that are downloaded before the command runs, and outputs that are uploaded after it."""

from __future__ import annotations

import errno
import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from aiodp._concurrency import for_each
from aiodp._log import logger
from aiodp.shell._errors import staging_errors, staging_failed
from aiodp.shell._parts import MAX_TRANSFERS, TRANSFER, read_in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence
    from pathlib import Path

    from aiodp.shell._definition import DataNode
    from aiodp.shell._paths import Paths
    from aiodp.shell._s3 import Store
    from aiodp.shell._uri import S3Uri

_NO_NAMES: Final = frozenset({"", ".", ".."})
"""What stands between two slashes of a key, and can be no name in a directory."""


class Staging:
    """The staging directories of one attempt."""

    def __init__(
        self,
        paths: Paths,
        store: Store,
        *,
        inputs: Sequence[DataNode],
        outputs: Sequence[DataNode],
    ) -> None:
        self._store = store
        self._inputs = [(paths.staging("input", n), node) for n, node in enumerate(inputs, 1)]
        self._outputs = [(paths.staging("output", n), node) for n, node in enumerate(outputs, 1)]

    @property
    def environment(self) -> dict[str, str]:
        """`INPUT1_STAGING_DIR` and so on (Developer Guide, "Staging Data and Tables")."""
        kinds = (("INPUT", self._inputs), ("OUTPUT", self._outputs))
        return {
            f"{kind}{number}_STAGING_DIR": str(directory)
            for kind, nodes in kinds
            for number, (directory, _) in enumerate(nodes, 1)
        }

    async def download(self) -> None:
        """Make all directories and download the inputs; raise `TaskFailed` or `OSError`."""
        for directory, _ in (*self._inputs, *self._outputs):
            directory.mkdir()
        for directory, node in self._inputs:
            if node.is_directory:
                download = partial(self._download_key, directory, node.uri)
                await for_each(self._keys(node.uri), download, limit=MAX_TRANSFERS, name=TRANSFER)
            else:
                await self._store.get(node.uri, directory / node.uri.name)

    async def upload(self) -> None:
        """Upload the outputs; raise `TaskFailed` or `OSError`."""
        for directory, node in self._outputs:
            upload = partial(self._upload_file, directory, node.uri)
            try:
                await for_each(_files(directory), upload, limit=MAX_TRANSFERS, name=TRANSFER)
            except RecursionError as error:
                message = f"{node.uri} could not be uploaded: its directories are nested too deeply"
                raise staging_failed(message) from error

    async def _keys(self, directory: S3Uri) -> AsyncGenerator[str, None]:
        async for key in self._store.keys(directory):
            yield key

    async def _download_key(self, directory: Path, uri: S3Uri, key: str) -> None:
        relative = key.removeprefix(uri.key)
        if not relative:
            return  # the key of the directory itself, as the console makes it
        path = directory.joinpath(*_path_parts(uri, relative))
        if relative.endswith("/"):
            make = partial(path.mkdir, parents=True, exist_ok=True)
            with staging_errors(uri.below(relative), "downloaded"):
                await anyio.to_thread.run_sync(make)
        else:
            await self._store.get(uri.below(relative), path)

    async def _upload_file(self, directory: Path, uri: S3Uri, path: Path) -> None:
        await self._store.put(path, uri.below(*path.relative_to(directory).parts))


def _path_parts(uri: S3Uri, relative: str) -> list[str]:
    """Return the names of a path below a directory; raise `TaskFailed` if it may lead out of it."""
    parts = relative.removesuffix("/").split("/")
    if _NO_NAMES.intersection(parts) or "\0" in relative:
        raise staging_failed(
            f"{uri.below(relative)} could not be downloaded: this key can be no path below a "
            f"directory"
        )
    return parts


async def _files(directory: Path) -> AsyncGenerator[Path, None]:
    """Yield all files below a directory, also behind links."""
    walk = _walk(directory, frozenset())
    while (path := await read_in_thread(next, walk, None)) is not None:
        yield path


def _walk(directory: Path, parents: frozenset[tuple[int, int]]) -> Iterator[Path]:
    status = directory.stat()
    identity = status.st_dev, status.st_ino
    if identity in parents:
        return  # behind a link to a directory that it is in
    with os.scandir(directory) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        path = directory / name
        mode = _mode(path)
        if stat.S_ISDIR(mode):
            yield from _walk(path, parents | {identity})
        elif stat.S_ISREG(mode):
            yield path
        else:
            logger.warning("%s is neither a file nor a directory, so it is not uploaded", path)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return 0  # a link to what does not exist, or to itself
        raise
