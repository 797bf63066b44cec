"""The model of the service behind a lock, for the many threads of an HTTP server."""

from __future__ import annotations

import logging
import math
from collections import Counter
from contextlib import suppress
from copy import deepcopy
from threading import Condition, RLock
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._clock import LeapingClock
from aiodp.emulator._model.replies import Answer, Hang, Reset, Slow
from aiodp.emulator._server.keeping import InMemory

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._clock import Clock
    from aiodp.emulator._model.audit import Audit, AuditEvent
    from aiodp.emulator._model.faults import ActiveFault, Fault
    from aiodp.emulator._model.outside import Outside
    from aiodp.emulator._model.replies import Pending, Reply
    from aiodp.emulator._model.runner_registry import TaskRunnerView
    from aiodp.emulator._model.service import Service
    from aiodp.emulator._model.views import TaskView
    from aiodp.emulator._server.keeping import Keeping
    from aiodp.emulator._settings import Settings

logger = logging.getLogger("aiodp.emulator")
LOOK_AFTER_CLIENT: Final = 1.0
"""Real seconds between two looks whether the client of a held request is still there."""
_LEAST_PAUSE: Final = 0.001  # a wait that rounds to nothing would spin


class DroppedConnectionError(ConnectionError):
    """The service ends the connection instead of answering; `reset`: with a TCP reset.

    `outcome` is the fault's name if it was one, else "dropped".
    """

    def __init__(self, *, reset: bool = False, outcome: str = "dropped") -> None:
        super().__init__("the service dropped the connection")
        self.reset = reset
        self.outcome = outcome


class LockedService:
    """The service of one account in one region, safe to use from any thread.

    `with locked as service:` gives the model itself while the lock is held. The methods lock for
    the length of one call, and what they return is a copy. The clock may be shared with others:
    the leaps of this service are its own. `on_change` is called when something may be due earlier
    than before, by a thread which holds the lock. What a call has changed is kept by `keeping`
    before the call returns, whose `OSError` is raised if it cannot be.
    """

    def __init__(
        self,
        clock: Clock,
        settings: Settings,
        outside: Outside | None = None,
        on_change: Callable[[LockedService], None] = lambda _: None,
        keeping: Keeping | None = None,
    ) -> None:
        self._clock = clock
        self._settings = settings
        self._outside = outside
        self._on_change = on_change
        self._keeping = keeping or InMemory()
        self._changed = Condition(RLock())
        self._generation = 0
        self._closed = False
        self._time = LeapingClock(clock)
        rate = 1.0 / clock.real(1.0)
        self._serve(self._keeping.begin(self._time, rate, settings, outside))
        self._unsubscribe = clock.subscribe(self._wake)

    def __enter__(self) -> Service:
        """Take the lock and return the model.

        Raises `DroppedConnectionError` once the service is closed: nothing is kept any more.
        """
        self._changed.acquire()
        try:
            self._check(self._generation)
        except BaseException:
            self._changed.release()
            raise
        return self._service

    def __exit__(self, *_: object) -> None:
        """Wake whoever waits for what may have changed, and give the lock back."""
        try:
            self._keep()
        finally:
            self._changed.notify_all()
            self._changed.release()

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
        with self._changed:
            self._check(self._generation)
            try:
                return self._settle(self._service.request(operation, params), gone)
            finally:
                self._keep()

    def settle(self) -> float:
        """Let happen what is due; return the real seconds until something else is, or infinity."""
        with self._changed:
            event = math.inf if self._closed else self._service.next_event()
            self._keep_if_possible()
            return math.inf if event is None else self._clock.real(event - self._time())

    def reset(self) -> None:
        """Forget everything but the time: it drops every request it holds, and is as new.

        Raises `DroppedConnectionError` once the service is closed, and `OSError` if the new
        one cannot be kept: all is as it was then.
        """
        with self._changed:
            self._check(self._generation)
            time = self._time.copy()
            service = self._keeping.renew(time, self._settings, self._outside)
            self._generation += 1
            self._time = time
            self._serve(service)
            self._changed.notify_all()

    def close(self) -> None:
        """Drop every request held, and each later one; what it knows can still be read."""
        self._unsubscribe()
        with self._changed:
            self._keep_if_possible()
            self._closed = True
            self._changed.notify_all()

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
        """Let the time of this service alone leap ahead, as `Service.jump` does."""
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
        with self._changed:
            return self._service.runners

    def task(self, task_id: str) -> TaskView:
        """Return what the service knows of a task; raises `KeyError` for an id it never gave."""
        with self._changed:
            return self._service.task(task_id)

    def lease_deadline(self, task_id: str) -> float | None:
        """Return the service time from which a report is too late; `None` if it is already."""
        with self._changed:
            return self._service.lease_deadline(task_id)

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
        with self._changed:
            original = self._service.audit
            events = {id(event): event for event in original}  # immutable, so they may be shared
            return deepcopy(original, events)

    def events(self, since: int = 0, most: int | None = None) -> list[AuditEvent]:
        """Return the events of the audit from the one with that number on, `most` at most."""
        with self._changed:
            self._service.advance()
            return self._service.audit[since : None if most is None else since + most]

    @property
    def calls(self) -> Counter[tuple[str, str]]:
        """A copy of the counters by operation and outcome."""
        with self._changed:
            return Counter(self._service.calls)

    def _serve(self, service: Service) -> None:
        self._service = service
        service.subscribe(self._announce)
        self._on_change(self)

    def _wake(self) -> None:
        with self._changed:
            self._announce()
            self._keep_if_possible()

    def _announce(self) -> None:
        self._changed.notify_all()
        self._on_change(self)

    def _keep(self) -> None:
        if not self._closed:
            self._keeping.save()

    def _keep_if_possible(self) -> None:
        """Keep what happened by itself; it is tried again with the next call."""
        try:
            self._keep()
        except OSError as error:
            logger.warning("the service's state was not kept", extra={"reason": repr(error)})

    def _check(self, generation: int) -> None:
        if self._closed or generation != self._generation:
            raise DroppedConnectionError

    def _settle(self, reply: Reply, gone: Callable[[], bool]) -> Answer:
        match reply:
            case Answer():
                return reply
            case Reset(outcome=outcome):
                raise DroppedConnectionError(reset=True, outcome=outcome)
            case Hang(outcome=outcome):
                raise self._hang(outcome, gone)
            case Slow(delay=delay, reply=late):
                self._linger(self._time() + delay, gone)
                return self._settle(late, gone)
            case _:
                return self._hold(reply, gone)

    def _hold(self, poll: Pending, gone: Callable[[], bool]) -> Answer:
        try:
            while True:
                event = self._service.next_event()
                self._pause(poll.deadline if event is None else min(event, poll.deadline), gone)
                answer = poll.resume()
                if answer is not None:
                    return answer
        finally:
            poll.abandon()

    def _hang(self, outcome: str, gone: Callable[[], bool]) -> DroppedConnectionError:
        with suppress(DroppedConnectionError):  # this call's own outcome is the fault's
            self._linger(math.inf, gone)
        return DroppedConnectionError(outcome=outcome)

    def _linger(self, until: float, gone: Callable[[], bool]) -> None:
        while self._time() < until:
            self._pause(until, gone)

    def _pause(self, until: float, gone: Callable[[], bool]) -> None:
        """Wait for a change, at most until then, with the lock given back meanwhile."""
        generation = self._generation
        seconds = self._clock.real(until - self._time())
        self._keep()
        self._changed.wait(min(max(seconds, _LEAST_PAUSE), LOOK_AFTER_CLIENT))
        self._check(generation)
        if gone():
            raise DroppedConnectionError


class LockedFaults:
    """The script of faults, safe to change from any thread."""

    def __init__(self, service: LockedService) -> None:
        self._service = service

    def add(self, fault: Fault) -> None:
        """Put a fault into the script."""
        with self._service as service:
            service.faults.add(fault)

    def clear(self) -> None:
        """End every fault; calls which hang go on hanging until their client gives up."""
        with self._service as service:
            service.faults.clear()

    @property
    def active(self) -> tuple[ActiveFault, ...]:
        """The faults which are not over."""
        with self._service._changed:  # this class is a part of that one
            return self._service._service.faults.active
