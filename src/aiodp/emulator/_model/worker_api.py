"""What task runners say to the service: the operations of the workers' side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._definition.fields import from_wire, strings
from aiodp.emulator._errors import invalid
from aiodp.emulator._model.replies import Pending

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._model.leases import Desk
    from aiodp.emulator._model.query import Finder
    from aiodp.emulator._model.replies import Answer
    from aiodp.emulator._settings import Settings

_STATUSES: Final = ("FINISHED", "FAILED", "FALSE")
_ERROR_MEMBERS: Final = ("errorId", "errorMessage", "errorStackTrace")
_RESERVED: Final = "Service_"


class Runners:
    """PollForTask, ReportTaskProgress and SetTaskStatus.

    `advance` brings the service up to its time and returns that; `answer` makes the answer of a
    poll which was held, and `abandoned` is called for one whose client has gone.
    """

    def __init__(
        self,
        settings: Settings,
        finder: Finder,
        desk: Desk,
        *,
        advance: Callable[[], float],
        answer: Callable[[dict[str, Any]], Answer],
        abandoned: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._finder = finder
        self._desk = desk
        self._advance = advance
        self._answer = answer
        self._abandoned = abandoned

    def poll(self, params: dict[str, Any], now: float) -> dict[str, Any] | Pending:
        """PollForTask: a task at once, or a held poll which may get one later."""
        group, hostname = params["workerGroup"], params.get("hostname") or ""
        taken = self._take(group, hostname, now)
        deadline = now + self._settings.poll_hold
        if taken or deadline <= now:
            return taken
        return Pending(
            deadline=deadline,
            answer=lambda: self._resume(group, hostname, deadline),
            abandoned=self._abandoned,
        )

    def report(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """ReportTaskProgress."""
        fields = from_wire(params.get("fields") or [])
        return {"canceled": self._desk.report(params["taskId"], fields, now)}

    def set_status(self, params: dict[str, Any], now: float) -> None:
        """SetTaskStatus, whose answer is empty."""
        status = params["taskStatus"]
        if status not in _STATUSES:
            raise invalid(f"taskStatus must be FINISHED, FAILED or FALSE, not {status}")
        if (params.get("errorId") or "").startswith(_RESERVED):
            raise invalid(f"An errorId which starts with {_RESERVED} is the service's own")
        if len(params.get("errorStackTrace") or "") > self._settings.max_stack_trace:
            raise invalid(f"errorStackTrace exceeds {self._settings.max_stack_trace} characters")
        outcome = strings(**{key: params.get(key) for key in _ERROR_MEMBERS})
        self._desk.set_status(params["taskId"], status, outcome, now)

    def _take(self, group: str, hostname: str, now: float) -> dict[str, Any]:
        task = self._desk.take(group, hostname, now)
        return {} if task is None else {"taskObject": self._finder.task_object(task)}

    def _resume(self, group: str, hostname: str, deadline: float) -> Answer | None:
        now = self._advance()
        taken = self._take(group, hostname, now)
        return self._answer(taken) if taken or now >= deadline else None
