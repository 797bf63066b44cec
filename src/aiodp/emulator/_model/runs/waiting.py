"""The instances of one component which wait, and whose turn it is next."""

from __future__ import annotations

import heapq
from typing import Protocol, TypeVar


class Waits(Protocol):
    """An instance."""

    id: str
    scheduled_at: float


Instance = TypeVar("Instance", bound=Waits)


class Waiting(dict[str, Instance]):
    """Waiting instances by id; of those which may be held back by others the oldest is the next.

    Whatever begins to wait may be held back. What `pop_next` gave is forgotten until `hold_back`,
    so that what waits for something else is not looked at each time that an instance ends.
    """

    def __init__(self) -> None:
        super().__init__()
        self._queue: list[tuple[float, str]] = []
        self._queued: set[str] = set()

    def add(self, instance: Instance) -> None:
        """Add an instance which begins to wait."""
        self[instance.id] = instance
        self.hold_back(instance)

    def hold_back(self, instance: Instance) -> None:
        """Let an instance have its turn once another one has ended."""
        if instance.id not in self._queued:
            self._queued.add(instance.id)
            heapq.heappush(self._queue, (instance.scheduled_at, instance.id))

    def is_held_back(self, instance: Instance) -> bool:
        """Return whether it is still to have its turn."""
        return instance.id in self._queued

    def pop_next(self) -> Instance | None:
        """Return the oldest one which waits and was held back; `None` if there is none."""
        while self._queue:
            _, instance_id = heapq.heappop(self._queue)
            self._queued.discard(instance_id)
            if instance_id in self:
                return self[instance_id]
        return None
