"""The priority queue against a plain model."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aiodp._core.lease import Lease
from aiodp._core.queue import LeaseQueue
from aiodp._core.timing import Timing

TIMING = Timing.checked(
    interval=60, ack_timeout=120, lease_timeout=300, safety_margin=10, attempt_timeout=10
)

steps = st.lists(
    st.tuples(st.sampled_from(["push", "discard", "pop"]), st.integers(0, 9), st.integers(0, 5)),
    max_size=200,
)


@given(steps)
def test_it_behaves_like_a_sorted_dictionary(steps):
    """Push moves, discard takes out, pop gives the smallest; the length is the number of leases."""
    queue = LeaseQueue("due_entry")
    leases = [Lease(str(i), TIMING, 0.0) for i in range(10)]
    model: dict[Lease, int] = {}
    for action, index, key in steps:
        if action == "push":
            queue.push(leases[index], key)
            model[leases[index]] = key
        elif action == "discard":
            queue.discard(leases[index])
            model.pop(leases[index], None)
        elif model:
            smallest = min(model.values())
            assert model.pop(queue.pop()) == smallest
        assert len(queue) == len(model)
        assert bool(queue) is bool(model)
        assert {lease for lease in leases if lease in queue} == set(model)
        head = queue.peek()
        assert (head is None) == (not model)
        if head is not None:
            assert model[head] == min(model.values()) == queue.key(head)


def test_discarded_entries_do_not_pile_up():
    """A lease that is moved a million times leaves no million entries behind."""
    queue = LeaseQueue("due_entry")
    lease = Lease("x", TIMING, 0.0)
    for key in range(10_000):
        queue.push(lease, key)
    assert len(queue._heap) < 200
