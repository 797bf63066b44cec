"""What an instance depends on, and what depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiodp.emulator._model.ids import instance_id
from aiodp.emulator._model.records import GOOD

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._definition.slots import Slots
    from aiodp.emulator._model.records import Instance, Timeline


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


def is_met(instance: Instance, calendar: Calendar) -> bool:
    """Return whether all that an instance needs is finished, as `needed` says.

    It looks at the newest first, which end last, and no further than to the first that is missing.
    """
    guards = (instance.pipeline.instances[guard_id] for guard_id in instance.preconditions)
    return all(guard.status in GOOD for guard in guards) and all(
        other is not None and other.status in GOOD
        for component_id in instance.part.requires
        for other in _newest_first(instance, component_id, calendar)
    )


def _newest_first(
    instance: Instance, component_id: str, calendar: Calendar
) -> Iterator[Instance | None]:
    """Yield the counterparts of an instance, `None` for one that is still to be made."""
    sibling = instance.sibling(component_id)
    timeline = _timeline_of(instance, component_id)
    if sibling is not None:
        yield sibling
    elif timeline is None or timeline.slots is None:
        yield next(reversed(instance.pipeline.of_component[component_id]), None)
    else:
        start, stop = calendar.date(instance.scheduled_at), calendar.date(instance.ends_at)
        for n in reversed(timeline.slots.overlapping(start, stop)):
            yield _instance_at(component_id, timeline, timeline.slots.start(n), calendar)


def counterparts(instance: Instance, component_id: str, calendar: Calendar) -> Needed:
    """Return the instances of another component in the instance's slot.

    On another schedule these are all whose slots overlap it.
    """
    sibling = instance.sibling(component_id)
    if sibling is not None:
        return Needed(instances=(sibling,), complete=True)
    pipeline = instance.pipeline
    timeline = _timeline_of(instance, component_id)
    if timeline is None or timeline.slots is None:  # on demand, or without a schedule
        newest = tuple(pipeline.of_component[component_id][-1:])
        return Needed(instances=newest, complete=bool(newest))
    start, stop = calendar.date(instance.scheduled_at), calendar.date(instance.ends_at)
    wanted = timeline.slots.overlapping(start, stop)
    made = _made(component_id, timeline, timeline.slots, wanted, calendar)
    return Needed(instances=tuple(made), complete=len(made) == len(wanted))


def _timeline_of(instance: Instance, component_id: str) -> Timeline | None:
    """Return the timeline on which another component is, as seen from an instance."""
    name = instance.plan.timeline_of(component_id, instance.timeline)
    return instance.pipeline.timelines.get(name)


def _instance_at(
    component_id: str, timeline: Timeline, start: datetime | None, calendar: Calendar
) -> Instance | None:
    """Return the instance of a component in the slot which starts then, if it is made."""
    if start is None:
        return None
    key = instance_id(component_id, calendar.stamp(calendar.at(start)))
    return timeline.pipeline.instances.get(key)


def _made(
    component_id: str, timeline: Timeline, slots: Slots, numbers: range, calendar: Calendar
) -> list[Instance]:
    """Return the instances of a component in these slots, as far as they are made.

    Three years have 105,120 slots of 15 minutes: those which are to come are not looked at.
    """
    made: list[Instance] = []
    for n in numbers:
        instance = _instance_at(component_id, timeline, slots.start(n), calendar)
        if instance is not None:
            made.append(instance)
        elif n >= timeline.next_slot:
            break
    return made


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
    timelines = [pipeline.timelines[name] for name in names if name in pipeline.timelines]
    if not timelines or instance.scheduled_at == instance.ends_at:
        return pipeline.of_component[component_id]
    start, stop = calendar.date(instance.scheduled_at), calendar.date(instance.ends_at)
    found: dict[str, Instance] = {}
    for timeline in timelines:
        if timeline.slots is None:
            return pipeline.of_component[component_id]
        slots = timeline.slots.without_end()
        numbers = slots.overlapping(start, stop)
        made = _made(component_id, timeline, slots, numbers, calendar)
        found |= {instance.id: instance for instance in made}
    return found.values()


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
