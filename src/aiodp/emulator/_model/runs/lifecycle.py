"""The lifecycle of instances: which may start, what follows from an end, how failures spread.

Rules (the Developer Guide, dp-interpret-status, dp-how-tasks-scheduled and
dp-manage-cascade-failandrerun):

1. An instance waits on its dependencies until its time has come, all of them are finished, and
   fewer than `maxActiveInstances` of its component are active.
2. If the failure mode of a waiting instance is `cascade`, it fails with what it depends on.
3. An ended instance keeps its status, unless SetStatus says RERUN or MARK_FINISHED.

The listeners are told of the changes of status one after the other, not from within each other, so
that a chain of objects may have any length.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from aiodp.emulator._definition.kinds import PRECONDITIONS, WITH_TASKS, Kind
from aiodp.emulator._model.dependencies import dependants, is_met, needed
from aiodp.emulator._model.records import BAD, TERMINAL, Instance, Pipeline, Status
from aiodp.emulator._model.runs.health import note_end
from aiodp.emulator._model.timers import Due

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from aiodp.emulator._model.context import Context


_UNTIL_ENDED: Final = (Due.RETRY, Due.TURN, Due.CHECK, Due.EXPIRY, Due.PHASE)


class AttemptMaker(Protocol):
    """What makes the attempts of instances."""

    def make(self, instance: Instance, now: float) -> None:
        """Make a new attempt of an instance, and offer it to workers."""

    def stop(self, instance: Instance, status: Status, now: float) -> None:
        """End the newest attempt with this status."""


class ResourceMaker(Protocol):
    """What makes the resources on which tasks run."""

    def is_wanted(self, resource: Instance) -> bool:
        """Return whether a task waits for the resource."""

    def create(self, resource: Instance, now: float) -> None:
        """Create the resource, again if it was there before."""

    def release(self, resource: Instance, now: float) -> None:
        """End the resource if nothing is to run on it any more."""


class Lifecycle:
    """Moves instances from status to status."""

    attempts: AttemptMaker
    resources: ResourceMaker
    listeners: Sequence[Callable[[Instance, Status, float], None]]
    """Called with each instance that changes its status, the new status and the time."""
    on_idle: Callable[[Pipeline, float], None]
    """Called whenever a pipeline may have become idle, since an instance or an attempt ended."""

    def __init__(self, context: Context) -> None:
        self._calendar = context.calendar
        self._timers = context.timers
        self._reader = context.reader
        self._changed: deque[tuple[Instance, Status]] = deque()
        self._draining = False
        self._timers.handle(Due.TURN, self.consider)
        self._timers.handle(Due.EXPIRY, self._expire)

    # What may start

    def consider(self, instance: Instance, now: float) -> None:
        """Start an instance which waits if it may start, or fail it with what it depends on."""
        if instance.status is not Status.WAITING_ON_DEPENDENCIES or instance.pipeline.deleted:
            return
        if self._reader.cascades(instance):
            dependencies = needed(instance, self._calendar).instances
            failed = next((other for other in dependencies if other.status in BAD), None)
            if failed is not None:
                self._cascade(instance, failed, now)
                return
        if instance.pipeline.state is not Status.SCHEDULED:
            return
        if now < instance.runs_at:
            self._timers.set(instance, Due.TURN, instance.runs_at)
        elif self._may_start(instance) and is_met(instance, self._calendar):
            self._start(instance, now)
        elif instance.kind is Kind.RESOURCE:
            self.resources.release(instance, now)

    def consider_all(self, instances: Iterable[Instance], now: float) -> None:
        """Consider several; each may change while another starts."""
        for instance in list(instances):
            self.consider(instance, now)

    # What users and the service do to instances

    def end(
        self, instance: Instance, status: Status, now: float, reason: str | None = None
    ) -> None:
        """End an instance; its worker, if it has one, learns it from its next report."""
        self.attempts.stop(instance, status, now)
        instance.reason, instance.cascaded_on = reason, None
        self.set(instance, status, now)

    def cancel(self, instance: Instance, now: float, reason: str) -> None:
        """Cancel an instance which has not ended."""
        if instance.is_open():
            self.end(instance, Status.CANCELED, now, reason)

    def rerun(self, instances: Iterable[Instance], now: float) -> None:
        """Run ended instances again, and what had failed because of them."""
        again = self._with_cascaded(instances)
        for instance in again:
            _reset(instance)
        for instance in again:
            paused = instance.component.id in instance.pipeline.paused
            if instance.kind is Kind.RESOURCE and not paused:
                self.resources.create(instance, now)
            elif instance.status is not Status.WAITING_ON_DEPENDENCIES:
                self._start(instance, now)
        self.consider_all(again, now)

    def set(self, instance: Instance, status: Status, now: float) -> None:
        """Give an instance a status, and do all that follows from it."""
        instance.pipeline.change(instance, status)
        if status in TERMINAL:
            instance.ended_at = now
            note_end(instance, now)
            self._timers.stop(instance, *_UNTIL_ENDED)
        self._changed.append((instance, status))
        self._drain(now)

    # What happens by itself

    def _expire(self, instance: Instance, now: float) -> None:
        if instance.kind is Kind.RESOURCE:
            self.end(instance, Status.TIMEDOUT, now, "terminateAfter has passed")
        else:
            self.end(instance, Status.FAILED, now, "preconditionTimeout has passed")

    # Parts

    def _start(self, instance: Instance, now: float) -> None:
        if instance.kind in WITH_TASKS:
            self._start_expiry(instance, now)
            self.attempts.make(instance, now)
        elif instance.kind is Kind.DATA_NODE:
            self.set(instance, Status.FINISHED, now)
        elif instance.kind is Kind.RESOURCE:
            self.resources.create(instance, now)
        else:
            self._start_expiry(instance, now)
            self.set(instance, Status.RUNNING, now)

    def _start_expiry(self, instance: Instance, now: float) -> None:
        timeout = self._reader.period(instance, "preconditionTimeout")
        if timeout is not None and instance.kind in PRECONDITIONS:
            self._timers.set(instance, Due.EXPIRY, now + timeout)

    def _may_start(self, instance: Instance) -> bool:
        pipeline, component = instance.pipeline, instance.component.id
        if component in pipeline.paused:
            return False
        if instance.kind is Kind.RESOURCE:
            return self.resources.is_wanted(instance)
        if instance.rerun or instance.kind in PRECONDITIONS:
            return True
        if pipeline.active_instances[component] < self._reader.max_active(instance):
            return True
        pipeline.waiting[component].hold_back(instance)
        return False

    def _start_next(self, ended: Instance, now: float) -> None:
        """Start instances which `maxActiveInstances` has held back, the oldest first."""
        pipeline, component = ended.pipeline, ended.component.id
        most = self._reader.max_active(ended)
        waiting = pipeline.waiting[component]
        while pipeline.active_instances[component] < most:
            instance = waiting.pop_next()
            if instance is None:
                return
            self.consider(instance, now)
            if waiting.is_held_back(instance):  # by another `maxActiveInstances` than of `ended`
                return

    def _cascade(self, instance: Instance, failed: Instance, now: float) -> None:
        instance.cascaded_on = failed.id
        instance.reason = f"{failed.id} is {failed.status}"
        self.set(instance, Status.CASCADE_FAILED, now)

    def _with_cascaded(self, instances: Iterable[Instance]) -> list[Instance]:
        again = {instance.id: instance for instance in instances}
        pending = list(again.values())
        while pending:
            for instance in self._rerun_with(pending.pop()):
                if instance.id not in again:
                    again[instance.id] = instance
                    pending.append(instance)
        return list(again.values())

    def _rerun_with(self, instance: Instance) -> Iterator[Instance]:
        """Yield what is run again because this instance is."""
        if instance.kind is Kind.RESOURCE:
            users = instance.pipeline.users[instance.id].values()
            yield from (user for user in users if not user.is_open() and user.guards is None)
        for dependant in dependants(instance, self._calendar):
            if dependant.status is Status.CASCADE_FAILED and self._reader.cascades(dependant):
                yield dependant
        if instance.status is Status.CASCADE_FAILED or not instance.attempts:
            guards = (instance.pipeline.instances[guard_id] for guard_id in instance.preconditions)
            yield from (
                guard for guard in guards if guard.status in (Status.CANCELED, Status.SKIPPED)
            )

    def _drain(self, now: float) -> None:
        if self._draining:
            return
        self._draining = True
        try:
            while self._changed:
                self._react(*self._changed.popleft(), now)
        finally:
            self._draining = False

    def _react(self, instance: Instance, status: Status, now: float) -> None:
        for listener in self.listeners:
            listener(instance, status, now)
        if status not in TERMINAL:
            return
        for guard_id in instance.preconditions:
            self.cancel(instance.pipeline.instances[guard_id], now, f"{instance.id} is {status}")
        self.consider_all(dependants(instance, self._calendar), now)
        self._start_next(instance, now)
        self.on_idle(instance.pipeline, now)


def _reset(instance: Instance) -> None:
    instance.tries_left = instance.max_retries
    instance.rerun = True
    instance.ended_at = instance.cascaded_on = instance.reason = instance.checked_at = None
    instance.checks = 0
    if instance.status is Status.CASCADE_FAILED or not instance.attempts:
        instance.pipeline.change(instance, Status.WAITING_ON_DEPENDENCIES)
