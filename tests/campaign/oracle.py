"""What only the end of a run shows, from what the service knows and what the workers did."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from aiodp.testing import AuditKind

if TYPE_CHECKING:
    from campaign.journal import Journal, Work
    from campaign.network import Network
    from campaign.plan import Plan


class Oracle:
    """Judges a run that is over."""

    def __init__(self, plan: Plan, journal: Journal, network: Network) -> None:
        self._plan = plan
        self._journal = journal
        self._network = network

    def judge(self) -> None:
        """Check all that is promised, for each piece of work and each instance."""
        for work in self._journal.works:
            self._check_cancellation(work)
            self._check_status(work)
        for work in self._journal.lost_works():
            self._check_loss(work)
        self._check_instances()

    def _check_cancellation(self, work: Work) -> None:
        """A cancellation is heard within a report's interval and a third of the lease."""
        if self._journal.was_made_up(work):
            self._journal.violate("status true", f"{work} is canceled for no reason")
        for event in self._journal.audit.of(work.task.task_id, AuditKind.CANCELED):
            self._journal.counts["cancellations"] += 1
            seconds = self._plan.interval + 2 * self._plan.attempt_timeout + self._plan.third
            due = self._journal.reachable_until(max(event.at, work.began_at), seconds)
            if due < self._heard_at(work) and due <= self._end_of(work):
                self._journal.violate(
                    "cancel heard", f"{work} was canceled at {event.at:.3f}, due by {due:.3f}"
                )

    def _heard_at(self, work: Work) -> float:
        times = [time for time in (work.told_at, work.over_at) if time is not None]
        return min(times, default=self._journal.now())

    def _end_of(self, work: Work) -> float:
        """Return when the process of this work was stopped, after which nothing is promised."""
        return self._journal.stopped.get(work.process, float("inf"))

    def _check_loss(self, work: Work) -> None:
        self._journal.counts["leases that ran out"] += 1
        lost_at = work.task.deadline + self._network.suspended - self._plan.margin
        start = lost_at - self._plan.third
        if start > work.began_at and self._journal.is_quiet(start, lost_at):
            self._journal.violate("lease kept", f"{work} ran out at {lost_at:.3f}")

    def _check_status(self, work: Work) -> None:
        self._journal.counts["statuses"] += work.wanted is not None
        end = self._journal.end_in_service(work)
        if end is not None and end[1] is AuditKind.STATUS:
            if work.wanted != end[2] and work.process not in self._journal.stopped:
                self._journal.violate("status true", f"{work} wanted {work.wanted}, got {end[2]}")
            return
        calls = self._journal.calls[work.task.task_id]
        if work.wanted is None or calls.invalid:
            return
        if work.wanted_at >= min(self._told_at(work), self._end_of(work)):
            return
        due = self._journal.reachable_until(work.wanted_at, self._plan.third)
        taken_at = self._journal.now() if end is None else end[0]
        if due <= min(taken_at, self._end_of(work)):
            self._journal.violate(
                "status kept",
                f"{work} wanted {work.wanted} at {work.wanted_at:.3f}, due by {due:.3f}, "
                f"and the service had it until {taken_at:.3f}",
            )

    def _told_at(self, work: Work) -> float:
        return float("inf") if work.told_at is None else work.told_at

    def _check_instances(self) -> None:
        finished: Counter[tuple[str, str]] = Counter()
        statuses: Counter[str] = Counter()
        for event in self._journal.audit:
            if event.kind is AuditKind.STATUS:
                statuses[event.task_id] += 1
                finished[event.pipeline_id, event.instance_id] += event.detail == "FINISHED"
        for name, count in [*statuses.items(), *finished.items()]:
            if count > 1:
                self._journal.violate("status once", f"{name!s:.60} has {count} statuses")
        self._check_owners()

    def _check_owners(self) -> None:
        try:
            self._journal.audit.assert_single_owner()
        except AssertionError as error:
            self._journal.violate("one owner", error)
