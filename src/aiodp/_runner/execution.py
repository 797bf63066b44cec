"""One task, from the acknowledgement of its lease to its status."""

from __future__ import annotations

from contextlib import asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._concurrency import clock, first_of, timers
from aiodp._core.text import shorten
from aiodp._errors import AiodpError, TaskFailed
from aiodp._log import logger
from aiodp._runner.handlers import Call
from aiodp._runner.log import log_end
from aiodp._runner.result import (
    Action,
    Failed,
    Interrupted,
    Standing,
    Succeeded,
    end_of,
    name_of,
)
from aiodp._runner.returned import fault_of
from aiodp._runner.status import ask_status, log_doubt, set_status
from aiodp._runner.task import Task, stop_error
from aiodp._types import RunEnd, TaskStatus

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from aiodp._aws.queries import PipelineQueries
    from aiodp._core.objects import Assignment
    from aiodp._reporter.access import EngineAccess, StatusAccess
    from aiodp._reporter.record import TaskRecord
    from aiodp._runner.handlers import Activity, Handlers, Limits, Permit
    from aiodp._runner.result import WorkResult
    from aiodp._runner.shutdown import Shutdown

_RETRY_DELAY: Final = 120.0  # seconds of the service, its shortest: Developer Guide, "Limits"
_LAST_STATUS_TIMEOUT: Final = 10.0  # seconds for the status of a task whose runner stops at once
_STATUS_POLL_INTERVAL: Final = 0.05  # seconds between looks at a status that the handler sends


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What all executions of a runner share."""

    handlers: Handlers
    limits: Limits
    queries: PipelineQueries
    shutdown: Shutdown
    scale: float
    """How many seconds of the service pass in one of ours."""
    jitter: Callable[[], float]
    """Draws the numbers from 0 to 1 by which retries are spread."""


class Execution:
    """The work on one task. `released` is set when its lease is given up, or never was held."""

    def __init__(self, assignment: Assignment, permit: Permit, shared: Shared) -> None:
        self.assignment = assignment
        self.permit = permit
        self.released = anyio.Event()
        self.is_held = False  # whether the service has acknowledged the task
        self.task: Task  # from `make_task` on, as the record
        self._record: TaskRecord
        self._shared = shared
        self._stop = anyio.Event()
        self._call_later, self._now = timers(), clock()  # `stop` may be called outside of a task
        self._call: Call | None = None

    def make_task(self, engine: EngineAccess, statuses: StatusAccess, record: TaskRecord) -> Task:
        """Return the task that the handler gets, for `RunnerReporter.track_as`."""
        self._record = record
        record.about = self.assignment.extra
        self.task = Task(
            engine,
            statuses,
            record,
            assignment=self.assignment,
            queries=self._shared.queries,
            stop=self._stop,
        )
        return self.task

    def stop(self) -> None:
        """Interrupt the work, once; it may clean up.

        A status that the handler sends has its last moment first: it may tell of finished work.
        """
        if not self._stop.is_set():
            self._stop.set()
            if self.is_held:
                self._interrupt(latest=self._now() + _LAST_STATUS_TIMEOUT)

    def _interrupt(self, latest: float) -> None:
        record = self._record
        on_the_way = record.status is not None and not record.status_acknowledged
        if on_the_way and self._now() < latest:
            self._call_later(_STATUS_POLL_INTERVAL, lambda: self._interrupt(latest))
        elif record.interrupt is not None:
            record.interrupt()

    async def run(self, earlier: Sequence[Execution]) -> RunEnd:
        """Do the work after all `earlier` executions of the instance, and report its status.

        A cancellation ends the work, but is not raised: the caller is to know the end of the task.
        """
        self.is_held = True
        try:
            result = await self._work(earlier)
        except anyio.get_cancelled_exc_class():
            result = self._result_of_call(canceled=True)
            self.stop()  # which bounds the time for the report
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the task is reported
            result = Failed(error)
        end = await self._report(result)
        log_end(self.assignment, result, end)
        return end

    # The work

    async def _work(self, earlier: Sequence[Execution]) -> WorkResult:
        """Call the handler, for a precondition repeatedly as its fields say."""
        if earlier:
            await self._wait_for_earlier(earlier)
        self.task.raise_if_ended()
        activity = self._shared.handlers.find(self.task)
        deadline = self._precondition_deadline()
        result = await self._call_handler(activity)
        while self._is_undecided(result) and await self._wait_retry(deadline):
            async with self._acquired(self._shared.limits.recheck_permit()):
                result = await self._call_handler(activity)
        return result

    async def _wait_for_earlier(self, earlier: Sequence[Execution]) -> None:
        """Wait for the end of other work on the same instance; the service took it from there."""
        logger.warning(
            "task %s was handed out again while it is worked on here; it waits for that to end",
            self._name,
            extra=self.assignment.extra,
        )

        async def wait_released() -> None:
            async with anyio.create_task_group() as group:
                for execution in earlier:
                    group.start_soon(execution.check_lease, name="aiodp lost task")
            for execution in earlier:
                await execution.released.wait()

        await self._wait_unless_ended(wait_released)

    async def check_lease(self) -> None:
        """Ask the service whether the task is still ours, so that a loss is noticed at once."""
        with suppress(AiodpError):
            if self.is_held:
                await self.task.report()

    async def _call_handler(self, activity: Activity) -> WorkResult:
        permit = self._shared.limits.type_permit(activity)
        async with self._acquired(permit) if permit else nullcontext():
            self._call = Call(activity.handler, self.task, self._shared.limits.threads)
            await self._call.run()
            return self._result_of_call()

    def _result_of_call(self, *, canceled: bool = False) -> WorkResult:
        """Return what became of the last call; `canceled` says that `run` was canceled in it."""
        call = self._call
        if call is not None:
            if call.left_behind:
                return Interrupted()
            if call.has_returned:  # it counts even if the lease ran out meanwhile
                return self._result_of_value(call.returned)
            if call.error is not None and not canceled:
                return Failed(call.error)
        return Failed(stop_error(self.assignment.task_id))

    def _result_of_value(self, value: object) -> WorkResult:
        precondition = self.task.is_precondition
        if value is None or value is True:
            return Succeeded(TaskStatus.FINISHED)
        if value is False and precondition:
            return Succeeded(TaskStatus.FALSE)
        if value is False:
            return Failed(TaskFailed("the handler returned False", error_id="ReturnedFalse"))
        if fault := fault_of(value, is_precondition=precondition):
            return Failed(TaskFailed(fault, error_id="BadReturnValue"))
        what = f"a value of type {name_of(type(value))}"
        message = "task %s: its handler returned %s, which has no meaning; it counts as finished"
        logger.warning(message, self._name, what, extra=self.assignment.extra)
        return Succeeded(TaskStatus.FINISHED)

    # Preconditions: "Task Runner honors the precondition object retryDelay and preconditionTimeout
    # fields that you define on preconditions" (Developer Guide, "Task Runner Threads")

    def _is_undecided(self, result: WorkResult) -> bool:
        """Return whether a precondition does not hold yet, and its handler has not reported so."""
        return result == Succeeded(TaskStatus.FALSE) and not self._record.status_acknowledged

    def _precondition_deadline(self) -> float | None:
        timeout = self._period("preconditionTimeout")
        return None if timeout is None else anyio.current_time() + timeout

    async def _wait_retry(self, deadline: float | None) -> bool:
        """Wait until a precondition is to be evaluated again; return whether it is.

        The permit of the task is released for good meanwhile: a poll may need it for long.
        """
        delay = self._period("retryDelay")
        if delay is None and deadline is None:
            return False  # the service decides when to ask again
        delay = _RETRY_DELAY / self._shared.scale if delay is None else delay
        if deadline is not None and anyio.current_time() + delay > deadline:
            return False
        self.permit.release_early()
        with anyio.move_on_after(delay):
            await self._wait_unless_ended(self._shared.shutdown.wait_draining)
        return not self._shared.shutdown.is_draining

    def _period(self, key: str) -> float | None:
        try:
            period = self.task.attempt.period(key)
        except ValueError as error:
            raise TaskFailed(str(error), error_id="BadDefinition") from error
        return None if period is None else period / self._shared.scale

    # The status

    async def _report(self, result: WorkResult) -> RunEnd:
        """Set the status if one is due; return the end of the task."""
        match result, end_of(result, Standing.of(self._record, self.task.state)):
            case _, RunEnd() as end:
                pass
            case Succeeded() | Failed(), Action.SET_STATUS:
                end = await self._set_status_shielded(result)
            case _:
                return RunEnd(str(self._record.status))  # which the handler has set
        doubtful = self._record.status_in_doubt
        if end is RunEnd.LOST and doubtful is not None:
            return await ask_status(self.task, self.assignment, doubtful, result)
        if end is RunEnd.NO_STATUS and doubtful is not None:
            log_doubt(self.assignment, doubtful, "no try was answered in time")
        return end

    async def _set_status_shielded(self, result: Succeeded | Failed) -> RunEnd:
        """Set the status, for as long as it can be accepted; ten seconds if the runner stops."""
        end = RunEnd.NO_STATUS

        async def report() -> None:
            nonlocal end
            end = await set_status(self.task, self.assignment, result)

        with anyio.CancelScope(shield=True):  # without its status the work would be done again
            await first_of(report, self._wait_last_moment)
        return end

    async def _wait_last_moment(self) -> None:
        await self._stop.wait()
        await anyio.sleep(_LAST_STATUS_TIMEOUT)

    # Parts

    @property
    def _name(self) -> str:
        return shorten(self.assignment.task_id)

    async def _wait_unless_ended(self, wait: Callable[[], Awaitable[object]]) -> None:
        """Wait, but no longer than the task is held and the runner goes on; raise if not."""
        await first_of(wait, self.task.ended.wait, self._stop.wait)
        self.task.raise_if_ended()

    @asynccontextmanager
    async def _acquired(self, permit: Permit) -> AsyncIterator[None]:
        """Hold a permit inside the block; raise if the task ends or the runner stops before."""
        with permit:
            await self._wait_unless_ended(permit.acquire)
            yield
