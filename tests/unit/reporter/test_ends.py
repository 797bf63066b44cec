"""How users are told that the lease of a task has ended."""

from __future__ import annotations

import pytest

from aiodp import LeaseLost, LeaseState, LostReason
from aiodp._reporter.ends import cause_of_loss, raise_if_ended, warn_if_unseen


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        (LostReason.EXPIRED, "no answer"),
        (LostReason.REFUSED, "no answer"),
        (LostReason.OVERLOADED, ""),
        (LostReason.TIME_LIMIT, ""),
    ],
)
def test_an_error_is_the_cause_of_a_loss_that_comes_of_reports(record, reason, cause):
    """No report has a part in the others, whatever came of the last one."""
    record.fail(TimeoutError("no answer"))
    record.lose(reason)
    assert cause_of_loss(record, None) == cause


def test_a_loss_without_an_error_has_no_other_cause(record):
    """As when the event loop was blocked."""
    record.lose(LostReason.EXPIRED)
    assert cause_of_loss(record, None) == ""


@pytest.mark.parametrize(("failures", "advised"), [(2, False), (3, True), (4, True)])
def test_three_calls_without_an_answer_are_a_reason_for_advice(record, failures, advised):
    """Fewer may be an accident."""
    for _ in range(failures):
        record.fail(TimeoutError("no answer"))
        record.backoff(1.0, 0.0)
    record.lose(LostReason.EXPIRED)
    with pytest.raises(LeaseLost, match="the last error: no answer") as lost:
        raise_if_ended(record, record.state, float, None)
    assert ("3 calls or more in a row were not answered" in str(lost.value)) is advised


@pytest.mark.parametrize("reason", [LostReason.REFUSED, LostReason.OVERLOADED])
def test_the_warning_that_work_ran_on_has_the_reason(record, caplog, reason):
    """The one for which it was lost."""
    record.lose(reason)
    warn_if_unseen(record, record.state)
    [warning] = caplog.records
    assert f"task task was lost ({reason}) while" in warning.getMessage()
    assert warning.reason == reason.value


def test_the_warning_that_work_ran_on_has_a_reason_that_nobody_has_noted(record, caplog):
    """The lease has run out by the clock, and the engine in its thread has not seen that yet."""
    warn_if_unseen(record, LeaseState.LOST)
    assert "task task was lost (expired) while" in caplog.text
