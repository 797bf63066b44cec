"""When to poll, and how long to wait after polls that fail."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import anyio

from aiodp._aws.errors import describe
from aiodp._core.lease import TICK
from aiodp._log import logger
from aiodp._types import Outcome, ReportKind

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiodp._aws.runner_transport import RunnerTransport

_RATE: Final = 2.0  # calls per second that an account may make: Developer Guide, "Limits"
_MIN_DELAY: Final = 1.0  # seconds of the service after a first failure
_MAX_DELAY: Final = 60.0
_MAX_DOUBLINGS: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a runner tells the service of itself."""

    worker_group: str
    taskrunner_id: str
    hostname: str


class Backoff:
    """The growing delays of calls that fail. Only a change of their failure is logged."""

    def __init__(self, calls: str, jitter: Callable[[], float]) -> None:
        self.count = 0
        self._calls = calls
        self._jitter = jitter
        self._failures = 0
        self._kind: ReportKind | None = None

    def fail(self, outcome: Outcome) -> float:
        """Count a failure; return the delay before the next call, in seconds of the service."""
        self.count += 1
        self._failures += 1
        if outcome.kind is not self._kind:
            self._kind = outcome.kind
            level = logging.ERROR if outcome.kind is ReportKind.CONFIGURATION else logging.WARNING
            error = describe(outcome.error)
            extra = {"kind": outcome.kind.value, "error": error}
            logger.log(level, "%s fail (%s): %s", self._calls, outcome.kind, error, extra=extra)
        doubled = _MIN_DELAY * 2.0 ** min(self._failures - 1, _MAX_DOUBLINGS)
        return float(min(_MAX_DELAY, doubled) * (1 - self._jitter() / 2))

    def succeed(self) -> None:
        """Forget the failures."""
        if self._kind is not None:
            logger.info("%s succeed again", self._calls)
        self._failures = 0
        self._kind = None


class Poller:
    """Polls a worker group at the service's pace. `scale` service seconds pass in one of ours."""

    def __init__(
        self,
        transport: RunnerTransport,
        identity: Identity,
        *,
        scale: float,
        jitter: Callable[[], float],
    ) -> None:
        self.polls = 0
        self.outstanding = 0
        self.unanswered = Backoff("polls", jitter)
        self.unacknowledged = Backoff("acknowledgements of tasks", jitter)
        self._transport = transport
        self._identity = identity
        self._scale = scale
        self._next_at = anyio.current_time()

    async def wait_turn(self) -> None:
        """Return when the next poll may be made."""
        while (now := anyio.current_time()) < self._next_at:  # noqa: ASYNC110 - that may change
            await anyio.sleep(max(self._next_at - now, TICK))
        self._next_at = anyio.current_time() + 1 / (_RATE * self._scale)

    async def poll(self) -> Mapping[str, Any] | None:
        """Poll once; return a taskObject, or None if there is no task, or no answer."""
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
        return answer

    def wait_after(self, backoff: Backoff, outcome: Outcome) -> None:
        """Let the next polls wait because a poll, or what followed it, failed."""
        delay = backoff.fail(outcome) / self._scale
        self._next_at = max(self._next_at, anyio.current_time() + delay)
