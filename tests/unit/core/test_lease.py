"""The lease as a state machine."""

from __future__ import annotations

import dataclasses
import itertools

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
    """Rule 5: a late report may land first; but never after the service's own word.

    One that was never acknowledged is not reported either: no work winds down, and the service
    would hold the task for nobody.
    """
    for reason, acknowledged in itertools.product(LostReason, (True, False)):
        lease = Registration("task", TIMING, 0.0)
        if acknowledged:
            lease.succeed(0.0, 0.0)
        lease.lose(reason)
        expected = acknowledged and reason in (LostReason.EXPIRED, LostReason.OVERLOADED)
        assert lease.reportable is expected, (reason, acknowledged)
    lease = Registration("task", TIMING, 0.0)
    lease.cancel()
    assert not lease.reportable


def test_a_lease_that_has_lasted_for_its_longest_time_is_lost_and_not_reported():
    """Rule 6: whatever reports say, and known before anybody looks."""
    timing = dataclasses.replace(TIMING, max_lease=1000)
    lease = Registration("task", timing, 0.0)
    for now in (100, 300, 500, 700, 800):
        assert lease.succeed(now, now)
    assert lease.lost_at == 1000
    assert lease.renew_by == 1090
    assert not lease.lapsed(999)
    assert lease.lapsed(1000)
    assert lease.lapse_reason is LostReason.TIME_LIMIT
    assert not lease.succeed(sent_at=990, now=1000)
    assert lease.lost_reason is LostReason.TIME_LIMIT
    assert lease.winding_down
    assert not lease.reportable


def test_a_lease_whose_longest_time_ends_when_it_lapses_has_expired():
    """The limit has cost it nothing."""
    lease = Registration("task", dataclasses.replace(TIMING, max_lease=290), 0.0)
    lease.succeed(0.0, 0.0)
    assert lease.lost_at == lease.renew_by == 290
    assert lease.lapse_reason is LostReason.EXPIRED


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


@pytest.mark.parametrize(("elapsed", "delay"), [(239, 15), (480, 30), (960, 60), (9600, 60)])
def test_what_has_failed_for_long_is_tried_less_often(elapsed, delay):
    """A sixteenth of the time that it has taken, up to the interval."""
    assert retry_delay(TIMING, 50, -1.0, 0.0, elapsed=elapsed) == delay
    assert retry_delay(TIMING, 50, 8.0, 0.0, elapsed=elapsed) == 2.0


def test_the_shortest_wait_before_the_end_counts_as_the_end():
    """A lease lapses a millisecond before it is lost, and no earlier."""
    lease = held()
    assert not lease.lapsed(289.998)
    assert lease.lapsed(290.0 - 0.001)
    lease.release()
    assert not lease.lapsed(1000.0)


@pytest.mark.parametrize(
    ("now", "timeout"), [(0.0, 10.0), (270.0, 10.0), (276.0, 8.0), (299.9995, 0.001), (300.0, 10.0)]
)
def test_an_attempt_has_a_third_of_what_is_left_of_the_lease(now, timeout):
    """At most the time that is set, at least a millisecond; all of it once it is over."""
    assert held().attempt_timeout(now) == timeout


def test_tries_of_a_lost_lease_are_spread_over_what_the_service_still_grants():
    """Up to the deadline, where a live one has only up to when it is given up."""
    lease = held()
    lease.failures = 50
    assert lease.backoff(282.0, 0.0) == 2.0
    lease.lose(LostReason.EXPIRED)
    assert lease.backoff(282.0, 0.0) == 4.5


@pytest.mark.parametrize(
    ("failures", "left", "jitter", "delay"),
    [
        (0, 1000.0, 0.0, 0.5),
        (1, 1000.0, 1.0, 0.5),
        (3, 1000.0, 0.0, 4.0),
        (3, 1000.0, 0.5, 3.0),
        (4, 1000.0, 0.0, 8.0),
        (5, 1000.0, 0.0, 15.0),
        (5, 4.0, 0.0, 1.0),
        (5, 1.0, 0.0, 0.5),
        (5, 0.0, 0.0, 15.0),
        (5, -1.0, 0.0, 15.0),
    ],
)
def test_the_wait_after_failures(failures, left, jitter, delay):
    """It doubles from half a second to 15, and keeps three quarters of what is left."""
    assert retry_delay(TIMING, failures, left, jitter) == delay


def test_the_wait_doubles_at_most_eight_times():
    """Beyond that, it has its bound in any case; the number itself may not overflow."""
    slow = Timing.checked(
        interval=1, ack_timeout=120, lease_timeout=300, safety_margin=10, attempt_timeout=10
    )
    assert retry_delay(slow, 10_000, 0.0, 0.0) == 0.25


def test_a_loss_keeps_the_last_failure_unless_it_has_an_error_of_its_own():
    """The error is what `LeaseLost` is raised from."""
    before, own = ValueError("before"), ValueError("own")
    for error, kept in ((None, before), (own, own)):
        lease = held()
        lease.fail(before)
        lease.lose(LostReason.REFUSED, error)
        assert lease.error is kept
        assert lease.lost_reason is LostReason.REFUSED


def test_a_success_is_counted_and_forgets_failures():
    """The number of reports, the time of the last, and nothing of what failed before."""
    lease = fresh()
    assert (lease.reports, lease.last_reported_at) == (0, None)
    lease.fail(ValueError("why"))
    lease.backoff(1.0, 0.5)
    assert lease.failures == 1
    assert lease.succeed(2.0, 3.0)
    assert lease.succeed(4.0, 5.0)
    assert (lease.reports, lease.failures, lease.last_reported_at) == (2, 0, 4.0)
    assert lease.error is None
