"""How the work on a task ended, and what follows from that.

The end of a task depends on its work and on where the task stands when the work is over. The
columns are the members of `Standing`, the cells are the ends of `RunEnd` or one of `Action`:

| work        | held        | in doubt    | expired     | lost        | canceled    | status set  |
| ----------- | ----------- | ----------- | ----------- | ----------- | ----------- | ----------- |
| succeeded   | set status  | set status  | set status  | lost        | canceled    | keep status |
| failed      | set status  | no status   | lost        | lost        | canceled    | keep status |
| interrupted | interrupted | interrupted | interrupted | interrupted | interrupted | interrupted |

Work that succeeded is worth a SetTaskStatus as long as the service may accept it, for otherwise
somebody does it again. A failure is not: after a status that may have been applied it could
contradict that, and after the lease the task is somebody else's. Interrupted work goes on in its
thread, so nothing can be said about it. A task that is lost after its status was sent without an
answer is in doubt: its attempt is asked for.
"""

from __future__ import annotations

import traceback
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, ClassVar, Final, TypeAlias

from aiodp._core.text import MAX_STRING, RESERVED, check_error_id, replace_illegal
from aiodp._errors import TaskFailed
from aiodp._redaction import redact
from aiodp._types import LeaseState, RunEnd, TaskStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiodp._reporter.record import TaskRecord

_MAX_FRAMES: Final = 50  # of each traceback; the last 1,024 characters are sent
_NO_MESSAGE: Final = "(its message cannot be shown: __str__ raises)"


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The handler returned: FINISHED, or FALSE for a precondition."""

    status: TaskStatus


@dataclass(frozen=True, slots=True)
class Failed:
    """The handler raised, returned what it must not, or was interrupted, and nothing goes on."""

    error: BaseException
    status: ClassVar = TaskStatus.FAILED


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The runner stops, and the handler's thread goes on."""


WorkResult: TypeAlias = Succeeded | Failed | Interrupted


class Standing(Enum):
    """Where a task stands when its work is over."""

    HELD = "held"
    IN_DOUBT = "in doubt"
    """Held, and the handler's own SetTaskStatus failed, or was broken off: it may be applied."""
    EXPIRED = "expired"
    """The lease ran out here, and is reported still: the service may not have noticed."""
    LOST = "lost"
    CANCELED = "canceled"
    STATUS_SET = "status set"
    """By the handler itself, and acknowledged."""

    @classmethod
    def of(cls, record: TaskRecord, state: LeaseState) -> Standing:
        """Return where a task stands by its record and by its state, which the clock gives."""
        if record.status_acknowledged:
            return cls.STATUS_SET
        if state is LeaseState.CANCELED:
            return cls.CANCELED
        if state is LeaseState.LOST:
            return cls.LOST if record.reporting_stopped else cls.EXPIRED
        doubtful = record.status_failed or record.status_in_doubt is not None
        return cls.IN_DOUBT if doubtful else cls.HELD


class Action(Enum):
    """What is left to do for a task whose end is not known by its work and standing alone."""

    SET_STATUS = "set status"
    KEEP_STATUS = "keep status"
    """The end is the status that the handler has set."""


_ENDS: Final[Mapping[type[WorkResult], Mapping[Standing, RunEnd | Action]]] = {
    Succeeded: {
        Standing.HELD: Action.SET_STATUS,
        Standing.IN_DOUBT: Action.SET_STATUS,
        Standing.EXPIRED: Action.SET_STATUS,
        Standing.LOST: RunEnd.LOST,
        Standing.CANCELED: RunEnd.CANCELED,
        Standing.STATUS_SET: Action.KEEP_STATUS,
    },
    Failed: {
        Standing.HELD: Action.SET_STATUS,
        Standing.IN_DOUBT: RunEnd.NO_STATUS,
        Standing.EXPIRED: RunEnd.LOST,
        Standing.LOST: RunEnd.LOST,
        Standing.CANCELED: RunEnd.CANCELED,
        Standing.STATUS_SET: Action.KEEP_STATUS,
    },
    Interrupted: dict.fromkeys(Standing, RunEnd.INTERRUPTED),
}


def end_of(result: WorkResult, standing: Standing) -> RunEnd | Action:
    """Return how a task ends, or what is to be done for it; see the table above."""
    return _ENDS[type(result)][standing]


# What SetTaskStatus says about an exception: nothing about that may keep the status from being set.


def error_members(error: BaseException) -> dict[str, str]:
    """Return the arguments of `set_status` that tell of the exception."""
    return {
        "error_id": error_id_of(error),
        "error_message": redact(message_of(error)),
        "error_stack_trace": redact(stack_trace_of(error)),
    }


def name_of(cls: type) -> str:
    """Return the name that a class was given, whatever its metaclass says."""
    return str(type.__dict__["__name__"].__get__(cls))


def error_id_of(error: BaseException) -> str:
    """Return the `errorId`: the name of the exception's class, or what `TaskFailed` gives."""
    if isinstance(error, TaskFailed):
        with suppress(Exception):  # of a subclass, which may have set anything, or nothing
            return check_error_id(error.error_id or "")
    name = replace_illegal(name_of(type(error)))[:MAX_STRING] or "Exception"
    return f"Handler.{name}"[:MAX_STRING] if name.startswith(RESERVED) else name


def message_of(error: BaseException) -> str:
    """Return the exception's message, or its class's name if there is none."""
    name = name_of(type(error))
    try:
        return str(error) or name
    except BaseException:  # noqa: BLE001 - a __str__ may do anything
        return f"{name} {_NO_MESSAGE}"


def notes_of(error: BaseException) -> list[str]:
    """Return what was noted at the exception, by `add_note`."""
    with suppress(Exception):  # of a class that has notes of its own kind
        return [note for note in getattr(error, "__notes__", ()) if isinstance(note, str)]
    return []


def stack_trace_of(error: BaseException) -> str:
    """Return the traceback, with those of its causes."""
    given = getattr(error, "error_stack_trace", None) if isinstance(error, TaskFailed) else None
    if isinstance(given, str):
        return given
    with suppress(Exception):  # of a __cause__ or __notes__ that raises
        return "".join(traceback.format_exception(error, limit=-_MAX_FRAMES))
    return "".join(traceback.format_tb(error.__traceback__, limit=-_MAX_FRAMES)) + message_of(error)
