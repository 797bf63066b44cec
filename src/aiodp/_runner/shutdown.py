"""How a runner ends: it drains, then it cancels, then it abandons; each step once, and no way back.

| step | polls | tasks that run |
| --- | --- | --- |
| drain | no new ones; the ones under way are left open while tasks run | go on to their end |
| cancel | are broken off | are interrupted once, and may clean up |
| abandon | | are left behind |
"""

from __future__ import annotations

from contextlib import suppress
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING

import anyio

from aiodp._concurrency import threadsafe_call

if TYPE_CHECKING:
    from collections.abc import Callable


class Step(IntEnum):
    """How far the end has come."""

    RUNNING = 0
    DRAINING = 1
    CANCELING = 2
    ABANDONING = 3


class Shutdown:
    """The steps, and events to wait for them.

    They may be asked for from any thread, and from a signal handler.
    """

    def __init__(self) -> None:
        self.step = Step.RUNNING
        self._wanted = Step.RUNNING  # before there is an event loop
        self._events: dict[Step, anyio.Event] = {}
        self._hooks: list[Callable[[Step], None]] = []
        self._threadsafe_call: Callable[[Callable[[], object]], object] | None = None

    def open(self) -> None:
        """Begin, in the event loop of the runner."""
        self._events = {step: anyio.Event() for step in Step}
        self._threadsafe_call = threadsafe_call()
        self.reach(self._wanted)

    def close(self) -> None:
        """End: what is asked for now has no effect."""
        self._threadsafe_call = None

    def on_step(self, hook: Callable[[Step], None]) -> None:
        """Call this at each step that is reached, also at those that were."""
        self._hooks.append(hook)
        for step in Step:
            if Step.RUNNING < step <= self.step:
                hook(step)

    def ask(self, step: Step) -> None:
        """Go as far as this step, if it is not reached yet, at the event loop's next turn."""
        self._wanted = max(self._wanted, step)
        later = self._threadsafe_call  # another thread may close it now
        if later is not None:
            with suppress(RuntimeError):  # the event loop is closed
                later(partial(self.reach, step))

    def reach(self, step: Step) -> None:
        """As `ask`, at once and in the event loop."""
        for each in Step:
            if self.step < each <= step:
                self.step = each
                self._events[each].set()
                for hook in self._hooks:
                    hook(each)

    async def wait(self, step: Step) -> None:
        """Return when the step is reached."""
        await self._events[step].wait()
