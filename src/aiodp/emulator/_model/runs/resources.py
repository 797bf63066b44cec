"""Simulated resources: an Ec2Resource or EmrCluster is a sequence of statuses."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from aiodp.emulator._definition.kinds import Kind
from aiodp.emulator._model.records import BAD, TERMINAL, Status
from aiodp.emulator._model.runs.placement import has_more_users
from aiodp.emulator._model.timers import Due

if TYPE_CHECKING:
    from aiodp.emulator._model.context import Context
    from aiodp.emulator._model.leases import Leases
    from aiodp.emulator._model.records import Instance
    from aiodp.emulator._model.runs.lifecycle import Lifecycle

_UP: Final = frozenset({Status.CREATING, Status.RUNNING})


class Resources:
    """Creates a resource when a task needs it, and ends it after the last one."""

    def __init__(self, context: Context, leases: Leases, lifecycle: Lifecycle) -> None:
        self._settings = context.settings
        self._calendar = context.calendar
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
        elif instance.resource is not None:
            self._user_changed(instance, instance.resource, status, now)

    def create(self, resource: Instance, now: float) -> None:
        """Create a resource, again if it was there before."""
        self._timers.stop(resource, Due.PHASE, Due.EXPIRY)
        prefix, digits = ("j", 13) if resource.component.type == "EmrCluster" else ("i", 17)
        resource.resource_id = f"{prefix}-{self._ids.hexadecimal(digits)}"
        resource.ended_at = resource.reason = None
        self._lifecycle.set(resource, Status.CREATING, now)
        started = min(self._settings.resource_startup, self._longest_start(resource))
        self._timers.set(resource, Due.PHASE, now + started)
        limit = self._reader.lifetime(resource)
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
            instance.status is Status.WAITING_FOR_RUNNER for instance in _users(resource)
        )

    def release(self, resource: Instance, now: float) -> None:
        """End a resource if nothing is to run on it any more."""
        is_used = any(instance.is_open() for instance in _users(resource))
        if is_used or has_more_users(resource, self._calendar):
            return
        self.shut_down(resource, now)
        if resource.status is Status.WAITING_ON_DEPENDENCIES and not resource.rerun:
            self._lifecycle.set(resource, Status.FINISHED, now)

    def _user_changed(self, user: Instance, resource: Instance, status: Status, now: float) -> None:
        wanted = status is Status.WAITING_FOR_RUNNER and resource.status not in _UP
        if status is Status.FAILED and resource.status in _UP and self._terminates(resource):
            reason = f"{user.id} is FAILED, and actionOnTaskFailure is terminate"
            self._lifecycle.cancel(resource, now, reason)
        elif wanted and _is_lost(resource) and not user.rerun:
            self._lifecycle.cancel(user, now, f"{resource.id} is {resource.status}")
        elif wanted and _is_live(resource):  # otherwise when the pipeline is activated
            self._timers.stop(resource, Due.PHASE, Due.EXPIRY)
            resource.pipeline.change(resource, Status.WAITING_ON_DEPENDENCIES)
            self._lifecycle.consider(resource, now)
        elif status in TERMINAL:
            self.release(resource, now)

    def _resource_changed(self, resource: Instance, status: Status, now: float) -> None:
        if status is Status.RUNNING:
            for user in _users(resource):
                if user.head is not None:
                    self._leases.offer(user.head, now)
            self.release(resource, now)
        elif status in BAD or (status is Status.FINISHED and _is_live(resource)):
            # Only SetStatus finishes a resource on which something is still to run.
            for instance in _users(resource):
                self._lifecycle.cancel(instance, now, f"{resource.id} is {status}")

    def _next_phase(self, resource: Instance, now: float) -> None:
        if resource.status is Status.SHUTTING_DOWN:
            self._lifecycle.set(resource, Status.FINISHED, now)
        elif self._longest_start(resource) < self._settings.resource_startup:
            self._start_failed(resource, now)
        else:
            self._lifecycle.set(resource, Status.RUNNING, now)

    def _longest_start(self, resource: Instance) -> float:
        limit = self._reader.period(resource, "initTimeout")
        return math.inf if limit is None else limit

    def _start_failed(self, resource: Instance, now: float) -> None:
        """Try again to create a resource, or give up."""
        once = self._reader.says(resource, "actionOnResourceFailure", "retrynone")
        if once or resource.tries_left <= 0:
            self._lifecycle.end(resource, Status.FAILED, now, "It did not start in initTimeout")
            return
        resource.tries_left -= 1
        resource.runs_at = now + self._reader.retry_delay(resource)
        self._timers.stop(resource, Due.EXPIRY)
        self._lifecycle.set(resource, Status.WAITING_ON_DEPENDENCIES, now)
        self._lifecycle.consider(resource, now)

    def _terminates(self, resource: Instance) -> bool:
        return self._reader.says(resource, "actionOnTaskFailure", "terminate")


def _users(resource: Instance) -> list[Instance]:
    """Return what has tasks on a resource: activities, and preconditions once they were tried."""
    return list(resource.pipeline.users[resource.id].values())


def _is_lost(resource: Instance) -> bool:
    """Return whether a resource has failed; one that a deactivation has canceled may come back."""
    if resource.status is Status.CANCELED and resource.ended_at is not None:
        deactivated_at = resource.pipeline.deactivated_at
        return deactivated_at is None or deactivated_at < resource.ended_at
    return resource.status in BAD


def _is_live(resource: Instance) -> bool:
    return resource.pipeline.state is Status.SCHEDULED
