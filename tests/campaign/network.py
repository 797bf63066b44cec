"""The service of a run, and the way of each process to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import anyio
from botocore.exceptions import ConnectionClosedError

from aiodp.testing import Fault, FaultKind, MemoryKit, MemoryService

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from aiodp.emulator._model.faults import _Rule
    from aiodp.emulator._model.replies import Answer
    from aiodp.emulator._model.service import Service
    from campaign.journal import Journal


class Link(MemoryService):
    """The way of one process to the service. A dead process hears nothing, and is not heard."""

    def __init__(
        self,
        kit: MemoryKit,
        journal: Journal,
        process: str,
        latency: Callable[[], float],
        network: Network,
    ) -> None:
        super().__init__(latency=latency)
        self.dead = False
        self.network = network
        self._kit = kit
        self._journal = journal
        self._process = process
        self._open: dict[anyio.CancelScope, None] = {}

    @property
    def service(self) -> Service:
        return self._kit.service

    @property
    def open_calls(self) -> int:
        return len(self._open)

    def drop(self) -> None:
        """Break every connection off; what was asked may have been done."""
        for scope in list(self._open):
            scope.cancel()

    async def _call(self, operation: str, members: dict[str, Any], url: str) -> Answer:
        if self.dead:
            await anyio.sleep_forever()
        self._journal.begin_call(self._process, operation, members)
        answer = None
        with anyio.CancelScope() as scope:
            self._open[scope] = None
            try:
                answer = await super()._call(operation, members, url)
            finally:
                del self._open[scope]
                self._kit._on_change()
        if self.dead:
            await anyio.sleep_forever()
        if answer is None:
            raise ConnectionClosedError(endpoint_url=url)
        self._journal.end_call(operation, members, answer)
        return answer


class Network:
    """What goes wrong on the way to the service, and how often each kind of it did."""

    def __init__(self, kit: MemoryKit, journal: Journal, *, pad: float) -> None:
        self._kit = kit
        self._journal = journal
        self.pad = pad
        """Seconds for which a call may suffer from a trouble that is over."""
        self._rules: list[_Rule] = []
        self.links: list[Link] = []
        self.slow_until = 0.0
        self.suspended = 0.0
        """Seconds for which the machine of all processes was suspended."""

    def add(self, fault: Fault) -> None:
        """Let a fault happen; it is a trouble for as long as it lasts."""
        faults = self._kit.faults
        faults.add(fault)
        self._rules.append(faults._rules[-1])
        self._journal.add_trouble(fault.duration or 0.0, self.pad + fault.delay)

    def restart_service(self, seconds: float) -> None:
        """Stop the service, which forgets nothing, and start it again."""
        for link in self.links:
            link.drop()
        self.add(Fault(kind=FaultKind.RESET, duration=seconds))

    def slow_down(self, seconds: float) -> None:
        """Let each way take so long for a time that some calls are not answered in time."""
        self.slow_until = self._journal.now() + seconds
        self._journal.add_trouble(seconds, 2 * self.pad)

    def suspend(self, seconds: float) -> None:
        """Let the service's time pass, while the clock of the processes' event loops stands."""
        self.suspended += seconds
        self._kit.service.jump(seconds)

    def latency(self, rng: random.Random, usual: float) -> float:
        """Return how long one way takes now."""
        if self._journal.now() < self.slow_until:
            return rng.uniform(0, 7.5)
        return rng.choice([0.0, usual])

    def clear(self) -> None:
        """Let all be well from now on."""
        self._kit.faults.clear()
        self.slow_until = 0.0
        self._journal.end_troubles(self.pad)

    def count(self) -> None:
        """Note how many calls each kind of fault has changed."""
        for rule in self._rules:
            self._journal.counts[rule.fault.kind.value] += rule.hits
