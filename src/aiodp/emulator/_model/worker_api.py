"""The operations of the API that task runners call for their tasks."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator._definition.fields import from_wire, strings
from aiodp.emulator._errors import invalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiodp.emulator._model.leases import Leases
    from aiodp.emulator._model.listing.query import Queries
    from aiodp.emulator._settings import Settings

_STATUSES: Final = ("FINISHED", "FAILED", "FALSE")
_ERROR_MEMBERS: Final = ("errorId", "errorMessage", "errorStackTrace")
_RESERVED: Final = "Service_"
MAX_GROUPS: Final = 1000
"""Polled worker groups which are remembered: a poll may name any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldPoll:
    """A PollForTask for which there is no task yet; it is held until its deadline at most.

    `unpolled` are the groups which had work, but never a poll, when it came.
    """

    worker_group: str
    hostname: str
    deadline: float
    unpolled: frozenset[str]


class Polls:
    """The worker groups that were polled, of which the latest thousand are remembered.

    `queues` are the attempts that wait, by worker group.
    """

    def __init__(self, queues: Mapping[str, Mapping[Any, None]]) -> None:
        self._queues = queues
        self._polled: OrderedDict[str, float] = OrderedDict()
        self._beside: dict[str, frozenset[str]] = {}

    def begin(self, worker_group: str, now: float) -> frozenset[str]:
        """Note a poll; return the groups with work for which there never was one."""
        self._polled[worker_group] = now
        self._polled.move_to_end(worker_group)
        if len(self._polled) > MAX_GROUPS:
            forgotten, _ = self._polled.popitem(last=False)
            self._beside.pop(forgotten, None)
        return self.unpolled

    def end_empty(self, worker_group: str, unpolled: frozenset[str]) -> None:
        """Note that a poll found no work; `unpolled` is what `begin` returned for it."""
        if worker_group in self._polled:
            self._beside[worker_group] = unpolled

    def last(self, worker_group: str) -> float | None:
        """Return when a group was last polled, in the service's time; `None` for never."""
        return self._polled.get(worker_group)

    @property
    def groups(self) -> frozenset[str]:
        """The groups that were polled."""
        return frozenset(self._polled)

    @property
    def in_vain(self) -> dict[str, frozenset[str]]:
        """The groups whose last poll found nothing while other groups had work, and these others.

        Others are those whose work waited during all of that poll, and for which there has been no
        poll until now.
        """
        unpolled = self.unpolled
        beside = {group: before & unpolled for group, before in self._beside.items()}
        return {group: others for group, others in beside.items() if others}

    @property
    def unpolled(self) -> frozenset[str]:
        """The groups with work for which there never was a poll."""
        waiting = {group for group, queue in self._queues.items() if queue}
        return frozenset(waiting - self._polled.keys())


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
