"""How long calls that fail are delayed."""

from __future__ import annotations

import random

import pytest

from aiodp import ReportKind
from aiodp._runner.poller import Backoff
from aiodp._types import Outcome

FAILURE = Outcome(kind=ReportKind.SERVER_ERROR)


@pytest.mark.parametrize(("jitter", "share"), [(0.0, 1.0), (0.5, 0.75), (1.0, 0.5)])
def test_delays_double_from_a_second_to_a_minute(jitter, share):
    """Up to a half is taken off at random; a success begins anew, and the count goes on."""
    backoff = Backoff("polls", lambda: jitter)
    delays = [1, 2, 4, 8, 16, 32, 60, 60]
    assert [backoff.fail(FAILURE) / share for _ in delays] == delays
    backoff.succeed()
    assert [backoff.fail(FAILURE) / share for _ in range(2)] == [1, 2]
    assert backoff.count == len(delays) + 2


def test_a_minute_is_the_delay_after_any_number_of_failures():
    """No number of them is too large to be doubled."""
    backoff = Backoff("polls", random.random)
    delays = [backoff.fail(FAILURE) for _ in range(2000)]
    assert all(30 <= delay <= 60 for delay in delays[6:])
