"""What a reporter is before it is opened."""

from __future__ import annotations

import pytest
from aiobotocore.session import get_session

from aiodp import ProgressReporter, Quota, ReporterClosed


@pytest.mark.parametrize(
    ("quota", "attempt_timeout", "calls"),
    [
        (None, 10, 256),
        (Quota(rate=1, burst=1), 10, 11),
        (Quota(rate=2, burst=5), 4, 13),
        (Quota(rate=1.5, burst=5), 1, 7),
        (Quota(rate=10, burst=99), 10, 199),
        (Quota(rate=10, burst=100), 10, 200),
        (Quota(rate=10, burst=156), 10, 256),
        (Quota(rate=10, burst=157), 10, 256),
    ],
)
def test_as_many_calls_are_in_flight_as_the_quota_lets_hang(quota, attempt_timeout, calls):
    """A burst, and what is sent until the first of them times out; at most 256 connections."""
    reporter = ProgressReporter(get_session(), quota=quota, attempt_timeout=attempt_timeout)
    assert reporter._max_in_flight == calls


def test_a_quota_is_a_quota_or_none():
    """What is none is said where the mistake is made, before anything is opened."""
    with pytest.raises(TypeError, match="quota must be a Quota or None, not 10"):
        ProgressReporter(get_session(), quota=10)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("task_id", "what"),
    [
        ("", "0 characters"),
        ("x" * 2049, "2,049 characters"),
        (None, "None"),
        (b"bytes", "b'bytes'"),
    ],
)
def test_a_task_id_has_1_to_2048_characters(task_id, what):
    """Both bounds are allowed themselves, before anything is sent."""
    reporter = ProgressReporter(get_session())
    for allowed in ("x", "x" * 2048):
        reporter.track(allowed)
    with pytest.raises(
        ValueError, match=f"task_id must be a str of 1 to 2,048 characters, not {what}"
    ):
        reporter.track(task_id)
    with pytest.raises(ValueError, match=r"task_id holds the character '\\x00'"):
        reporter.track("a\x00")


def test_nothing_is_known_of_a_reporter_that_is_not_opened():
    """It says so."""
    reporter = ProgressReporter(get_session())
    assert repr(reporter) == "<ProgressReporter new, 0 tracked>"
    with pytest.raises(ReporterClosed, match="has not been opened"):
        reporter.statistics()
