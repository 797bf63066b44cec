"""What is planned for runs in real time, what of them is recorded, and how that is judged."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from aiodp import LeaseState, LostReason
from aiodp.testing import AuditKind
from campaign.journal import Journal, TaskCalls
from campaign.oracle import Oracle
from campaign.plan import Plan

if TYPE_CHECKING:
    from aiodp.testing import ServerKit
    from campaign.journal import Work

LEASE: Final = 4.0
MARGIN: Final = 0.4
SLACK: Final = 0.7
"""Seconds that a thread or a call may take longer than it should, on a busy machine."""
LIMIT: Final = 120.0
"""Seconds after which a run should be over."""
_CALLS: Final = (AuditKind.PROGRESS, AuditKind.REFUSED, AuditKind.STATUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealPlan(Plan):
    """A plan whose leases are short enough for real time."""

    @classmethod
    def of(cls, seed: int) -> RealPlan:
        """Return the plan of a seed."""
        return cls(
            seed=seed,
            backend="trio" if seed % 4 == 0 else "asyncio",
            form="runner" if seed % 2 else "reporter",
            clients=True,
            lease=LEASE,
            service_lease=LEASE,
            margin=MARGIN,
            interval=LEASE / 4,
            service_quotas=False,
            quota=None,
            latency=0.0,
            processes=1,
            concurrency=4,
            activities=12,
            disturbances=12,
            suspends=False,
        )


class RealJournal(Journal):
    """Looks at tasks as their work does, and leaves the machine some time."""

    def __init__(self, kit: ServerKit) -> None:
        super().__init__(kit.audit, lambda: kit.now)
        self.calls = defaultdict(lambda: TaskCalls(""))
        self.blocks: list[tuple[float, float]] = []
        self.left: dict[str, float] = {}
        """Tasks whose blocks were left, and processes that were over, and when."""

    def look(self, work: Work) -> None:
        """Note whether the task of this work has ended."""
        if work.told_at is None and work.task.state in (LeaseState.CANCELED, LeaseState.LOST):
            work.told_at = self.now()
            work.lost_reason = work.task.lost_reason or LostReason.EXPIRED

    def step(self, work: Work) -> None:
        """Check that work may be done now."""
        now, told_at = self.now(), work.told_at
        self.look(work)
        if work.process in self.stopped:
            return
        self.counts["steps of work"] += 1
        if told_at is not None and now > max(told_at, self.woke_at) + SLACK:
            self.violate("interrupted", f"{work} goes on, though it ended at {told_at:.3f}")
        elif work.told_at is None and (other := self._later_owner(work, now)):
            self.violate("one owner", f"{work} goes on, though given away at {other:.3f}")


class RealOracle(Oracle):
    """Judges a run in which calls were seen by the service alone."""

    def judge_run(self, kit: ServerKit) -> None:
        """Check all that is promised; only a status has to wait for the event loop."""
        journal: Any = self._journal
        journal.audit = kit.audit
        for work in journal.works:
            self._check_cancellation(work)
        for work in journal.lost_works():
            self._check_loss(work)
        for start, end in journal.blocks:
            journal.troubles.append(SimpleNamespace(start=start, end=end + SLACK))
        for work in journal.works:
            self._check_status(work)
        self._check_instances()
        try:
            kit.assert_single_owner()
        except AssertionError as error:
            journal.violate("one owner", error)
        for event in journal.audit:
            for name in (event.task_id, event.hostname):
                late = event.at > journal.left.get(name, event.at) + SLACK
                if late and event.kind in _CALLS:
                    journal.violate("silent end", f"{event.kind} after the end of {name}")
