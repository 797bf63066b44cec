"""Strings as the service takes them and as messages show them.

Characters: the API's pattern for every string, which is XML's.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final

MAX_STRING: Final = 1024  # characters of the API's type `string`
MAX_VALUE_BYTES: Final = 10_240  # of a field's value: Developer Guide, "AWS Data Pipeline Limits"
RESERVED: Final = "Service_"
S3_SCHEME: Final = re.compile(r"\As3[an]?://", re.IGNORECASE)
"""Of addresses in S3; Hadoop's names of them are read too."""

_ILLEGAL: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_MAX_TASK_ID: Final = 2048  # characters
_SHOWN: Final = 40  # characters
_KEPT: Final = 8  # characters at each end of a shortened task id
_DIGEST: Final = 16  # hexadecimal digits
_MAX_STACK_TRACE: Final = 1024
"""Characters: the limit in the SDKs' models. The API page's 4,095 is not safe with all of them."""


def illegal_character(text: str) -> str | None:
    """Return the first character that the service's strings cannot carry, or None."""
    match = _ILLEGAL.search(text)
    return match.group() if match else None


def replace_illegal(text: str) -> str:
    """Return the text with each character that the service cannot carry replaced by U+FFFD."""
    return _ILLEGAL.sub("\ufffd", text)


def shown(value: object) -> str:
    """Return a value as a message shows it, shortened if it is long."""
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def checked_string(name: str, text: object) -> str:
    """Return a text that the API's type `string` can carry, and that is not empty.

    Raises `ValueError` which gives it this name.
    """
    if not isinstance(text, str) or not 1 <= len(text) <= MAX_STRING:
        what = f"{len(text):,} characters" if isinstance(text, str) else shown(text)
        raise ValueError(f"{name} must be a str of 1 to {MAX_STRING:,} characters, not {what}")
    if (bad := illegal_character(text)) is not None:
        raise ValueError(f"{name} holds the character {bad!a}, which the service does not accept")
    return text


def check_task_id(task_id: str) -> None:
    """Raise `ValueError` for what the service accepts as no task id."""
    if not isinstance(task_id, str) or not 1 <= len(task_id) <= _MAX_TASK_ID:
        what = f"{len(task_id):,} characters" if isinstance(task_id, str) else f"{task_id!r:.40}"
        raise ValueError(f"task_id must be a str of 1 to {_MAX_TASK_ID:,} characters, not {what}")
    if (bad := illegal_character(task_id)) is not None:
        raise ValueError(f"task_id holds the character {bad!a}, which the service does not accept")


def shorten(task_id: str) -> str:
    """Return the task id as messages and logs show it: real ones have a thousand characters."""
    if len(task_id) <= 3 * _KEPT:
        return task_id
    return f"{task_id[:_KEPT]}…{task_id[-_KEPT:]}"


def task_extra(task_id: str) -> dict[str, object]:
    """Return what log records say of a task: a short id for people, and a digest for programs.

    The digest is the same wherever the task is logged: the first 16 digits of the id's SHA-256.
    """
    digest = hashlib.sha256(task_id.encode(errors="surrogatepass")).hexdigest()[:_DIGEST]
    return {"task": shorten(task_id), "task_digest": digest}


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
    if error_stack_trace is not None:  # the end names the exception
        members["errorStackTrace"] = replace_illegal(error_stack_trace)[-_MAX_STACK_TRACE:]
    return members


def check_error_id(error_id: str) -> str:
    """Return the id of an error; raise `ValueError` for one that the service does not accept."""
    checked_string("error_id", error_id)
    if error_id.startswith(RESERVED):
        raise ValueError(f"error_id {shown(error_id)} begins with {RESERVED!r}: the service's own")
    return error_id


def printable(text: str, *, keep: str = "") -> str:
    """Escape what is not printable, but for the characters of `keep`.

    What others wrote may hold line breaks, escape codes of terminals (ESC, U+009B) and characters
    that turn the direction of what follows (U+202E).
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() or char in keep else _escaped(char) for char in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()
