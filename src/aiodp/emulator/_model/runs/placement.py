"""Where the tasks of an instance run: on a resource, or in which worker group.

A resource with a schedule of its own serves all activities whose slots begin in one of its slots
(the Developer Guide, dp-concepts-schedules, "Maximum Resource Efficiency Using Schedules").
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from aiodp.emulator._definition.kinds import PRECONDITIONS, Kind
from aiodp.emulator._model.dependencies import counterparts
from aiodp.emulator._model.ids import instance_id

if TYPE_CHECKING:
    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._definition.plan import Part
    from aiodp.emulator._model.records import Instance, Pipeline


def activity_of(instance: Instance, calendar: Calendar) -> tuple[Part, Instance | None]:
    """Return the activity whose worker group has the tasks of an instance, and its own instance.

    A precondition is run for the activity which uses it, or which uses the data node that it
    guards (dp-concepts-preconditions). There may be no instance of that activity yet.
    """
    if instance.kind not in PRECONDITIONS or instance.guards is None:
        return instance.part, instance
    guarded = instance.pipeline.instances[instance.guards]
    if guarded.kind is Kind.ACTIVITY:
        return guarded.part, guarded
    users = instance.plan.users.get(guarded.component.id, ())
    for component_id in users:
        user = guarded.sibling(component_id)
        if user is not None:
            return user.part, user
    if not users:
        return instance.part, instance
    made = counterparts(guarded, users[0], calendar).instances
    return instance.plan.parts[users[0]], next(iter(made), None)


def resource_for(instance: Instance, calendar: Calendar) -> str | None:
    """Return the id of the instance of a resource which runs the tasks of an instance."""
    part, owner = activity_of(instance, calendar)
    if part.resource is None:
        return None
    if owner is not None:
        return _resource_at(owner.pipeline, part.resource, owner.scheduled_at, calendar)
    pipeline = instance.pipeline
    timeline = instance.plan.timeline_of(part.component.id, instance.timeline)
    start = _slot_start(pipeline, timeline, instance.scheduled_at, calendar)
    return _resource_at(pipeline, part.resource, start, calendar)


def in_slot_of(instance: Instance, component_id: str, calendar: Calendar) -> Instance | None:
    """Return the instance of a component which serves the slot of another instance."""
    pipeline = instance.pipeline
    if pipeline.plans[-1].parts[component_id].kind is not Kind.RESOURCE:
        return instance.sibling(component_id)
    if component_id == instance.part.resource and instance.resource is not None:
        return instance.resource
    at = instance.scheduled_at
    return pipeline.instances.get(_resource_at(pipeline, component_id, at, calendar))


def has_more_users(resource: Instance, calendar: Calendar) -> bool:
    """Return whether activities which are to run on a resource are still to be made."""
    pipeline, plan = resource.pipeline, resource.pipeline.plans[-1]
    start, stop = calendar.date(resource.scheduled_at), calendar.date(resource.ends_at)
    if resource.part.timeline is None:  # then it is only for slots which start with its own
        stop = start + datetime.resolution
    for component_id in plan.users.get(resource.component.id, ()):
        for name in plan.timelines_of[component_id]:
            timeline = pipeline.timelines.get(name)
            if timeline is not None and timeline.slots is not None:
                first = max(timeline.next_slot, timeline.slots.count_before(start))
                if first < timeline.slots.count_before(stop):
                    return True
    return False


def _resource_at(pipeline: Pipeline, component_id: str, start: float, calendar: Calendar) -> str:
    """Return the id of a resource's instance in whose slot this time is, or which is nearest."""
    timeline = pipeline.plans[-1].parts[component_id].timeline
    at = _slot_start(pipeline, timeline or "", start, calendar)
    return instance_id(component_id, calendar.stamp(at))


def _slot_start(pipeline: Pipeline, name: str, at: float, calendar: Calendar) -> float:
    """Return when the slot of a timeline begins in which a time is, or which is nearest."""
    timeline = pipeline.timelines.get(name)
    if timeline is None or timeline.slots is None:
        return at
    start = timeline.slots.start(timeline.slots.nearest(calendar.date(at)))
    return at if start is None else calendar.at(start)
