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
