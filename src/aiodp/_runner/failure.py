"""How the exception of a handler is told to the service: nothing about it may stop that."""

from __future__ import annotations

import traceback
from contextlib import suppress
from typing import Final

from aiodp._core.text import MAX_STRING, RESERVED, check_error_id, replace_illegal
from aiodp._errors import TaskFailed

_FRAMES: Final = 50  # of each traceback; the last 1,024 characters are sent
_UNSPEAKABLE: Final = "(its message cannot be shown: __str__ raises)"


def error_id_of(error: BaseException) -> str:
    """Return the `errorId`: the name of the exception's class, or what `TaskFailed` gives."""
    if isinstance(error, TaskFailed):
        with suppress(Exception):  # of a subclass, which may have set anything, or nothing
            return check_error_id(error.error_id or "")
    name = replace_illegal(type(error).__name__)[:MAX_STRING] or "Exception"
    return f"Handler.{name}"[:MAX_STRING] if name.startswith(RESERVED) else name


def message_of(error: BaseException) -> str:
    """Return what the exception says, or its class's name if it says nothing or cannot."""
    name = type(error).__name__
    try:
        return str(error) or name
    except BaseException:  # noqa: BLE001 - a __str__ may do anything
        return f"{name} {_UNSPEAKABLE}"


def stack_trace_of(error: BaseException) -> str:
    """Return the traceback, with those of its causes."""
    given = getattr(error, "error_stack_trace", None) if isinstance(error, TaskFailed) else None
    if isinstance(given, str):
        return given
    with suppress(Exception):  # of a __cause__ or __notes__ that raises
        return "".join(traceback.format_exception(error, limit=-_FRAMES))
    return "".join(traceback.format_tb(error.__traceback__, limit=-_FRAMES)) + message_of(error)
