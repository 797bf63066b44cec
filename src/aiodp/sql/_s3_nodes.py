"""The `S3DataNode`s of a copy: which objects they are, and how these are written."""

from __future__ import annotations

import json
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiodp._core.text import shown
from aiodp.shell._definition import DataNode, read_node, referred_objects
from aiodp.shell._errors import bad_definition
from aiodp.shell._uri import S3Uri
from aiodp.sql._databases import text_of
from aiodp.sql._errors import bad_data
from aiodp.sql._formats import DEFAULT, read_format

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from aiodp._core.objects import PipelineObject
    from aiodp._runner.task import Task
    from aiodp.shell._s3 import Store
    from aiodp.sql._records import Format

_SUFFIX: Final = ".gz"
_COMPRESSIONS: Final = {"none": False, "gzip": True}
_MAX_MANIFEST: Final = 16 * 1024 * 1024
"""Bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Node:
    """A file, a directory or, if `is_manifest`, the file that names the files."""

    id: str
    place: DataNode
    is_manifest: bool
    is_compressed: bool
    format: Format

    @property
    def is_file(self) -> bool:
        """Whether it is one object."""
        return not self.is_manifest and not self.place.is_directory

    def target(self, name: str, *, from_compressed: bool = False) -> S3Uri:
        """Return where an object is written that had this name below its own directory."""
        if self.is_file:
            return self.place.uri
        if from_compressed and not self.is_compressed:
            name = name.removesuffix(_SUFFIX)
        elif self.is_compressed and not name.endswith(_SUFFIX):
            name += _SUFFIX
        return self.place.uri.below(name)


async def read_s3_node(task: Task, node: PipelineObject) -> S3Node:
    """Read an `S3DataNode`, and ask for its format; raise `TaskFailed` (`BadDefinition`)."""
    manifest = text_of(node, "manifestFilePath")
    compression = (text_of(node, "compression") or "none").lower()
    if compression not in _COMPRESSIONS:
        raise bad_definition(f"{node.id}: compression must be none or gzip, not {compression!r}")
    formats = await referred_objects(task, "dataFormat", node)
    if len(formats) > 1:
        raise bad_definition(f"{node.id} has {len(formats)} values of dataFormat, not one")
    return S3Node(
        id=node.id,
        place=_manifest(node, manifest) if manifest else read_node(node),
        is_manifest=bool(manifest),
        is_compressed=_COMPRESSIONS[compression],
        format=read_format(formats[0]) if formats else DEFAULT,
    )


async def list_objects(store: Store, node: S3Node) -> AsyncGenerator[tuple[S3Uri, str], None]:
    """Yield the objects, and the name of each below its directory; raise `TaskFailed`."""
    uri = node.place.uri
    if node.is_manifest:
        for entry, is_mandatory in await _read_manifest(store, uri):
            if is_mandatory or await store.first_key(entry) == entry.key:
                yield entry, entry.name
    elif node.is_file:
        yield uri, uri.name
    else:
        async for key in store.keys(uri):
            if not key.endswith("/"):  # which the console makes for directories
                yield S3Uri(bucket=uri.bucket, key=key), key.removeprefix(uri.key)


def check_readable(node: S3Node) -> None:
    """Raise `TaskFailed` (`BadDefinition`) if nothing says what its records are."""
    if not node.format.is_readable:
        raise bad_definition(f"{node.id}: its format needs an inputRegEx, to be read")


def check_writable(node: S3Node) -> None:
    """Raise `TaskFailed` (`BadDefinition`) if nothing says how records are written, and where."""
    check_no_manifest(node)
    if not node.format.is_writable:
        raise bad_definition(f"{node.id}: its format needs an outputFormat, to be written")


def check_no_manifest(node: S3Node) -> None:
    """Raise `TaskFailed` (`BadDefinition`) for an output that is a manifest."""
    if node.is_manifest:
        raise bad_definition(f"{node.id}: an output cannot have a manifestFilePath")


def _manifest(node: PipelineObject, text: str) -> DataNode:
    if text_of(node, "filePath") or text_of(node, "directoryPath"):
        raise bad_definition(f"{node.id} has a manifestFilePath and another path")
    try:
        return DataNode(uri=S3Uri.parse(text), is_directory=False)
    except ValueError as error:
        raise bad_definition(f"{node.id}: manifestFilePath {error}") from error


async def _read_manifest(store: Store, uri: S3Uri) -> list[tuple[S3Uri, bool]]:
    """Return the entries of a manifest, and whether each must be there.

    Redshift's guide, "Using a manifest to specify data files".
    """
    content = b""
    async with aclosing(store.read(uri)) as chunks:
        async for chunk in chunks:
            content += chunk
            if len(content) > _MAX_MANIFEST:
                raise bad_data(f"{uri} is too long for a manifest")
    try:
        entries = [_entry(entry) for entry in json.loads(content)["entries"]]
    except (ValueError, TypeError, KeyError) as error:
        raise bad_data(
            f'{uri} is no manifest of the form {{"entries": [{{"url": "s3://…", "mandatory": '
            f"true}}]}}: {shown(error)}"
        ) from error
    return entries


def _entry(entry: Any) -> tuple[S3Uri, bool]:
    return S3Uri.parse(entry["url"]), entry.get("mandatory") is True
