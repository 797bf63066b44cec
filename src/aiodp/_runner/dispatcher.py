"""One shift of a task runner: from the first poll until the last task has its status."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio

from aiodp._core.assignment import read_assignment
from aiodp._errors import (
    AiodpError,
    LeaseLost,
    ReporterClosed,
    ReportRejected,
    RunnerStopped,
)
from aiodp._runner.execution import Run
from aiodp._runner.poller import Poller, Trouble
from aiodp._runner.shutdown import Step
from aiodp._runner.slots import Slot
from aiodp._runner.task import Task
from aiodp._types import LostReason, Outcome, ReportKind, RunEnd, TaskStatus
from aiodp._waiting import first_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anyio.abc import TaskGroup

    from aiodp._aws.queries import PipelineQueries
    from aiodp._aws.runner_transport import RunnerTransport
    from aiodp._core.assignment import Assignment
    from aiodp._core.timing import Timing
    from aiodp._reporter.runner_reporter import RunnerReporter
    from aiodp._runner.shutdown import Shutdown
    from aiodp._runner.workshop import Workshop

logger = logging.getLogger("aiodp")

_HEARTBEAT: Final = 900.0  # seconds of the service: API reference of ReportTaskRunnerHeartbeat
_LAST_ANSWER: Final = 2.0  # seconds for the answer of a poll that is under way when a drain begins
_CLEAN_UP: Final = 30.0  # seconds for handlers that are interrupted
_ROOM_AGAIN: Final = 5.0  # seconds of the service until the quota is looked at again


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """How a runner shows itself to the service."""

    worker_group: str
    taskrunner_id: str
    hostname: str


class Shift:
    """Polls while there are slots, and holds what the polls bring."""

    def __init__(
        self,
        identity: Identity,
        shop: Workshop,
        shutdown: Shutdown,
        *,
        reporter: RunnerReporter,
        transport: RunnerTransport,
        queries: PipelineQueries,
        drain_timeout: float | None,
    ) -> None:
        self.ended: Counter[RunEnd] = Counter()
        self.received = 0
        self.failure: BaseException | None = None
        self.poller = Poller(
            transport,
            worker_group=identity.worker_group,
            hostname=identity.hostname,
            scale=shop.scale,
        )
        self.runs: dict[Run, None] = {}
        self._unheld: set[Slot] = set()  # of polls, and of tasks that are not acknowledged yet
        self._identity = identity
        self._shop = shop
        self._shutdown = shutdown
        self._reporter = reporter
        self._transport = transport
        self._queries = queries
        self._drain_timeout = drain_timeout
        self._max_tasks: int | None = None
        self._polls: dict[anyio.CancelScope, None] = {}
        self._dispatching = anyio.CancelScope()
        self._all = anyio.CancelScope(shield=True)
        self._changed = anyio.Event()

    async def run(self, *, max_tasks: int | None, once: bool) -> None:
        """Work until the shutdown has come to its end, or as much as there was to be done.

        Raises `RunnerStopped` if somebody canceled what this has running inside.
        """
        self._max_tasks = max_tasks
        over = False
        with self._all:
            async with anyio.create_task_group() as background:
                background.start_soon(self._beat, name="aiodp task runner heartbeat")
                background.start_soon(self._end_polls, name="aiodp end of polls")
                background.start_soon(self._limit_drain, name="aiodp limit of a drain")
                async with anyio.create_task_group() as work:
                    self._shutdown.on_step(self._on_step)
                    with self._dispatching:
                        await self._dispatch(work, once=once)
                over = True
                background.cancel_scope.cancel()
        if not (over or self._all.cancel_called):
            raise RunnerStopped("the task runner was broken off from inside the event loop")

    # Polling

    async def _dispatch(self, work: TaskGroup, *, once: bool) -> None:
        budget = anyio.Semaphore(self._max_tasks) if self._max_tasks else None
        while True:
            slot = Slot(self._shop.slots)
            await slot.take()
            try:
                if budget is not None:
                    await budget.acquire()
                await self._room()
                await self.poller.turn()
            except BaseException:
                slot.release()
                raise
            self._unheld.add(slot)
            work.start_soon(self._fill, slot, budget, name="aiodp task runner slot")
            if once:
                return

    async def _room(self) -> None:
        """Wait until the quota can keep one more task alive."""
        engine = self._reporter._open_engine()
        while not self._reporter.has_room(len(self._unheld) + 1):
            message = "no polls until the quota can keep more tasks alive"
            engine.note("room", logging.WARNING, message)
            with anyio.move_on_after(_ROOM_AGAIN / self._shop.scale):
                await self._changed.wait()

    async def _fill(self, slot: Slot, budget: anyio.Semaphore | None) -> None:
        answer = None
        try:
            answer = await self._poll()
            if answer is not None:
                await self._take(answer, slot)
        except anyio.get_cancelled_exc_class():
            if self._all.cancel_called:
                raise
            # Asyncio's own, when the event loop ends: it must not cancel the others of the group.
        except Exception:  # a fault of ours must not end the other tasks
            logger.critical("a fault in the task runner itself", exc_info=True)
        finally:
            self._unheld.discard(slot)
            slot.release()
            if answer is None and budget is not None:
                budget.release()

    async def _poll(self) -> Mapping[str, Any] | None:
        if self._shutdown.step >= Step.DRAINING:
            return None
        with anyio.CancelScope() as scope:
            self._polls[scope] = None
            try:
                answer = await self.poller.poll()
            finally:
                del self._polls[scope]
            if answer is not None:
                self.received += 1
                if self.received == self._max_tasks:
                    self._dispatching.cancel()
            return answer
        return None

    # Tasks

    async def _take(self, answer: Mapping[str, Any], slot: Slot) -> None:
        try:
            assignment = read_assignment(answer, anyio.current_time())
            timing = self._reporter.timing_of(self._lease_timeout(assignment))
        except ValueError as error:
            await self._refuse(answer, error)
            return
        await self._hold(assignment, slot, timing)

    async def _refuse(self, answer: Mapping[str, Any], error: ValueError) -> None:
        """Fail a task that cannot be held as it is, or it would be handed out for ever."""
        logger.error("a task cannot be held: %s", error)
        end = RunEnd.UNACKNOWLEDGED
        try:
            async with self._reporter.track(answer.get("taskId", "")) as task:
                await task.set_status(
                    TaskStatus.FAILED, error_id="MalformedTask", error_message=str(error)
                )
                end = RunEnd.FAILED
        except (AiodpError, ValueError) as refused:
            logger.warning("it could not be failed: %s", refused)
        self.ended[end] += 1

    async def _hold(self, assignment: Assignment, slot: Slot, timing: Timing) -> None:
        earlier = [one for one in self.runs if one.assignment.instance == assignment.instance]
        if assignment.task_id in {one.assignment.task_id for one in earlier}:
            logger.warning("%s was given twice", assignment, extra=assignment.extra)
            self.ended[RunEnd.DUPLICATE] += 1
            return
        run = Run(assignment, self._shop, slot)
        self.runs[run] = None
        if self._shutdown.step >= Step.CANCELING:
            run.stop()
        try:
            await self._track(run, earlier, timing)
        finally:
            self.ended[run.end] += 1
            del self.runs[run]
            run.over.set()
            self._changed.set()
            self._changed = anyio.Event()

    async def _track(self, run: Run, earlier: Sequence[Run], timing: Timing) -> None:
        assignment = run.assignment
        make = partial(Task, assignment=assignment, queries=self._queries)
        try:
            async with self._reporter.track_as(
                make,
                assignment.task_id,
                timing=timing,
                assigned_at=assignment.assigned_at,
            ) as task:
                self._unheld.discard(run.slot)
                self.poller.unacknowledged.succeed()
                logger.info("%s: begun", assignment, extra=assignment.extra)
                await run.work(task, earlier)
        except (AiodpError, ValueError) as error:  # the latter for a task id that cannot be one
            run.end = RunEnd.UNACKNOWLEDGED
            self._not_acknowledged(assignment, error)

    def _lease_timeout(self, assignment: Assignment) -> float | None:
        period = assignment.attempt.period("reportProgressTimeout")
        return None if period is None else period / self._shop.scale

    def _not_acknowledged(self, assignment: Assignment, error: Exception) -> None:
        """Poll more slowly, for what was not acknowledged is offered again after two minutes."""
        logger.info("%s: not begun: %s", assignment, error, extra=assignment.extra)
        if isinstance(error, ReporterClosed):
            self.failure = error
            self._shutdown.reach(Step.CANCELING)
        elif not (isinstance(error, LeaseLost) and error.reason is LostReason.REFUSED):
            rejected = isinstance(error, ReportRejected)
            kind = ReportKind.CONFIGURATION if rejected else ReportKind.UNEXPECTED
            self.poller.wait_after(self.poller.unacknowledged, Outcome(kind=kind, error=error))

    # The runner's own heartbeat

    async def _beat(self) -> None:
        trouble = Trouble("heartbeats of the task runner")
        one = self._identity
        while True:
            answer = await self._transport.heartbeat(
                one.taskrunner_id, one.worker_group, one.hostname
            )
            if isinstance(answer, Outcome):
                wait = trouble.fail(answer)
            else:
                trouble.succeed()
                wait = _HEARTBEAT
            if answer is True and self._shutdown.step < Step.DRAINING:
                logger.warning("the service tells this task runner to terminate")
                self._shutdown.reach(Step.DRAINING)
            await anyio.sleep(wait / self._shop.scale)

    # The end

    def _on_step(self, step: Step) -> None:
        if step is Step.DRAINING:
            self._dispatching.cancel()
        elif step is Step.CANCELING:
            self._break_off_polls()
            for run in list(self.runs):
                run.stop()
        else:
            self._all.cancel()

    async def _end_polls(self) -> None:
        """Break off the polls of a drain once no task runs: what one brings meanwhile is run."""
        await self._shutdown.wait(Step.DRAINING)
        await anyio.sleep(_LAST_ANSWER)
        while self.runs:
            await self._changed.wait()
        self._break_off_polls()

    def _break_off_polls(self) -> None:
        if self._polls:
            logger.warning(
                "polls are broken off (%d); if the service has just given one a task, it offers "
                "that again after two minutes",
                len(self._polls),
            )
        for scope in list(self._polls):
            scope.cancel()

    async def _limit_drain(self) -> None:
        await self._shutdown.wait(Step.DRAINING)
        if self._shutdown.step is Step.DRAINING:
            limit = anyio.sleep_forever if self._drain_timeout is None else self._drained_too_long
            await first_of(limit, partial(self._shutdown.wait, Step.CANCELING))
            self._shutdown.reach(Step.CANCELING)
        await anyio.sleep(_CLEAN_UP)
        self._shutdown.reach(Step.ABANDONING)

    async def _drained_too_long(self) -> None:
        await anyio.sleep(self._drain_timeout or 0.0)
        logger.warning("the drain takes longer than %g s", self._drain_timeout)
