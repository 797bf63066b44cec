"""What goes wrong in a run in real time, as its seed says."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio

from aiodp import LeaseState
from aiodp.testing import Fault, FaultKind
from campaign.own_thread_judge import LEASE, LIMIT, SLACK

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.emulator._model.faults import _Rule
    from campaign.journal import Work
    from campaign.own_thread import RealRun

_ACTIONS: Final = frozenset({"ReportTaskProgress", "SetTaskStatus"})
_FAULTS: Final = tuple(set(FaultKind) - {FaultKind.CLOCK_JUMP, FaultKind.INVALID_REQUEST})


class RealDisturbances:
    """Faults of the service, blocks of the event loop, canceled tasks and ended processes."""

    def __init__(self, run: RealRun) -> None:
        self._rules: list[_Rule] = []
        self._run, self._plan, self._kit, self._journal = run, run.plan, run.kit, run.journal
        self._rng = run.plan.dice("disturbances")

    async def run(self) -> None:
        """Disturb; when all work has ended, end the run."""
        kinds = {
            "fault of a kind": (5, self._add_fault),
            "outage": (1, self._add_outage),
            "blocked loop": (5, self._block),
            "canceled task": (3, self._cancel_task),
            "drained process": (1, self._run.drain),
            "canceled process": (1, self._run.cancel_process),
        }
        weights = [weight for weight, _ in kinds.values()]
        for _ in range(self._plan.disturbances):
            await anyio.sleep(self._rng.uniform(0.1, 1.5))
            [name] = self._rng.choices(list(kinds), weights)
            kinds[name][1]()
            self._journal.counts[name] += 1
        self._kit.faults.clear()
        self._journal.end_troubles(self._plan.attempt_timeout + SLACK)
        try:
            await self._kit.ended(self._run.pipeline, timeout=LIMIT / 2)
        except AssertionError as error:
            self._journal.violate("ends", error)
        for rule in self._rules:
            self._journal.counts[rule.fault.kind.value] += rule.hits
        self._run.over = True
        self._run.drain()

    def _add_fault(self) -> None:
        self._fault(self._rng.uniform(0.1, 1.5), self._rng.choice([1, 2, 3]))

    def _add_outage(self) -> None:
        self._fault(self._rng.uniform(0.3, 1.3) * LEASE, 1)

    def _fault(self, seconds: float, every: int) -> None:
        kind, delay = self._rng.choice(sorted(_FAULTS)), self._rng.uniform(0, 1)
        fault = Fault(kind=kind, actions=_ACTIONS, duration=seconds, every=every, delay=delay)
        with self._kit.service as service:
            service.faults.add(fault)
            self._rules.append(service.faults._rules[-1])
        self._journal.add_trouble(seconds + delay, self._plan.attempt_timeout + SLACK)

    def _block(self) -> None:
        """Block the event loop for up to two leases; meanwhile, cancel and fail."""
        seconds = self._rng.uniform(0.2, 2) * LEASE
        start, until = self._journal.now(), time.monotonic() + seconds
        events = sorted(self._rng.uniform(0, seconds) for _ in range(self._rng.choice([0, 1, 2])))
        while (left := until - time.monotonic()) > 0:
            if events and events[0] <= seconds - left:
                events.pop(0)
                self._rng.choice([self._cancel_task, self._add_fault])()
            time.sleep(min(left, 0.05))
            for work in self._works():
                self._journal.look(work)
        self._journal.woke_at = self._journal.now()
        self._journal.blocks.append((start, self._journal.woke_at))
        self._journal.counts["blocked milliseconds"] += round(1000 * seconds)
        if seconds > LEASE:
            held = sum(work.task.state is LeaseState.HELD for work in self._works())
            self._journal.counts["held through a block of more than a lease"] += held

    def _works(self) -> Iterator[Work]:
        return (work for work in self._journal.works if work.over_at is None)

    def _cancel_task(self) -> None:
        if held := [work.task.task_id for work in self._works() if work.told_at is None]:
            with suppress(ValueError):  # nobody holds it any more
                self._kit.cancel(self._rng.choice(held))
