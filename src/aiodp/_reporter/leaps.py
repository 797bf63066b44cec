"""Time that passes without the event loop: it is suspended, stopped or blocked."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

from aiodp._log import logger

if TYPE_CHECKING:
    from aiodp._reporter.clock import LeaseClock

_SHORTEST_LEAP: Final = 1.0  # seconds that are worth a word
_LONGEST_SLEEP: Final = 0.1  # seconds: as exactly is known when a block began, and how long it was

_REPLACED: Final = (
    "time.monotonic was replaced, so the timers of the event loop stand still; heartbeats go on, "
    "but their calls may hang: let the event loop keep its time, as freezegun's real_asyncio does"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leap:
    """Seconds that passed at once."""

    suspended: float
    """Of the machine."""
    blocked: float
    """Of the event loop, in which something blocked, or of the whole process."""


class LeapWatch:
    """Sleeps, and looks at the clock now and then while there are leases.

    No timer of an event loop ends earlier because the machine was suspended.
    """

    def __init__(self, clock: LeaseClock) -> None:
        self._clock = clock
        self._gained = clock.gained
        self._limiter = anyio.CapacityLimiter(1)  # not the one that the work may exhaust
        self._told = False
        self.longest_block = 0.0  # seconds

    async def sleep(
        self, wake: anyio.Event, delay: float, since: float
    ) -> tuple[float, Leap | None]:
        """Return at the event, or so many seconds after `since` at the latest, maybe earlier.

        Returns the time by the clock, which is to be the next `since`, so that nothing passes
        unseen between two sleeps, and if time has leapt meanwhile, that.
        """
        if not self._clock.is_virtual and delay < math.inf:
            delay = min(delay, _LONGEST_SLEEP)
        await self._sleep(wake, delay)
        gained = self._clock.gained
        suspended, self._gained = gained - self._gained, gained
        now = self._clock.now()
        elapsed = now - since - suspended
        blocked = elapsed if delay <= _LONGEST_SLEEP else elapsed - delay
        if max(suspended, blocked) <= _SHORTEST_LEAP:
            return now, None
        self.longest_block = max(self.longest_block, blocked)
        return now, Leap(suspended=suspended, blocked=blocked)

    async def _sleep(self, wake: anyio.Event, delay: float) -> None:
        if self._clock.loop_is_ahead:
            if not self._told:
                self._told = True
                logger.warning(_REPLACED)
            pause = partial(time.sleep, min(delay, _LONGEST_SLEEP))
            await anyio.to_thread.run_sync(pause, limiter=self._limiter)
        else:
            # By the system's time, so that this timer ends when a replaced one is put back.
            with anyio.CancelScope(deadline=self._clock.loop_time() + delay):
                await wake.wait()
