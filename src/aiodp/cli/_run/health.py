"""Whether the runner is well, as it is told to probes, to systemd and to Prometheus.

It is *live* while its event loop runs and reports are sent when they fall due. Whether they are
answered is no matter of the process: to start it anew would not help. It is *ready* while it polls,
and polls are answered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from aiodp._concurrency import system_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp import RunnerStatistics

MAX_DELAY: Final = 60.0
"""Seconds that a sample or a report may be late: a whole interval of reports."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The state of the runner at one moment."""

    taken_at: float
    """On the system's monotonic clock, in seconds."""
    statistics: RunnerStatistics
    overdue: float
    """For how many seconds a report has been due that is not sent."""
    polls_fail: bool
    is_draining: bool


class Health:
    """The last sample. What it says may be asked in any thread."""

    def __init__(self, system_time: Callable[[], float] = system_time) -> None:
        self.sample: Sample | None = None
        self._system_time = system_time

    def take(self, statistics: RunnerStatistics, now: float, *, is_draining: bool) -> None:
        """Take a sample, every second or so; `now` is `anyio.current_time()`."""
        due = statistics.reports.next_due if statistics.reports else None
        self.sample = Sample(
            taken_at=self._system_time(),
            statistics=statistics,
            overdue=0.0 if due is None else max(0.0, now - due),
            polls_fail=self._polls_fail(statistics),
            is_draining=is_draining,
        )

    def _polls_fail(self, now: RunnerStatistics) -> bool:
        """Return whether the last poll that ended has failed."""
        before = self.sample
        if before is None:
            return now.polls_failed > 0
        if _answered(now) > _answered(before.statistics):
            return False
        return before.polls_fail or now.polls_failed > before.statistics.polls_failed

    def why_not_live(self) -> str | None:
        """Return what keeps heartbeats from being on time; None if nothing does."""
        sample = self.sample
        if sample is None:
            return None  # it is starting
        silent = self._system_time() - sample.taken_at
        if silent > MAX_DELAY:
            return f"the event loop has not run for {silent:.0f} s"
        if sample.overdue > MAX_DELAY:
            return f"a report has been due for {sample.overdue:.0f} s"
        return None

    def why_not_ready(self) -> str | None:
        """Return why it takes no tasks; None if it does."""
        sample = self.sample
        if sample is None or sample.statistics.reports is None:
            return "it is starting"
        if sample.is_draining:
            return "it is draining"
        if sample.polls_fail:
            return "polls fail"
        return self.why_not_live()


def _answered(statistics: RunnerStatistics) -> int:
    return statistics.polls - statistics.polls_failed - statistics.polling
