"""What the schedule makes of the outcome of a report."""

from __future__ import annotations

import pytest

from aiodp import LeaseState, LostReason, Quota, ReportKind
from aiodp._core.registration import Registration
from aiodp._core.schedule import Schedule
from aiodp._core.timing import Timing
from aiodp._types import Outcome

TIMING = Timing.checked(
    interval=60, ack_timeout=120, lease_timeout=300, safety_margin=10, attempt_timeout=10
)
FAILED = [
    kind
    for kind in ReportKind
    if kind not in (ReportKind.OK, ReportKind.REFUSED, ReportKind.THROTTLED)
]
ENDED = (LeaseState.CANCELED, LeaseState.LOST, LeaseState.RELEASED)


def make_schedule(*, rate=10.0, burst=100.0, max_in_flight=200):
    return Schedule(Quota(rate=rate, burst=burst), max_in_flight=max_in_flight, now=0.0)


def add(schedule, now=0.0, timing=TIMING):
    new = Registration("task", timing, now)
    schedule.add(new, now)
    return new


def send(schedule, now):
    lease = schedule.next_lease(now)
    assert lease is not None
    lease.start_report()
    return lease


def answer(schedule, lease, kind=ReportKind.OK, *, sent_at=0.0, now=0.0, **options):
    outcome = Outcome(
        kind=kind, canceled=options.pop("canceled", False), error=options.pop("error", None)
    )
    schedule.record_outcome(
        lease, outcome, sent_at=sent_at, now=now, jitter=options.pop("jitter", 0.0), **options
    )


@pytest.mark.parametrize("kind", [*FAILED, ReportKind.THROTTLED])
def test_a_failure_is_remembered_as_the_cause_of_a_later_loss(kind):
    """Until a success forgets it."""
    schedule, error = make_schedule(), ValueError("why")
    lease = add(schedule)
    answer(schedule, send(schedule, 0.0), kind, error=error)
    assert lease.error is error
    schedule.expire(120.0)
    assert lease.lost_reason is LostReason.EXPIRED
    assert lease.error is error


def test_a_success_forgets_the_failures_before_it():
    """What happened before a renewal is no cause of what comes later."""
    schedule = make_schedule()
    lease = add(schedule)
    answer(schedule, send(schedule, 0.0), ReportKind.SERVER_ERROR, error=ValueError("why"))
    assert lease.failures == 1
    answer(schedule, send(schedule, 1.0), sent_at=1.0, now=1.0)
    assert lease.error is None
    assert lease.failures == 0


def test_a_refusal_ends_the_lease_with_its_own_error():
    """It is the newest news."""
    schedule, error = make_schedule(), ValueError("refused")
    lease = add(schedule)
    answer(schedule, send(schedule, 0.0), ReportKind.SERVER_ERROR, error=ValueError("before"))
    answer(schedule, send(schedule, 1.0), ReportKind.REFUSED, error=error)
    assert lease.lost_reason is LostReason.REFUSED
    assert lease.error is error
    assert schedule.take_ended() == [lease]
    assert schedule.next_lease(1000.0) is None


@pytest.mark.parametrize(("jitter", "delay"), [(0.0, 1.0), (1.0, 0.5)])
def test_the_next_try_after_a_failure_waits(jitter, delay):
    """A sixtieth of the interval after the first one; jitter takes away up to a half."""
    schedule = make_schedule()
    lease = add(schedule)
    answer(schedule, send(schedule, 3.0), ReportKind.TIMEOUT, sent_at=3.0, now=5.0, jitter=jitter)
    assert lease.due_at == 5.0 + delay
    assert schedule.next_lease(5.0 + delay - 0.01) is None
    assert schedule.next_lease(5.0 + delay) is lease


def test_a_try_that_is_to_be_made_at_once_does_not_wait():
    """As after fields that the service did not accept."""
    schedule = make_schedule()
    lease = add(schedule)
    answer(schedule, send(schedule, 3.0), ReportKind.INVALID, sent_at=3.0, now=5.0, at_once=True)
    assert lease.due_at == 5.0
    assert lease.failures == 0


def test_throttling_is_due_again_at_once_and_counts_as_no_failure():
    """Only the bucket says when."""
    schedule = make_schedule()
    lease = add(schedule)
    answer(schedule, send(schedule, 0.0), ReportKind.THROTTLED, now=2.0)
    assert lease.due_at == 2.0
    assert lease.failures == 0
    assert schedule.bucket.rate == pytest.approx(7.0)


def test_without_a_quota_throttling_is_a_failure_as_any_other():
    """There is no bucket to wait for."""
    schedule = Schedule(None, max_in_flight=9, now=0.0)
    lease = add(schedule)
    answer(schedule, send(schedule, 0.0), ReportKind.THROTTLED, now=2.0)
    assert lease.failures == 1
    assert lease.due_at == 3.0


def test_outcomes_are_counted_by_kind():
    """And what is in flight goes down with each."""
    schedule = make_schedule()
    for _ in range(2):
        add(schedule)
    first, second = send(schedule, 0.0), send(schedule, 0.0)
    assert (schedule.in_flight, schedule.sent) == (2, 2)
    answer(schedule, first)
    assert schedule.in_flight == 1
    answer(schedule, second, ReportKind.TIMEOUT)
    assert schedule.outcomes == {ReportKind.OK: 1, ReportKind.TIMEOUT: 1}
    assert schedule.in_flight == 0


def test_the_usual_latency_is_learned_from_answers_and_timeouts():
    """An eighth of the difference each time; from nothing else."""
    schedule = make_schedule()
    lease = add(schedule)
    answer(schedule, send(schedule, 0.0), sent_at=0.0, now=8.0)
    assert schedule._latency == 1.0
    schedule.make_due(lease, 10.0)
    answer(schedule, send(schedule, 10.0), ReportKind.TIMEOUT, sent_at=10.0, now=19.0)
    assert schedule._latency == 2.0
    schedule.make_due(lease, 40.0)
    answer(schedule, send(schedule, 40.0), ReportKind.CONNECTION, sent_at=40.0, now=50.0)
    assert schedule._latency == 2.0


def test_the_worst_lag_behind_the_schedule_is_kept():
    """How late a report was sent at most."""
    schedule = make_schedule()
    lease = add(schedule)
    answer(schedule, send(schedule, 7.0), sent_at=7.0, now=7.0)
    assert schedule.worst_lag == 7.0
    schedule.make_due(lease, 20.0)
    answer(schedule, send(schedule, 22.0), sent_at=22.0, now=22.0)
    assert schedule.worst_lag == 7.0


def test_the_second_report_comes_half_an_interval_to_an_interval_after_the_first():
    """Spread by multiples of the golden ratio, so that leases do not bunch; then an interval."""
    schedule = make_schedule()
    gaps = []
    for _ in range(4):
        lease = add(schedule)
        answer(schedule, send(schedule, 0.0))
        gaps.append(lease.due_at)
    golden = 0.6180339887498949
    assert gaps == pytest.approx([60 * (1 - (i * golden % 1) / 2) for i in range(4)])


def test_the_sequence_of_the_last_success_is_kept():
    """A task's `report` waits until a report sent after it has succeeded."""
    schedule = make_schedule()
    lease = add(schedule)
    answer(schedule, send(schedule, 0.0), ReportKind.TIMEOUT)
    assert lease.last_success == 0
    answer(schedule, send(schedule, 20.0), sent_at=20.0, now=20.0)
    assert lease.last_success == 2


def test_a_canceled_lease_is_ended_once_and_reports_no_more():
    """Also if it had been lost here before the answer came."""
    for lapse in (False, True):
        schedule = make_schedule()
        lease = add(schedule)
        send(schedule, 0.0)
        if lapse:
            schedule.expire(120.0)
        answer(schedule, lease, canceled=True, now=120.0)
        assert lease.state is (LeaseState.LOST if lapse else LeaseState.CANCELED)
        assert schedule.take_ended() == [lease]
        assert schedule.held_count == 0
        assert schedule.next_lease(1000.0) is None


def test_a_success_that_comes_too_late_ends_the_lease_and_goes_on_reporting():
    """It lapsed meanwhile, though nobody had the time to say so."""
    schedule = make_schedule()
    lease = add(schedule)
    answer(schedule, send(schedule, 0.0))
    send(schedule, 289.0)
    answer(schedule, lease, sent_at=289.0, now=291.0)
    assert lease.lost_reason is LostReason.EXPIRED
    assert schedule.take_ended() == [lease]
    assert schedule.held_count == 0
    assert schedule.next_lease(1000.0) is lease


def test_nor_does_an_acknowledgement_count_that_comes_too_late():
    """Nobody has begun the work, so nothing is reported of it any more."""
    schedule = make_schedule()
    lease = add(schedule)
    send(schedule, 119.0)
    answer(schedule, lease, sent_at=119.0, now=121.0)
    assert lease.lost_reason is LostReason.EXPIRED
    assert schedule.take_ended() == [lease]
    assert schedule.held_count == 0
    assert schedule.next_lease(1000.0) is None


def test_held_leases_are_counted_until_they_end():
    """By a success once, whatever follows."""
    schedule = make_schedule()
    lease, other = add(schedule), add(schedule)
    for now in (0.0, 60.0):
        for held in (lease, other):
            schedule.make_due(held, now)
            send(schedule, now)
        for held in (lease, other):
            answer(schedule, held, sent_at=now, now=now)
        assert schedule.held_count == 2
    schedule.remove(lease)
    assert schedule.held_count == 1
    schedule.refuse(other, None)
    assert schedule.held_count == 0
    assert lease.state in ENDED


def test_no_more_reports_are_in_flight_than_allowed():
    """And nothing wakes for the bucket meanwhile."""
    schedule = make_schedule(max_in_flight=2)
    leases = [add(schedule) for _ in range(3)]
    first, second = send(schedule, 0.0), send(schedule, 0.0)
    assert schedule.next_lease(0.0) is None
    assert schedule.wake_at(0.0) == 120.0
    answer(schedule, second)
    assert send(schedule, 0.0) not in (first, second)
    assert len(leases) == 3


def test_making_a_report_due_never_delays_it():
    """Only an earlier time counts."""
    schedule = make_schedule()
    lease = add(schedule)
    schedule.make_due(lease, 50.0)
    assert lease.due_at == 0.0
    assert send(schedule, 0.0) is lease


def test_a_lease_is_lost_when_it_is_looked_at_too_late():
    """Even if the event loop was blocked and nobody called `expire`."""
    schedule = make_schedule()
    lease = add(schedule)
    schedule.check(lease, 119.9)
    assert lease.live
    schedule.check(lease, 120.0)
    assert lease.lost_reason is LostReason.EXPIRED
    assert schedule.take_ended() == [lease]
    assert schedule.take_ended() == []


def test_losing_all_ends_what_is_in_flight_as_well():
    """The reporter has failed: every lease ends with the cause, and none reports again."""
    schedule, error = make_schedule(), ValueError("why")
    leases = [add(schedule) for _ in range(3)]
    flying = send(schedule, 0.0)
    schedule.remove(leases[2])
    schedule.take_ended()
    schedule.lose_all(LostReason.REPORTER_FAILED, error)
    assert not flying.in_flight
    assert [lease.error for lease in leases] == [error, error, None]
    assert {lease.lost_reason for lease in leases[:2]} == {LostReason.REPORTER_FAILED}
    assert schedule.take_ended() == leases[:2]
    assert schedule.next_due is None


def test_a_first_report_that_the_configuration_does_not_allow_ends_the_lease():
    """It is released, and marked."""
    schedule = make_schedule()
    lease = add(schedule)
    assert not lease.rejected
    schedule.reject(lease)
    assert lease.rejected
    assert lease.state is LeaseState.RELEASED
    assert schedule.next_lease(0.0) is None


def test_losing_all_stops_the_reports_of_what_was_lost_before():
    """What lapsed is reported while its work winds down, but not by a reporter that failed."""
    schedule = make_schedule()
    lease = add(schedule)
    answer(schedule, send(schedule, 0.0))
    schedule.expire(290.0)
    assert lease.reportable
    assert schedule.next_due == 60.0
    schedule.lose_all(LostReason.REPORTER_FAILED)
    assert not lease.reportable
    assert schedule.next_due is None
    assert lease.lost_reason is LostReason.EXPIRED


SHORT = Timing.checked(
    interval=20, ack_timeout=120, lease_timeout=110, safety_margin=10, attempt_timeout=10
)


@pytest.mark.parametrize(("now", "given_up"), [(97.9, 0), (98.0, 5), (99.0, 5)])
def test_leases_are_given_up_when_a_fiftieth_of_the_first_one_is_left(now, given_up):
    """The newest ones, as many as the service does not grant; the first one is kept."""
    schedule = make_schedule(rate=1.0, burst=100)
    leases = [add(schedule, timing=SHORT) for _ in range(10)]
    for _ in leases:
        answer(schedule, send(schedule, 0.0))
    assert schedule.held_count == 10
    for _ in range(100):
        schedule._demand.granted()
        schedule._demand.denied()
    schedule.bucket.rate = 0.1  # half of it is granted: five leases
    assert send(schedule, now).live
    assert [lease.live for lease in leases] == [True] * (10 - given_up) + [False] * given_up
    assert schedule.take_ended() == leases[10 - given_up :][::-1]
    assert {lease.lost_reason for lease in leases[10 - given_up :]} <= {LostReason.OVERLOADED}


def test_a_new_schedule_has_counted_nothing():
    """Neither reports nor lags."""
    schedule = make_schedule()
    assert (schedule.sent, schedule.in_flight, schedule.held_count) == (0, 0, 0)
    assert schedule.worst_lag == 0.0
    assert schedule.outcomes == {}
    assert schedule.take_ended() == []
    assert schedule.wake_at(0.0) is None
