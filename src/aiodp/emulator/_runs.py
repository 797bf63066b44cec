"""Runs: the instances which an activation makes of a pipeline's components."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from aiodp.emulator._period import parse_period, parse_schedule_period
from aiodp.emulator._records import Instance, Pipeline, Status

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiodp.emulator._calendar import Calendar
    from aiodp.emulator._components import Component
    from aiodp.emulator._settings import Settings

RESOURCES: Final = frozenset({"Ec2Resource", "EmrCluster"})
_RETRY_CAP: Final = 5  # retries of a task (the Developer Guide, dp-limits)


def is_activity(component: Component) -> bool:
    """Return whether tasks are made of this component."""
    return component.type.endswith("Activity")


def make_run(
    pipeline: Pipeline, settings: Settings, calendar: Calendar, now: float
) -> list[Instance]:
    """Add one instance of each activity, and of each data node and resource which it refers to.

    Returns those of the activities. The others share the fate of the run: a resource is RUNNING
    until its end, or CREATING for ever if no worker group stands for it.
    """
    components = pipeline.components
    activities = [one for one in components.values() if is_activity(one)]
    passive = _referenced(activities, components)
    slot = _free_slot(pipeline, [*activities, *passive], calendar, now)
    names = {one.id: f"@{one.id}_{calendar.stamp(slot)}" for one in [*activities, *passive]}
    instances = [_instance(pipeline, one, names, slot) for one in [*activities, *passive]]
    made = instances[: len(activities)]
    for instance in made:
        _prepare(instance, settings)
    pipeline.open += len(made)
    for instance in instances[len(activities) :]:
        if instance.component.type in RESOURCES:
            served = settings.resource_worker_group is not None
            instance.status = Status.RUNNING if served else Status.CREATING
    return made


def _referenced(activities: Iterable[Component], known: dict[str, Component]) -> list[Component]:
    found: dict[str, Component] = {}
    pending = list(activities)
    while pending:
        for values in pending.pop().fields.values():
            for target in (known.get(field.value) for field in values if field.is_ref):
                if target is not None and target.id not in found and _is_passive(target):
                    found[target.id] = target
                    pending.append(target)
    return list(found.values())


def _is_passive(component: Component) -> bool:
    return component.type in RESOURCES or component.type.endswith("DataNode")


def _free_slot(
    pipeline: Pipeline, components: list[Component], calendar: Calendar, now: float
) -> float:
    """Return the first second from now in which nothing has an instance: ids name the second."""
    slot = now
    while any(f"@{one.id}_{calendar.stamp(slot)}" in pipeline.instances for one in components):
        slot += 1.0
    return slot


def _instance(
    pipeline: Pipeline, component: Component, names: dict[str, str], slot: float
) -> Instance:
    instance = Instance(pipeline, component, names[component.id], slot)
    instance.refs = names
    schedule = pipeline.components.get(component.ref("schedule") or "")
    period = schedule.text("period") if schedule else None
    with contextlib.suppress(ValueError):  # an expression, say: the slot has no known end
        instance.ends_at = slot + parse_schedule_period(period or "")
    pipeline.instances[instance.id] = instance
    return instance


def _prepare(instance: Instance, settings: Settings) -> None:
    component = instance.component
    instance.worker_group = (
        settings.resource_worker_group
        if component.ref("runsOn") is not None  # it wins over workerGroup
        else component.text("workerGroup")
    )
    instance.lease_timeout = _period(component, "reportProgressTimeout", settings.lease_timeout)
    delay = _period(component, "retryDelay", settings.retry_delay)
    instance.retry_delay = max(delay, settings.retry_delay)
    instance.max_retries = instance.tries_left = _retries(component, settings.max_retries)


def _retries(component: Component, default: int) -> int:
    given = default
    with contextlib.suppress(ValueError):  # no number, or one of thousands of digits
        given = int(component.text("maximumRetries") or "")
    return min(given if given >= 0 else default, _RETRY_CAP)


def _period(component: Component, key: str, default: float) -> float:
    try:
        return parse_period(component.text(key) or "")
    except ValueError:
        return default
