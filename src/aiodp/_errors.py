"""The errors that a user meets. No botocore exception and no exception group is among them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiodp._core.text import check_error_id

if TYPE_CHECKING:
    from aiodp._types import LostReason, TaskStatus


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


class StatusInDoubt(LeaseLost):
    """A status was sent and not answered, and then the task was refused: `status` may be set.

    It is a `LeaseLost`, for whatever asks for the task raises it from then on. But others need not
    have the task: look at the `@status` of its attempt before the work is done again.
    """

    def __init__(
        self,
        message: str,
        *,
        task_id: str,
        reason: LostReason,
        last_reported_at: float | None = None,
        status: TaskStatus,
    ) -> None:
        super().__init__(message, task_id=task_id, reason=reason, last_reported_at=last_reported_at)
        self.status = status


class ReportRejected(AiodpError):  # noqa: N818 - the name is part of the public contract
    """The configuration does not allow reports: credentials, permission, region or endpoint."""


class ReporterClosed(AiodpError):  # noqa: N818 - the name is part of the public contract
    """The reporter, or the tracked task, is not open (any more)."""


class StatusNotSet(AiodpError):  # noqa: N818 - the name is part of the public contract
    """The service did not acknowledge a task's status; `__cause__` is the last error."""


class CallFailed(AiodpError):  # noqa: N818 - named like its siblings
    """The service did not answer a question about a pipeline; `__cause__` is the error."""


class RunnerStopped(AiodpError):  # noqa: N818 - named like its siblings
    """The task runner was told to stop at once, so the work of its tasks was interrupted."""


class TaskFailed(AiodpError):  # noqa: N818 - named like its siblings
    """What a handler may raise to say how its task failed; any other exception does as well.

    `error_id` is sent as `errorId`, the name of the exception's class if it is not given, and
    `error_stack_trace` in the place of the traceback. Raises `ValueError` for an `error_id` which
    the service does not accept: empty, longer than 1,024 characters or with the reserved prefix
    `Service_` (API reference of SetTaskStatus).
    """

    def __init__(
        self, message: str, *, error_id: str | None = None, error_stack_trace: str | None = None
    ) -> None:
        super().__init__(message)
        if error_id is not None:
            check_error_id(error_id)
        self.error_id = error_id
        self.error_stack_trace = error_stack_trace
