"""Objects of definitions in a few words, and the ids of their instances."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)
"""The service's date when a kit is made."""

Definition = dict[str, dict[str, Any]]
"""Objects by id; a value is a string, a number, a `Ref`, or a list of these."""


class Ref(str):
    """The id of an object to which a field refers."""

    __slots__ = ()


def schedule(period: str = "1 day", **fields: Any) -> dict[str, Any]:
    """Return a schedule without an end, whose first slot begins as the kit is made."""
    start = {} if "startAt" in fields else {"startDateTime": "2026-01-01T00:00:00"}
    return {"type": "Schedule", "period": period} | start | fields


def activity(**fields: Any) -> dict[str, Any]:
    """Return an activity of the schedule `Daily` for the worker group `workers`."""
    usual = {"type": "ShellCommandActivity", "command": "true", "workerGroup": "workers"}
    return usual | _scheduled(fields)


def node(**fields: Any) -> dict[str, Any]:
    """Return a data node of the schedule `Daily`."""
    return {"type": "S3DataNode", "directoryPath": "s3://bucket/data"} | _scheduled(fields)


def resource(**fields: Any) -> dict[str, Any]:
    """Return an EC2 resource of the schedule `Daily`."""
    return {"type": "Ec2Resource", "role": "R", "resourceRole": "RR"} | _scheduled(fields)


def on_resource(name: str = "Box", **fields: Any) -> dict[str, Any]:
    """Return an activity of the schedule `Daily` which runs on a resource."""
    usual = {"type": "ShellCommandActivity", "command": "true", "runsOn": Ref(name)}
    return usual | _scheduled(fields)


def alarm(**fields: Any) -> dict[str, Any]:
    """Return an SnsAlarm, which says on which instance it acts."""
    usual = {
        "type": "SnsAlarm",
        "role": "R",
        "topicArn": "arn:aws:sns:us-east-1:123456789012:topic",
        "subject": "news",
        "message": "#{node.name}",
    }
    return usual | fields


def key_exists(key: str = "s3://bucket/ready", **fields: Any) -> dict[str, Any]:
    """Return a precondition which the service itself checks."""
    return {"type": "S3KeyExists", "role": "R", "s3Key": key} | fields


def shell_precondition(**fields: Any) -> dict[str, Any]:
    """Return a precondition which a task runner checks."""
    return {"type": "ShellCommandPrecondition", "command": "test -f ready"} | fields


def daily(**objects: dict[str, Any]) -> Definition:
    """Return a definition of these objects with the schedule `Daily`, which never ends."""
    return {"Daily": schedule()} | objects


def hourly(**fields: Any) -> dict[str, Any]:
    """Return a schedule of one hour without an end."""
    return schedule("1 hour", **fields)


def slots(of_schedule: dict[str, Any], **fields: Any) -> Definition:
    """Return a definition of one activity, `A`, with this schedule."""
    return {"S": of_schedule, "A": activity(schedule=Ref("S"), **fields)}


def after(*names: str, **fields: Any) -> dict[str, Any]:
    """Return an activity of the schedule `Daily` which depends on others."""
    return activity(dependsOn=[Ref(name) for name in names], **fields)


def guarded(precondition: dict[str, Any], **fields: Any) -> Definition:
    """Return a definition of an activity `A` with the precondition `Pre`."""
    return daily(A=activity(precondition=Ref("Pre"), **fields), Pre=precondition)


def on_demand(**objects: dict[str, Any]) -> Definition:
    """Return a definition of these objects without schedules, run by each activation."""
    plain = {
        key: {name: value for name, value in fields.items() if name != "schedule"}
        for key, fields in objects.items()
    }
    return {"Default": {"scheduleType": "ondemand"}} | plain


def at(component: str, **after: float) -> str:
    """Return the id of the instance whose slot begins so long after the kit is made."""
    return f"@{component}_{stamp(**after)}"


def stamp(**after: float) -> str:
    """Return the service's date so long after the kit is made."""
    return f"{EPOCH + timedelta(**after):%Y-%m-%dT%H:%M:%S}"


def selector(name: str, operator: str, *values: str) -> dict[str, Any]:
    """Return a selector of QueryObjects."""
    return {"fieldName": name, "operator": {"type": operator, "values": list(values)}}


def wire_objects(definition: Definition) -> list[dict[str, Any]]:
    """Return a definition in the API's form."""
    return [
        {"id": key, "name": key, "fields": [_field(k, v) for k, v in _pairs(fields)]}
        for key, fields in definition.items()
    ]


def wire_values(values: dict[str, str] | None) -> list[dict[str, str]]:
    """Return values of parameters in the API's form."""
    return [{"id": key, "stringValue": value} for key, value in (values or {}).items()]


def _scheduled(fields: dict[str, Any]) -> dict[str, Any]:
    fields = {"schedule": Ref("Daily")} | fields
    return {key: value for key, value in fields.items() if value is not None}


def _pairs(fields: dict[str, Any]) -> list[tuple[str, Any]]:
    return [
        (key, item)
        for key, value in fields.items()
        for item in (value if isinstance(value, list) else [value])
    ]


def _field(key: str, value: Any) -> dict[str, str]:
    if isinstance(value, Ref):
        return {"key": key, "refValue": str(value)}
    return {"key": key, "stringValue": str(value)}
