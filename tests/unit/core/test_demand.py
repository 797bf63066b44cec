"""What all leases together ask of the quota."""

from __future__ import annotations

import pytest

from aiodp import Quota
from aiodp._core.demand import Demand
from aiodp._core.timing import Timing

TIMING = Timing.checked(
    interval=20, ack_timeout=120, lease_timeout=110, safety_margin=10, attempt_timeout=10
)  # a lease needs 0.01 calls/s and wants 0.05


def demand(leases=0, rate=1.0):
    new = Demand(Quota(rate=rate, burst=10))
    for _ in range(leases):
        new.add(TIMING)
    return new


def test_leases_are_counted_up_and_down():
    """Needs and wants are sums over the leases that there are."""
    new = demand(3)
    assert new.needed == pytest.approx(0.03)
    assert new._wanted == pytest.approx(0.15)
    assert new._leases == 3
    new.drop(TIMING)
    assert new.needed == pytest.approx(0.02)
    assert new._wanted == pytest.approx(0.10)
    assert new._leases == 2


def test_rounding_leaves_no_negative_needs():
    """What is dropped last brings the sums to zero and not below."""
    new = demand()
    for _ in range(3):
        new.add(TIMING)
    for _ in range(4):
        new.drop(TIMING)
    assert new.needed == 0.0
    assert new._wanted == 0.0


def test_ninety_eight_hundredths_of_the_quota_may_be_needed():
    """The 98th lease fits into one call a second, the 99th does not."""
    new = demand(97)
    assert new.has_room(1, TIMING)
    assert not new.has_room(2, TIMING)
    new.add(TIMING)
    assert not new.excessive
    assert not new.has_room(1, TIMING)
    new.add(TIMING)
    assert new.excessive


def test_what_throttling_taught_does_not_hold_for_a_single_lease():
    """Only its reports can tell that there is more again."""
    new = demand(1)
    new.cap_at(0.0)
    assert not new.excessive
    assert not new.has_room(1, TIMING)
    new.add(TIMING)
    assert new.excessive
    new.drop(TIMING)
    assert not new.excessive
    new.drop(TIMING)
    assert new.has_room(1, TIMING)
    assert not new.has_room(2, TIMING)


def test_a_granted_call_allows_a_little_more_again():
    """A thousandth of the full rate, and never more than at first."""
    new = demand(2, rate=10.0)
    new.cap_at(0.0)
    new.granted()
    assert new._allowed == pytest.approx(0.01)
    for _ in range(2000):
        new.granted()
    assert new._allowed == pytest.approx(9.8)


def test_throttling_may_not_push_below_what_is_needed_and_modest_wants():
    """A little more than is needed, or what is wanted, up to a tenth of the quota."""
    assert demand(1).least_rate == pytest.approx(0.05)  # wanted
    assert demand(4).least_rate == pytest.approx(0.1)  # a tenth
    assert demand(90).least_rate == pytest.approx(0.9 * 1.03)  # needed


def answer(new, granted, denied):
    for _ in range(granted):
        new.granted()
    for _ in range(denied):
        new.denied()


def test_a_shortage_is_known_after_fifty_calls():
    """What is granted, of the rate at which calls were made."""
    new = demand(98)
    answer(new, granted=24, denied=25)
    assert new.shortage(1.0) is None
    new.denied()
    assert new.shortage(1.0) == pytest.approx(24 / 50)


@pytest.mark.parametrize(("granted", "denied"), [(60, 0), (0, 60)])
def test_all_or_nothing_is_no_shortage(granted, denied):
    """While nothing is granted, nothing is gained by giving leases up."""
    new = demand(98)
    answer(new, granted, denied)
    assert new.shortage(0.5) is None


def test_one_of_each_is_enough_to_judge():
    """One call that was throttled among many, or one granted."""
    for granted, denied in ((1, 59), (59, 1)):
        new = demand(98)
        answer(new, granted, denied)
        assert new.shortage(0.5) == pytest.approx(0.5 * granted / 60)


def test_nearly_enough_is_no_shortage():
    """Three hundredths less than is needed are within what retries absorb."""
    new = demand(50)  # needs 0.5
    answer(new, granted=50, denied=50)
    assert new.shortage(0.98) is None
    assert new.shortage(0.96) == pytest.approx(0.48)


def test_a_cap_begins_a_new_sample():
    """What was learned before the cap says nothing about the time after it."""
    new = demand(98)
    answer(new, granted=30, denied=30)
    assert new.shortage(1.0) is not None
    new.cap_at(0.5)
    assert (new._granted, new._denied) == (0, 0)
    assert new.shortage(1.0) is None


def test_the_sample_forgets_what_is_long_ago():
    """Of more than 400 calls, half of each kind is kept."""
    new = demand(98)
    answer(new, granted=300, denied=100)
    assert (new._granted, new._denied) == (300, 100)
    new.denied()
    assert (new._granted, new._denied) == (150, 50)
    answer(new, granted=201, denied=0)
    assert (new._granted, new._denied) == (175, 25)


def test_the_bound_of_a_shortage_counts_as_one():
    """Ninety-seven hundredths of what is needed."""
    new = demand(50)
    answer(new, granted=32, denied=32)
    supply = new.needed * 0.97
    assert new.shortage(2 * supply) == supply
