"""The work of a task runner, from its first poll until the last task has its status.

The methods of `Dispatcher` stand in the order in which a task lives.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import anyio

from aiodp._core.objects import read_assignment
from aiodp._core.text import task_extra
from aiodp._errors import AiodpError, LeaseLost, ReporterClosed, ReportRejected, RunnerStopped
from aiodp._log import OncePer, logger
from aiodp._runner.execution import Execution
from aiodp._runner.heartbeats import Heartbeats
from aiodp._runner.poller import Poller
from aiodp._runner.shutdown import Step
from aiodp._types import LostReason, Outcome, ReportKind, RunEnd, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anyio.abc import TaskGroup

    from aiodp._aws.runner_transport import RunnerTransport
    from aiodp._core.objects import Assignment
    from aiodp._core.timing import Timing
    from aiodp._reporter.runner_reporter import RunnerReporter
    from aiodp._runner.execution import Shared
    from aiodp._runner.handlers import Permit
    from aiodp._runner.poller import Identity

_ROOM_INTERVAL: Final = 5.0  # s of the service, until the quota is looked at again
_LOG_INTERVAL: Final = 60.0  # s of the service
_LAST_POLL_TIMEOUT: Final = 2.0  # s for the answer of a poll that is under way when a drain begins
_BROKEN_OFF: Final = "polls are broken off (%d); tasks given to them come again after two minutes"
_CLEAN_UP_TIMEOUT: Final = 30.0  # s for handlers that are interrupted


class Dispatcher:
    """Polls while there are permits, and executes the tasks that the polls bring."""

    def __init__(
        self,
        identity: Identity,
        shared: Shared,
        *,
        reporter: RunnerReporter,
        transport: RunnerTransport,
        drain_timeout: float | None,
    ) -> None:
        self.received = 0
        self.executions: dict[Execution, None] = {}
        self.ended: Counter[RunEnd] = Counter()
        self.failure: BaseException | None = None
        self.poller = Poller(transport, identity, shared)
        self.heartbeats = Heartbeats(transport, identity, shared)
        self._shared = shared
        self._shutdown = shared.shutdown
        self._reporter = reporter
        self._drain_timeout = drain_timeout
        self._log = OncePer(_LOG_INTERVAL / shared.scale)
        self._max_tasks: int | None = None
        self._budget: anyio.Semaphore | None = None  # tasks that may be polled for yet
        self._unacknowledged: set[Permit] = set()  # of polls, and of tasks without a lease yet
        self._polls: set[anyio.CancelScope] = set()
        self._dispatching = anyio.CancelScope()
        self._all = anyio.CancelScope(shield=True)
        self._something_ended = anyio.Event()

    async def run(self, *, max_tasks: int | None = None, once: bool = False) -> None:
        """Work until the shutdown is complete, or until there is no more to do.

        Raises `RunnerStopped` if the tasks that this runs in are canceled one by one.
        """
        self._max_tasks = max_tasks
        self._budget = anyio.Semaphore(max_tasks) if max_tasks else None
        complete = False
        with self._all:
            async with anyio.create_task_group() as background:
                background.start_soon(self.heartbeats.run, name="aiodp task runner heartbeat")
                background.start_soon(self._drain, name="aiodp task runner drain")
                background.start_soon(self._limit_drain, name="aiodp limit of a drain")
                async with anyio.create_task_group() as work:
                    self._shutdown.on_step(self._on_step)
                    with self._dispatching:
                        await self._dispatch(work, once=once)
                complete = True
                background.cancel_scope.cancel()
        if not (complete or self._all.cancel_called):
            raise RunnerStopped("tasks of the task runner were canceled from inside the event loop")

    # From a poll to the lease

    async def _dispatch(self, work: TaskGroup, *, once: bool) -> None:
        """Poll for each free permit; the task that polls owns it.

        A permit that a cancellation leaves without such a task is not released: it comes with a
        drain, and nobody waits for permits after that.
        """
        while True:
            permit = self._shared.limits.task_permit()
            await permit.acquire()
            if self._budget is not None:
                await self._budget.acquire()
            await self._wait_for_room()
            await self.poller.wait_turn()
            self._unacknowledged.add(permit)
            work.start_soon(self._serve, permit, name="aiodp task runner poll and task")
            if once:
                return

    async def _wait_for_room(self) -> None:
        """Wait until the quota can keep one more task alive."""
        while not self._reporter.has_room(len(self._unacknowledged) + 1):
            what = "no polls until the quota can keep more tasks alive"
            self._log.log(logging.WARNING, "room", what)
            with anyio.move_on_after(_ROOM_INTERVAL / self._shared.scale):
                await self._something_ended.wait()

    async def _serve(self, permit: Permit) -> None:
        """Poll, and execute the task that the poll brings."""
        answer = None
        try:
            with permit:
                answer = await self._poll()
                if answer is not None:
                    await self._receive(answer, permit)
        except anyio.get_cancelled_exc_class():
            pass  # asyncio's own, of this task alone, would cancel the others of the group
        except Exception:  # a fault of ours must not end the other tasks
            logger.critical("a fault in the task runner itself", exc_info=True)
        finally:
            self._unacknowledged.discard(permit)
            if answer is None and self._budget is not None:
                self._budget.release()
            self._something_ended.set()
            self._something_ended = anyio.Event()

    async def _poll(self) -> Mapping[str, Any] | None:
        if self._shutdown.is_draining:
            return None
        answer = None
        with anyio.CancelScope() as scope:
            self._polls.add(scope)
            try:
                answer = await self.poller.poll()
            finally:
                self._polls.discard(scope)
        if answer is not None:
            self.received += 1
            if self.received == self._max_tasks:
                self._dispatching.cancel()
        return answer

    async def _receive(self, answer: Mapping[str, Any], permit: Permit) -> None:
        """Execute the task, or fail it if it cannot be executed as it is."""
        end = RunEnd.INTERRUPTED  # unless this returns
        try:
            try:
                assignment = read_assignment(answer, anyio.current_time())
                timing = self._reporter.timing_of(assignment.attempt)
            except ValueError as error:
                end = await self._refuse(answer, error)
            else:
                end = await self._execute(Execution(assignment, permit, self._shared), timing)
        finally:
            self.ended[end] += 1

    async def _refuse(self, answer: Mapping[str, Any], error: ValueError) -> RunEnd:
        """Fail a task that cannot be executed: it would be handed out again and again."""
        task_id = answer.get("taskId", "")
        extra = task_extra(str(task_id)) | {"pipeline": answer.get("pipelineId")}
        logger.error("a task cannot be held: %s", error, extra=extra)
        try:
            async with self._reporter.track(task_id) as task:
                await task.set_status(
                    TaskStatus.FAILED, error_id="MalformedTask", error_message=str(error)
                )
                return RunEnd.FAILED
        except (AiodpError, ValueError) as refused:
            logger.warning("it could not be failed: %s", refused, extra=extra)
        return RunEnd.UNACKNOWLEDGED

    # From the lease to the status

    async def _execute(self, execution: Execution, timing: Timing) -> RunEnd:
        assignment, others = execution.assignment, self.executions
        earlier = [other for other in others if other.assignment.instance == assignment.instance]
        if assignment.task_id in {other.assignment.task_id for other in earlier}:
            logger.warning("%s was given twice", assignment, extra=assignment.extra)
            return RunEnd.DUPLICATE
        self.executions[execution] = None
        if self._shutdown.step >= Step.CANCELING:
            execution.stop()
        try:
            return await self._keep_alive(execution, earlier, timing)
        finally:
            del self.executions[execution]
            execution.released.set()

    async def _keep_alive(
        self, execution: Execution, earlier: Sequence[Execution], timing: Timing
    ) -> RunEnd:
        """Keep the task alive, from before its handler is called until it has its status."""
        assignment = execution.assignment
        try:
            async with self._reporter.track_as(
                execution.make_task,
                assignment.task_id,
                timing=timing,
                assigned_at=assignment.assigned_at,
            ):
                self._unacknowledged.discard(execution.permit)
                self.poller.unacknowledged.succeed()
                logger.info("%s: begun", assignment, extra=assignment.extra)
                return await execution.run(earlier)
        except (AiodpError, ValueError) as error:  # the latter for a task id that cannot be one
            self._on_not_acknowledged(assignment, error)
            return RunEnd.UNACKNOWLEDGED

    def _on_not_acknowledged(self, assignment: Assignment, error: Exception) -> None:
        """Poll more slowly, for what was not acknowledged is offered again after two minutes."""
        logger.info("%s: not begun: %s", assignment, error, extra=assignment.extra)
        if isinstance(error, ReporterClosed):
            self.failure = error
            self._shutdown.end_by_itself(Step.CANCELING)
        elif not (isinstance(error, LeaseLost) and error.reason is LostReason.REFUSED):
            rejected = isinstance(error, ReportRejected)
            kind = ReportKind.CONFIGURATION if rejected else ReportKind.UNEXPECTED
            self.poller.wait_after(self.poller.unacknowledged, Outcome(kind=kind, error=error))

    # The end

    def _on_step(self, step: Step) -> None:
        match step:
            case Step.DRAINING:
                self._dispatching.cancel()
            case Step.CANCELING:
                self._cancel_polls()
                for execution in list(self.executions):
                    execution.stop()
            case Step.ABANDONING:
                self._all.cancel()

    async def _drain(self) -> None:
        """Cancel the polls once no task runs; a drain with a limit waits for their own end."""
        await self._shutdown.wait_draining()
        await anyio.sleep(_LAST_POLL_TIMEOUT)
        while self.executions or (self._polls and self._drain_timeout is not None):
            await self._something_ended.wait()
        self._cancel_polls()

    def _cancel_polls(self) -> None:
        if self._polls:
            logger.warning(_BROKEN_OFF, len(self._polls))
        for scope in list(self._polls):
            scope.cancel()

    async def _limit_drain(self) -> None:
        """Go on to the next steps of the shutdown when their time has come."""
        await self._shutdown.wait_draining()
        with anyio.move_on_after(self._drain_timeout) as limit:
            await self._shutdown.wait(Step.CANCELING)
        if limit.cancelled_caught:
            logger.warning("the drain takes longer than %g s", self._drain_timeout)
            self._shutdown.reach(Step.CANCELING)
        await anyio.sleep(_CLEAN_UP_TIMEOUT)
        self._shutdown.reach(Step.ABANDONING)
