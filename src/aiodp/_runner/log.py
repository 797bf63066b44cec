"""What a runner logs of the end of a task."""

from __future__ import annotations

import logging
import traceback
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._core.text import shorten
from aiodp._errors import LeaseLost, RunnerStopped, TaskCanceled, TaskFailed
from aiodp._log import logger, without_middle
from aiodp._runner.result import Failed, Interrupted, error_id_of, message_of, notes_of
from aiodp._types import RunEnd

if TYPE_CHECKING:
    from aiodp._core.objects import Assignment
    from aiodp._runner.result import WorkResult

_UNTOLD: Final = (RunEnd.NO_STATUS, RunEnd.IN_DOUBT)
_TOLD_BY_THE_LEASE: Final = (LeaseLost, TaskCanceled)
_PACKAGE: Final = f"{__name__.partition('.')[0]}."
_MAX_SHOWN: Final = 4000  # characters of a message


def log_end(assignment: Assignment, result: WorkResult, end: RunEnd) -> None:
    """Log how a task ended: at WARNING or above if its handler failed."""
    seconds = anyio.current_time() - assignment.assigned_at
    extra = {**assignment.extra, "status": end.value, "seconds": seconds}
    level = logging.ERROR if end in _UNTOLD else logging.INFO
    match result:
        case Interrupted():
            message = "task %s: its handler's thread goes on, although the runner stops"
            logger.error(message, shorten(assignment.task_id), extra=extra)
        case Failed(error):
            if not isinstance(error, _TOLD_BY_THE_LEASE):
                level = max(level, logging.WARNING)
            what = "\n".join([f"{error_id_of(error)}: {message_of(error)}", *notes_of(error)])
            extra["error"] = what = without_middle(what, _MAX_SHOWN)
            shown = None if _explains_itself(error) else error
            logger.log(level, "%s: %s: %s", assignment, end, what, extra=extra, exc_info=shown)
        case _:
            logger.log(level, "%s: %s", assignment, end, extra=extra)


def _explains_itself(error: BaseException) -> bool:
    """Return whether a traceback tells no more: this package has raised it, to tell all."""
    if isinstance(error, (*_TOLD_BY_THE_LEASE, RunnerStopped)) or error.__traceback__ is None:
        return True
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    is_ours = str(frame.f_globals.get("__name__")).startswith(_PACKAGE)
    return is_ours and isinstance(error, TaskFailed)
