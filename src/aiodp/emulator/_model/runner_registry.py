"""The task runners which the service knows by their heartbeats."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_MAX_RUNNERS: Final = 1000
"""Runners which are remembered; a service that runs for weeks sees ever more of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRunnerView:
    """A task runner as of its last ReportTaskRunnerHeartbeat, `heartbeat_at` in service time.

    `terminating`: it is told to terminate at each heartbeat from now on.
    """

    taskrunner_id: str
    worker_group: str
    hostname: str
    heartbeat_at: float
    terminating: bool = False


class RunnerRegistry:
    """All task runners that reported themselves, of which the latest thousand are remembered."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, TaskRunnerView] = OrderedDict()

    def heartbeat(self, params: dict[str, Any], now: float) -> dict[str, Any]:
        """ReportTaskRunnerHeartbeat, whose answer says whether to terminate."""
        taskrunner_id = params["taskrunnerId"]
        before = self._known.pop(taskrunner_id, None)
        seen = TaskRunnerView(
            taskrunner_id=taskrunner_id,
            worker_group=params.get("workerGroup") or "",
            hostname=params.get("hostname") or "",
            heartbeat_at=now,
            terminating=before is not None and before.terminating,
        )
        self._known[taskrunner_id] = seen
        if len(self._known) > _MAX_RUNNERS:
            self._known.popitem(last=False)
        return {"terminate": seen.terminating}

    def terminate(self, taskrunner_id: str) -> None:
        """Answer `terminate` to each later heartbeat, as an answer may get lost.

        Raises `KeyError` for a runner which never reported itself.
        """
        self._known[taskrunner_id] = replace(self._known[taskrunner_id], terminating=True)

    def restore(self, runners: Iterable[TaskRunnerView]) -> None:
        """Take over what a store has, in the order of `views`."""
        self._known.update((runner.taskrunner_id, runner) for runner in runners)

    def views(self) -> tuple[TaskRunnerView, ...]:
        """Return the runners, the one with the latest heartbeat at the end."""
        return tuple(self._known.values())
