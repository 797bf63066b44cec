"""Whose turn it is among the instances of a component that wait."""

from __future__ import annotations

from dataclasses import dataclass

from aiodp.emulator._model.runs.waiting import Waiting


@dataclass
class Stub:
    """What a queue of instances needs of one."""

    id: str
    scheduled_at: float


A, B, C = Stub("A", 1.0), Stub("B", 2.0), Stub("C", 3.0)


def waiting(*instances):
    """Return the queue after these began to wait."""
    found: Waiting[Stub] = Waiting()
    for instance in instances:
        found.add(instance)
    return found


def test_the_oldest_has_its_turn_first():
    """What counts is the slot, not the order in which they began to wait."""
    queue = waiting(B, C, A)
    assert [queue.pop_next() for _ in range(4)] == [A, B, C, None]
    assert list(queue) == ["B", "C", "A"]


def test_one_has_its_turn_once_however_often_it_is_held_back():
    """It is held back again if that is said after its turn."""
    queue = waiting(A)
    queue.hold_back(A)
    assert queue.is_held_back(A)
    assert queue.pop_next() is A
    assert not queue.is_held_back(A)
    assert queue.pop_next() is None
    queue.hold_back(A)
    assert queue.pop_next() is A


def test_what_waits_no_longer_has_no_turn():
    """It is passed over."""
    queue = waiting(A, B)
    queue.pop("A")
    assert queue.pop_next() is B
