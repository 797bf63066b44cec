"""What an instance depends on, and what depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiodp.emulator._model.ids import instance_id
from aiodp.emulator._model.records import GOOD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

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
    sibling = instance.sibling(component_id)
    if sibling is not None:
        return Needed(instances=(sibling,), complete=True)
    pipeline = instance.pipeline
    starts = _slots_overlapping(instance, component_id, calendar)
    if starts is None:  # on demand, or without a schedule
        newest = tuple(pipeline.of_component[component_id][-1:])
        return Needed(instances=newest, complete=bool(newest))
    wanted = [instance_id(component_id, calendar.stamp(start)) for start in starts]
    made = [pipeline.instances[key] for key in wanted if key in pipeline.instances]
    return Needed(instances=tuple(made), complete=len(made) == len(wanted))


def _slots_overlapping(
    instance: Instance, component_id: str, calendar: Calendar
) -> list[float] | None:
    """Return when the slots of a component's schedule which overlap the instance's slot start."""
    name = instance.plan.timeline_of(component_id, instance.timeline)
    timeline = instance.pipeline.timelines.get(name)
    if timeline is None or timeline.slots is None:
        return None
    start, stop = calendar.date(instance.scheduled_at), calendar.date(instance.ends_at)
    return [calendar.at(date) for date in timeline.slots.overlapping(start, stop)]


def dependants(instance: Instance, calendar: Calendar) -> Iterator[Instance]:
    """Yield the instances which need this one."""
    pipeline, component_id = instance.pipeline, instance.component.id
    if instance.guards is not None:
        yield pipeline.instances[instance.guards]
    plan = pipeline.plan or instance.plan  # the active one may have more which need it
    for dependant_id in plan.dependants.get(component_id, ()):
        slots = plan.timelines_of.get(dependant_id)  # which preconditions do not have
        if slots is not None and slots <= plan.timelines_of[component_id]:
            sibling = instance.sibling(dependant_id)
            if sibling is not None:
                yield sibling
            continue
        for dependant in _around(instance, dependant_id, slots or frozenset(), calendar):
            if _is_counterpart(instance, dependant, calendar):
                yield dependant


def _around(
    instance: Instance, component_id: str, names: frozenset[str], calendar: Calendar
) -> Iterable[Instance]:
    """Return the instances of a component on other timelines which may overlap an instance."""
    pipeline = instance.pipeline
    slots = [pipeline.timelines[name].slots for name in names if name in pipeline.timelines]
    if None in slots or not slots or instance.scheduled_at == instance.ends_at:
        return pipeline.of_component[component_id]
    start, stop = calendar.date(instance.scheduled_at), calendar.date(instance.ends_at)
    keys = (
        instance_id(component_id, calendar.stamp(calendar.at(date)))
        for each in slots
        if each is not None
        for date in each.without_end().overlapping(start, stop)
    )
    return [pipeline.instances[key] for key in dict.fromkeys(keys) if key in pipeline.instances]


def _is_counterpart(instance: Instance, dependant: Instance, calendar: Calendar) -> bool:
    """Return whether an instance is among those which the dependant needs of its component."""
    sibling = dependant.sibling(instance.component.id)
    if sibling is not None:
        return sibling is instance
    if all(slot.scheduled_at < slot.ends_at for slot in (dependant, instance)):
        return (
            dependant.scheduled_at < instance.ends_at and instance.scheduled_at < dependant.ends_at
        )
    return instance in counterparts(dependant, instance.component.id, calendar).instances
