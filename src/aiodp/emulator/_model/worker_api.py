"""The operations of the API that task runners call for their tasks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._definition.fields import from_wire, strings
from aiodp.emulator._errors import invalid
from aiodp.emulator._model.polls import Polls

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._model.leases import Leases
    from aiodp.emulator._model.listing.query import Queries
    from aiodp.emulator._settings import Settings

_STATUSES: Final = ("FINISHED", "FAILED", "FALSE")
_ERROR_MEMBERS: Final = ("errorId", "errorMessage", "errorStackTrace")
_RESERVED: Final = "Service_"


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPoll:
    """A PollForTask for which there is no task yet; it is held until its deadline at most.

    `unpolled` are the groups which had work, but never a poll, when it came.
    """

    worker_group: str
    hostname: str
    deadline: float
    unpolled: frozenset[str]


class WorkerApi:
    """PollForTask, ReportTaskProgress and SetTaskStatus."""

    def __init__(self, settings: Settings, queries: Queries, leases: Leases) -> None:
        self._settings = settings
        self._queries = queries
        self._leases = leases
        self.polls = Polls(leases.queues)
        self.on_empty: Callable[[], None] = lambda: None
        """Called before a poll is answered without work; a `ServiceError` is answered instead."""

    def poll(self, params: dict[str, Any], now: float) -> dict[str, Any] | HeldPoll:
        """PollForTask: a task at once, or a held poll which may get one later."""
        group, hostname = params["workerGroup"], params.get("hostname") or ""
        poll = HeldPoll(
            worker_group=group,
            hostname=hostname,
            deadline=now + self._settings.poll_hold,
            unpolled=self.polls.begin(group, now),
        )
        result = self.resume(poll, now)
        return poll if result is None else result

    def resume(self, poll: HeldPoll, now: float) -> dict[str, Any] | None:
        """Return the result of a poll; `None` while there is no task and it is still held."""
        task = self._leases.hand_out_next(poll.worker_group, poll.hostname, now)
        if task is not None:
            return {"taskObject": self._queries.task_object(task)}
        if now < poll.deadline:
            return None
        self.polls.end_empty(poll.worker_group, poll.unpolled)
        self.on_empty()
        return {}

    def report(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """ReportTaskProgress."""
        fields = from_wire(params.get("fields") or [])
        return {"canceled": self._leases.report(params["taskId"], fields, now)}

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
        self._leases.set_status(params["taskId"], status, outcome, now)
