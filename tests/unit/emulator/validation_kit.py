"""Definitions as short as they can be, and what the service finds in them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from aiodp.emulator import load_definition
from aiodp.emulator._definition.components import Definition
from aiodp.emulator._definition.validation import findings
from aiodp.emulator._definition.validation.edits import edit_findings
from aiodp.emulator._definition.validation.parts import errors_of, warnings_of

if TYPE_CHECKING:
    from datetime import datetime

Texts = dict[str, list[str]]


def definition(
    *objects: dict[str, Any], parameters: Any = (), values: dict[str, Any] | None = None
) -> Definition:
    """Return a definition of objects as a definition file has them."""
    document = {"objects": objects, "parameters": list(parameters), "values": values or {}}
    wire = load_definition(json.dumps(document))
    return Definition(objects=wire[0], parameter_objects=wire[1], parameter_values=wire[2])


def errors(made: Definition) -> Texts:
    """Return the errors by object."""
    return {item["id"]: item["errors"] for item in errors_of(findings(made))}


def warnings(made: Definition, now: datetime | None = None) -> Texts:
    """Return the warnings by object."""
    return {item["id"]: item["warnings"] for item in warnings_of(findings(made, now))}


def edit_errors(active: Definition, latest: Definition) -> list[dict[str, Any]]:
    """Return the errors of changes that an activated pipeline does not allow."""
    return errors_of(edit_findings(active, latest))


def schedule(**fields: Any) -> dict[str, Any]:
    """Return the Schedule `Hourly`, in which nothing is wrong but what is given."""
    usual = {"type": "Schedule", "period": "1 hour", "startDateTime": "2026-01-01T00:00:00"}
    return _object("Hourly", usual | fields)


def activity(object_id: str = "Work", **fields: Any) -> dict[str, Any]:
    """Return an activity in which nothing is wrong but what is given; `None`: no such field."""
    usual = {
        "type": "ShellCommandActivity",
        "command": "true",
        "workerGroup": "workers",
        "schedule": ref("Hourly"),
    }
    return _object(object_id, usual | fields)


def node(object_id: str = "Data", **fields: Any) -> dict[str, Any]:
    """Return a data node in which nothing is wrong but what is given."""
    return _object(object_id, {"type": "S3DataNode", "filePath": "s3://bucket/key"} | fields)


def machine(object_id: str = "Machine", **fields: Any) -> dict[str, Any]:
    """Return a resource in which nothing is wrong but what is given."""
    usual = {"type": "Ec2Resource", "terminateAfter": "1 hour", "role": "r", "resourceRole": "r"}
    return _object(object_id, usual | fields)


def ref(object_id: str) -> dict[str, str]:
    """Return a reference as a definition file has it."""
    return {"ref": object_id}


def _object(object_id: str, fields: dict[str, Any]) -> dict[str, Any]:
    given = {key: value for key, value in fields.items() if value is not None}
    return {"id": object_id} | given
