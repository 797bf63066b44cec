"""The reporter of a task runner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

from aiodp._core.text import check_task_id
from aiodp._reporter.reporter import ProgressReporter
from aiodp._reporter.task import TrackedTask, Tracking

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp._core.objects import PipelineObject
    from aiodp._core.timing import Timing
    from aiodp._reporter.access import EngineAccess, StatusAccess
    from aiodp._reporter.record import TaskRecord

_T = TypeVar("_T", bound=TrackedTask)

_ACK_TIMEOUT: Final = 120.0  # seconds of the service: API reference of ReportTaskProgress


class RunnerReporter(ProgressReporter):
    """A `ProgressReporter` with what only a task runner needs, and users do not see."""

    @property
    def scale(self) -> float:
        """How many seconds of the service pass in one of ours."""
        return _ACK_TIMEOUT / self._timing.ack_timeout

    def new_jitter(self) -> Callable[[], float]:
        """Return what draws the numbers by which the runner's own retries are spread."""
        return self._new_jitter()

    def has_room(self, count: int) -> bool:
        """Return whether the quota can keep so many more tasks of the usual lease alive."""
        return self._engine is None or self._engine.has_room(count, self._timing)

    def timing_of(self, attempt: PipelineObject) -> Timing:
        """Return the timing of a task, whose `reportProgressTimeout` sets the lease.

        Raises `ValueError` if that is no period, or if no lease of that length can be kept.
        """
        period = attempt.period("reportProgressTimeout")
        lease_timeout = None if period is None else period / self.scale
        return self._timing.override(interval=None, ack_timeout=None, lease_timeout=lease_timeout)

    def track_as(
        self,
        make: Callable[[EngineAccess, StatusAccess, TaskRecord], _T],
        task_id: str,
        *,
        timing: Timing,
        assigned_at: float,
    ) -> Tracking[_T]:
        """Keep a task alive as `track` does, in the shape of the task that `make` returns."""
        check_task_id(task_id)
        return Tracking(self._open_parts, make, task_id, timing, assigned_at)
