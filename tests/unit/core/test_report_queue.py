"""The order in which leases report."""

from __future__ import annotations

import pytest

from aiodp import LostReason
from aiodp._core.registration import Registration
from aiodp._core.report_queue import ReportQueue
from aiodp._core.timing import Timing

TIMING = Timing.checked(
    interval=60, ack_timeout=120, lease_timeout=300, safety_margin=10, attempt_timeout=10
)


def held(queue, *, sent_at, due_at, name="held") -> Registration:
    """A lease in the queue that was renewed at `sent_at`: it is lost 290 s later."""
    new = Registration(name, TIMING, sent_at)
    assert new.succeed(sent_at, sent_at)
    new.due_at = due_at
    queue.put(new)
    return new


def times(queue):
    """When the first report is due, of those that wait and of those that are not due yet."""
    return queue.first_due_at, queue.due_next_at


def test_nothing_is_ready_before_it_is_due():
    """A millisecond before counts as due, so that no clock's rounding makes a loop spin."""
    queue = ReportQueue()
    lease = held(queue, sent_at=0.0, due_at=60.0)
    queue.collect_due(59.998)
    assert queue.has_ready is False
    assert queue.next(59.998, 0.0) is None
    assert times(queue) == (60.0, 60.0)
    queue.collect_due(59.9995)
    assert bool(queue.has_ready) is True
    assert queue.next(59.9995, 0.0) is lease
    assert times(queue) == (60.0, None)


def test_what_has_been_due_longest_goes_first_while_nothing_is_urgent():
    """Even if the other one is lost earlier."""
    queue = ReportQueue()
    lost_late = held(queue, sent_at=50.0, due_at=100.0)
    lost_soon = held(queue, sent_at=0.0, due_at=110.0)
    queue.collect_due(120.0)
    assert queue.next(120.0, 0.0) is lost_late
    queue.collect_due(290.0 - 290.0 / 4)
    assert queue.next(217.5, 0.0) is lost_soon


def test_a_ready_lease_becomes_urgent_on_time_and_not_before():
    """A quarter of the lease is left at 217.5 s."""
    queue = ReportQueue()
    queue_first = held(queue, sent_at=100.0, due_at=110.0)
    urgent = held(queue, sent_at=0.0, due_at=120.0)
    queue.collect_due(217.498)
    assert queue.next(217.498, 0.0) is queue_first
    queue.collect_due(217.4995)
    assert queue.next(217.4995, 0.0) is urgent
    assert urgent.promotion is None


@pytest.mark.parametrize(("latency", "in_time"), [(8.0, True), (9.0, False)])
def test_an_urgent_lease_that_cannot_be_renewed_in_time_gives_way(latency, in_time):
    """Ten seconds are left: 1.2 times the usual latency must fit in."""
    queue = ReportQueue()
    doomed = held(queue, sent_at=0.0, due_at=60.0)
    other = held(queue, sent_at=5.0, due_at=60.0)
    queue.collect_due(280.0)
    assert queue.next(280.0, latency) is (doomed if in_time else other)


def test_exactly_the_time_of_an_answer_is_enough():
    """The bound itself still counts as in time."""
    queue = ReportQueue()
    doomed = held(queue, sent_at=0.0, due_at=60.0)
    held(queue, sent_at=5.0, due_at=60.0)
    queue.collect_due(278.0)
    assert queue.next(278.0, 10.0) is doomed


def test_a_lease_put_back_from_the_urgent_ones_waits_with_the_others_by_when_it_was_due():
    """It is not forgotten: it goes first among the ready ones, once nothing is urgent."""
    queue = ReportQueue()
    doomed = held(queue, sent_at=0.0, due_at=60.0)
    other = held(queue, sent_at=5.0, due_at=60.0)
    other_ready = held(queue, sent_at=200.0, due_at=260.0)
    queue.collect_due(280.0)
    assert queue.next(280.0, 9.0) is other
    assert doomed.waiting is not None
    assert other_ready.waiting is not None
    assert doomed.waiting.queue is other_ready.waiting.queue
    assert doomed.waiting.item is doomed
    assert doomed.waiting.key == 60.0
    queue.discard(other)
    assert queue.has_ready
    assert queue.first_due_at == 60.0
    assert queue.next(280.0, 9.0) is doomed
    queue.discard(doomed)
    assert queue.next(280.0, 9.0) is other_ready


def test_the_only_urgent_lease_is_tried_however_late_it_is():
    """Nobody else would use the call."""
    queue = ReportQueue()
    doomed = held(queue, sent_at=0.0, due_at=60.0)
    held(queue, sent_at=200.0, due_at=210.0)
    queue.collect_due(289.0)
    assert queue.next(289.0, 30.0) is doomed


def test_of_several_that_are_too_late_the_last_is_tried():
    """Each gives way to the next, and the one with the most time left goes."""
    queue = ReportQueue()
    leases = [held(queue, sent_at=float(i), due_at=60.0, name=str(i)) for i in range(4)]
    queue.collect_due(289.0)
    assert queue.next(289.0, 30.0) is leases[3]


def test_what_is_lost_but_winds_down_gets_the_calls_that_are_left():
    """It goes after each ready lease, the one lost first before the others."""
    queue = ReportQueue()
    gone = [held(queue, sent_at=float(i), due_at=60.0, name=str(i)) for i in (7, 3)]
    for lease in gone:
        lease.lose(LostReason.EXPIRED)
        queue.put(lease)
    ready = held(queue, sent_at=200.0, due_at=260.0)
    queue.collect_due(300.0)
    assert queue.next(300.0, 0.0) is ready
    queue.discard(ready)
    assert queue.has_ready
    assert queue.next(300.0, 0.0) is gone[1]
    assert queue.first_due_at == 60.0


def test_the_first_due_time_is_over_all_queues():
    """Due or not, urgent or not."""
    queue = ReportQueue()
    assert times(queue) == (None, None)
    held(queue, sent_at=200.0, due_at=320.0)
    assert times(queue) == (320.0, 320.0)
    held(queue, sent_at=200.0, due_at=260.0)
    queue.collect_due(270.0)
    assert times(queue) == (260.0, 320.0)
    held(queue, sent_at=0.0, due_at=250.0)
    queue.collect_due(270.0)
    assert times(queue) == (250.0, 320.0)


def test_an_acknowledgement_that_is_due_within_a_millisecond_is_urgent_at_once():
    """The bound itself counts as due, and as urgent."""
    queue = ReportQueue()
    waits = held(queue, sent_at=-100.0, due_at=-10.0)
    new = Registration("new", TIMING, 0.0)
    new.due_at = 0.001
    queue.put(new)
    queue.collect_due(0.0)
    assert queue.next(0.0, 0.0) is new
    assert new.promotion is None
    queue.discard(new)
    assert queue.next(0.0, 0.0) is waits
