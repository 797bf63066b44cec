"""The scheduler: who reports next, and when."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from aiodp import LeaseState, LostReason, Quota, ReportKind
from aiodp._core.registration import Registration
from aiodp._core.schedule import Schedule
from aiodp._core.timing import Timing
from aiodp._types import Outcome

TIMING = Timing.checked(
    interval=60, ack_timeout=120, lease_timeout=300, safety_margin=10, attempt_timeout=10
)
OK = Outcome(kind=ReportKind.OK)


def make_schedule(rate=10.0, burst=100.0, max_in_flight=200):
    return Schedule(Quota(rate=rate, burst=burst), max_in_flight=max_in_flight, now=0.0)


def make_lease(name="task", now=0.0, timing=TIMING):
    return Registration(name, timing, now)


def add(schedule, now, count=1, timing=TIMING):
    leases = [make_lease(f"task-{i}", now, timing) for i in range(count)]
    for lease in leases:
        schedule.add(lease, now)
    return leases


def report(schedule, now, outcome=OK):
    """Send all that may be sent now, and answer at once."""
    sent = []
    while (lease := schedule.next_lease(now)) is not None:
        lease.start_report()
        schedule.record_outcome(lease, outcome, sent_at=now, now=now, jitter=0.5)
        sent.append(lease)
    return sent


def run(schedule, start, end, outcome=OK):
    """Let time pass as the engine does; return (time, lease) of lease report."""
    now, log = start, []
    while now <= end:
        schedule.expire(now)
        log += [(now, lease) for lease in report(schedule, now, outcome)]
        now = max(schedule.wake_at(now) or math.inf, now + 0.001)
    return log


def test_the_first_report_is_due_at_once_and_the_next_within_an_interval():
    """A single lease reports at 0, 60, 120, …"""
    schedule = make_schedule()
    add(schedule, 0.0)
    assert [round(at) for at, _ in run(schedule, 0.0, 300.0)] == [0, 60, 120, 180, 240, 300]


def test_phases_are_spread():
    """A hundred leases that start together do not report together for ever."""
    schedule = make_schedule(burst=1000)
    add(schedule, 0.0, 100)
    log = [at for at, _ in run(schedule, 0.0, 600.0)]
    per_second = [sum(second <= at < second + 1 for at in log) for second in range(120, 600)]
    assert max(per_second) <= 6  # 100 per 60 s are 1.7 a second


def test_the_earliest_deadline_goes_first():
    """Among due leases, the one that would be lost first reports first."""
    schedule = make_schedule(rate=1, burst=1)
    late = make_lease("late", 0.0)
    soon = make_lease(
        "soon",
        0.0,
        Timing.checked(
            interval=5, ack_timeout=20, lease_timeout=30, safety_margin=10, attempt_timeout=10
        ),
    )
    schedule.add(late, 0.0)
    schedule.add(soon, 0.0)
    assert schedule.next_lease(0.0) is soon
    assert schedule.next_lease(0.0) is None
    assert schedule.next_lease(1.0) is late


def test_a_few_short_leases_do_not_keep_the_others_waiting():
    """Ten leases of 5 s want more than the quota; twenty of 900 s are reported all the same."""
    schedule = make_schedule(rate=5, burst=10)
    short = Timing.checked(
        interval=1.3, ack_timeout=120, lease_timeout=5, safety_margin=1, attempt_timeout=1
    )
    long = Timing.checked(
        interval=60, ack_timeout=120, lease_timeout=900, safety_margin=10, attempt_timeout=10
    )
    for _ in range(10):
        add(schedule, 0.0, timing=short)
    leases = add(schedule, 0.0, 20, timing=long)
    log = run(schedule, 0.0, 3600.0)
    assert all(lease.state is LeaseState.HELD for lease in schedule.registrations)
    for lease in leases:
        times = [at for at, reported in log if reported is lease]
        assert max(b - a for a, b in itertools.pairwise(times)) < 120


def test_an_acknowledgement_does_not_wait_to_the_last():
    """It has no margin, so it keeps the time for three attempts."""
    schedule = make_schedule(rate=1, burst=1)
    [old] = add(schedule, 0.0)
    report(schedule, 0.0)
    schedule.make_due(old, 190.0)  # to be lost at 290
    [new] = add(schedule, 190.0)  # to be lost at 310, wanted at 280
    assert schedule.next_lease(190.0) is new
    [later] = add(schedule, 260.0)  # to be lost at 380, wanted at 350
    assert schedule.next_lease(260.0) is old
    assert schedule.next_lease(261.0) is later


def test_a_new_short_lease_is_seen_at_once():
    """The scheduler does not sleep on an old, long deadline while a new lease has a short one."""
    schedule = make_schedule()
    add(schedule, 0.0)
    report(schedule, 0.0)
    assert schedule.wake_at(1.0) == pytest.approx(60.0)
    short = make_lease(
        "short",
        1.0,
        Timing.checked(
            interval=1, ack_timeout=3, lease_timeout=5, safety_margin=1, attempt_timeout=1
        ),
    )
    schedule.add(short, 1.0)
    assert schedule.wake_at(1.0) <= 1.0
    assert schedule.next_lease(1.0) is short


def test_a_shorter_lease_after_a_long_acknowledgement_window_expires_in_time():
    """The first success may move the deadline to an earlier time."""
    schedule = make_schedule()
    [short] = add(
        schedule,
        0.0,
        timing=Timing.checked(
            interval=5, ack_timeout=120, lease_timeout=30, safety_margin=10, attempt_timeout=10
        ),
    )
    report(schedule, 0.0)
    schedule.expire(19.9)
    assert short.live
    schedule.expire(20.0)
    assert short.lost_reason is LostReason.EXPIRED


def test_intervals_stretch_when_the_quota_binds():
    """At capacity, every lease is renewed within its lease, whatever the interval says."""
    schedule = make_schedule(rate=1.0, burst=10)
    timing = Timing.checked(
        interval=20, ack_timeout=120, lease_timeout=110, safety_margin=10, attempt_timeout=10
    )
    leases = []
    now = 0.0
    for _ in range(98):  # 0.98 of 1 call/s for 100 s
        leases += add(schedule, now, timing=timing)
        run(schedule, now, now + 2.0)
        now += 2.0
    run(schedule, now, now + 1000)
    assert [lease.state for lease in leases] == [LeaseState.HELD] * 98


def test_more_leases_than_the_quota_can_hold_are_refused_and_the_old_ones_survive():
    """Overload is shed: the newest are lost at once, the ones held longest are kept."""
    schedule = make_schedule(rate=1.0, burst=10)
    timing = Timing.checked(
        interval=20, ack_timeout=120, lease_timeout=110, safety_margin=10, attempt_timeout=10
    )
    leases = []
    now = 0.0
    for _ in range(196):
        leases += add(schedule, now, timing=timing)
        run(schedule, now, now + 1.5)
        now += 1.5
    run(schedule, now, now + 1000)
    kept = [lease.state is LeaseState.HELD for lease in leases]
    assert kept == [True] * 98 + [False] * 98
    assert {lease.lost_reason for lease in leases[98:]} == {LostReason.OVERLOADED}


def test_a_place_is_free_again_when_a_lease_ends():
    """Capacity is counted by leases that are alive."""
    schedule = make_schedule(rate=0.1, burst=100)  # 0.098 · 290 s: 28 leases
    first = add(schedule, 0.0, 28)
    assert all(lease.live for lease in first)
    [refused] = add(schedule, 0.0)
    assert refused.lost_reason is LostReason.OVERLOADED
    schedule.remove(first[0])
    [accepted] = add(schedule, 0.0)
    assert accepted.live


def test_when_others_use_up_the_quota_the_newest_are_given_up():
    """The service grants half of what is needed: about half survive, and these are the oldest."""
    schedule = make_schedule(rate=10, burst=10)
    timing = Timing.checked(
        interval=20, ack_timeout=120, lease_timeout=110, safety_margin=10, attempt_timeout=10
    )
    leases: list[Registration] = []
    tokens = 0.0
    throttled = Outcome(kind=ReportKind.THROTTLED)
    for step in range(30_000):
        now = step * 0.1
        tokens = min(10.0, tokens + 0.1 * 2.0)  # the others leave 2 calls/s
        if step % 20 == 0 and len(leases) < 400:  # 400 leases need 4 calls/s
            leases += add(schedule, now, timing=timing)
        schedule.expire(now)
        while (lease := schedule.next_lease(now)) is not None:
            lease.start_report()
            granted = tokens >= 1
            tokens -= granted
            schedule.record_outcome(
                lease, OK if granted else throttled, sent_at=now, now=now, jitter=0.5
            )
    survivors = [index for index, lease in enumerate(leases) if lease.live]
    assert len(survivors) >= 0.75 * 200
    assert sum(index < 200 for index in survivors) >= 0.9 * len(survivors)


def test_throttled_reports_are_repeated_as_soon_as_the_bucket_allows():
    """Throttling is no failure: no backoff, only the bucket's word."""
    schedule = make_schedule()
    [one] = add(schedule, 0.0)
    report(schedule, 0.0, Outcome(kind=ReportKind.THROTTLED))
    assert one.due_at == 0.0
    assert schedule.wake_at(0.0) == pytest.approx(1 / 7)
    assert report(schedule, 1 / 7) == [one]


def test_a_lease_that_comes_after_a_time_of_throttling_is_kept():
    """The rate that sufficed for one lease is not the limit for those that come later."""
    schedule = make_schedule(rate=1.0, burst=20.0)
    add(schedule, 0.0)
    run(schedule, 0.0, 0.0)
    run(schedule, 0.0, 200.0, Outcome(kind=ReportKind.THROTTLED))
    assert schedule.bucket.rate == pytest.approx(0.05)
    timing = Timing.checked(
        interval=20, ack_timeout=120, lease_timeout=60, safety_margin=10, attempt_timeout=10
    )
    for arrival in range(200, 290, 30):
        add(schedule, float(arrival), timing=timing)
        run(schedule, float(arrival), arrival + 30.0)
    run(schedule, 290.0, 1000.0)
    assert [lease.state for lease in schedule.registrations] == [LeaseState.HELD] * 4


def test_who_wants_little_keeps_its_interval_when_calls_are_throttled():
    """Forty leases want 0.67 calls/s: throttling does not push them below that."""
    schedule = make_schedule()
    add(schedule, 0.0, 40)
    report(schedule, 0.0)
    for second in range(60, 90):
        report(schedule, float(second), Outcome(kind=ReportKind.THROTTLED))
    assert schedule.bucket.rate == pytest.approx(40 / 60)


def test_lost_leases_get_only_what_is_left_over():
    """A lapsed lease is still reported, after all that can still be kept."""
    schedule = make_schedule(rate=1, burst=2)
    gone = make_lease("gone", 0.0)
    schedule.add(gone, 0.0)
    report(schedule, 0.0)
    schedule.expire(290.0)
    assert gone.lost_reason is LostReason.EXPIRED
    fresh = make_lease("fresh", 290.0)
    schedule.add(fresh, 290.0)
    assert schedule.next_lease(290.0) is fresh
    assert schedule.next_lease(291.0) is gone


def test_a_report_that_cannot_land_in_time_gives_way_to_one_that_can():
    """Under overload, calls are not spent on leases that are lost before the answer arrives."""
    schedule = make_schedule(rate=1, burst=1)
    [slow] = add(schedule, 0.0)
    taken = schedule.next_lease(0.0)
    assert taken is slow
    schedule.record_outcome(
        slow, OK, sent_at=0.0, now=8.0, jitter=0.0
    )  # latency is learned: an eighth of 8 s
    too_late, other = make_lease("too_late", 0.0), make_lease("other", 60.0)
    schedule.add(too_late, 119.0)
    schedule.add(other, 119.0)
    assert schedule.next_lease(119.0) is other


def test_a_status_on_the_way_stops_reports_until_it_is_resumed():
    """A report and SetTaskStatus are never in flight together."""
    schedule = make_schedule()
    [one] = add(schedule, 0.0)
    schedule.pause(one)
    assert schedule.next_lease(100.0) is None
    schedule.resume(one)
    assert schedule.next_lease(100.0) is one


def test_a_released_lease_frees_everything():
    """Nothing of a lease stays in the schedule when it is removed."""
    schedule = make_schedule()
    for lease in add(schedule, 0.0, 50):
        schedule.remove(lease)
    assert schedule.wake_at(0.0) is None
    assert schedule.next_lease(1000.0) is None
    assert not schedule.registrations
    assert schedule.next_due is None
    assert schedule.first_lost_at is None


OUTCOMES = [
    OK,
    Outcome(kind=ReportKind.OK, canceled=True),
    *[Outcome(kind=kind) for kind in ReportKind if kind is not ReportKind.OK],
]


class Schedules(RuleBasedStateMachine):
    """Any sequence of registrations, answers and waits."""

    leases = Bundle("leases")

    def __init__(self):
        super().__init__()
        self.now = 0.0
        self.schedule = Schedule(Quota(rate=0.2, burst=5), max_in_flight=3, now=0.0)
        self.flying: list[tuple[Registration, float]] = []
        self.collected: list[Registration] = []
        self.all: list[Registration] = []

    @rule(target=leases, lease_timeout=st.sampled_from([40.0, 100.0, 300.0]))
    def register(self, lease_timeout):
        timing = TIMING.override(interval=None, ack_timeout=None, lease_timeout=lease_timeout)
        new = Registration("same-id", timing, self.now)
        self.schedule.add(new, self.now)
        self.all.append(new)
        return new

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds):
        self.now += seconds
        self.schedule.expire(self.now)

    @rule()
    def wait_as_the_engine_does(self):
        wake_at = self.schedule.wake_at(self.now)
        if wake_at is not None:
            self.now = max(wake_at, self.now + 0.001)
        self.schedule.expire(self.now)

    @rule()
    def send(self):
        self.schedule.expire(self.now)
        taken = self.schedule.next_lease(self.now)
        if taken is not None:
            assert taken.reportable
            assert taken not in [lease for lease, _ in self.flying]
            taken.start_report()
            self.flying.append((taken, self.now))

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), outcome=st.sampled_from(OUTCOMES), at_once=st.booleans())
    def answer(self, data, outcome, at_once):
        index = data.draw(st.integers(0, len(self.flying) - 1))
        lease, sent_at = self.flying.pop(index)
        before = (lease.state, lease.deadline)
        self.schedule.record_outcome(
            lease, outcome, sent_at=sent_at, now=self.now, jitter=0.3, at_once=at_once
        )
        if lease.deadline != before[1]:
            assert outcome.kind is ReportKind.OK
            assert lease.deadline == sent_at + lease.timing.lease_timeout
        if before[0] not in (LeaseState.ASSIGNED, LeaseState.HELD):
            assert lease.state is before[0]

    @rule(lease=leases)
    def pause(self, lease):
        if lease in self.schedule.registrations:
            self.schedule.pause(lease)

    @rule(lease=leases)
    def resume(self, lease):
        if lease in self.schedule.registrations:
            self.schedule.resume(lease)

    @rule(lease=leases)
    def leave(self, lease):
        self.schedule.remove(lease)

    @rule(lease=leases)
    def make_due(self, lease):
        if lease in self.schedule.registrations:
            self.schedule.make_due(lease, self.now)

    @rule(lease=leases)
    def refuse(self, lease):
        if lease in self.schedule.registrations:
            self.schedule.refuse(lease, None)

    @rule()
    def collect(self):
        self.collected += self.schedule.take_ended()

    @invariant()
    def every_end_is_collected_once(self):
        ended = [lease for lease in self.all if not lease.live]
        ends = self.collected + self.schedule._ended
        assert len(ends) == len(set(ends))
        assert set(ends) == set(ended)

    @invariant()
    def counts_add_up(self):
        assert self.schedule.in_flight == len(self.flying) <= 3
        live = [lease for lease in self.schedule.registrations if lease.live]
        assert self.schedule.held_count == sum(lease.state is LeaseState.HELD for lease in live)
        needed = sum(1 / lease.timing.usable_lease for lease in live)
        assert self.schedule._demand.needed == pytest.approx(needed, abs=1e-9)
        assert needed <= 0.98 * 0.2 + 1e-9

    @invariant()
    def each_lease_waits_in_one_place(self):
        reports = self.schedule._reports
        queues = (reports._due, reports._ready, reports._urgent, reports._best_effort)
        flying = [lease for lease, _ in self.flying]
        for lease in self.all:
            expected = (
                lease.reportable and lease in self.schedule.registrations and lease not in flying
            )
            assert (lease.waiting is not None) == expected
            if lease.waiting is not None:
                assert lease.waiting.item is lease
                assert lease.waiting.queue in queues
            if lease.promotion is not None:
                assert lease.promotion.item is lease
                assert lease.waiting is not None
                assert lease.waiting.queue is reports._ready
            live = lease.live and lease in self.schedule.registrations
            assert (lease.expiry is not None) == live
            assert lease.expiry is None or lease.expiry.item is lease
        assert sum(map(len, queues)) == sum(lease.waiting is not None for lease in self.all)
        assert len(reports._promotions) == sum(lease.promotion is not None for lease in self.all)
        assert len(self.schedule._expiry) == sum(lease.expiry is not None for lease in self.all)

    @invariant()
    def nobody_sleeps_through_a_deadline(self):
        wake_at = self.schedule.wake_at(self.now)
        for lease in self.schedule.registrations:
            if lease.live:
                assert wake_at is not None
                assert wake_at <= max(lease.lost_at, self.now)


TestSchedules = Schedules.TestCase
TestSchedules.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
