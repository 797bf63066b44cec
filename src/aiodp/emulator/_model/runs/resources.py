"""Simulated resources: an Ec2Resource or EmrCluster is a sequence of statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiodp.emulator._definition.kinds import WITH_TASKS, Kind
from aiodp.emulator._model.dependencies import runs_on_behalf_of
from aiodp.emulator._model.records import BAD, TERMINAL, Status
from aiodp.emulator._model.timers import Due

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.emulator._model.context import Context
    from aiodp.emulator._model.leases import Leases
    from aiodp.emulator._model.records import Instance
    from aiodp.emulator._model.runs.lifecycle import Lifecycle

_UP: Final = frozenset({Status.CREATING, Status.RUNNING})


class Resources:
    """Creates a resource when a task needs it, and ends it after the last one."""

    def __init__(self, context: Context, leases: Leases, lifecycle: Lifecycle) -> None:
        self._settings = context.settings
        self._timers = context.timers
        self._ids = context.ids
        self._reader = context.reader
        self._leases = leases
        self._lifecycle = lifecycle
        self._timers.handle(Due.PHASE, self._next_phase)

    def changed(self, instance: Instance, status: Status, now: float) -> None:
        """React to the status of a resource, or of what runs on one."""
        if instance.kind is Kind.RESOURCE:
            self._resource_changed(instance, status, now)
        elif instance.kind in WITH_TASKS:
            resource = runs_on_behalf_of(instance).resource
            if resource is not None:
                self._user_changed(resource, status, now)

    def create(self, resource: Instance, now: float) -> None:
        """Create a resource, again if it was there before."""
        self._timers.stop(resource, Due.PHASE, Due.EXPIRY)
        prefix, digits = ("j", 13) if resource.component.type == "EmrCluster" else ("i", 17)
        resource.resource_id = f"{prefix}-{self._ids.hexadecimal(digits)}"
        resource.ended_at = resource.reason = None
        self._lifecycle.set(resource, Status.CREATING, now)
        self._timers.set(resource, Due.PHASE, now + self._settings.resource_startup)
        limit = self._reader.period(resource, "terminateAfter")
        if limit is not None:
            self._timers.set(resource, Due.EXPIRY, now + limit)

    def shut_down(self, resource: Instance, now: float) -> None:
        """Begin to shut a resource down, if it is up."""
        if resource.status in _UP:
            self._timers.stop(resource, Due.EXPIRY)
            self._timers.set(resource, Due.PHASE, now + self._settings.resource_shutdown)
            self._lifecycle.set(resource, Status.SHUTTING_DOWN, now)

    def is_wanted(self, resource: Instance) -> bool:
        """Return whether a task waits for a resource, or a user has asked for it again."""
        return resource.rerun or any(
            instance.status is Status.WAITING_FOR_RUNNER for instance in _tasks_on(resource)
        )

    def _user_changed(self, resource: Instance, status: Status, now: float) -> None:
        wanted = status is Status.WAITING_FOR_RUNNER and resource.status not in _UP
        if wanted and _is_live(resource):  # otherwise it is created when the pipeline is activated
            self._timers.stop(resource, Due.PHASE, Due.EXPIRY)
            resource.pipeline.change(resource, Status.WAITING_ON_DEPENDENCIES)
            self._lifecycle.consider(resource, now)
        elif status in TERMINAL:
            self._release(resource, now)

    def _resource_changed(self, resource: Instance, status: Status, now: float) -> None:
        if status is Status.RUNNING:
            for user in _tasks_on(resource):
                if user.head is not None:
                    self._leases.offer(user.head, now)
            self._release(resource, now)
        elif status in BAD or (status is Status.FINISHED and _is_live(resource)):
            # Only SetStatus finishes a resource on which something is still to run.
            for instance in list(_tasks_on(resource)):
                self._lifecycle.cancel(instance, now, f"{resource.id} is {status}")

    def _release(self, resource: Instance, now: float) -> None:
        if any(instance.is_open() for instance in _tasks_on(resource)):
            return
        self.shut_down(resource, now)
        if resource.status is Status.WAITING_ON_DEPENDENCIES:
            self._lifecycle.set(resource, Status.FINISHED, now)

    def _next_phase(self, resource: Instance, now: float) -> None:
        if resource.status is Status.CREATING:
            self._lifecycle.set(resource, Status.RUNNING, now)
        elif resource.status is Status.SHUTTING_DOWN:
            self._lifecycle.set(resource, Status.FINISHED, now)


def _users(resource: Instance) -> Iterator[Instance]:
    """Yield the activities of the slot which run on a resource."""
    for instance_id in resource.refs.values():
        instance = resource.pipeline.instances[instance_id]
        if instance.part.resource == resource.component.id:
            yield instance


def _tasks_on(resource: Instance) -> Iterator[Instance]:
    """Yield what has tasks on a resource: activities, and the preconditions run for them."""
    instances = resource.pipeline.instances
    for instance_id in resource.refs.values():
        guards = (instances[guard] for guard in instances[instance_id].preconditions)
        yield from (guard for guard in guards if runs_on_behalf_of(guard).resource is resource)
    yield from _users(resource)


def _is_live(resource: Instance) -> bool:
    return resource.pipeline.state is Status.SCHEDULED
