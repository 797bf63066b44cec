"""The health of components and pipelines (the Developer Guide, dp-interpret-health-status).

1. A component is as healthy as the last of its instances that ended.
2. A precondition has no health: if it fails, that is an error of what it guards.
3. A pipeline is ERROR while one of its components is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodp.emulator._definition.kinds import PRECONDITIONS
from aiodp.emulator._model.listing.ends import Health
from aiodp.emulator._model.records import BAD, Status

if TYPE_CHECKING:
    from aiodp.emulator._model.records import Instance, Pipeline

_STATUSES: Final = {Status.FINISHED: "HEALTHY"} | dict.fromkeys(BAD, "ERROR")
"""By the status of an instance; one which was skipped says nothing."""


def health_after(status: Status) -> str | None:
    """Return what an instance with this status says."""
    return _STATUSES.get(status)


def note_end(instance: Instance, now: float) -> None:
    """Note that an instance has ended."""
    status = health_after(instance.status)
    is_guard = instance.kind in PRECONDITIONS
    if status is None or (is_guard and instance.status is not Status.FAILED):
        return
    instance.health = Health(
        status=status,
        instance_id=instance.id,
        updated_at=now,
        number=instance.pipeline.ends.count + 1,
    )
    count_end(instance)


def count_end(instance: Instance) -> None:
    """Count what the end of an instance says, if it is over."""
    ends = instance.pipeline.ends
    if instance.health is None:
        return
    if instance.guards is None:
        ends.add(instance.component.id, instance.health)
        ends.complete(instance.component.id, instance.scheduled_at)
    else:
        guarded = instance.pipeline.instances[instance.guards]
        ends.add(guarded.component.id, instance.health)


def health_of(pipeline: Pipeline) -> str | None:
    """Return the health of a pipeline; `None` if nothing in it has ended yet."""
    statuses = {health.status for health in pipeline.ends.healths.values()}
    return next((status for status in ("ERROR", "HEALTHY") if status in statuses), None)
