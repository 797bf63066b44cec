"""What follows from a change of an instance's status, beyond its dependants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodp.emulator._definition.kinds import Kind
from aiodp.emulator._model.records import Instance, Pipeline, Status

if TYPE_CHECKING:
    from aiodp.emulator._model.actions import Actions
    from aiodp.emulator._model.preconditions import Preconditions
    from aiodp.emulator._model.resources import Resources
    from aiodp.emulator._model.scheduler import Scheduler


class Consequences:
    """Tells resources, preconditions and actions, and moves pipelines on."""

    def __init__(
        self,
        resources: Resources,
        preconditions: Preconditions,
        actions: Actions,
        scheduler: Scheduler,
    ) -> None:
        self._resources = resources
        self._preconditions = preconditions
        self._actions = actions
        self._scheduler = scheduler

    def changed(self, instance: Instance, status: Status, now: float) -> None:
        """React to the status which the instance has got."""
        self._resources.changed(instance, status, now)
        self._preconditions.changed(instance, status, now)
        self._actions.changed(instance, status, now)

    def is_wanted(self, resource: Instance) -> bool:
        """Return whether a task waits for the resource."""
        return self._resources.is_wanted(resource)

    def create(self, resource: Instance, now: float) -> None:
        """Create the resource, again if it was there before."""
        self._resources.create(resource, now)

    def resumed(self, pipeline: Pipeline, now: float) -> None:
        """Bring back the resources of what waits for a runner, which a deactivation has ended."""
        for instance in list(pipeline.instances.values()):
            if instance.status is Status.WAITING_FOR_RUNNER:
                self._resources.changed(instance, instance.status, now)

    def settled(self, pipeline: Pipeline, now: float) -> None:
        """Deactivate a pipeline in which nothing runs any more; finish one with nothing to come."""
        if pipeline.state is Status.DEACTIVATING and not pipeline.held:
            self._deactivate(pipeline, now)
        over = pipeline.open == 0 and self._scheduler.is_over(pipeline)
        if over and pipeline.state is Status.SCHEDULED and not pipeline.on_demand:
            pipeline.state = Status.FINISHED
            pipeline.finished_at = now

    def _deactivate(self, pipeline: Pipeline, now: float) -> None:
        """Shut the resources down, of which nobody needs any; then nothing runs any more."""
        resources = [one for one in pipeline.instances.values() if one.kind is Kind.RESOURCE]
        for resource in resources:
            self._resources.shut_down(resource, now)
        if not any(resource.status is Status.SHUTTING_DOWN for resource in resources):
            pipeline.state = Status.INACTIVE
