"""The priority queue against a plain model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodp._core.queue import Entry, PriorityQueue

steps = st.lists(
    st.tuples(st.sampled_from(["push", "discard", "pop"]), st.integers(0, 9), st.integers(0, 5)),
    max_size=200,
)


@given(steps)
def test_it_behaves_like_a_sorted_dictionary(steps):
    """Push moves, discard takes out, pop gives the smallest; the length is the number of items."""
    queue = PriorityQueue[str]()
    entries: dict[str, Entry[str]] = {}
    model: dict[str, tuple[int, int]] = {}
    for order, (action, item, key) in enumerate(steps):
        name = str(item)
        if action == "push":
            if name in entries:
                queue.discard(entries[name])
            entries[name] = queue.push(name, key)
            model[name] = key, order
        elif action == "discard" and name in entries:
            queue.discard(entries[name])
            queue.discard(entries[name])  # does nothing the second time
            model.pop(name, None)
        elif action == "pop" and model:
            smallest = min(model.values())
            assert model.pop(queue.pop()) == smallest
        assert len(queue) == len(model)
        assert bool(queue) is bool(model)
        assert {name for name, entry in entries.items() if entry.item is not None} == set(model)
        head = queue.peek()
        assert (head is None) == (not model)
        if head is not None:
            assert model[head] == min(model.values())
            assert model[head][0] == entries[head].key


def test_an_empty_queue_has_nothing_to_pop():
    """As a list has not."""
    queue = PriorityQueue[str]()
    queue.discard(queue.push("x", 1.0))
    with pytest.raises(IndexError):
        queue.pop()


def test_discarded_entries_do_not_pile_up():
    """An item that is moved ten thousand times leaves no ten thousand entries behind."""
    queue = PriorityQueue[str]()
    entry = queue.push("x", 0)
    for key in range(10_000):
        queue.discard(entry)
        entry = queue.push("x", key)
    assert len(queue._heap) < 200


def test_a_discard_leaves_the_heap_as_it_is_until_sweeping_is_worth_its_time():
    """More than 64 empty entries, and more than half of the heap."""
    queue = PriorityQueue[int]()
    entries = [queue.push(number, number) for number in range(200)]
    for entry in entries[100:200]:
        queue.discard(entry)
    assert len(queue._heap) == 200
    queue.discard(entries[0])
    assert len(queue._heap) == len(queue) == 99
    for entry in entries[1:65]:
        queue.discard(entry)
    assert len(queue._heap) == 99
    queue.discard(entries[65])
    assert len(queue._heap) == len(queue) == 34
    assert [queue.pop() for _ in range(34)] == list(range(66, 100))
