"""The scheduler: who reports next, and when."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, precondition, rule

from aiodp import LeaseState, LostReason, Quota, ReportKind
from aiodp._core.lease import Lease
from aiodp._core.schedule import Schedule
from aiodp._core.timing import Timing
from aiodp._types import Outcome

TIMING = Timing.checked(
    interval=60, ack_timeout=120, lease_timeout=300, safety_margin=10, attempt_timeout=10
)
OK = Outcome(kind=ReportKind.OK)


def schedule(rate=10.0, burst=100.0, max_in_flight=200):
    return Schedule(Quota(rate=rate, burst=burst), max_in_flight=max_in_flight, now=0.0)


def lease(name="task", now=0.0, timing=TIMING):
    return Lease(name, timing, now)


def add(held, now, count=1, timing=TIMING):
    leases = [lease(f"task-{i}", now, timing) for i in range(count)]
    for each in leases:
        held.add(each, now)
    return leases


def report(held, now, outcome=OK):
    """Send all that may be sent now, and answer at once."""
    sent = []
    while (each := held.take(now)) is not None:
        each.begun += 1
        held.settle(each, outcome, sent_at=now, now=now, jitter=0.5)
        sent.append(each)
    return sent


def run(held, start, end, outcome=OK):
    """Let time pass as the engine does; return (time, lease) of each report."""
    now, log = start, []
    while now <= end:
        held.expire(now)
        log += [(now, each) for each in report(held, now, outcome)]
        now = max(held.wake_at(now) or math.inf, now + 0.001)
    return log


def test_the_first_report_is_due_at_once_and_the_next_within_an_interval():
    """A single lease reports at 0, 60, 120, …"""
    held = schedule()
    add(held, 0.0)
    assert [round(at) for at, _ in run(held, 0.0, 300.0)] == [0, 60, 120, 180, 240, 300]


def test_phases_are_spread():
    """A hundred leases that start together do not report together for ever."""
    held = schedule(burst=1000)
    add(held, 0.0, 100)
    log = [at for at, _ in run(held, 0.0, 600.0)]
    per_second = [sum(second <= at < second + 1 for at in log) for second in range(120, 600)]
    assert max(per_second) <= 6  # 100 per 60 s are 1.7 a second


def test_the_earliest_deadline_goes_first():
    """Among due leases, the one that would be lost first reports first."""
    held = schedule(rate=1, burst=1)
    late = lease("late", 0.0)
    soon = lease(
        "soon",
        0.0,
        Timing.checked(
            interval=5, ack_timeout=20, lease_timeout=30, safety_margin=10, attempt_timeout=10
        ),
    )
    held.add(late, 0.0)
    held.add(soon, 0.0)
    assert held.take(0.0) is soon
    assert held.take(0.0) is None
    assert held.take(1.0) is late


def test_a_few_short_leases_do_not_keep_the_others_waiting():
    """Ten leases of 5 s want more than the quota; twenty of 900 s are reported all the same."""
    held = schedule(rate=5, burst=10)
    short = Timing.checked(
        interval=1.3, ack_timeout=120, lease_timeout=5, safety_margin=1, attempt_timeout=1
    )
    long = Timing.checked(
        interval=60, ack_timeout=120, lease_timeout=900, safety_margin=10, attempt_timeout=10
    )
    for _ in range(10):
        add(held, 0.0, timing=short)
    leases = add(held, 0.0, 20, timing=long)
    log = run(held, 0.0, 3600.0)
    assert all(each.state is LeaseState.HELD for each in held.leases)
    for each in leases:
        times = [at for at, reported in log if reported is each]
        assert max(b - a for a, b in itertools.pairwise(times)) < 120


def test_an_acknowledgement_does_not_wait_to_the_last():
    """It has no margin, so it keeps the time for three attempts."""
    held = schedule(rate=1, burst=1)
    [old] = add(held, 0.0)
    report(held, 0.0)
    held.hurry(old, 190.0)  # to be lost at 290
    [new] = add(held, 190.0)  # to be lost at 310, wanted at 280
    assert held.take(190.0) is new
    [later] = add(held, 260.0)  # to be lost at 380, wanted at 350
    assert held.take(260.0) is old
    assert held.take(261.0) is later


def test_a_new_short_lease_is_seen_at_once():
    """The scheduler does not sleep on an old, long deadline while a new lease has a short one."""
    held = schedule()
    add(held, 0.0)
    report(held, 0.0)
    assert held.wake_at(1.0) == pytest.approx(60.0)
    short = lease(
        "short",
        1.0,
        Timing.checked(
            interval=1, ack_timeout=3, lease_timeout=5, safety_margin=1, attempt_timeout=1
        ),
    )
    held.add(short, 1.0)
    assert held.wake_at(1.0) <= 1.0
    assert held.take(1.0) is short


def test_a_shorter_lease_after_a_long_acknowledgement_window_expires_in_time():
    """The first success may move the deadline to an earlier time."""
    held = schedule()
    [short] = add(
        held,
        0.0,
        timing=Timing.checked(
            interval=5, ack_timeout=120, lease_timeout=30, safety_margin=10, attempt_timeout=10
        ),
    )
    report(held, 0.0)
    held.expire(19.9)
    assert short.live
    held.expire(20.0)
    assert short.lost_reason is LostReason.EXPIRED


def test_intervals_stretch_when_the_quota_binds():
    """At capacity, every lease is renewed within its lease, whatever the interval says."""
    held = schedule(rate=1.0, burst=10)
    timing = Timing.checked(
        interval=20, ack_timeout=120, lease_timeout=110, safety_margin=10, attempt_timeout=10
    )
    leases = []
    now = 0.0
    for _ in range(98):  # 0.98 of 1 call/s for 100 s
        leases += add(held, now, timing=timing)
        run(held, now, now + 2.0)
        now += 2.0
    run(held, now, now + 1000)
    assert [each.state for each in leases] == [LeaseState.HELD] * 98


def test_more_leases_than_the_quota_can_hold_are_refused_and_the_old_ones_survive():
    """Overload is shed: the newest are told at once, the ones held longest are kept."""
    held = schedule(rate=1.0, burst=10)
    timing = Timing.checked(
        interval=20, ack_timeout=120, lease_timeout=110, safety_margin=10, attempt_timeout=10
    )
    leases = []
    now = 0.0
    for _ in range(196):
        leases += add(held, now, timing=timing)
        run(held, now, now + 1.5)
        now += 1.5
    run(held, now, now + 1000)
    kept = [each.state is LeaseState.HELD for each in leases]
    assert kept == [True] * 98 + [False] * 98
    assert {each.lost_reason for each in leases[98:]} == {LostReason.OVERLOADED}


def test_a_place_is_free_again_when_a_lease_ends():
    """Capacity is counted by leases that are alive."""
    held = schedule(rate=0.1, burst=100)  # 0.098 · 290 s: 28 leases
    first = add(held, 0.0, 28)
    assert all(each.live for each in first)
    [refused] = add(held, 0.0)
    assert refused.lost_reason is LostReason.OVERLOADED
    held.remove(first[0])
    [accepted] = add(held, 0.0)
    assert accepted.live


def test_when_others_use_up_the_quota_the_newest_are_given_up():
    """The service grants half of what is needed: about half survive, and these are the oldest."""
    held = schedule(rate=10, burst=10)
    timing = Timing.checked(
        interval=20, ack_timeout=120, lease_timeout=110, safety_margin=10, attempt_timeout=10
    )
    leases: list[Lease] = []
    tokens = 0.0
    throttled = Outcome(kind=ReportKind.THROTTLED)
    for step in range(30_000):
        now = step * 0.1
        tokens = min(10.0, tokens + 0.1 * 2.0)  # the others leave 2 calls/s
        if step % 20 == 0 and len(leases) < 400:  # 400 leases need 4 calls/s
            leases += add(held, now, timing=timing)
        held.expire(now)
        while (each := held.take(now)) is not None:
            each.begun += 1
            granted = tokens >= 1
            tokens -= granted
            held.settle(each, OK if granted else throttled, sent_at=now, now=now, jitter=0.5)
    survivors = [index for index, each in enumerate(leases) if each.live]
    assert len(survivors) >= 0.75 * 200
    assert sum(index < 200 for index in survivors) >= 0.9 * len(survivors)


def test_throttled_reports_are_repeated_as_soon_as_the_bucket_allows():
    """Throttling is no failure: no backoff, only the bucket's word."""
    held = schedule()
    [one] = add(held, 0.0)
    report(held, 0.0, Outcome(kind=ReportKind.THROTTLED))
    assert one.due_at == 0.0
    assert held.wake_at(0.0) == pytest.approx(1 / 7)
    assert report(held, 1 / 7) == [one]


def test_who_wants_little_keeps_its_interval_when_calls_are_throttled():
    """Forty leases want 0.67 calls/s: a storm of throttling does not push them below that."""
    held = schedule()
    add(held, 0.0, 40)
    report(held, 0.0)
    for second in range(60, 90):
        report(held, float(second), Outcome(kind=ReportKind.THROTTLED))
    assert held.bucket.rate == pytest.approx(40 / 60)


def test_lost_leases_get_only_what_is_left_over():
    """A lapsed lease is still reported, after all that can still be kept."""
    held = schedule(rate=1, burst=2)
    gone = lease("gone", 0.0)
    held.add(gone, 0.0)
    held.expire(120.0)
    assert gone.lost_reason is LostReason.EXPIRED
    fresh = lease("fresh", 120.0)
    held.add(fresh, 120.0)
    assert held.take(120.0) is fresh
    assert held.take(121.0) is gone


def test_a_report_that_cannot_land_in_time_gives_way_to_one_that_can():
    """Under overload, calls are not spent on leases that are lost before the answer arrives."""
    held = schedule(rate=1, burst=1)
    [slow] = add(held, 0.0)
    taken = held.take(0.0)
    assert taken is slow
    held.settle(slow, OK, sent_at=0.0, now=8.0, jitter=0.0)  # latency is learned: an eighth of 8 s
    doomed, other = lease("doomed", 0.0), lease("other", 60.0)
    held.add(doomed, 119.0)
    held.add(other, 119.0)
    assert held.take(119.0) is other


def test_a_held_status_stops_reports_until_it_is_resumed():
    """A report and SetTaskStatus are never in flight together."""
    held = schedule()
    [one] = add(held, 0.0)
    held.hold(one)
    assert held.take(100.0) is None
    held.resume(one)
    assert held.take(100.0) is one


def test_a_released_lease_frees_everything():
    """Nothing of a lease stays in the schedule when it is removed."""
    held = schedule()
    for each in add(held, 0.0, 50):
        held.remove(each)
    assert held.wake_at(0.0) is None
    assert held.take(1000.0) is None
    assert not held.leases
    assert held.next_due is None
    assert held.first_lost_at is None


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
        self.held = Schedule(Quota(rate=0.2, burst=5), max_in_flight=3, now=0.0)
        self.flying: list[tuple[Lease, float]] = []
        self.told: list[Lease] = []
        self.all: list[Lease] = []

    @rule(target=leases, lease_timeout=st.sampled_from([40.0, 100.0, 300.0]))
    def register(self, lease_timeout):
        timing = TIMING.override(interval=None, ack_timeout=None, lease_timeout=lease_timeout)
        new = Lease("same-id", timing, self.now)
        self.held.add(new, self.now)
        self.all.append(new)
        return new

    @rule(seconds=st.floats(0, 200))
    def wait(self, seconds):
        self.now += seconds
        self.held.expire(self.now)

    @rule()
    def wait_as_the_engine_does(self):
        wake_at = self.held.wake_at(self.now)
        if wake_at is not None:
            self.now = max(wake_at, self.now + 0.001)
        self.held.expire(self.now)

    @rule()
    def send(self):
        self.held.expire(self.now)
        taken = self.held.take(self.now)
        if taken is not None:
            assert taken.reportable
            assert taken not in [each for each, _ in self.flying]
            taken.begun += 1
            self.flying.append((taken, self.now))

    @precondition(lambda self: self.flying)
    @rule(data=st.data(), outcome=st.sampled_from(OUTCOMES), at_once=st.booleans())
    def answer(self, data, outcome, at_once):
        index = data.draw(st.integers(0, len(self.flying) - 1))
        each, sent_at = self.flying.pop(index)
        before = (each.state, each.deadline)
        self.held.settle(each, outcome, sent_at=sent_at, now=self.now, jitter=0.3, at_once=at_once)
        if each.deadline != before[1]:
            assert outcome.kind is ReportKind.OK
            assert each.deadline == sent_at + each.timing.lease_timeout
        if before[0] not in (LeaseState.ASSIGNED, LeaseState.HELD):
            assert each.state is before[0]

    @rule(lease=leases)
    def hold(self, lease):
        if lease in self.held.leases:
            self.held.hold(lease)

    @rule(lease=leases)
    def resume(self, lease):
        if lease in self.held.leases:
            self.held.resume(lease)

    @rule(lease=leases)
    def leave(self, lease):
        self.held.remove(lease)

    @rule(lease=leases)
    def hurry(self, lease):
        if lease in self.held.leases:
            self.held.hurry(lease, self.now)

    @rule(lease=leases)
    def refuse(self, lease):
        if lease in self.held.leases:
            self.held.end_refused(lease, None)

    @rule()
    def collect(self):
        self.told += self.held.take_ended()

    @invariant()
    def every_end_is_told_once(self):
        ended = [each for each in self.all if not each.live]
        told = self.told + self.held._ended
        assert len(told) == len(set(told))
        assert set(told) == set(ended)

    @invariant()
    def counts_add_up(self):
        assert self.held.in_flight == len(self.flying) <= 3
        live = [each for each in self.held.leases if each.live]
        assert self.held.held == sum(each.state is LeaseState.HELD for each in live)
        needed = sum(1 / each.timing.usable_lease for each in live)
        assert self.held._demand.needed == pytest.approx(needed, abs=1e-9)
        assert needed <= 0.98 * 0.2 + 1e-9

    @invariant()
    def each_lease_waits_in_one_place(self):
        flying = [each for each, _ in self.flying]
        for each in self.all:
            places = sum(each in queue for queue in self.held._places) + (each in flying)
            assert (each in self.held._ripe) <= (each in self.held._early)
            expected = each.reportable and each in self.held.leases
            if each in flying:
                assert places == 1
            else:
                assert places == expected
            assert (each in self.held._expiry) == (each.live and each in self.held.leases)

    @invariant()
    def nobody_sleeps_through_a_deadline(self):
        wake_at = self.held.wake_at(self.now)
        for each in self.held.leases:
            if each.live:
                assert wake_at is not None
                assert wake_at <= max(each.lost_at, self.now)


TestSchedules = Schedules.TestCase
TestSchedules.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)
