"""What tests and demonstrations do to a service beyond its API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodp._core.period import parse_period
from aiodp._core.text import illegal_character
from aiodp.emulator._definition.components import Definition
from aiodp.emulator._model.catalog import store

if TYPE_CHECKING:
    from aiodp.emulator._model.wiring import Model

_MAX_LENGTH: Final = 1024  # characters (the API reference of PollForTask)


def assign(
    model: Model,
    count: int,
    now: float,
    *,
    worker_group: str,
    report_progress_timeout: str | None,
    hostname: str,
) -> list[str]:
    """Make an on-demand pipeline of activities and hand them all out; see `Service.assign`."""
    _check_name("worker_group", worker_group)
    _check_name("hostname", hostname)
    if report_progress_timeout is not None:
        parse_period(report_progress_timeout)
    pipeline = model.catalog.add("assigned", "", now, helper=True)
    fields = _activity_fields(worker_group, report_progress_timeout)
    objects = [
        {"id": f"Activity{n}", "name": f"Activity{n}", "fields": fields}
        for n in range(1, count + 1)
    ]
    definition = Definition(objects=objects, parameter_objects=[], parameter_values=[])
    store(pipeline, definition)
    instances = model.control.start(pipeline, definition, now)
    attempts = [instance.head for instance in instances if instance.head is not None]
    return [model.leases.hand_out(attempt, hostname, now).id for attempt in attempts]


def cancel(model: Model, task_id: str, now: float) -> None:
    """Cancel a task's instance by SetStatus TRY_CANCEL; see `Service.cancel`."""
    instance = model.leases.tasks[task_id].attempt.instance
    request = {
        "pipelineId": instance.pipeline.id,
        "objectIds": [instance.id],
        "status": "TRY_CANCEL",
    }
    model.control.set_status(request, now)


def _check_name(name: str, value: str) -> None:
    if not 1 <= len(value) <= _MAX_LENGTH or illegal_character(value) is not None:
        raise ValueError(f"{name} must be 1 to {_MAX_LENGTH} characters which are legal in XML")


def _activity_fields(
    worker_group: str, report_progress_timeout: str | None
) -> list[dict[str, str]]:
    fields = {
        "type": "ShellCommandActivity",
        "command": "true",
        "workerGroup": worker_group,
        "scheduleType": "ondemand",
        "reportProgressTimeout": report_progress_timeout,
    }
    return [{"key": key, "stringValue": value} for key, value in fields.items() if value]
