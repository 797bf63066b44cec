"""The lease as a state machine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodp import LeaseState, LostReason
from aiodp._core.lease import TRANSITIONS, IllegalTransition, Lease, LeaseEvent, retry_delay
from aiodp._core.registration import Registration
from aiodp._core.timing import Timing

TIMING = Timing.checked(
    interval=60, ack_timeout=120, lease_timeout=300, safety_margin=10, attempt_timeout=10
)


def fresh(assigned_at=0.0):
    return Lease("task", TIMING, assigned_at)


def held(sent_at=0.0):
    lease = fresh(sent_at)
    assert lease.succeed(sent_at, sent_at)
    return lease


def test_the_table_knows_no_way_back():
    """CANCELED, LOST and RELEASED are final, and every live state can end in each of them."""
    live = {LeaseState.ASSIGNED, LeaseState.HELD}
    assert {state for state, _ in TRANSITIONS} == live
    for state in live:
        ways = {event: TRANSITIONS[state, event] for event in LeaseEvent}
        assert ways == {
            LeaseEvent.SUCCEED: LeaseState.HELD,
            LeaseEvent.CANCEL: LeaseState.CANCELED,
            LeaseEvent.LOSE: LeaseState.LOST,
            LeaseEvent.RELEASE: LeaseState.RELEASED,
        }


@pytest.mark.parametrize(
    "end", [Lease.cancel, Lease.release, lambda lease: lease.lose(LostReason.REFUSED)]
)
def test_what_is_final_refuses_every_event_and_does_not_change(end):
    """An illegal event raises and leaves the lease as it was."""
    lease = held()
    end(lease)
    before = (lease.state, lease.deadline, lease.lost_reason)
    for event in (Lease.cancel, Lease.release, lambda lease: lease.lose(LostReason.EXPIRED)):
        with pytest.raises(IllegalTransition, match=lease.state.name):
            event(lease)
    assert not lease.succeed(1.0, 1.0)
    assert (lease.state, lease.deadline, lease.lost_reason) == before


def test_the_first_deadline_counts_from_the_assignment():
    """Before the first success: assignment plus acknowledgement timeout, and no margin."""
    lease = fresh(assigned_at=100)
    assert lease.deadline == 220
    assert lease.lost_at == 220


def test_the_deadline_counts_from_the_send_time_of_the_last_success():
    """An answer that takes long does not make the lease longer."""
    lease = fresh()
    assert lease.succeed(sent_at=5, now=14)
    assert lease.deadline == 305
    assert lease.lost_at == 295
    assert lease.last_reported_at == 5


def test_only_a_success_moves_the_deadline():
    """Failures count, and move nothing."""
    lease = held()
    lease.backoff(100, 0.5)
    lease.backoff(200, 0.5)
    assert lease.deadline == 300
    assert lease.failures == 2


@pytest.mark.parametrize("now", [290.0, 289.9995, 300, 1000])
def test_a_late_success_does_not_count(now):
    """What arrives when the lease is given up already may have been sent in time: too late."""
    lease = held()
    assert not lease.succeed(sent_at=200, now=now)
    assert lease.state is LeaseState.LOST
    assert lease.lost_reason is LostReason.EXPIRED


def test_what_lapsed_here_is_still_reported_and_what_the_service_ended_is_not():
    """Rule 5: a late report may land first; but never after the service's own word."""
    for reason in LostReason:
        lease = Registration("task", TIMING, 0.0)
        lease.lose(reason)
        expected = reason in (LostReason.EXPIRED, LostReason.OVERLOADED)
        assert lease.reportable is expected, reason
    lease = Registration("task", TIMING, 0.0)
    lease.cancel()
    assert not lease.reportable


@given(now=st.floats(0, 299.9), sent_at=st.floats(0, 0))
def test_an_attempt_takes_at_most_a_third_of_the_lease(now, sent_at):
    """One hanging call never costs the lease."""
    lease = held(sent_at)
    timeout = lease.attempt_timeout(now)
    assert 0 < timeout <= 10
    assert timeout <= max((lease.deadline - now) / 3, 0.001)


def test_an_attempt_on_a_lapsed_lease_has_the_usual_time():
    """When nothing can be lost any more, nothing is cut."""
    assert held().attempt_timeout(400) == 10


@given(
    failures=st.integers(1, 10_000),
    left=st.floats(-1000, 1000),
    jitter=st.floats(0, 1),
    interval=st.floats(0.01, 10_000),
)
def test_retries_are_spread_and_bounded(failures, left, jitter, interval):
    """Never more than a quarter of the interval, never a busy loop."""
    timing = Timing.checked(
        interval=interval,
        ack_timeout=2 * interval,
        lease_timeout=5 * interval,
        safety_margin=0,
        attempt_timeout=1,
    )
    delay = retry_delay(timing, failures, left, jitter)
    assert delay >= 0.001
    assert delay <= max(interval / 4, 0.001)


def test_retries_fit_into_what_is_left():
    """A lease that has eight seconds left is tried again within two."""
    assert retry_delay(TIMING, 50, 8.0, 0.0) == 2.0
    assert retry_delay(TIMING, 50, 1000.0, 0.0) == 15.0
    assert retry_delay(TIMING, 1, 1000.0, 0.0) == 1.0
