"""A priority queue of leases from which any lease can be taken out at once."""

from __future__ import annotations

import heapq
import itertools
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aiodp._core.lease import Lease

_MIN_SWEEP: Final = 64


class LeaseQueue:
    """A binary heap keyed by a float. O(log n) to push and pop, O(1) amortised to discard.

    A discarded entry stays in the heap, emptied, until it surfaces or until half of the heap is
    empty. Each lease stands in a queue once at most; its entry is kept in the lease's attribute
    `slot`.
    """

    def __init__(self, slot: str) -> None:
        self._slot = slot
        self._heap: list[list[Any]] = []  # [key, order of arrival, lease or None]
        self._order = itertools.count()
        self._empty = 0

    def __len__(self) -> int:
        return len(self._heap) - self._empty

    def __contains__(self, lease: Lease) -> bool:
        return getattr(lease, self._slot) is not None

    def push(self, lease: Lease, key: float) -> None:
        """Put a lease in, or move it to another key."""
        self.discard(lease)
        entry = [key, next(self._order), lease]
        setattr(lease, self._slot, entry)
        heapq.heappush(self._heap, entry)

    def discard(self, lease: Lease) -> None:
        """Take a lease out if it is in."""
        entry = getattr(lease, self._slot)
        if entry is None:
            return
        entry[2] = None
        setattr(lease, self._slot, None)
        self._empty += 1
        if self._empty > max(_MIN_SWEEP, len(self._heap) // 2):
            self._heap = [entry for entry in self._heap if entry[2] is not None]
            heapq.heapify(self._heap)
            self._empty = 0

    def key(self, lease: Lease) -> float:
        """Return the key of a lease that is in the queue."""
        key: float = getattr(lease, self._slot)[0]
        return key

    def peek(self) -> Lease | None:
        """Return the lease with the smallest key."""
        while self._heap and self._heap[0][2] is None:
            heapq.heappop(self._heap)
            self._empty -= 1
        return self._heap[0][2] if self._heap else None

    def pop(self) -> Lease:
        """Take out the lease with the smallest key; `IndexError` if there is none."""
        self.peek()
        lease: Lease = heapq.heappop(self._heap)[2]
        setattr(lease, self._slot, None)
        return lease
