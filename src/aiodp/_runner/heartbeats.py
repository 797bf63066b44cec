"""The runner's own heartbeats; the first one shows whether the service takes its calls at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from aiodp._aws.advice import remedy_of
from aiodp._aws.errors import TIMED_OUT, code_of, describe
from aiodp._concurrency import first_of
from aiodp._errors import ReportRejected
from aiodp._log import logger
from aiodp._runner.poller import Backoff
from aiodp._runner.shutdown import Step
from aiodp._types import Outcome, ReportKind

if TYPE_CHECKING:
    from aiodp._aws.runner_transport import RunnerTransport
    from aiodp._runner.execution import Shared
    from aiodp._runner.poller import Identity

_ACTION: Final = "ReportTaskRunnerHeartbeat"
_INTERVAL: Final = 900.0  # s of the service: API reference of ReportTaskRunnerHeartbeat
_CHECK_TIMEOUT: Final = 10.0  # seconds for the answer to the first one


class Heartbeats:
    """Tells the service at the start and every 15 minutes that the runner is there."""

    def __init__(self, transport: RunnerTransport, identity: Identity, shared: Shared) -> None:
        self._transport = transport
        self._identity = identity
        self._shutdown = shared.shutdown
        self._scale = shared.scale
        self._backoff = Backoff("heartbeats of the task runner", shared.jitter)
        self._first: bool | Outcome | None = None

    async def check_access(self) -> None:
        """Send the first one, once; raise `ReportRejected` if that shows a wrong configuration.

        Whatever else keeps it from being answered may pass: `run` tries it again.
        """
        with anyio.move_on_after(_CHECK_TIMEOUT) as limit:
            await first_of(self._send_first, self._shutdown.wait_draining)
        if limit.cancelled_caught:
            self._first = TIMED_OUT
        answer = self._first
        if isinstance(answer, Outcome) and answer.kind is ReportKind.CONFIGURATION:
            remedy = remedy_of(code_of(answer.error), _ACTION)
            raise ReportRejected(
                f"the service does not take the calls of this task runner: "
                f"{describe(answer.error)}. {remedy} (check_access=False starts it all the same.)"
            ) from answer.error

    async def run(self) -> None:
        """Send the others, and drain if the service answers `terminate`."""
        while True:
            terminate = await self._send() if self._first is None else self._first
            self._first = None
            delay = _INTERVAL
            if isinstance(terminate, Outcome):
                delay = self._backoff.fail(terminate)
            else:
                self._backoff.succeed()
            if terminate is True and not self._shutdown.is_draining:
                logger.warning("the service tells this task runner to terminate")
                self._shutdown.end_by_itself(Step.DRAINING)
            await anyio.sleep(delay / self._scale)

    async def _send_first(self) -> None:
        self._first = await self._send(once=True)

    async def _send(self, *, once: bool = False) -> bool | Outcome:
        one = self._identity
        return await self._transport.heartbeat(
            one.taskrunner_id, one.worker_group, one.hostname, once=once
        )
