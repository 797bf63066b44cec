"""Pipelines which a test makes, and their runs as they are at one moment."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from itertools import count
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from aiodp.emulator._definition.files import load_values, put, read_definition
from aiodp.emulator._errors import ServiceError
from aiodp.testing._reasons import waits_for

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiodp.emulator._definition.components import Definition as ReadDefinition
    from aiodp.emulator._model.records import Instance, Status
    from aiodp.emulator._model.service import Service

    Definition: TypeAlias = Mapping[str, Any] | str | PathLike[str]

_numbers: Final = count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """An instance of a pipeline as it is at one moment.

    `error` is the message of its last attempt, or why it ended without one. `waits_for` says
    what has to happen next, such as "for a poll of 'reports'".
    """

    pipeline_id: str
    instance_id: str
    component_id: str
    status: Status
    attempts: int
    hostname: str
    error: str
    waits_for: str

    def __str__(self) -> str:
        tries = f"{self.attempts} attempt{'' if self.attempts == 1 else 's'}"
        owner = f", the last by {self.hostname}" if self.hostname else ""
        next_step = f", {self.waits_for}" if self.waits_for else ""
        return f"{self.instance_id}: {self.status}{next_step} ({tries}{owner})" + (
            f": {self.error}" if self.error else ""
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A pipeline which was put in, and what the service warns of in its definition."""

    pipeline_id: str
    warnings: tuple[str, ...]


def run_of(instance: Instance, service: Service) -> Run:
    """Return an instance as it is now."""
    head = instance.head
    messages = head.outcome.get("errorMessage", ()) if head else ()
    return Run(
        pipeline_id=instance.pipeline.id,
        instance_id=instance.id,
        component_id=instance.component.id,
        status=instance.status,
        attempts=len(instance.attempts),
        hostname=head.hostname if head else "",
        error="; ".join(field.value for field in messages) or instance.reason or "",
        waits_for=waits_for(instance, service.model.context.calendar),
    )


def call(service: Service, operation: str, **params: Any) -> dict[str, Any]:
    """Do a call of the API as the test itself: at no quota's cost, and it meets no fault.

    Raises `ValueError` for what the service refuses.
    """
    try:
        return service.perform(operation, **params)
    except ServiceError as error:
        raise ValueError(f"{operation}: {error.code}: {error.message}") from error


def make_pipeline(
    service: Service, definition: Definition, values: Mapping[str, Any] | None, name: str | None
) -> Made:
    """Create a pipeline and put its definition.

    Raises `ValueError` for a definition which the service finds errors in.
    """
    read = _read(definition).with_values(_wire_values(values or {}))
    unique = f"test-{next(_numbers)}"
    created = call(service, "CreatePipeline", name=name or unique, uniqueId=unique)
    pipeline_id: str = created["pipelineId"]
    result = put(partial(call, service), pipeline_id, read)
    if result.errors:
        errors = "\n  ".join(result.errors)
        raise ValueError(f"the service finds errors in the definition:\n  {errors}")
    return Made(pipeline_id=pipeline_id, warnings=result.warnings)


def activity_definition(worker_group: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the definition of one activity, which runs once when it is activated."""
    activity = {
        "id": "Activity",
        "type": "ShellCommandActivity",
        "command": "true",
        "workerGroup": worker_group,
        "scheduleType": "ondemand",
    }
    return {"objects": [activity | dict(fields)]}


def _read(definition: Definition) -> ReadDefinition:
    where = f"{definition}: " if isinstance(definition, PathLike) else ""
    try:
        return read_definition(_text(definition))
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}the definition is no JSON: {error}") from error
    except ValueError as error:
        raise ValueError(f"{where}{error}") from error


def _text(definition: Definition) -> str:
    if isinstance(definition, PathLike):
        return Path(definition).read_text(encoding="utf-8-sig")
    if not isinstance(definition, str):
        return json.dumps(definition)
    if definition.lstrip().startswith("{"):
        return definition
    raise ValueError(
        f"a definition is a mapping, JSON text or a Path, and {definition[:60]!r} is no JSON text; "
        "for a file, pass a pathlib.Path"
    )


def _wire_values(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return load_values(json.dumps({"values": dict(values)}))
