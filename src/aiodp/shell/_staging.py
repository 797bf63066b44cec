"""Inputs that are brought from S3 before the command, and outputs that are taken there after it."""

from __future__ import annotations

import errno
import logging
import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from aiodp._concurrency import for_each
from aiodp.shell._errors import staging_failed
from aiodp.shell._parts import TRANSFER, WORKERS, reading
from aiodp.shell._s3 import named

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence
    from pathlib import Path

    from aiodp.shell._definition import DataNode
    from aiodp.shell._places import Places
    from aiodp.shell._s3 import Store
    from aiodp.shell._uri import S3Uri

_UNFIT: Final = frozenset({"", ".", ".."})

logger = logging.getLogger("aiodp")


class Staging:
    """The staging directories of one attempt."""

    def __init__(
        self,
        places: Places,
        store: Store,
        *,
        inputs: Sequence[DataNode],
        outputs: Sequence[DataNode],
    ) -> None:
        self._store = store
        self._inputs = [(places.staging("input", n), one) for n, one in enumerate(inputs, 1)]
        self._outputs = [(places.staging("output", n), one) for n, one in enumerate(outputs, 1)]

    @property
    def environment(self) -> dict[str, str]:
        """`INPUT1_STAGING_DIR` and so on (Developer Guide, "Staging Data and Tables")."""
        kinds = (("INPUT", self._inputs), ("OUTPUT", self._outputs))
        return {
            f"{kind}{number}_STAGING_DIR": str(directory)
            for kind, nodes in kinds
            for number, (directory, _) in enumerate(nodes, 1)
        }

    async def bring(self) -> None:
        """Make all directories and download the inputs; raise `TaskFailed` or `OSError`."""
        for directory, _ in (*self._inputs, *self._outputs):
            directory.mkdir()
        for directory, node in self._inputs:
            if node.is_directory:
                bring = partial(self._bring_one, directory, node.uri)
                await for_each(self._keys(node.uri), bring, limit=WORKERS, name=TRANSFER)
            else:
                await self._store.get(node.uri, directory / node.uri.name)

    async def take(self) -> None:
        """Upload the outputs; raise `TaskFailed` or `OSError`."""
        for directory, node in self._outputs:
            take = partial(self._take_one, directory, node.uri)
            try:
                await for_each(_files(directory), take, limit=WORKERS, name=TRANSFER)
            except RecursionError as error:
                message = f"{node.uri} could not be uploaded: its directories are nested too deeply"
                raise staging_failed(message) from error

    async def _keys(self, directory: S3Uri) -> AsyncGenerator[str, None]:
        async for key in self._store.keys(directory):
            yield key

    async def _bring_one(self, directory: Path, uri: S3Uri, key: str) -> None:
        relative = key.removeprefix(uri.key)
        if not relative:
            return  # the marker of the directory itself
        path = directory.joinpath(*_fit_parts(uri, relative))
        if relative.endswith("/"):
            make = partial(path.mkdir, parents=True, exist_ok=True)
            with named(uri.below(relative), "downloaded"):
                await anyio.to_thread.run_sync(make)
        else:
            await self._store.get(uri.below(relative), path)

    async def _take_one(self, directory: Path, uri: S3Uri, path: Path) -> None:
        await self._store.put(path, uri.below(*path.relative_to(directory).parts))


def _fit_parts(uri: S3Uri, relative: str) -> list[str]:
    """Return the names of a path below a directory; raise `TaskFailed` if it might leave it."""
    parts = relative.removesuffix("/").split("/")
    if _UNFIT.intersection(parts) or "\0" in relative:
        raise staging_failed(
            f"{uri.below(relative)} could not be downloaded: this key can be no path below a "
            f"directory"
        )
    return parts


async def _files(directory: Path) -> AsyncGenerator[Path, None]:
    """Give all files below a directory, following links."""
    walk = _walk(directory, frozenset())
    while (path := await reading(next, walk, None)) is not None:
        yield path


def _walk(directory: Path, above: frozenset[tuple[int, int]]) -> Iterator[Path]:
    own = directory.stat()
    identity = own.st_dev, own.st_ino
    if identity in above:
        return  # a link to where we come from
    with os.scandir(directory) as entries:
        found = sorted(entry.name for entry in entries)
    for name in found:
        path = directory / name
        mode = _mode(path)
        if stat.S_ISDIR(mode):
            yield from _walk(path, above | {identity})
        elif stat.S_ISREG(mode):
            yield path
        else:
            logger.warning("%s is neither a file nor a directory, so it is not uploaded", path)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ELOOP):
            return 0  # a link to nowhere, or to itself
        raise
