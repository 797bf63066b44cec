"""The model of the service behind a lock, for the many threads of an HTTP server."""

from __future__ import annotations

import math
from collections import Counter
from copy import deepcopy
from threading import Condition, RLock
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._replies import Answer, Hang, Reset, Slow
from aiodp.emulator._service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._audit import Audit
    from aiodp.emulator._clock import ServiceClock
    from aiodp.emulator._faults import Fault
    from aiodp.emulator._polls import Pending
    from aiodp.emulator._service import Reply
    from aiodp.emulator._settings import Settings
    from aiodp.emulator._views import TaskView

LOOK_AFTER_CLIENT: Final = 1.0
"""Real seconds between two looks whether the client of a held request is still there."""
_LEAST_PAUSE: Final = 0.001  # a wait that rounds to nothing would spin


class DroppedConnectionError(ConnectionError):
    """The service ends the connection instead of answering; ``reset``: with a TCP reset."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("the service dropped the connection")
        self.reset = reset


class LockedService:
    """The service of one account in one region, safe to use from any thread.

    ``with locked as service:`` gives the model itself while the lock is held. The methods lock for
    the length of one call, and what they return is a copy.
    """

    def __init__(self, clock: ServiceClock, settings: Settings) -> None:
        self._clock = clock
        self._settings = settings
        self._changed = Condition(RLock())
        self._generation = 0
        self._closed = False
        self._start()

    def __enter__(self) -> Service:
        """Take the lock and return the model."""
        self._changed.acquire()
        return self._service

    def __exit__(self, *_: object) -> None:
        """Wake whoever waits for what may have changed, and give the lock back."""
        self._changed.notify_all()
        self._changed.release()

    def request(
        self,
        operation: str,
        params: dict[str, Any],
        gone: Callable[[], bool] = lambda: False,
    ) -> Answer:
        """Return the answer, however long the service holds the request.

        ``gone`` says whether the client hung up; a held poll of such a client gets no task.

        Raises ``DroppedConnectionError`` where there is no answer: by a fault, for a client which
        has gone, and when the service is reset or closed meanwhile.
        """
        with self._changed:
            self._check(self._generation)
            return self._settle(self._service.request(operation, params), gone)

    def reset(self) -> None:
        """Forget everything: the service is as new, and drops every request it holds."""
        with self._changed:
            self._generation += 1
            self._start()
            self._changed.notify_all()

    def close(self) -> None:
        """Drop every request held, and each later one."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def assign(self, count: int = 1, **options: Any) -> list[str]:
        """Make tasks and hand them out now, as ``Service.assign`` does; returns the task ids."""
        with self as service:
            return service.assign(count, **options)

    def cancel(self, task_id: str) -> None:
        """Cancel a task by SetStatus TRY_CANCEL, as ``Service.cancel`` does."""
        with self as service:
            service.cancel(task_id)

    def task(self, task_id: str) -> TaskView:
        """Return what the service knows of a task; raises ``KeyError`` for an id it never gave."""
        with self._changed:
            return self._service.task(task_id)

    def lease_deadline(self, task_id: str) -> float | None:
        """Return the service time from which a report is too late; ``None`` if it is already."""
        with self._changed:
            return self._service.lease_deadline(task_id)

    @property
    def faults(self) -> LockedFaults:
        """The script of what goes wrong."""
        return LockedFaults(self)

    @property
    def now(self) -> float:
        """The service's time."""
        return self._clock()

    @property
    def audit(self) -> Audit:
        """A copy of what happened so far."""
        with self._changed:
            original = self._service.audit
            events = {id(event): event for event in original}  # immutable, so they may be shared
            return deepcopy(original, events)

    @property
    def calls(self) -> Counter[tuple[str, str]]:
        """A copy of the counters by operation and outcome."""
        with self._changed:
            return Counter(self._service.calls)

    def _start(self) -> None:
        self._service = Service(self._clock, self._settings)
        self._service.subscribe(self._changed.notify_all)

    def _check(self, generation: int) -> None:
        if self._closed or generation != self._generation:
            raise DroppedConnectionError(reset=False)

    def _settle(self, reply: Reply, gone: Callable[[], bool]) -> Answer:
        match reply:
            case Answer():
                return reply
            case Reset():
                raise DroppedConnectionError(reset=True)
            case Hang():
                self._linger(math.inf, gone)
                raise DroppedConnectionError(reset=False)
            case Slow(delay=delay, reply=late):
                self._linger(self._clock() + delay, gone)
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

    def _linger(self, until: float, gone: Callable[[], bool]) -> None:
        while self._clock() < until:
            self._pause(until, gone)

    def _pause(self, until: float, gone: Callable[[], bool]) -> None:
        """Wait for a change, at most until then, with the lock given back meanwhile."""
        generation = self._generation
        seconds = self._clock.real(until - self._clock())
        self._changed.wait(min(max(seconds, _LEAST_PAUSE), LOOK_AFTER_CLIENT))
        self._check(generation)
        if gone():
            raise DroppedConnectionError(reset=False)


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
