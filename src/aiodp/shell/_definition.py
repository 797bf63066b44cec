"""What the objects of a task say that is to be done."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiodp._core.fields import Ref
from aiodp._core.text import shown
from aiodp.shell._environment import is_valid_for_os
from aiodp.shell._errors import bad_definition
from aiodp.shell._paths import STREAMS
from aiodp.shell._uri import S3Uri, is_s3

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp._core.objects import PipelineObject
    from aiodp._runner.task import Task

DATA_NODE: Final = "S3DataNode"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataNode:
    """An `S3DataNode`: one object of S3, or all those below a directory."""

    uri: S3Uri
    is_directory: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A `ShellCommandActivity` or `ShellCommandPrecondition`, checked."""

    command: str | None
    script: S3Uri | None
    arguments: tuple[str, ...]
    inputs: tuple[DataNode, ...]
    outputs: tuple[DataNode, ...]
    copies: tuple[tuple[str, S3Uri | Path], ...]
    """Where the streams are copied to: `StdOutput` or `StdError`, and the target."""
    log_uri: str | None


async def read_definition(task: Task) -> Definition:
    """Read what a task is to do.

    Raises `TaskFailed` (`BadDefinition`) that says what is wrong with it, and `CallFailed` if the
    service does not answer when it is asked for an object to which the task refers.
    """
    attempt = task.attempt
    command, script = _text(attempt, "command"), _text(attempt, "scriptUri")
    if bool(command) == bool(script):
        raise bad_definition(
            f"{task.attempt_id} must have either a command or a scriptUri, but has "
            f"{'both' if command else 'neither'}"
        )
    staged = _is_staged(attempt)
    return Definition(
        command=command or None,
        script=_uri(attempt, "scriptUri", script) if script else None,
        arguments=_arguments(attempt),
        inputs=await _nodes(task, "input") if staged else (),
        outputs=await _nodes(task, "output") if staged else (),
        copies=tuple(_copies(attempt)),
        log_uri=_text(attempt, "pipelineLogUri"),
    )


async def referred_objects(
    task: Task, key: str, holder: PipelineObject | None = None
) -> tuple[PipelineObject, ...]:
    """Return the objects that a field refers to; ask the service for those it did not send.

    It is a field of the attempt, unless another object is given.
    """
    holder = holder or task.attempt
    values = holder.fields.get(key, [])
    ids = [
        value.object_id
        for value in (values if isinstance(values, list) else [values])
        if isinstance(value, Ref)
    ]
    objects = dict(task.objects)
    if missing := [object_id for object_id in ids if object_id not in objects]:
        objects |= {described.id: described async for described in task.describe(missing)}
    unknown = [object_id for object_id in ids if object_id not in objects]
    if unknown:
        raise bad_definition(f"{holder.id}: {key} refers to {unknown[0]}, which is not there")
    return tuple(objects[object_id] for object_id in ids)


def read_node(node: PipelineObject) -> DataNode:
    """Read an `S3DataNode`; raise `TaskFailed` (`BadDefinition`) if it is none."""
    if node.type != DATA_NODE:
        raise bad_definition(
            f"{node.id} is a {node.type or 'object without a type'}; only {DATA_NODE} is supported"
        )
    directory, file = _text(node, "directoryPath"), _text(node, "filePath")
    if _text(node, "manifestFilePath"):
        raise bad_definition(f"{node.id}: manifestFilePath is not supported")
    if bool(directory) == bool(file):
        raise bad_definition(
            f"{node.id} must have either a directoryPath or a filePath, but has "
            f"{'both' if directory else 'neither'}"
        )
    if directory:
        uri = _uri(node, "directoryPath", directory).directory
        return DataNode(uri=uri, is_directory=True)
    uri = _uri(node, "filePath", file or "")
    if uri.name in ("", ".", ".."):
        raise bad_definition(f"{node.id}: filePath {str(uri)!r:.300} names no file")
    return DataNode(uri=uri, is_directory=False)


async def _nodes(task: Task, key: str) -> tuple[DataNode, ...]:
    nodes = tuple(read_node(node) for node in await referred_objects(task, key))
    if key == "output" and not all(node.is_directory for node in nodes):
        raise bad_definition(f"{task.attempt_id}: a staged output must have a directoryPath")
    return nodes


def _text(item: PipelineObject, key: str) -> str | None:
    """Return the only value of a field, None if it has none."""
    try:
        return item.text(key, None)
    except ValueError as error:
        raise bad_definition(str(error)) from error


def _uri(item: PipelineObject, key: str, text: str) -> S3Uri:
    try:
        uri = S3Uri.parse(text)
    except ValueError as error:
        raise bad_definition(f"{item.id}: {key} {error}") from error
    if not uri.key and key != "directoryPath":
        raise bad_definition(f"{item.id}: {key} {text!r:.300} names a bucket, but no key in it")
    return uri


def _arguments(attempt: PipelineObject) -> tuple[str, ...]:
    arguments = attempt.texts("scriptArgument")
    for argument in arguments:
        if not is_valid_for_os(argument):
            raise bad_definition(
                f"{attempt.id}: no command can get the scriptArgument {shown(argument)}"
            )
    return arguments


def _is_staged(attempt: PipelineObject) -> bool:
    text = _text(attempt, "stage") or "false"
    if text.strip().lower() not in ("true", "false"):
        raise bad_definition(f"{attempt.id}: stage must be true or false, not {shown(text)}")
    return text.strip().lower() == "true"


def _copies(attempt: PipelineObject) -> Iterator[tuple[str, S3Uri | Path]]:
    for key, stream in zip(("stdout", "stderr"), STREAMS, strict=True):
        if text := _text(attempt, key):
            yield stream, _copy_target(attempt, key, text, stream)


def _copy_target(attempt: PipelineObject, key: str, text: str, stream: str) -> S3Uri | Path:
    if is_s3(text):
        uri = _uri(attempt, key, text)
        return uri if uri.name else uri.below(stream)
    if not _text(attempt, "workerGroup"):
        raise bad_definition(
            f"{attempt.id}: {key} {text!r:.300} is not of the form s3://BUCKET/KEY; a local path "
            f"needs a workerGroup"
        )
    if not is_valid_for_os(text):
        raise bad_definition(f"{attempt.id}: {key} {shown(text)} can be no path")
    return Path(text)
