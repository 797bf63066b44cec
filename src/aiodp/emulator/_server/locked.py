"""The model of the service behind a lock, for the many threads of an HTTP server."""

from __future__ import annotations

import math
from collections import Counter
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from threading import Condition, Lock, RLock
from typing import TYPE_CHECKING, Any, Final

from aiodp._log import logger_of
from aiodp.emulator._clock import JumpingClock
from aiodp.emulator._server.persistence import InMemory
from aiodp.emulator._server.waiting import DroppedConnectionError, Waiting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from aiodp.emulator._clock import Clock
    from aiodp.emulator._model.audit import Audit, AuditEvent
    from aiodp.emulator._model.faults import ActiveFault, Fault
    from aiodp.emulator._model.outside import Outside
    from aiodp.emulator._model.replies import Answer
    from aiodp.emulator._model.runner_registry import TaskRunnerView
    from aiodp.emulator._model.service import Service
    from aiodp.emulator._model.views import TaskView
    from aiodp.emulator._server.persistence import Persistence
    from aiodp.emulator._settings import Settings

logger = logger_of("aiodp.emulator")

_OF_WORKERS: Final = frozenset(
    {"PollForTask", "ReportTaskProgress", "ReportTaskRunnerHeartbeat", "SetTaskStatus"}
)


class LockedService:
    """The service of one account in one region, safe to use from any thread.

    `with locked as service:` gives the model itself while the lock is held. The methods lock for
    the length of one call, and what they return is a copy. The clock may be shared with others:
    the jumps of this service are its own. `on_change` is called when something may be due earlier
    than before, by a thread which holds the lock. `persistence` saves what a call has changed
    before the call returns; the `OSError` is raised if it cannot be saved.
    """

    def __init__(
        self,
        clock: Clock,
        settings: Settings,
        outside: Outside | None = None,
        on_change: Callable[[LockedService], None] = lambda _: None,
        persistence: Persistence | None = None,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._outside = outside
        self._on_change = on_change
        self._persistence = persistence or InMemory()
        self._changed = Condition(RLock())
        self._owners = Lock()
        """For the calls of pipelines' owners, so that one at most is ahead of a worker's call."""
        self._closed = False
        self._time = JumpingClock(clock)
        rate = 1.0 / clock.real(1.0)
        self._serve(self._persistence.begin(self._time, rate, settings, outside))
        self._unsubscribe = clock.subscribe(self._wake)

    def __enter__(self) -> Service:
        """Take the lock and return the model.

        Raises `DroppedConnectionError` once the service is closed: changes are not saved any more.
        """
        self._changed.acquire()
        try:
            self._check_open()
        except BaseException:
            self._changed.release()
            raise
        return self._service

    def __exit__(self, *_: object) -> None:
        """Save, wake whoever waits for what may have changed, and give the lock back."""
        try:
            self._save()
        finally:
            self._changed.notify_all()
            self._changed.release()

    @contextmanager
    def read(self) -> Iterator[Service]:
        """Take the lock and return the model, to read only: no request which waits is woken.

        A closed service can still be read.
        """
        with self._changed:
            yield self._service

    def request(
        self,
        operation: str,
        params: dict[str, Any],
        gone: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """Return the answer, however long the service holds the request.

        `gone` says whether the client hung up; a held poll of such a client gets no task.

        Raises `DroppedConnectionError` where there is no answer: by a fault, for a client which
        has gone, and when the service is reset or closed meanwhile.
        """
        with ExitStack() as turn:
            if operation not in _OF_WORKERS:
                turn.enter_context(self._owners)
                params = self._service.prepare(operation, params)
            with self._changed:
                self._check_open()
                try:
                    reply = self._service.request(operation, params)
                    turn.close()
                    return self._waiting.wait_for(reply, gone)
                finally:
                    self._save()

    def run_due(self) -> float:
        """Let happen what is due; return the real seconds until something else is, or infinity."""
        with self._changed:
            event = None if self._closed else self._service.next_event()
            self._save_if_possible()
            return math.inf if event is None else self._clock.real(event - self._time())

    def reset(self) -> None:
        """Drop every request which waits, and begin with a new service; the time goes on.

        Raises `DroppedConnectionError` once the service is closed, and `OSError` if the new
        service cannot be saved: nothing has changed then.
        """
        with self._changed:
            self._check_open()
            time = self._time.copy()
            service = self._persistence.renew(time, self._settings, self._outside)
            self._time = time
            self._serve(service)
            self._changed.notify_all()

    def close(self) -> None:
        """Drop every request which waits, and each later one; the model can still be read."""
        self._unsubscribe()
        with self._changed:
            self._save_if_possible()
            self._closed = True
            self._changed.notify_all()

    # What `Service` does, for the length of one call

    def perform(self, operation: str, **params: Any) -> dict[str, Any]:
        """Do a call of the API at no quota's cost, as `Service.perform` does."""
        with self as service:
            return service.perform(operation, **params)

    def assign(self, count: int = 1, **options: Any) -> list[str]:
        """Make tasks and hand them out now, as `Service.assign` does; returns the task ids."""
        with self as service:
            return service.assign(count, **options)

    def cancel(self, task_id: str) -> None:
        """Cancel a task by SetStatus TRY_CANCEL, as `Service.cancel` does."""
        with self as service:
            service.cancel(task_id)

    def jump(self, seconds: float) -> None:
        """Let the time of this service alone jump ahead, as `Service.jump` does."""
        with self as service:
            service.jump(seconds)

    def give_away(self, task_id: str) -> None:
        """End a task's lease now, as `Service.give_away` does."""
        with self as service:
            service.give_away(task_id)

    def terminate(self, taskrunner_id: str) -> None:
        """Tell a task runner to terminate, as `Service.terminate` does."""
        with self as service:
            service.terminate(taskrunner_id)

    @property
    def runners(self) -> tuple[TaskRunnerView, ...]:
        """The task runners which sent a heartbeat; the latest is the last."""
        with self.read() as service:
            return service.runners

    def task(self, task_id: str) -> TaskView:
        """Return what the service knows of a task; raises `KeyError` for an id it never gave."""
        with self.read() as service:
            return service.task(task_id)

    def lease_deadline(self, task_id: str) -> float | None:
        """Return the service time from which a report is too late; `None` if it is already."""
        with self.read() as service:
            return service.lease_deadline(task_id)

    @property
    def faults(self) -> LockedFaults:
        """The script of what goes wrong."""
        return LockedFaults(self)

    @property
    def now(self) -> float:
        """The service's time."""
        return self._time()

    @property
    def audit(self) -> Audit:
        """A copy of what happened so far."""
        with self.read() as service:
            events = {id(event): event for event in service.audit}  # immutable: they are shared
            return deepcopy(service.audit, events)

    def events(self, since: int = 0, most: int | None = None) -> list[AuditEvent]:
        """Return the events of the audit from the one with that number on, `most` at most."""
        with self.read() as service:
            service.advance()
            return service.audit.page(since, most)[1]

    @property
    def calls(self) -> Counter[tuple[str, str]]:
        """A copy of the counters by operation and outcome."""
        with self.read() as service:
            return Counter(service.calls)

    # What the methods above have in common

    def _serve(self, service: Service) -> None:
        self._service = service
        self._waiting = Waiting(service, self._clock, lambda seconds: self._pause(service, seconds))
        service.subscribe(self._announce)
        self._on_change(self)

    def _pause(self, service: Service, seconds: float) -> None:
        """Save, and give the lock back until something changes, at most so many real seconds."""
        self._save()
        self._changed.wait(seconds)
        self._check_open()
        if service is not self._service:  # it was reset meanwhile
            raise DroppedConnectionError

    def _check_open(self) -> None:
        if self._closed:
            raise DroppedConnectionError

    def _wake(self) -> None:
        with self._changed:
            self._announce()
            self._save_if_possible()

    def _announce(self) -> None:
        self._changed.notify_all()
        self._on_change(self)

    def _save(self) -> None:
        if not self._closed:
            self._persistence.save()

    def _save_if_possible(self) -> None:
        """Save what happened by itself; if that fails, it is tried again with the next call."""
        try:
            self._save()
        except OSError as error:
            logger.warning("the service's state was not saved", extra={"reason": repr(error)})


class LockedFaults:
    """The script of faults, safe to change from any thread."""

    def __init__(self, locked: LockedService) -> None:
        self._locked = locked

    def add(self, fault: Fault) -> None:
        """Put a fault into the script."""
        with self._locked as service:
            service.faults.add(fault)

    def clear(self) -> None:
        """End every fault; calls which hang go on hanging until their client gives up."""
        with self._locked as service:
            service.faults.clear()

    @property
    def active(self) -> tuple[ActiveFault, ...]:
        """The faults which are not over."""
        with self._locked.read() as service:
            return service.faults.active
