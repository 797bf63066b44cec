"""The token bucket that follows the service's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodp import Quota
from aiodp._core.bucket import TokenBucket


def drain(bucket, now):
    taken = 0
    while bucket.available(now) and taken < 10_000:
        bucket.spend(now)
        taken += 1
    return taken


def test_burst_then_rate():
    """Nine tenths of the burst at once, then the rate, and never more than the burst again."""
    bucket = TokenBucket(Quota(rate=10, burst=100), 0.0)
    assert drain(bucket, 0.0) == 90
    assert drain(bucket, 1.0) == 10
    assert drain(bucket, 1000.0) == 90


def test_ready_at_is_when_it_is_ready():
    """The promised time holds: no spinning on a hair short of a token."""
    bucket = TokenBucket(Quota(rate=3, burst=1), 0.0)
    now = 0.0
    for _ in range(1000):
        now = bucket.ready_at(now)
        assert bucket.available(now)
        bucket.spend(now)
    assert now == pytest.approx(999 / 3)


def test_throttling_lowers_the_rate_once_for_all_that_was_on_the_way():
    """Ten calls sent together and throttled together are one piece of news."""
    bucket = TokenBucket(Quota(rate=10, burst=100), 0.0)
    for _ in range(10):
        bucket.throttled(0.5, 1.0)
    assert bucket.rate == pytest.approx(7.0)
    assert not bucket.available(1.0)
    bucket.throttled(1.1, 1.2)
    assert bucket.rate == pytest.approx(4.9)


def test_success_restores_the_rate_slowly():
    """It takes hundreds of successes, and never goes beyond the quota."""
    bucket = TokenBucket(Quota(rate=10, burst=100), 0.0)
    for step in range(10):
        bucket.throttled(step, step)
    low = bucket.rate
    for _ in range(100):
        bucket.succeeded()
    assert low < bucket.rate < 10
    for _ in range(2000):
        bucket.succeeded()
    assert bucket.rate == 10


def test_the_rate_never_falls_below_what_is_needed():
    """As long as all processes' needs fit into the quota, each gets its own."""
    bucket = TokenBucket(Quota(rate=10, burst=100), 0.0)
    for step in range(100):
        bucket.throttled(step, step, needed=3.1)
    assert bucket.rate == pytest.approx(3.1)
    for step in range(100, 200):
        bucket.throttled(step, step)
    assert bucket.rate == pytest.approx(0.5)


def test_without_a_quota_nothing_is_limited():
    """None lifts the limit, whatever is learned."""
    bucket = TokenBucket(None, 0.0)
    bucket.throttled(0.0, 0.0)
    bucket.succeeded()
    assert drain(bucket, 0.0) == 10_000
    assert bucket.ready_at(5.0) == 5.0
    assert not bucket.limited


def test_tokens_can_be_taken_in_advance_and_given_back():
    """Statuses queue up by taking tokens that are not there yet."""
    bucket = TokenBucket(Quota(rate=2, burst=1), 0.0)
    waits = []
    for _ in range(4):
        bucket.spend(0.0)
        waits.append(bucket.ready_at(0.0, tokens=0))
    assert waits == [0.0, 0.5, 1.0, 1.5]
    bucket.refund()
    assert bucket.ready_at(0.0, tokens=0) == 1.0


@given(
    rate=st.floats(0.1, 1000),
    burst=st.integers(1, 1000),
    gaps=st.lists(st.floats(0, 100), max_size=50),
)
def test_no_window_sees_more_than_burst_plus_rate(rate, burst, gaps):
    """Whatever the pattern of calls, the service's own bucket would let all of them through."""
    bucket = TokenBucket(Quota(rate=rate, burst=burst), 0.0)
    tokens, filled_at, now = float(burst), 0.0, 0.0
    for gap in gaps:
        now += gap
        tokens = min(burst, tokens + (now - filled_at) * rate)
        filled_at = now
        for _ in range(5):
            if bucket.available(now):
                bucket.spend(now)
                tokens -= 1
        assert tokens >= -1e-6


def test_a_small_burst_still_has_one_token():
    """Nine tenths of one would never allow a call."""
    bucket = TokenBucket(Quota(rate=1, burst=1), 0.0)
    assert drain(bucket, 0.0) == 1
    assert bucket.ready_at(0.0) == 1.0
    assert bucket.ready_at(0.25, tokens=2) == 2.0


def test_a_call_sent_when_the_rate_was_lowered_lowers_it_again():
    """Only what was sent before that is the same news."""
    bucket = TokenBucket(Quota(rate=10, burst=100), 0.0)
    bucket.throttled(0.0, 1.0)
    bucket.throttled(0.999, 1.0)
    assert bucket.rate == pytest.approx(7.0)
    bucket.throttled(1.0, 1.5)
    assert bucket.rate == pytest.approx(4.9)


def test_throttling_empties_the_bucket_and_keeps_its_debts():
    """What was taken in advance stays owed."""
    bucket = TokenBucket(Quota(rate=10, burst=10), 0.0)
    bucket.throttled(0.0, 0.0)
    assert bucket.ready_at(0.0, tokens=0) == 0.0
    assert bucket.ready_at(0.0) == pytest.approx(1 / 7)
    for _ in range(7):
        bucket.spend(0.0)
    bucket.throttled(0.0, 0.0)
    assert bucket.ready_at(0.0, tokens=0) == pytest.approx(7 / 4.9)


def test_the_rate_is_never_raised_by_throttling():
    """Needs above the quota are bounded by it."""
    bucket = TokenBucket(Quota(rate=10, burst=10), 0.0)
    bucket.throttled(0.0, 0.0, needed=20.0)
    assert bucket.rate == 10.0


def test_one_success_restores_a_thousandth():
    """Of the full rate."""
    bucket = TokenBucket(Quota(rate=10, burst=10), 0.0)
    bucket.throttled(0.0, 0.0)
    bucket.succeeded()
    assert bucket.rate == pytest.approx(7.01)


def test_a_time_that_goes_back_fills_nothing_and_takes_nothing():
    """Threads may ask with a time of a moment ago."""
    bucket = TokenBucket(Quota(rate=1, burst=10), 10.0)
    assert drain(bucket, 10.0) == 9
    assert not bucket.available(9.0)
    assert bucket.ready_at(9.0) == 10.0
