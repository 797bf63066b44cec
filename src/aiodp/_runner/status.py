"""What a runner tells the service of a task's end, and what it asks when that is in doubt."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._core.text import shorten
from aiodp._errors import AiodpError, LeaseLost, TaskCanceled
from aiodp._log import logger
from aiodp._runner.result import Failed, Succeeded, error_id_of, error_members
from aiodp._types import RunEnd, TaskStatus

if TYPE_CHECKING:
    from aiodp._core.objects import Assignment, PipelineObject
    from aiodp._runner.result import WorkResult
    from aiodp._runner.task import Task

_ASK_TIMEOUT: Final = 10.0  # seconds, with retries
_ENDED_OTHERWISE: Final = {
    "CANCELED": RunEnd.CANCELED,
    "CASCADE_FAILED": RunEnd.LOST,
    "FINISHED": RunEnd.LOST,
    "TIMEDOUT": RunEnd.LOST,
}
"""The `@status` of an attempt that ended, but not by the status that was sent."""


async def set_status(task: Task, assignment: Assignment, result: Succeeded | Failed) -> RunEnd:
    """Set the status that follows from the work; return the end of the task."""
    members = error_members(result.error) if isinstance(result, Failed) else {}
    try:
        await task.set_status(result.status, **members)
    except LeaseLost:
        return RunEnd.LOST
    except TaskCanceled:
        return RunEnd.CANCELED
    except AiodpError as error:
        logger.log(logging.ERROR, "%s", error, extra=assignment.extra)
        return RunEnd.NO_STATUS
    return RunEnd(result.status.value)


async def ask_status(
    task: Task, assignment: Assignment, status: TaskStatus, result: WorkResult
) -> RunEnd:
    """Return the end of a task whose status may be set, by what its attempt shows if possible."""
    error_id = error_id_of(result.error) if isinstance(result, Failed) else None
    end, why = RunEnd.IN_DOUBT, "DescribeObjects of the attempt was not answered in time"
    with anyio.move_on_after(_ASK_TIMEOUT, shield=True):
        try:
            ids = [task.attempt_id]
            [attempt] = [found async for found in task.describe(ids, evaluate_expressions=False)]
            end, why = (
                _end_shown(attempt, status, error_id),
                f"it is {attempt.text('@status', None)}",
            )
        except Exception as error:  # noqa: BLE001 - whatever keeps it from being known
            why = str(error)
    if end is RunEnd.IN_DOUBT:
        log_doubt(assignment, status, why)
    else:
        message = "task %s: status %s was sent without an answer; the attempt says that %s"
        logger.warning(message, shorten(task.task_id), status, why, extra=assignment.extra)
    return end


def log_doubt(assignment: Assignment, status: TaskStatus, why: str) -> None:
    """Say what nobody knows, why, and where to look."""
    message = "task %s: status %s was sent without an answer and may be set; look at %s: %s"
    task, attempt = shorten(assignment.task_id), assignment.attempt_id
    logger.error(message, task, status, attempt, why, extra=assignment.extra)


def _end_shown(attempt: PipelineObject, status: TaskStatus, error_id: str | None) -> RunEnd:
    """Return the end that an attempt shows after this status was sent.

    An attempt that fell silent is FAILED as well, so a failure is known by its error only.
    """
    shown = attempt.text("@status", "")
    if shown != TaskStatus.FAILED:
        return RunEnd(shown) if shown == status else _ENDED_OTHERWISE.get(shown, RunEnd.IN_DOUBT)
    if status is TaskStatus.FINISHED:
        return RunEnd.LOST
    if status is TaskStatus.FALSE or error_id is None:
        return RunEnd.IN_DOUBT
    return RunEnd.FAILED if attempt.text("errorId", None) == error_id else RunEnd.LOST
