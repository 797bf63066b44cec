"""How pipelines, components, instances and attempts look in the service's answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiodp.emulator._fields import Field, Fields, refs, strings, to_wire
from aiodp.emulator._records import Attempt, Instance, Status

if TYPE_CHECKING:
    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._components import Component
    from aiodp.emulator._records import Pipeline, Task, TaskState


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskView:
    """What the service knows of a task at one moment.

    ``deadline`` is the service time from which a report comes too late, ``None`` if the task id is
    dead already.
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
        worker_group=instance.worker_group or "",
        hostname=task.hostname,
        state=task.state,
        status=attempt.status,
        instance_status=instance.status,
        assigned_at=task.assigned_at,
        deadline=task.timer.due,
        last_reported_at=attempt.reported_at,
        reports=task.reports,
        fields={key: _plain(values) for key, values in attempt.reported.items()},
        canceled=instance.status is Status.CANCELED,
        told_canceled=task.told_canceled,
    )


def task_object(task: Task, calendar: Calendar) -> dict[str, Any]:
    """Return the taskObject of PollForTask: the attempt and all the instances it refers to."""
    instance = task.attempt.instance
    pipeline = instance.pipeline
    objects = {task.attempt.id: describe(task.attempt.id, pipeline, calendar)}
    pending = [instance]
    while pending:
        for target in _targets(pending.pop()):
            if target not in objects:
                objects[target] = describe(target, pipeline, calendar)
                pending.append(pipeline.instances[target])
    return {
        "taskId": task.id,
        "pipelineId": pipeline.id,
        "attemptId": task.attempt.id,
        "objects": objects,
    }


def describe(object_id: str, pipeline: Pipeline, calendar: Calendar) -> dict[str, Any]:
    """Return an object of any sphere as the API lists it; raises ``KeyError`` if there is none."""
    fields = fields_of(object_id, pipeline, calendar)
    component = pipeline.components.get(object_id)
    name = component.name if component is not None else object_id
    return {"id": object_id, "name": name, "fields": to_wire(fields)}


def fields_of(object_id: str, pipeline: Pipeline, calendar: Calendar) -> Fields:
    """Return the fields of an object of any sphere; raises ``KeyError`` if there is none."""
    if object_id in pipeline.attempts:
        return _attempt_fields(pipeline.attempts[object_id], calendar)
    if object_id in pipeline.instances:
        return _instance_fields(pipeline.instances[object_id], calendar)
    return _component_fields(pipeline.components[object_id], pipeline)


def pipeline_fields(pipeline: Pipeline, calendar: Calendar, account: str) -> Fields:
    """Return the fields of a pipeline's own record."""
    return strings(
        at_id=pipeline.id,
        at_sphere="PIPELINE",
        at_version=str(pipeline.version),
        at_pipelineState=pipeline.state.value,
        at_creationTime=calendar.stamp(pipeline.created_at),
        at_latestRunTime=calendar.maybe(pipeline.activated_at),
        at_finishedTime=calendar.maybe(pipeline.finished_at),
        at_lastDeactivatedTime=calendar.maybe(pipeline.deactivated_at),
        at_accountId=account,
        at_userId=account,
        name=pipeline.name,
        uniqueId=pipeline.unique_id,
        description=pipeline.description,
    )


def _component_fields(component: Component, pipeline: Pipeline) -> Fields:
    active = Status.PENDING if pipeline.active is None else Status.SCHEDULED
    status = Status.PAUSED if component.id in pipeline.paused else active
    return component.fields | strings(
        at_sphere="COMPONENT",
        at_status=status.value,
        at_version=str(pipeline.version),
        at_pipelineId=pipeline.id,
    )


def _instance_fields(instance: Instance, calendar: Calendar) -> Fields:
    head = instance.head
    return (
        _inherited(instance)
        | _common(instance, calendar)
        | strings(
            at_sphere="INSTANCE",
            at_status=instance.status.value,
            at_actualStartTime=calendar.maybe(instance.started_at),
            at_actualEndTime=calendar.maybe(instance.ended_at),
            at_attemptCount=str(len(instance.attempts)) if head else None,
            at_triesLeft=str(instance.tries_left) if head else None,
        )
        | refs(at_headAttempt=head.id if head else None)
    )


def _attempt_fields(attempt: Attempt, calendar: Calendar) -> Fields:
    instance = attempt.instance
    open_instance = instance.id if attempt.ended_at is None else None
    return (
        attempt.reported
        | _inherited(instance)
        | _common(instance, calendar)
        | strings(
            at_sphere="ATTEMPT",
            at_status=attempt.status.value,
            at_actualStartTime=calendar.maybe(attempt.started_at),
            at_actualEndTime=calendar.maybe(attempt.ended_at),
            hostname=attempt.hostname or None,
            reportProgressTime=calendar.maybe(attempt.reported_at),
        )
        | refs(at_instanceParent=instance.id, at_activeInstances=open_instance)
        | attempt.outcome
    )


def _inherited(instance: Instance) -> Fields:
    """Return the component's fields, with references to instances of the same run."""
    return {
        key: tuple(_of_run(field, instance) for field in values)
        for key, values in instance.component.fields.items()
    }


def _of_run(field: Field, instance: Instance) -> Field:
    target = instance.refs.get(field.value) if field.is_ref else None
    return field if target is None else Field(field.key, target, is_ref=True)


def _common(instance: Instance, calendar: Calendar) -> Fields:
    component_id = instance.component.id
    return refs(at_componentParent=component_id, parent=component_id) | strings(
        at_version=str(instance.version),
        at_pipelineId=instance.pipeline.id,
        at_scheduledStartTime=calendar.stamp(instance.scheduled_at),
        at_scheduledEndTime=calendar.stamp(instance.ends_at),
    )


def _targets(instance: Instance) -> list[str]:
    fields = [field for values in _inherited(instance).values() for field in values]
    instances = instance.pipeline.instances
    return [field.value for field in fields if field.is_ref and field.value in instances]


def _plain(values: tuple[Field, ...]) -> str | list[str]:
    return values[0].value if len(values) == 1 else [field.value for field in values]
