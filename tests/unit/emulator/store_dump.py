"""All that is known of a service, in values which can be compared."""

from __future__ import annotations

from collections import deque
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._definition.plan import Part, Plan
from aiodp.emulator._model.records import (
    Attempt,
    Instance,
    Pipeline,
    Status,
    Task,
    TaskState,
    Timeline,
)
from aiodp.emulator._model.timers import Timed, Timer
from aiodp.emulator._model.views import fields_of, pipeline_fields, view_task

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiodp.emulator._model.changes import Persisted
    from aiodp.emulator._model.service import Service


def dump(service: Service, *, shown: bool = True) -> dict[str, Any]:
    """Return all that a service knows, and how its answers show it if `shown`.

    What is shown follows from what is known, and costs as much as all the rest.
    """
    due = service.next_event()
    pipelines = service.model.catalog.pipelines
    return {
        "now": service.now,
        "next event": due,
        "pipelines": {key: _attributes(pipeline) for key, pipeline in pipelines.items()},
        "keys": {key: pipeline.id for key, pipeline in service.model.catalog._by_key.items()},
        "counted": service.model.catalog._counted,
        "objects": {
            key: _objects(pipeline, service) for key, pipeline in pipelines.items() if shown
        },
        "queues": {group: [_plain(a) for a in queue] for group, queue in _queues(service).items()},
        "tasks": {key: view_task(task) for key, task in service.model.leases.tasks.items()},
        "orders": [list(ids) for ids in _ordered(service)],
        "due": sorted(_due(service)),
        "records": [_attributes(record) for record in _records(service)],
        "audit": list(service.audit),
        "audit of tasks": dict(service.audit._by_task),
        "calls": dict(service.calls),
        "runners": service.runners,
        "dates": (service.model.context.calendar._epoch, service.model.context.calendar._origin),
    }


def _records(service: Service) -> list[Persisted]:
    records: list[Persisted] = list(service.model.leases.tasks.values())
    for pipeline in service.model.catalog.pipelines.values():
        records += pipeline.timelines.values()
        records += pipeline.instances.values()
        records += pipeline.attempts.values()
    return records


def _due(service: Service) -> Iterable[tuple[float, int, str]]:
    """Yield all that is due, as its order decides what of one time is first."""
    for record in _records(service):
        for timer in record.timers.values() if isinstance(record, Timed) else ():
            if timer.due is not None:
                yield timer.due, timer.order, timer.kind


def _ordered(service: Service) -> list[Iterable[str]]:
    """Return what has an order which can be seen, or decides who is first."""
    ordered: list[Iterable[str]] = [service.model.catalog.pipelines, service.model.leases.tasks]
    for pipeline in service.model.catalog.pipelines.values():
        ordered += [
            pipeline.timelines,
            pipeline.instances,
            pipeline.attempts,
            pipeline.held,
            pipeline.components,
        ]
    return ordered


def _queues(service: Service) -> dict[str, Any]:
    """Return what polls would get; what is held back keeps its place, in a queue or not."""
    leases = service.model.leases
    queues = {
        group: sorted(filter(leases.rules.may_run, queue), key=attrgetter("place"))
        for group, queue in leases.queues.items()
    }
    return {group: queue for group, queue in queues.items() if queue}


def _objects(pipeline: Pipeline, service: Service) -> dict[str, Any]:
    calendar = service.model.context.calendar
    ids = [*pipeline.components, *pipeline.instances, *pipeline.attempts]
    shown = {object_id: fields_of(object_id, pipeline, calendar) for object_id in ids}
    return shown | {"": pipeline_fields(pipeline, calendar, _ACCOUNT)}


def _attributes(record: Persisted) -> dict[str, Any]:
    return {key: _plain(value) for key, value in vars(record).items() if key != "changes"}


def _plain(value: Any) -> Any:
    """Return a value in which other records stand as their names."""
    if type(value) in _SIMPLE:
        return value
    if isinstance(value, dict):
        plain = {key: _plain(item) for key, item in value.items()}
        return {key: item for key, item in plain.items() if item not in _NOTHING}
    if isinstance(value, list | tuple | deque):
        return [_plain(item) for item in value]
    for kind, name in _NAMES.items():
        if isinstance(value, kind):
            return getattr(value, name)
    return value


_ACCOUNT: Final = "123456789012"
_SIMPLE: Final = frozenset({str, float, int, bool, type(None), Status, TaskState})
_NOTHING: Final[tuple[Any, ...]] = (None, 0, [], {})
_NAMES: Final = {Pipeline: "id", Instance: "id", Attempt: "id", Task: "id", Timer: "due"} | {
    Timeline: "name",
    Part: "component",
    Plan: "definition",
}
