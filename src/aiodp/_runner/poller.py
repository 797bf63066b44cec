"""When to poll, and how long to wait after polls that fail."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio

from aiodp._aws.errors import describe
from aiodp._core.lease import TICK
from aiodp._core.objects import read_assignment
from aiodp._log import OncePer, logger
from aiodp._types import Outcome, ReportKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiodp._aws.runner_transport import RunnerTransport
    from aiodp._runner.execution import Shared

_RATE: Final = 2.0  # calls per second that an account may make: Developer Guide, "Limits"
_MIN_DELAY: Final = 1.0  # seconds of the service after a first failure
_MAX_DELAY: Final = 60.0
_MAX_LEAVING_DELAY: Final = 150.0
"""Often more than the two minutes after which the service offers a task again.

Else the poll that has waited for longest then, which gets it, could be of this runner each time.
"""
_LOG_INTERVAL: Final = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a runner tells the service of itself."""

    worker_group: str
    taskrunner_id: str
    hostname: str


class Backoff:
    """The growing delays of calls that fail. Only a change of their failure is logged."""

    def __init__(
        self, calls: str, jitter: Callable[[], float], max_delay: float = _MAX_DELAY
    ) -> None:
        self.count = 0
        self._calls = calls
        self._jitter = jitter
        self._max_delay = max_delay
        self._next = _MIN_DELAY
        self._kind: ReportKind | None = None

    def fail(self, outcome: Outcome) -> float:
        """Count a failure; return the delay before the next call, in seconds of the service."""
        self.count += 1
        if outcome.kind is not self._kind:
            self._kind = outcome.kind
            level = logging.ERROR if outcome.kind is ReportKind.CONFIGURATION else logging.WARNING
            error = describe(outcome.error)
            extra = {"kind": outcome.kind.value, "error": error}
            logger.log(level, "%s fail (%s): %s", self._calls, outcome.kind, error, extra=extra)
        return self.next_delay()

    def next_delay(self) -> float:
        """Return the delay before the next call, which is longer each time."""
        delay, self._next = self._next, min(2 * self._next, self._max_delay)
        return delay * (1 - self._jitter() / 2)

    def succeed(self) -> None:
        """Forget the failures."""
        if self._kind is not None:
            logger.info("%s succeed again", self._calls)
        self._next = _MIN_DELAY
        self._kind = None


class Poller:
    """Polls a worker group at the service's pace."""

    def __init__(self, transport: RunnerTransport, identity: Identity, shared: Shared) -> None:
        self.polls = 0
        self.outstanding = 0
        self.left = 0
        self.unanswered = Backoff("polls", shared.jitter)
        self.unacknowledged = Backoff("acknowledgements of tasks", shared.jitter)
        self._unsupported = Backoff("tasks of other types", shared.jitter, _MAX_LEAVING_DELAY)
        self._transport = transport
        self._identity = identity
        self._handlers = shared.handlers
        self._scale = shared.scale
        self._log = OncePer(_LOG_INTERVAL / shared.scale)
        self._next_at = anyio.current_time()

    async def wait_turn(self) -> None:
        """Return when the next poll may be made."""
        while (now := anyio.current_time()) < self._next_at:  # noqa: ASYNC110 - that may change
            await anyio.sleep(max(self._next_at - now, TICK))
        self._next_at = anyio.current_time() + 1 / (_RATE * self._scale)

    async def poll(self) -> Mapping[str, Any] | None:
        """Poll once; return a taskObject, or None without an answer, or a task to be done here."""
        self.polls += 1
        self.outstanding += 1
        try:
            answer = await self._transport.poll(
                self._identity.worker_group, self._identity.hostname
            )
        finally:
            self.outstanding -= 1
        if isinstance(answer, Outcome):
            self.wait_after(self.unanswered, answer)
            return None
        self.unanswered.succeed()
        return None if answer is None or self._leave(answer) else answer

    def wait_after(self, backoff: Backoff, outcome: Outcome) -> None:
        """Let the next polls wait because a poll, or what followed it, failed."""
        self._wait(backoff.fail(outcome))

    def _leave(self, answer: Mapping[str, Any]) -> bool:
        """Return whether a task is left to other runners; the next poll waits then.

        The service offers it again after two minutes. A runner that polled on would have the tasks
        of other types nearly always, and keep them from those who can do them.
        """
        if not self._handlers.leave:
            return False
        try:
            assignment = read_assignment(answer, anyio.current_time())
        except ValueError:
            return False  # which is a failure of the task
        if self._handlers.has(assignment.type):
            self._unsupported.succeed()
            return False
        self.left += 1
        delay = self._unsupported.next_delay()
        self._wait(delay)
        self._log.log(
            logging.WARNING,
            assignment.type,
            "%s is left to other runners, as are others of its type: this one has no handler for "
            "them; polls wait for %.1f s, longer each time, until a task comes that it can do",
            assignment,
            delay,
            **assignment.extra,
        )
        return True

    def _wait(self, delay: float) -> None:
        delay /= self._scale
        self._next_at = max(self._next_at, anyio.current_time() + delay)
