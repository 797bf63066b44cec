"""The errors that a user meets. No botocore exception and no exception group is among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiodp._types import LostReason

_KEPT = 8


def shorten(task_id: str) -> str:
    """Return the task id as messages and logs show it: real ones have a thousand characters."""
    if len(task_id) <= 3 * _KEPT:
        return task_id
    return f"{task_id[:_KEPT]}…{task_id[-_KEPT:]}"


class AiodpError(Exception):
    """What every error of this package is."""


class TaskCanceled(AiodpError):  # noqa: N818 - the name is part of the public contract
    """The service canceled the task: stop working on it; no status needs to be set."""

    def __init__(self, message: str, *, task_id: str) -> None:
        super().__init__(message)
        self.task_id = task_id


class LeaseLost(AiodpError):  # noqa: N818 - the name is part of the public contract
    """The task is not ours any more, or may soon be given to somebody else: stop working on it.

    `reason` tells why, `last_reported_at` is the send time of the last report that succeeded
    (`anyio.current_time()` scale) or None, and `__cause__` is the last error, if there was one.
    """

    def __init__(
        self,
        message: str,
        *,
        task_id: str,
        reason: LostReason,
        last_reported_at: float | None = None,
    ) -> None:
        super().__init__(message)
        self.task_id = task_id
        self.reason = reason
        self.last_reported_at = last_reported_at


class ReportRejected(AiodpError):  # noqa: N818 - the name is part of the public contract
    """The configuration does not allow reports: credentials, permission, region or endpoint."""


class ReporterClosed(AiodpError):  # noqa: N818 - the name is part of the public contract
    """The reporter, or the tracked task, is not open (any more)."""


class StatusNotSet(AiodpError):  # noqa: N818 - the name is part of the public contract
    """The service did not acknowledge a task's status; `__cause__` is the last error."""
