"""The work of tasks: it takes steps, and returns, fails, is slow to stop, or deaf."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from aiodp import TaskStatus

if TYPE_CHECKING:
    import random

    from aiodp import TrackedTask
    from campaign.journal import Journal, Work
    from campaign.plan import Plan


class BadLuckError(Exception):
    """The work failed."""


class Worker:
    """Performs the tasks of one process."""

    def __init__(self, process: str, plan: Plan, journal: Journal) -> None:
        self._process = process
        self._plan = plan
        self._journal = journal

    async def perform(
        self, task: TrackedTask, instance: tuple[str, str], *, owns_status: bool
    ) -> bool | None:
        """Do one piece of work; `owns_status` says that nobody else sets its status."""
        rng = self._plan.dice(task.task_id)
        work = self._journal.begin_work(task, self._process, instance)
        try:
            self._journal.step(work)
            await self._take_steps(work, rng)
            return await self._end(work, rng, owns_status=owns_status)
        finally:
            if work.over_at is None:
                work.over_at = self._journal.now()
            self._journal.look(work)
            wanted = work.wanted
            if not work.told_itself:  # the status is sent when this has returned
                work.wanted = None
            await self._clean_up(rng)
            if not work.told_itself:
                self._journal.look(work)
                work.wanted, work.wanted_at = wanted, self._journal.now()

    async def _take_steps(self, work: Work, rng: random.Random) -> None:
        seconds = rng.uniform(0, rng.choice([30, 200, self._plan.lease, 2 * self._plan.lease]))
        swallowed = rng.choice([0, 0, 0, 0, 1, 5])
        asks = rng.random() < 0.5
        until = anyio.current_time() + seconds
        while (left := until - anyio.current_time()) > 0:
            try:
                await anyio.sleep(min(left, rng.uniform(0.5, 20)))
            except anyio.get_cancelled_exc_class():
                if not swallowed or self._process in self._journal.killed:
                    raise
                swallowed -= 1
                self._journal.look(work)
                work.deaf = True
                self._journal.counts["interruption ignored"] += 1
                with anyio.CancelScope(shield=True):  # trio would interrupt again at once
                    await anyio.sleep(rng.uniform(0.5, 60))
            self._journal.step(work)
            if asks and work.task.ended.is_set():
                work.task.raise_if_ended()
            if rng.random() < 0.2:
                work.task.update(left=left)

    async def _end(self, work: Work, rng: random.Random, *, owns_status: bool) -> bool | None:
        how = rng.choice(["return"] * 4 + ["report", "fail", "raise", "set status"])
        if how == "report":
            await work.task.report()
        if how in ("fail", "raise"):
            self._want(work, TaskStatus.FAILED)
            if owns_status:
                work.told_itself = True
                await work.task.set_status(TaskStatus.FAILED, error_id="BadLuck")
            elif how == "raise":
                raise BadLuckError
            return False
        self._want(work, TaskStatus.FINISHED)
        if owns_status or how == "set status":
            work.told_itself = True
            await work.task.set_status(TaskStatus.FINISHED)
        return None

    def _want(self, work: Work, status: TaskStatus) -> None:
        self._journal.look(work)
        work.over_at = work.wanted_at = self._journal.now()
        work.wanted = status.value

    async def _clean_up(self, rng: random.Random) -> None:
        """Take time, of which a rough half of the works takes more than it should."""
        if rng.random() < 0.3:
            self._journal.counts["slow clean-up"] += 1
            with anyio.CancelScope(shield=True):
                await anyio.sleep(rng.uniform(0, rng.choice([self._plan.margin / 2, 200])))
