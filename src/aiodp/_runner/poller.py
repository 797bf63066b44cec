"""When to poll, and what to make of polls that fail."""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING, Any, Final

import anyio

from aiodp._aws.transport import describe
from aiodp._core.lease import TICK
from aiodp._types import Outcome, ReportKind

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiodp._aws.runner_transport import RunnerTransport

logger = logging.getLogger("aiodp")

_RATE: Final = 2.0  # calls per second that an account may make: Developer Guide, "Limits"
_SHORTEST_WAIT: Final = 1.0  # seconds after a first failure
_LONGEST_WAIT: Final = 60.0
_MAX_DOUBLINGS: Final = 10


class Trouble:
    """One thing that fails, again and again: how long to wait, and what to say about it."""

    def __init__(self, what: str) -> None:
        self.count = 0
        self._what = what
        self._failures = 0
        self._kind: ReportKind | None = None

    def fail(self, outcome: Outcome) -> float:
        """Count a failure; return the seconds to wait, more each time."""
        self.count += 1
        self._failures += 1
        if outcome.kind is not self._kind:  # a change, and not its repetition
            self._kind = outcome.kind
            level = logging.ERROR if outcome.kind is ReportKind.CONFIGURATION else logging.WARNING
            error = describe(outcome.error)
            extra = {"kind": outcome.kind.value, "error": error}
            logger.log(level, "%s fail (%s): %s", self._what, outcome.kind, error, extra=extra)
        doubled = _SHORTEST_WAIT * 2.0 ** min(self._failures - 1, _MAX_DOUBLINGS)
        jitter = random.random()  # noqa: S311 - spreads retries, keeps no secret
        return float(min(_LONGEST_WAIT, doubled) * (1 - jitter / 2))

    def succeed(self) -> None:
        """Forget the failures."""
        if self._kind is not None:
            logger.info("%s succeed again", self._what)
        self._failures = 0
        self._kind = None


class Poller:
    """Polls a worker group at the service's pace. `scale` service seconds pass in one of ours."""

    def __init__(
        self, transport: RunnerTransport, *, worker_group: str, hostname: str, scale: float
    ) -> None:
        self.polls = 0
        self.outstanding = 0
        self.unanswered = Trouble("polls")
        self.unacknowledged = Trouble("acknowledgements of tasks")
        self._transport = transport
        self._worker_group = worker_group
        self._hostname = hostname
        self._scale = scale
        self._next_at = anyio.current_time()

    async def turn(self) -> None:
        """Return when the next poll may be made."""
        while (now := anyio.current_time()) < self._next_at:  # noqa: ASYNC110 - may be put off
            await anyio.sleep(max(self._next_at - now, TICK))
        self._next_at = anyio.current_time() + 1 / (_RATE * self._scale)

    async def poll(self) -> Mapping[str, Any] | None:
        """Poll once; return a taskObject, or None if there is no task, or no answer."""
        self.polls += 1
        self.outstanding += 1
        try:
            answer = await self._transport.poll(self._worker_group, self._hostname)
        finally:
            self.outstanding -= 1
        if isinstance(answer, Outcome):
            self.wait_after(self.unanswered, answer)
            return None
        self.unanswered.succeed()
        return answer

    def wait_after(self, trouble: Trouble, outcome: Outcome) -> None:
        """Let the next polls wait because a poll, or what followed it, failed."""
        wait = trouble.fail(outcome) / self._scale
        self._next_at = max(self._next_at, anyio.current_time() + wait)
