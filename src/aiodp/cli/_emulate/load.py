"""The definition files of `aiodp emulate --load`. Each becomes a pipeline with the file's name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

from aiodp.cli._errors import LinesError
from aiodp.cli._shared import read_text
from aiodp.emulator import Service, load_values
from aiodp.emulator._definition.files import load_parameters, put, read_definition
from aiodp.emulator._errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime
    from pathlib import Path

    from aiodp.emulator import Settings
    from aiodp.emulator._definition.components import Definition
    from aiodp.emulator._definition.files import Wire


T = TypeVar("T")

_HINTS: Final = {
    "startTimestamp": ": --start TIMESTAMP skips what is before it, "
    "--epoch TIMESTAMP lets the service begin then",
    "MISSING_VALUE": " --values FILE gives parameters their values.",
}
"""By words of the service's refusal: the options that help."""


class LoadError(LinesError):
    """A file cannot be loaded; the message has the file and all its errors."""


class _Service(Protocol):
    def perform(self, operation: str, **params: Any) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DefinitionFile:
    """The definition of a file; values of another file override its own."""

    path: Path
    definition: Definition

    @property
    def name(self) -> str:
        """Name and uniqueId of the pipeline, so loading the file again creates no second one."""
        return self.path.stem


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The pipeline of a file. `new` is false if it had a definition already."""

    name: str
    pipeline_id: str
    state: str
    new: bool
    warnings: tuple[str, ...]


def read_files(
    paths: Sequence[Path], parameters: Path | None = None, values: Path | None = None
) -> list[DefinitionFile]:
    """Read definition files, and those with parameters and values for all of them.

    The parameters of a file of their own replace those of the definitions; values override theirs,
    in the definitions that have such a parameter.

    Raises `LoadError` for a file that is not one, and for two files with the same name.
    """
    names: dict[str, Path] = {}
    for path in paths:
        first = names.setdefault(path.stem, path)
        if first is not path:
            raise LoadError(f"{first} and {path} would both be the pipeline {path.stem}")
    definitions = [_read(path, read_definition) for path in paths]
    if parameters is not None:
        declared = _read(parameters, load_parameters)
        definitions = [replace(each, parameter_objects=declared) for each in definitions]
    if values is not None:
        definitions = _with_values(definitions, _read(values, load_values))
    return [
        DefinitionFile(path=path, definition=definition)
        for path, definition in zip(paths, definitions, strict=True)
    ]


def _with_values(definitions: Sequence[Definition], values: Wire) -> list[Definition]:
    """Return the definitions with the values that they declare, and those that none does."""
    names = [{item["id"] for item in each.parameter_objects} for each in definitions]
    others = {value["id"] for value in values}.difference(*names)
    return [
        each.with_values([value for value in values if value["id"] in own | others])
        for each, own in zip(definitions, names, strict=True)
    ]


def check_files(
    files: Iterable[DefinitionFile],
    settings: Settings,
    *,
    activate: bool,
    start: datetime | None = None,
) -> list[str]:
    """Load files into a temporary service in memory, as `load` does; return the warnings.

    Raises `LoadError` for the first file that the service refuses.
    """
    service = Service(lambda: 0.0, settings)
    pipelines = [load(service, file, activate=activate, start=start) for file in files]
    return [warning for pipeline in pipelines for warning in pipeline.warnings]


def load(
    service: _Service, file: DefinitionFile, *, activate: bool, start: datetime | None = None
) -> Loaded:
    """Create the pipeline of a file, unless it exists already with a definition.

    With `activate` it is activated, if it never was, from the date `start` on. Raises `LoadError`
    if the service refuses it.
    """
    call = _Calls(service, file.path)
    pipeline_id: str = call("CreatePipeline", name=file.name, uniqueId=file.name)["pipelineId"]
    new = not call("GetPipelineDefinition", pipelineId=pipeline_id)["pipelineObjects"]
    warnings = _put(call, pipeline_id, file) if new else ()
    if activate and _state(call, pipeline_id) == "PENDING":
        stamp = {} if start is None else {"startTimestamp": start.timestamp()}
        call("ActivatePipeline", pipelineId=pipeline_id, **stamp)
    return Loaded(
        name=file.name,
        pipeline_id=pipeline_id,
        state=_state(call, pipeline_id),
        new=new,
        warnings=warnings,
    )


class _Calls:
    """Calls the API for one file."""

    def __init__(self, service: _Service, path: Path) -> None:
        self._service = service
        self.path = path

    def __call__(self, operation: str, **params: Any) -> dict[str, Any]:
        try:
            return self._service.perform(operation, **params)
        except ServiceError as error:
            hints = "".join(hint for word, hint in _HINTS.items() if word in error.message)
            reason = f"{operation} is refused: {error.message}{hints}"
            raise LoadError(f"{self.path}: {reason}") from error


def _put(call: _Calls, pipeline_id: str, file: DefinitionFile) -> tuple[str, ...]:
    result = put(call, pipeline_id, file.definition)
    if result.errors:
        raise LoadError(f"{file.path} has errors:", *result.errors)
    return tuple(f"{file.path}: {line}" for line in result.warnings)


def _state(call: _Calls, pipeline_id: str) -> str:
    described = call("DescribePipelines", pipelineIds=[pipeline_id])["pipelineDescriptionList"][0]
    fields = {field["key"]: field.get("stringValue", "") for field in described["fields"]}
    return str(fields["@pipelineState"])


def _read(path: Path, parse: Callable[[str], T]) -> T:
    """Return what a file says; raise `LoadError` if it cannot be read or has another form."""
    try:
        return parse(read_text(path))
    except ValueError as error:
        raise LoadError(f"{path}: {error}") from error
