"""A priority queue from which any item can be taken out at once."""

from __future__ import annotations

import heapq
import itertools
from typing import Final, Generic, TypeVar

_T = TypeVar("_T")

_MIN_SWEEP: Final = 64  # discarded entries that are not worth the time to sweep them out


class Entry(Generic[_T]):
    """The place of an item in a queue; `item` is None once it has been taken out."""

    __slots__ = ("_order", "item", "key", "queue")

    def __init__(self, queue: PriorityQueue[_T], key: float, order: int, item: _T) -> None:
        self.queue = queue
        self.key = key
        self._order = order  # of arrival
        self.item: _T | None = item

    def __lt__(self, other: Entry[_T]) -> bool:
        if self.key != other.key:
            return self.key < other.key
        return self._order < other._order


class PriorityQueue(Generic[_T]):
    """A binary heap keyed by a float. O(log n) to push and pop, O(1) amortised to discard.

    Items with equal keys leave in the order of their arrival. A discarded entry stays in the heap,
    emptied, until it surfaces or until half of the heap is empty.
    """

    def __init__(self) -> None:
        self._heap: list[Entry[_T]] = []
        self._order = itertools.count()
        self._empty = 0

    def __len__(self) -> int:
        return len(self._heap) - self._empty

    def push(self, item: _T, key: float) -> Entry[_T]:
        """Put an item in; return its place, by which it can be discarded."""
        entry = Entry(self, key, next(self._order), item)
        heapq.heappush(self._heap, entry)
        return entry

    def discard(self, entry: Entry[_T]) -> None:
        """Take out the item of an entry, if it is still in."""
        if entry.item is None:
            return
        entry.item = None
        self._empty += 1
        if self._empty > max(_MIN_SWEEP, len(self._heap) // 2):
            self._heap = [entry for entry in self._heap if entry.item is not None]
            heapq.heapify(self._heap)
            self._empty = 0

    def peek(self) -> _T | None:
        """Return the item with the smallest key."""
        heap = self._heap
        while heap:
            if (item := heap[0].item) is not None:
                return item
            heapq.heappop(heap)
            self._empty -= 1
        return None

    def pop(self) -> _T:
        """Take out the item with the smallest key; `IndexError` if there is none."""
        item = self.peek()
        heapq.heappop(self._heap).item = None
        assert item is not None  # noqa: S101 - an empty heap has raised
        return item
