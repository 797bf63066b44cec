"""The members of SetTaskStatus that describe an error, cut and cleaned so that none is lost."""

from __future__ import annotations

from aiodp._fields import MAX_VALUE_BYTES, illegal_character, replace_illegal, shown

MAX_ERROR_ID = 1024
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
    if not isinstance(error_id, str) or not 1 <= len(error_id) <= MAX_ERROR_ID:
        what = f"{len(error_id):,} characters" if isinstance(error_id, str) else shown(error_id)
        raise ValueError(f"error_id must be a str of 1 to {MAX_ERROR_ID:,} characters, not {what}")
    if error_id.startswith(RESERVED):
        raise ValueError(f"error_id {shown(error_id)} begins with {RESERVED!r}: the service's own")
    if (bad := illegal_character(error_id)) is not None:
        raise ValueError(f"error_id holds the character {bad!a}, which the service does not accept")
    return error_id
