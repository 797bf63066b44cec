"""One task, from when it is held to its status."""

from __future__ import annotations

import inspect
import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._core.text import shorten
from aiodp._errors import AiodpError, LeaseLost, RunnerStopped, StatusNotSet, TaskFailed
from aiodp._runner.failure import error_id_of, message_of, stack_trace_of
from aiodp._runner.handlers import Call
from aiodp._runner.slots import Slot
from aiodp._types import LeaseState, RunEnd, TaskStatus
from aiodp._waiting import first_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from aiodp._core.assignment import Assignment
    from aiodp._runner.handlers import Activity
    from aiodp._runner.task import Task
    from aiodp._runner.workshop import Workshop

logger = logging.getLogger("aiodp")

_RETRY_DELAY: Final = 120.0  # seconds of the service, its shortest: Developer Guide, "Limits"
_LAST_STATUS: Final = 10.0  # seconds for the status of a task whose runner stops at once


class Run:
    """The work on one task. `over` is set when its lease is given up, or never was had."""

    def __init__(self, assignment: Assignment, shop: Workshop, slot: Slot) -> None:
        self.assignment = assignment
        self.over = anyio.Event()
        self.end = RunEnd.INTERRUPTED  # until it is known better
        self.task: Task | None = None
        self._shop = shop
        self.slot = slot
        self._stopped = anyio.Event()
        self._call: Call | None = None

    def stop(self) -> None:
        """Interrupt the work, once; it may clean up."""
        self._stopped.set()
        if self.task is not None:
            self.task._stopped = True
            if self.task._interrupt is not None:
                self.task._interrupt()

    async def work(self, task: Task, earlier: Sequence[Run]) -> None:
        """Do the work after all `earlier` runs of the instance are over, and set the status.

        Nothing but a cancellation is raised.
        """
        self.task = task
        if self._stopped.is_set():
            self.stop()
        status = TaskStatus.FAILED
        error: BaseException | None = None
        try:
            task._raise_if_ended()
            if earlier:
                await self._outlast(earlier)
            status = await self._status()
        except anyio.get_cancelled_exc_class() as canceled:
            if not self._is_the_handlers(canceled):
                await self._tell_at_last()
                raise
            error = canceled
        except KeyboardInterrupt:
            raise
        except GeneratorExit as closed:
            if not self._is_the_handlers(closed):
                raise
            error = closed
        except BaseException as raised:  # noqa: BLE001 - whatever a handler raises, it is told
            error = raised
        await self._tell(status, error)

    def _is_the_handlers(self, error: BaseException) -> bool:
        return self._call is not None and self._call.error is error

    # The work

    async def _outlast(self, earlier: Sequence[Run]) -> None:
        """Wait for the end of other work on the same instance; the service took it from there."""
        logger.warning(
            "task %s was handed out again while it is worked on here; it waits for that to end",
            self._name,
            extra=self._extra,
        )

        async def all_over() -> None:
            async with anyio.create_task_group() as group:
                for run in earlier:
                    group.start_soon(run.notice, name="aiodp lost task")
            for run in earlier:
                await run.over.wait()

        await self._unless_over(all_over)

    async def notice(self) -> None:
        """Ask the service whether the task is still ours, so that a loss is noticed at once."""
        with suppress(AiodpError):
            if self.task is not None:
                await self.task.report()

    async def _status(self) -> TaskStatus:
        """Return what the handler makes of the task; a precondition may be looked at repeatedly."""
        activity = self._shop.handlers.find(self._held)
        deadline = self._precondition_deadline()
        status = await self._limited(activity)
        while self._is_open(status) and await self._pause(deadline):
            look = Slot(self._shop.looks)
            try:
                await self._unless_over(look.take)
                status = await self._limited(activity)
            finally:
                look.release()
        return status

    def _is_open(self, status: TaskStatus) -> bool:
        """Return whether a precondition is to be looked at again, and not told already."""
        return status is TaskStatus.FALSE and not self._held._lease.status_acknowledged

    async def _limited(self, activity: Activity) -> TaskStatus:
        limit = self._shop.limit_of(activity)
        if limit is None:
            return await self._call_handler(activity)
        place = Slot(limit)
        try:
            await self._unless_over(place.take)
            return await self._call_handler(activity)
        finally:
            place.release()

    async def _call_handler(self, activity: Activity) -> TaskStatus:
        task = self._held
        self._raise_if_stopped()
        call = self._call = Call(activity.handler, task, self._shop.threads)
        try:
            await call.run()
        except LeaseLost:
            if not call.finished:  # else it is worth a try to say so
                raise
        if not call.finished:
            self._raise_if_stopped()
            raise RuntimeError("the handler was broken off, but neither by its task nor its runner")
        return self._meaning(call.result)

    def _meaning(self, result: object) -> TaskStatus:
        precondition = self._held.is_precondition
        if result is None or result is True:
            return TaskStatus.FINISHED
        if result is False and precondition:
            return TaskStatus.FALSE
        if result is False:
            raise TaskFailed("the handler returned False", error_id="ReturnedFalse")
        what = f"a value of type {type(result).__name__}"
        if inspect.isgenerator(result) or inspect.isasyncgen(result):
            raise TaskFailed(
                f"the handler returned {what}, so it has not done anything",
                error_id="BadReturnValue",
            )
        if precondition:
            raise TaskFailed(
                f"the handler of a precondition must return True, False or None, not {what}",
                error_id="BadReturnValue",
            )
        message = "task %s: its handler returned %s, which has no meaning; it counts as finished"
        logger.warning(message, self._name, what, extra=self._extra)
        return TaskStatus.FINISHED

    # Preconditions: "Task Runner honors the precondition object retryDelay and preconditionTimeout
    # fields that you define on preconditions" (Developer Guide, "Task Runner Threads")

    def _precondition_deadline(self) -> float | None:
        timeout = self._period("preconditionTimeout")
        return None if timeout is None else anyio.current_time() + timeout

    async def _pause(self, deadline: float | None) -> bool:
        """Wait until a precondition is to be looked at again; return whether it is.

        Its slot is given up meanwhile, and for good: a poll may hold it for long.
        """
        delay = self._period("retryDelay")
        if delay is None and deadline is None:
            return False  # the service decides when to ask again
        delay = _RETRY_DELAY / self._shop.scale if delay is None else delay
        if deadline is not None and anyio.current_time() + delay > deadline:
            return False
        self.slot.release()
        with anyio.move_on_after(delay):
            await self._unless_over(self._shop.draining)
        return not self._shop.is_draining

    def _period(self, key: str) -> float | None:
        try:
            period = self._held.attempt.period(key)
        except ValueError as error:
            raise TaskFailed(str(error), error_id="BadDefinition") from error
        return None if period is None else period / self._shop.scale

    # The status

    async def _tell(self, status: TaskStatus, error: BaseException | None) -> None:
        self.end = await self._tell_if_due(status, error)
        self._log_end(error)

    async def _tell_if_due(self, status: TaskStatus, error: BaseException | None) -> RunEnd:
        task, lease = self._held, self._held._lease
        if lease.status_acknowledged and lease.status is not None:  # by the handler itself
            return RunEnd(lease.status.value)
        if task.state is LeaseState.CANCELED:
            return RunEnd.CANCELED
        if task.state is LeaseState.LOST and (error is not None or lease.silenced):
            return RunEnd.LOST
        if error is not None and lease.status_failed:  # what the handler wanted to say may be true
            return RunEnd.NO_STATUS
        return await self._insist(status, error)

    async def _insist(self, status: TaskStatus, error: BaseException | None) -> RunEnd:
        """Set the status, for as long as there is hope; a runner that stops has ten seconds."""
        end = RunEnd.NO_STATUS

        async def tell() -> None:
            nonlocal end
            end = await self._set_status(status, error)

        with anyio.CancelScope(shield=True):  # the work is done: not to say so means to repeat it
            await first_of(tell, self._last_moment)
        return end

    async def _last_moment(self) -> None:
        await self._stopped.wait()
        await anyio.sleep(_LAST_STATUS)

    async def _set_status(self, status: TaskStatus, error: BaseException | None) -> RunEnd:
        members = {}
        if error is not None:
            members = {
                "error_id": error_id_of(error),
                "error_message": message_of(error),
                "error_stack_trace": stack_trace_of(error),
            }
        try:
            await self._held.set_status(status, **members)
        except StatusNotSet as not_set:
            logger.error("%s", not_set, extra=self._extra)  # noqa: TRY400 - the message says it all
            return RunEnd.NO_STATUS
        except LeaseLost:
            return RunEnd.LOST
        except AiodpError:
            return RunEnd.CANCELED
        return RunEnd(status.value)

    async def _tell_at_last(self) -> None:
        """Say that the work was broken off, unless a thread goes on with it."""
        if self._call is not None and self._call.left_behind:
            message = "task %s: its handler's thread goes on, although the runner stops"
            logger.error(message, self._name, extra=self._extra)
            return
        status = TaskStatus.FAILED
        error: BaseException | None = self._stop_error()
        if self._call is not None and self._call.finished:
            try:
                status, error = self._meaning(self._call.result), None
            except TaskFailed as failed:
                error = failed
        self._stopped.set()  # which bounds the telling
        await self._tell(status, error)

    # Parts

    @property
    def _held(self) -> Task:
        assert self.task is not None  # noqa: S101 - `work` comes first
        return self.task

    @property
    def _name(self) -> str:
        return shorten(self.assignment.task_id)

    @property
    def _extra(self) -> dict[str, object]:
        return self.assignment.extra

    async def _unless_over(self, wait: Callable[[], Awaitable[object]]) -> None:
        """Wait, but no longer than the task is held and the runner goes on; raise if not."""
        await first_of(wait, self._held.ended.wait, self._stopped.wait)
        self._held._raise_if_ended()
        self._raise_if_stopped()

    def _raise_if_stopped(self) -> None:
        if self._stopped.is_set():
            raise self._stop_error()

    def _log_end(self, error: BaseException | None) -> None:
        seconds = anyio.current_time() - self.assignment.assigned_at
        extra = {**self._extra, "status": self.end.value, "seconds": seconds}
        level = logging.ERROR if self.end is RunEnd.NO_STATUS else logging.INFO
        if error is None:
            logger.log(level, "%s: %s", self.assignment, self.end, extra=extra)
        else:
            what = f"{error_id_of(error)}: {message_of(error)}"
            logger.log(level, "%s: %s: %.500s", self.assignment, self.end, what, extra=extra)

    def _stop_error(self) -> RunnerStopped:
        return RunnerStopped("the task runner was told to stop at once, the work was broken off")
