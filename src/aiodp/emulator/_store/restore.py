"""A service's records, made from their rows in a state file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiodp.emulator._definition.components import Definition
from aiodp.emulator._definition.plan import Plan
from aiodp.emulator._model.audit import DROPPED_AT_ONCE, AuditEvent
from aiodp.emulator._model.records import Attempt, Instance, Pipeline, Task, Timeline
from aiodp.emulator._model.runner_registry import TaskRunnerView
from aiodp.emulator._model.runs.health import count_end
from aiodp.emulator._store.rows import InstanceRow, decode, fill
from aiodp.emulator._store.tables import (
    ATTEMPTS,
    CALLS,
    DEFINITIONS,
    EVENTS,
    INSTANCES,
    PIPELINES,
    RUNNERS,
    TASKS,
    TIMELINES,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from aiodp.emulator._model.service import Service
    from aiodp.emulator._store.tables import Table

    Read = Callable[[Table], Iterable[Any]]


def restore(service: Service, read: Read) -> None:
    """Put everything into a new service; `read` returns the rows of a table."""
    audit = service.audit
    for number, data in read(EVENTS):
        if not audit and number % DROPPED_AT_ONCE == 0:
            audit.dropped = number
        if number != audit.dropped + len(audit):
            raise ValueError(f"event {audit.dropped + len(audit)} is missing")
        audit.add(decode(data, AuditEvent))
    service.calls.update({(operation, outcome): n for operation, outcome, n in read(CALLS)})
    runners = [decode(data, TaskRunnerView) for _, data in read(RUNNERS)]
    service.model.runners.restore(runners)
    records = _Records(service)
    records.pipelines(read)
    service.model.catalog.restore(records.by_id.values())
    records.runs(read)
    service.model.leases.restore(records.attempts, records.tasks(read))
    for pipeline in records.by_id.values():
        if pipeline.deleted:
            service.model.catalog.deleted.add(pipeline)


class _Records:
    """Makes the records, each after the one which it belongs to."""

    def __init__(self, service: Service) -> None:
        self.by_id: dict[str, Pipeline] = {}
        self.attempts: list[Attempt] = []
        context = service.model.context
        self._calendar = context.calendar
        self._timers = context.timers
        self._changes = context.changes

    def pipelines(self, read: Read) -> None:
        """Make pipelines with their definitions."""
        for pipeline_id, name, unique_id, data in read(PIPELINES):
            pipeline = Pipeline(pipeline_id, name, unique_id, 0.0, self._changes)
            fill(pipeline, Pipeline, data, self._timers)
            self.by_id[pipeline_id] = pipeline
        for pipeline_id, role, data in read(DEFINITIONS):
            _define(self.by_id[pipeline_id], role, decode(data, Definition))
        for pipeline in self.by_id.values():
            if pipeline.plan is not None:
                pipeline.components = dict(pipeline.plan.components)
            elif pipeline.latest is not None:
                pipeline.components = pipeline.latest.components()

    def runs(self, read: Read) -> None:
        """Make timelines, instances and attempts."""
        for pipeline_id, name, data in read(TIMELINES):
            timeline = Timeline(self.by_id[pipeline_id], name)
            fill(timeline, Timeline, data, self._timers)
            timeline.pipeline.timelines[name] = timeline
        for pipeline_id, instance_id, component_id, data in read(INSTANCES):
            pipeline = self.by_id[pipeline_id]
            instance = self._instance(pipeline, instance_id, component_id, data)
            pipeline.add(instance)
            count_end(instance)
        for pipeline_id, instance_id, _, data in read(ATTEMPTS):
            self._attempt(self.by_id[pipeline_id].instances[instance_id], data)

    def tasks(self, read: Read) -> Iterable[Task]:
        """Make the tasks."""
        for task_id, pipeline_id, instance_id, number, data in read(TASKS):
            attempts = self.by_id[pipeline_id].instances[instance_id].attempts
            task = Task(task_id, attempts[number - 1], 0.0)
            fill(task, Task, data, self._timers)
            yield task

    def _instance(
        self, pipeline: Pipeline, instance_id: str, component_id: str, data: str
    ) -> Instance:
        row = decode(data, InstanceRow)
        slot = self._calendar.slot(row.scheduled_at, row.ends_at)
        part = pipeline.plans[row.plan_number].parts[component_id]
        instance = Instance(pipeline, part, instance_id, row.timeline, slot)
        fill(instance, Instance, data, self._timers)
        return instance

    def _attempt(self, instance: Instance, data: str) -> None:
        attempt = Attempt(instance)
        fill(attempt, Attempt, data, self._timers)
        instance.attempts.append(attempt)
        instance.pipeline.attempts[attempt.id] = attempt
        self.attempts.append(attempt)


def _define(pipeline: Pipeline, role: str, definition: Definition) -> None:
    if role == "latest":
        pipeline.latest = definition
    elif role == "active":
        pipeline.active = definition
    else:
        pipeline.plans.append(Plan.of(definition))
