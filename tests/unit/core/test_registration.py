"""What the schedule keeps of a lease: how urgent its next report is, and whether there is one."""

from __future__ import annotations

import pytest

from aiodp import LeaseState
from aiodp._core.registration import Registration
from aiodp._core.timing import Timing


def registration(*, held=False, **changes):
    timing = Timing.checked(
        **{
            "interval": 60,
            "ack_timeout": 120,
            "lease_timeout": 300,
            "safety_margin": 10,
            "attempt_timeout": 10,
        }
        | changes
    )
    new = Registration("task", timing, 1000.0)
    if held:
        assert new.succeed(1000.0, 1000.0)
        assert new.state is LeaseState.HELD
    return new


@pytest.mark.parametrize(
    ("attempt_timeout", "urgency"),
    [(10, 1090.0), (19, 1063.0), (20, 1060.0), (21, 1060.0), (100, 1060.0)],
)
def test_an_acknowledgement_keeps_the_time_of_three_attempts(attempt_timeout, urgency):
    """It goes by a time that much before its deadline, but by no more than half of its window."""
    assert registration(attempt_timeout=attempt_timeout).urgency == urgency


def test_a_renewal_goes_by_when_the_lease_is_lost():
    """The safety margin is its reserve."""
    assert registration(held=True).urgency == 1290.0


def test_a_renewal_is_urgent_when_a_quarter_of_the_lease_is_left():
    """Of the part that can be used: 290 s of 300."""
    assert registration(held=True).urgent_at == 1290.0 - 290.0 / 4
    assert registration(held=True, safety_margin=100).urgent_at == 1200.0 - 200.0 / 4


def test_an_acknowledgement_is_urgent_as_soon_as_it_is_due():
    """Until it is acknowledged, a task is nobody's."""
    new = registration()
    new.due_at = 1007.0
    assert new.urgent_at == 1007.0


def test_reports_are_counted_and_carry_the_fields_that_wait():
    """The sequence rises by one for each; without fields there is no version to acknowledge."""
    new = registration()
    assert new.sequence == new.last_success == 0
    assert new.start_report() == (0, [])
    new.pending().update({"a": 1})
    assert new.start_report() == (1, [{"key": "a", "stringValue": "1"}])
    assert new.sequence == 2
    assert new.pending() is new.fields


@pytest.mark.parametrize("flag", ["paused", "reporting_stopped"])
def test_no_report_is_sent_while_something_forbids_it(flag):
    """A status on the way, or the end of all reports."""
    new = registration()
    assert new.reportable
    setattr(new, flag, True)
    assert not new.reportable
