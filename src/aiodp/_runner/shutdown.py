"""How a runner ends: it drains, cancels and abandons, each once and in this order.

| step | polls | tasks that run |
| --- | --- | --- |
| drain | no new ones; the ones under way are left open while tasks run | go on to their end |
| cancel | are canceled | are interrupted once, and may clean up |
| abandon | | are left behind |
"""

from __future__ import annotations

from contextlib import suppress
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING

import anyio

from aiodp._concurrency import threadsafe_call
from aiodp._reporter.home import Home

if TYPE_CHECKING:
    from collections.abc import Callable


class Step(IntEnum):
    """How far the end of a runner has come."""

    RUNNING = 0
    DRAINING = 1
    CANCELING = 2
    ABANDONING = 3


class Shutdown:
    """The step that a runner has reached, and events to wait for the others."""

    def __init__(self) -> None:
        self.step = Step.RUNNING
        self._wanted = Step.RUNNING  # asked for before there was an event loop
        self._events: dict[Step, anyio.Event] = {}
        self._hooks: list[Callable[[Step], None]] = []
        self._threadsafe_call: Callable[[Callable[[], object]], object] | None = None
        self._home: Home | None = None
        self._interrupts: list[Callable[[], object]] = []
        self.by_itself = False  # whether nobody else ends the runner

    def open(self) -> None:
        """Begin, in the event loop of the runner."""
        self._events = {step: anyio.Event() for step in Step}
        self._threadsafe_call = threadsafe_call()
        self._home = Home("task runner")
        self.reach(self._wanted)

    def on_step(self, hook: Callable[[Step], None]) -> None:
        """Call this for each step that is reached, and now for those that were."""
        self._hooks.append(hook)
        for step in Step:
            if Step.RUNNING < step <= self.step:
                hook(step)

    def on_end_by_itself(self, interrupt: Callable[[], object]) -> None:
        """Call this if the runner ends by itself, and now if it does already."""
        self._interrupts.append(interrupt)
        if self.by_itself:
            interrupt()

    @property
    def is_draining(self) -> bool:
        """Whether no new work is to be begun."""
        return self.step >= Step.DRAINING

    def ask(self, step: Step) -> None:
        """Go as far as this step, if it is not reached yet, at the event loop's next turn.

        May be called from any thread, and from a signal handler; raises `ReporterClosed` in a
        forked child.
        """
        if self._home is not None:
            self._home.check_process()
        self._wanted = max(self._wanted, step)
        self.call_soon(partial(self.reach, step))

    def call_soon(self, function: Callable[[], object]) -> None:
        """Call the function at the event loop's next turn, if there is one; see `ask`."""
        if self._threadsafe_call is not None:
            with suppress(RuntimeError):  # the event loop is closed
                self._threadsafe_call(function)

    def reach(self, step: Step) -> None:
        """Do as `ask` does, but at once, and in the event loop."""
        for following in Step:
            if self.step < following <= step:
                self.step = following
                self._events[following].set()
                for hook in self._hooks:
                    hook(following)

    def end_by_itself(self, step: Step) -> None:
        """Do as `reach` does, and interrupt the block beside the runner: nobody else will."""
        self.by_itself = True
        self.reach(step)
        for interrupt in self._interrupts:
            interrupt()

    async def wait(self, step: Step) -> None:
        """Return when the step is reached."""
        await self._events[step].wait()

    async def wait_draining(self) -> None:
        """Return when no new work is to be begun."""
        await self.wait(Step.DRAINING)
