"""What an instance depends on, and what depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiodp.emulator._definition.kinds import PRECONDITIONS, Kind
from aiodp.emulator._model.records import GOOD

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._model.records import Instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """The instances which another one needs; `complete` unless some are still to be made."""

    instances: tuple[Instance, ...]
    complete: bool

    def met(self) -> bool:
        """Return whether all of them are there and finished."""
        return self.complete and not self.unmet()

    def unmet(self) -> list[Instance]:
        """Return those which are not finished."""
        return [instance for instance in self.instances if instance.status not in GOOD]


def needed(instance: Instance, calendar: Calendar) -> Needed:
    """Return what must be finished before an instance may start."""
    known = instance.pipeline.instances
    instances = [known[guard_id] for guard_id in instance.preconditions]
    complete = True
    for component_id in instance.part.requires:
        needed_of_component = counterparts(instance, component_id, calendar)
        instances.extend(needed_of_component.instances)
        complete = complete and needed_of_component.complete
    return Needed(instances=tuple(instances), complete=complete)


def counterparts(instance: Instance, component_id: str, calendar: Calendar) -> Needed:
    """Return the instances of another component in the instance's slot.

    On another schedule these are all whose slots overlap it.
    """
    pipeline = instance.pipeline
    same_slot = instance.refs.get(component_id)
    if same_slot is not None:
        return Needed(instances=(pipeline.instances[same_slot],), complete=True)
    name = instance.plan.timeline_of(component_id, instance.timeline)
    timeline = pipeline.timelines.get(name)
    if timeline is None or timeline.slots is None:  # on demand, or without a schedule
        newest = tuple(pipeline.of_component[component_id][-1:])
        return Needed(instances=newest, complete=bool(newest))
    start, stop = calendar.date(instance.scheduled_at), calendar.date(instance.ends_at)
    wanted = [
        f"@{component_id}_{calendar.stamp(calendar.at(date))}"
        for n in timeline.slots.overlapping(start, stop)
        if (date := timeline.slots.start(n)) is not None
    ]
    made = [instance_id for instance_id in wanted if instance_id in pipeline.instances]
    instances = tuple(pipeline.instances[instance_id] for instance_id in made)
    return Needed(instances=instances, complete=made == wanted)


def dependants(instance: Instance, calendar: Calendar) -> Iterator[Instance]:
    """Yield the instances which need this one."""
    pipeline = instance.pipeline
    if instance.guards is not None:
        yield pipeline.instances[instance.guards]
    for component_id in instance.plan.dependants.get(instance.component.id, ()):
        same_slot = instance.refs.get(component_id)
        if same_slot is not None:
            yield pipeline.instances[same_slot]
            continue
        for dependant in pipeline.of_component[component_id]:
            if _is_counterpart(instance, dependant, calendar):
                yield dependant


def _is_counterpart(instance: Instance, dependant: Instance, calendar: Calendar) -> bool:
    """Return whether an instance on another schedule is among the dependant's counterparts."""
    if all(slot.scheduled_at < slot.ends_at for slot in (dependant, instance)):
        return (
            dependant.scheduled_at < instance.ends_at and instance.scheduled_at < dependant.ends_at
        )
    return instance in counterparts(dependant, instance.component.id, calendar).instances


def runs_on_behalf_of(instance: Instance) -> Instance:
    """Return the instance on whose behalf the tasks of this one run, which has the worker group.

    For a precondition it is the activity it guards, or one which uses the data node it guards.
    """
    if instance.kind not in PRECONDITIONS or instance.guards is None:
        return instance
    guarded = instance.pipeline.instances[instance.guards]
    if guarded.kind is Kind.ACTIVITY or instance.component.text("workerGroup") is not None:
        return guarded if guarded.kind is Kind.ACTIVITY else instance
    return next(_users(guarded), instance)


def _users(data_node: Instance) -> Iterator[Instance]:
    """Yield the activities of the slot which read or write a data node, readers first."""
    for key in ("input", "output"):
        for instance_id in data_node.refs.values():
            instance = data_node.pipeline.instances[instance_id]
            activity = instance.kind is Kind.ACTIVITY
            if activity and data_node.component.id in instance.component.refs(key):
                yield instance
