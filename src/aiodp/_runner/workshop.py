"""What all runs of a runner share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

from aiodp._runner.shutdown import Step

if TYPE_CHECKING:
    from aiodp._runner.handlers import Activity, Handlers
    from aiodp._runner.shutdown import Shutdown


class Workshop:
    """Handlers, and the room for them. `scale` service seconds pass in one of ours."""

    def __init__(
        self, handlers: Handlers, shutdown: Shutdown, *, max_concurrency: int, scale: float
    ) -> None:
        self.handlers = handlers
        self.scale = scale
        self.slots = anyio.Semaphore(max_concurrency)
        # Preconditions that are looked at again have places of their own, as in AWS's Task Runner
        # (Developer Guide, "Task Runner Threads and Preconditions").
        self.looks = anyio.Semaphore(max_concurrency)
        self.threads = anyio.CapacityLimiter(2 * max_concurrency)
        self._shutdown = shutdown
        self._limits: dict[Activity, anyio.Semaphore] = {}

    def limit_of(self, activity: Activity) -> anyio.Semaphore | None:
        """Return what limits the tasks of this type, if anything does."""
        if activity.limit is None:
            return None
        if activity not in self._limits:
            self._limits[activity] = anyio.Semaphore(activity.limit)
        return self._limits[activity]

    @property
    def is_draining(self) -> bool:
        """Whether no new work is to be begun."""
        return self._shutdown.step >= Step.DRAINING

    async def draining(self) -> None:
        """Return when it is."""
        await self._shutdown.wait(Step.DRAINING)
