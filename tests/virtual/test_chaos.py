"""Seeded chaos: whoever believes at any moment to own a task does own it in the service."""

from __future__ import annotations

import random
from contextlib import suppress

import anyio
import pytest

from aiodp import AiodpError, LeaseState, Quota, TaskStatus
from aiodp.testing import AuditKind, Fault, FaultKind, MemoryService, Settings
from virtual.kit import block, set_jitter, trio_slow

pytestmark = pytest.mark.anyio

ENDS = {AuditKind.REASSIGNED, AuditKind.LAPSED}
WORKERS = 10
TASKS_EACH = 4
TROUBLES = 40
KINDS = [kind for kind in FaultKind if kind is not FaultKind.CLOCK_JUMP]
"""No client can see the service's own time jump, so no lease could be safe from that."""


class Chaos:
    """One run: the workers, what disturbs them, and checks of who holds what."""

    def __init__(self, service, opened, dice, lease):
        self.service = service
        self.opened = opened
        self.dice = dice
        self.lease = lease
        self.held = {}
        self.looks = 0

    async def play(self):
        async with anyio.create_task_group() as around:
            around.start_soon(self.trouble)
            around.start_soon(self.watch)
            async with anyio.create_task_group() as workers:
                for number in range(WORKERS):
                    workers.start_soon(self.work, number)
            around.cancel_scope.cancel()

    async def trouble(self):
        for _ in range(TROUBLES):
            await anyio.sleep(self.dice.uniform(0, 60))
            kind = self.dice.choice(["fault", "fault", "fault", "block", "none"])
            if kind == "fault":
                self.service.faults.add(
                    Fault(
                        kind=self.dice.choice(KINDS),
                        duration=self.dice.uniform(0, 80),
                        every=self.dice.choice([1, 2, 3]),
                        delay=self.dice.uniform(0, 15),
                    )
                )
            elif kind == "block":
                block(self.dice.uniform(0, 1.2 * self.lease))
            else:
                self.service.faults.clear()

    async def watch(self):
        while True:
            self.service.service.advance()
            for task in self.held.values():
                if not task.ended.is_set() and task.state is LeaseState.HELD:
                    self.looks += 1
                    given_away = self.service.audit.of(task.task_id, *ENDS)
                    assert not given_away, f"{task} at {anyio.current_time()}: {given_away}"
            await anyio.sleep(self.dice.uniform(0.01, 3))

    async def work(self, number):
        for _ in range(TASKS_EACH):
            with suppress(AiodpError):
                await self.hold(number, *self.service.assign())
            self.held.pop(number, None)

    async def hold(self, number, task_id):
        async with self.opened.track(task_id) as task:
            self.held[number] = task
            with anyio.move_on_after(self.dice.uniform(0, 900)):
                await task.ended.wait()
            ending = self.dice.choice(["leave", "finish", "cancel", "report"])
            if ending == "finish":
                with anyio.move_on_after(self.dice.uniform(0, 20)):
                    await task.set_status(TaskStatus.FINISHED)
                await task.set_status(TaskStatus.FINISHED)
            elif ending == "cancel":
                self.service.cancel(task_id)
                await task.ended.wait()
            elif ending == "report":
                await task.report()


@trio_slow
@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 8))]
)
async def test_no_two_owners(seed, reporter):
    """Latency, every fault, blocks of the loop, cancels and repeated statuses, all at random."""
    dice = random.Random(seed)
    lease, margin = dice.choice([60, 300, 900]), dice.choice([1, 10])
    chaotic = MemoryService(settings=Settings(lease_timeout=lease))
    made = reporter(
        chaotic,
        lease_timeout=lease,
        safety_margin=margin,
        interval=min(60, lease / 4),
        quota=dice.choice([None, Quota()]),
    )
    set_jitter(made, random.Random(seed).random)
    async with made as opened:
        chaotic.latency = lambda: dice.choice([0, 0.05, 0.5, dice.uniform(0, 7.5)])
        chaos = Chaos(chaotic, opened, dice, lease)
        await chaos.play()
        assert chaos.looks > 100
        statistics = opened.statistics()
        assert (statistics.tracked, statistics.in_flight, statistics.acknowledged) == (0, 0, 0)
    chaotic.audit.assert_single_owner()
