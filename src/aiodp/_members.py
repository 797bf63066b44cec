"""The members of SetTaskStatus that describe an error, cut and cleaned so that none is lost."""

from __future__ import annotations

from aiodp._fields import MAX_VALUE_BYTES, checked_string, replace_illegal, shown

_MAX_STACK_TRACE = 1024  # the SDKs' models; the API page's 4,095 is not safe with all of them
RESERVED = "Service_"


def error_members(
    error_id: str | None, error_message: str | None, error_stack_trace: str | None
) -> dict[str, str]:
    """Return the members of SetTaskStatus that describe an error, fit to be sent.

    Raises `ValueError` for an `error_id` that the service does not accept.
    """
    members = {}
    if error_id is not None:
        members["errorId"] = check_error_id(error_id)
    if error_message is not None:
        cut = replace_illegal(error_message).encode()[:MAX_VALUE_BYTES]
        members["errorMessage"] = cut.decode(errors="ignore")
    if error_stack_trace is not None:  # its end tells most
        members["errorStackTrace"] = replace_illegal(error_stack_trace)[-_MAX_STACK_TRACE:]
    return members


def check_error_id(error_id: str) -> str:
    """Return the id of an error; raise `ValueError` for one that the service does not accept."""
    checked_string("error_id", error_id)
    if error_id.startswith(RESERVED):
        raise ValueError(f"error_id {shown(error_id)} begins with {RESERVED!r}: the service's own")
    return error_id
