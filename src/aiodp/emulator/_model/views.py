"""How pipelines, components, instances and attempts look in the service's answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiodp.emulator._definition.fields import Field, Fields, refs, strings, to_wire
from aiodp.emulator._definition.kinds import SCHEDULED, Kind, kind_of
from aiodp.emulator._model.dependencies import counterparts, needed
from aiodp.emulator._model.listing.found_by import FOUND_BY, REFERENCES
from aiodp.emulator._model.records import Attempt, Instance, Status
from aiodp.emulator._model.runs.health import health_after, health_of
from aiodp.emulator._model.runs.placement import in_slot_of
from aiodp.emulator._model.timers import Due

if TYPE_CHECKING:
    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._definition.components import Component
    from aiodp.emulator._model.records import Pipeline, Task, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """What the service knows of a task at one moment.

    `deadline` is the service time from which a report comes too late, `None` if the task id is
    invalid already.
    """

    task_id: str
    pipeline_id: str
    instance_id: str
    attempt_id: str
    worker_group: str
    hostname: str
    state: TaskState
    status: Status
    instance_status: Status
    assigned_at: float
    deadline: float | None
    last_reported_at: float | None
    reports: int
    fields: dict[str, str | list[str]]
    canceled: bool
    told_canceled: bool


def view_task(task: Task) -> TaskView:
    """Return a task as it is now."""
    attempt = task.attempt
    instance = attempt.instance
    return TaskView(
        task_id=task.id,
        pipeline_id=instance.pipeline.id,
        instance_id=instance.id,
        attempt_id=attempt.id,
        worker_group=attempt.worker_group or "",
        hostname=task.hostname,
        state=task.state,
        status=attempt.status,
        instance_status=instance.status,
        assigned_at=task.assigned_at,
        deadline=task.deadline,
        last_reported_at=attempt.reported_at,
        reports=task.reports,
        fields={key: _plain(values) for key, values in attempt.reported.items()},
        canceled=instance.status is Status.CANCELED,
        told_canceled=task.told_canceled,
    )


def is_known(object_id: str, pipeline: Pipeline) -> bool:
    """Return whether the pipeline has such an object, of any sphere."""
    known = (pipeline.components, pipeline.instances, pipeline.attempts)
    return any(object_id in objects for objects in known)


def name_of(object_id: str, pipeline: Pipeline) -> str:
    """Return an object's name, which only components have beside their id."""
    component = pipeline.components.get(object_id)
    return object_id if component is None else component.name


def as_object(object_id: str, fields: Fields, pipeline: Pipeline) -> dict[str, Any]:
    """Return an object with these fields as the API lists it."""
    return {"id": object_id, "name": name_of(object_id, pipeline), "fields": to_wire(fields)}


def fields_of(object_id: str, pipeline: Pipeline, calendar: Calendar) -> Fields:
    """Return the fields of an object of any sphere; raises `KeyError` if there is none."""
    if object_id in pipeline.attempts:
        return _attempt_fields(pipeline.attempts[object_id], calendar)
    if object_id in pipeline.instances:
        return _instance_fields(pipeline.instances[object_id], calendar)
    return component_fields(pipeline.components[object_id], pipeline, calendar)


def pipeline_fields(pipeline: Pipeline, calendar: Calendar, account: str) -> Fields:
    """Return the fields of a pipeline's own record."""
    return strings(
        at_id=pipeline.id,
        at_sphere="PIPELINE",
        at_version=str(pipeline.version),
        at_pipelineState=pipeline.state.value,
        at_creationTime=calendar.stamp(pipeline.created_at),
        at_latestRunTime=calendar.maybe(pipeline.latest_run_at),
        at_finishedTime=calendar.maybe(pipeline.finished_at),
        at_lastDeactivatedTime=calendar.maybe(pipeline.deactivated_at),
        at_nextRunTime=calendar.maybe(pipeline.next_run_at()),
        at_healthStatus=health_of(pipeline),
        at_accountId=account,
        at_userId=account,
        pipelineCreator=account,
        name=pipeline.name,
        uniqueId=pipeline.unique_id,
        description=pipeline.description,
    )


def component_fields(component: Component, pipeline: Pipeline, calendar: Calendar) -> Fields:
    """Return the fields of a component of any of the pipeline's definitions."""
    active = Status.PENDING if pipeline.active is None else Status.SCHEDULED
    status = Status.PAUSED if component.id in pipeline.paused else active
    return (
        component.fields
        | refs(parent=component.parent)
        | strings(
            at_sphere="COMPONENT",
            at_status=status.value,
            at_version=str(pipeline.version),
            at_pipelineId=pipeline.id,
            at_error=pipeline.errors.get(component.id) if pipeline.active is None else None,
        )
        | _runtime_fields(component, pipeline, calendar)
    )


def _runtime_fields(component: Component, pipeline: Pipeline, calendar: Calendar) -> Fields:
    """Return what the guide's pages of objects list for this kind of component."""
    kind = kind_of(component.type)
    if kind is Kind.SCHEDULE:
        return strings(at_firstActivationTime=calendar.maybe(pipeline.first_activated_at))
    if kind not in SCHEDULED:
        return {}
    health, runs = (
        pipeline.ends.healths.get(component.id),
        pipeline.of_component.get(component.id, []),
    )
    latest = (run.scheduled_at for run in reversed(runs) if run.status is not Status.SKIPPED)
    fields = strings(
        at_lastDeactivatedTime=calendar.maybe(pipeline.deactivated_at),
        at_finishedTime=calendar.maybe(pipeline.finished_at),
        at_latestRunTime=calendar.maybe(next(latest, None)),
        at_latestCompletedRunTime=calendar.maybe(pipeline.ends.latest_runs.get(component.id)),
        at_nextRunTime=_next_run(component, pipeline),
    )
    if health is None:
        return fields
    return fields | strings(
        at_healthStatus=health.status,
        at_healthStatusFromInstanceId=health.instance_id,
        at_healthStatusUpdatedTime=calendar.stamp(health.updated_at),
    )


def _next_run(component: Component, pipeline: Pipeline) -> str | None:
    """Return when the next slot of a component starts, if it is to be made."""
    names = pipeline.plan.timelines_of.get(component.id, ()) if pipeline.plan else ()
    timelines = (pipeline.timelines[name] for name in names if name in pipeline.timelines)
    starts = [
        timeline.slots.start(timeline.next_slot)
        for timeline in timelines
        if timeline.slots is not None and timeline.due(Due.SLOT) is not None
    ]
    known = [start for start in starts if start is not None]
    return f"{min(known):%Y-%m-%dT%H:%M:%S}" if known else None


def _instance_fields(instance: Instance, calendar: Calendar) -> Fields:
    head = instance.head
    canceled = instance.status is Status.CANCELED
    failed_resource = instance.kind is Kind.RESOURCE and not canceled
    return (
        _inherited(instance, calendar)
        | _common(instance, instance, calendar)
        | strings(
            at_attemptCount=str(len(instance.attempts)) if head else None,
            at_triesLeft=str(instance.tries_left) if head else None,
            at_resourceId=instance.resource_id,
            at_healthStatus=health_after(instance.status) if instance.kind in SCHEDULED else None,
        )
        | (_checks(instance, calendar) if instance.kind is Kind.SERVICE_PRECONDITION else {})
        | (_of_head(head, calendar) if head else {})
        | strings(
            cancellationReason=instance.reason if canceled else None,
            errorMessage=None if canceled else instance.reason,
            at_failureReason=instance.reason if failed_resource else None,
        )
        | refs(
            at_headAttempt=head.id if head else None,
            at_cascadeFailedOn=instance.cascaded_on,
            at_activeInstances=instance.id if instance.is_open() else None,
        )
        | _waiting_on(instance, calendar)
    )


def _attempt_fields(attempt: Attempt, calendar: Calendar) -> Fields:
    instance = attempt.instance
    open_instance = instance.id if attempt.ended_at is None else None
    resource = instance.resource
    return (
        attempt.reported
        | _inherited(instance, calendar)
        | _common(attempt, instance, calendar)
        | strings(
            at_resourceId=resource.resource_id if resource else None,
            hostname=attempt.hostname or None,
            reportProgressTime=calendar.maybe(attempt.reported_at),
        )
        | refs(at_activeInstances=open_instance)
        | attempt.outcome
    )


def _of_head(head: Attempt, calendar: Calendar) -> Fields:
    """Return the fields of its newest attempt which an instance has too, as alarms quote them."""
    fields = strings(
        hostname=head.hostname or None, reportProgressTime=calendar.maybe(head.reported_at)
    )
    finished = head.instance.status is Status.FINISHED  # perhaps by MARK_FINISHED, after a failure
    return fields if finished else fields | head.outcome


def _inherited(instance: Instance, calendar: Calendar) -> Fields:
    """Return the component's fields, with references to instances of the same run."""
    return {
        key: tuple(of_run for field in values for of_run in _of_run(field, instance, calendar))
        for key, values in instance.component.fields.items()
    }


def _of_run(field: Field, instance: Instance, calendar: Calendar) -> list[Field]:
    """Return a field with what it refers to in the run, which on another schedule are several."""
    if not field.is_ref or field.value not in instance.plan.parts:
        return [field]
    guards = dict(zip(instance.part.preconditions, instance.preconditions, strict=False))
    target = in_slot_of(instance, field.value, calendar)
    target_id = guards.get(field.value) or (None if target is None else target.id)
    if target_id is not None:
        return [Field(field.key, target_id, is_ref=True)]
    if field.value not in instance.part.requires:
        return [field]
    instances = counterparts(instance, field.value, calendar).instances
    return [Field(field.key, counterpart.id, is_ref=True) for counterpart in instances] or [field]


def _waiting_on(instance: Instance, calendar: Calendar) -> Fields:
    if instance.status is not Status.WAITING_ON_DEPENDENCIES:
        return {}
    unmet = needed(instance, calendar).unmet()
    key = "@waitingOn"
    return {key: tuple(Field(key, instance.id, is_ref=True) for instance in unmet)} if unmet else {}


def _checks(instance: Instance, calendar: Calendar) -> Fields:
    """Return how often the service has checked a precondition, and when it did last."""
    checks = str(instance.checks) if instance.checks else None
    return strings(currentRetryCount=checks, lastRetryTime=calendar.maybe(instance.checked_at))


def _common(run: Instance | Attempt, instance: Instance, calendar: Calendar) -> Fields:
    """Return the fields of both instances and attempts."""
    found_by = {key: read(run, calendar) for key, read in FOUND_BY.items()}
    return (
        {
            key: (Field(key, value, key in REFERENCES),)
            for key, value in found_by.items()
            if value is not None
        }
        | refs(node=instance.guards)
        | strings(
            at_version=str(instance.version),
            at_pipelineId=instance.pipeline.id,
            at_finishedTime=calendar.maybe(run.ended_at) if instance.kind in SCHEDULED else None,
        )
    )


def _plain(values: tuple[Field, ...]) -> str | list[str]:
    return values[0].value if len(values) == 1 else [field.value for field in values]
