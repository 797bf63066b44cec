"""What ends an attempt without its worker: the windows of a task, and attemptTimeout."""

from __future__ import annotations

import pytest

from aiodp.emulator import AttemptTimeoutAnswer
from unit.emulator.lifecycle_kit import DAY, NOT_FOUND, RETRY, Lifecycle
from unit.emulator.lifecycle_objects import activity, at, daily, on_demand, stamp

READY = "WAITING_FOR_RUNNER"
ACKNOWLEDGE, LEASE = 120.0, 300.0
ATTEMPT = f"{at('A')}_Attempt="

pytestmark = pytest.mark.settings(lease_timeout=LEASE)
long_lease = pytest.mark.settings(lease_timeout=90 * DAY)
"""For tests in which no lease is to lapse."""


# Acknowledgement and lease


def test_an_unacknowledged_task_is_offered_again(kit):
    """Without a report for 2 minutes the same attempt is handed out under a new task id."""
    kit.launch(daily(A=activity()))
    first = kit.take()
    kit.move(ACKNOWLEDGE)
    assert kit.report(first)["error"] == NOT_FOUND
    second = kit.take()
    assert second.attempt_id == first.attempt_id
    assert second.task_id != first.task_id
    assert kit.fields(at("A"))["@triesLeft"] == "2"


def test_a_first_report_in_time_keeps_the_task(kit):
    """A report within the acknowledgement window starts the lease."""
    kit.launch(daily(A=activity()))
    work = kit.take()
    kit.move(ACKNOWLEDGE - 0.001)
    assert kit.report(work) == {"canceled": False}
    assert kit.status("A") == "RUNNING"
    kit.move(LEASE - 0.001)
    assert kit.report(work) == {"canceled": False}


def test_a_silent_worker_costs_a_try(kit):
    """A lease which lapses fails the attempt; the next one is offered at once."""
    kit.launch(daily(A=activity()))
    work = kit.begin("A")
    kit.move(LEASE)
    assert kit.report(work)["error"] == NOT_FOUND
    assert kit.fields(f"{ATTEMPT}1")["@status"] == "FAILED"
    assert "progress" in kit.fields(f"{ATTEMPT}1")["errorMessage"]
    assert kit.get().attempt_id == f"{ATTEMPT}2"
    assert kit.fields(at("A"))["@triesLeft"] == "1"


def test_lapsed_leases_may_spend_all_tries(kit):
    """When the last try lapses the instance is FAILED."""
    kit.launch(daily(A=activity(maximumRetries="1")))
    for _ in range(2):
        kit.report(kit.take())
        kit.move(LEASE)
    assert kit.status("A") == "FAILED"
    assert kit.take() is None


def test_the_object_says_how_long_its_worker_may_be_silent(kit):
    """reportProgressTimeout of the object is its lease."""
    kit.launch(daily(A=activity(reportProgressTimeout="10 minutes")))
    work = kit.begin("A")
    kit.move(599)
    assert kit.report(work) == {"canceled": False}
    kit.move(600)
    assert kit.report(work)["error"] == NOT_FOUND


# attemptTimeout


@pytest.mark.parametrize("written", ["#{5}", "#{0 - 5}", "#{'soon'}"])
def test_what_computes_to_no_period_is_no_timeout(kit, written):
    """A number without a unit is no period: the lease of the settings holds."""
    kit.launch(daily(A=activity(reportProgressTimeout=written)))
    work = kit.begin("A")
    kit.move(LEASE - 1)
    assert kit.report(work) == {"canceled": False}
    kit.move(LEASE)
    assert kit.report(work)["error"] == NOT_FOUND


def test_an_attempt_must_end_in_time(kit):
    """attemptTimeout after its hand-out an attempt is FAILED, however busily it reports."""
    kit.launch(daily(A=activity(attemptTimeout="10 minutes")))
    work = kit.begin("A")
    for _ in range(9):
        kit.move(60)
        assert kit.report(work) == {"canceled": False}
    kit.move(59.9)
    assert kit.status("A") == "RUNNING"
    kit.move(0.1)
    fields = kit.fields(f"{ATTEMPT}1")
    assert fields["@status"] == "FAILED"
    assert fields["@actualEndTime"] == stamp(minutes=10)
    assert "attemptTimeout" in fields["errorMessage"] or "timed out" in fields["errorMessage"]


@long_lease
def test_a_worker_out_of_time_is_told_so(kit):
    """Its next report and its status get TaskNotFoundException."""
    kit.launch(daily(A=activity(attemptTimeout="10 minutes")))
    work = kit.begin("A")
    kit.move(minutes=10)
    assert kit.report(work)["error"] == NOT_FOUND
    assert kit.end(work)["error"] == NOT_FOUND
    assert kit.status("A") == READY


def test_a_worker_out_of_time_may_be_canceled():
    """attempt_timeout_answer chooses `canceled`, for the real answer is not documented."""
    kit = Lifecycle(attempt_timeout_answer=AttemptTimeoutAnswer.CANCELED)
    kit.launch(daily(A=activity(attemptTimeout="10 minutes")))
    work = kit.begin("A")
    kit.move(minutes=10)
    assert kit.report(work) == {"canceled": True}
    assert kit.fields(f"{ATTEMPT}1")["@status"] == "FAILED"


@long_lease
def test_an_attempt_out_of_time_is_retried_after_the_delay(kit):
    """It costs a try, and the next attempt comes after retryDelay."""
    kit.launch(daily(A=activity(attemptTimeout="10 minutes")))
    kit.begin("A")
    kit.move(minutes=10)
    assert kit.take() is None
    kit.move(RETRY - 1)
    assert kit.take() is None
    kit.move(1)
    assert kit.get().attempt_id == f"{ATTEMPT}2"
    assert kit.fields(at("A"))["@triesLeft"] == "1"


@long_lease
def test_each_attempt_has_the_whole_timeout(kit):
    """The time of an attempt begins with its own hand-out, not with the first one's."""
    kit.launch(daily(A=activity(attemptTimeout="10 minutes")))
    kit.fail("A")
    kit.move(minutes=30)
    work = kit.begin("A")
    kit.move(599)
    assert kit.report(work) == {"canceled": False}
    kit.move(1)
    assert kit.report(work)["error"] == NOT_FOUND


@long_lease
def test_time_in_the_queue_does_not_count(kit):
    """An attempt which nobody takes does not time out."""
    kit.launch(daily(A=activity(attemptTimeout="10 minutes")))
    kit.move(hours=5)
    work = kit.begin("A")
    kit.move(599)
    assert kit.report(work) == {"canceled": False}


@long_lease
def test_an_attempt_times_out_before_it_is_acknowledged(kit):
    """An attemptTimeout shorter than the acknowledgement window ends the attempt first."""
    kit.launch(daily(A=activity(attemptTimeout="1 minute")))
    work = kit.take()
    kit.move(60)
    assert kit.fields(f"{ATTEMPT}1")["@status"] == "FAILED"
    assert kit.report(work)["error"] == NOT_FOUND
    kit.move(60)
    assert kit.take() is None
    kit.move(60)
    assert kit.get().attempt_id == f"{ATTEMPT}2"


@long_lease
def test_a_second_hand_out_does_not_start_the_time_anew(kit):
    """attemptTimeout counts from the first task of the attempt, though nobody acknowledged it."""
    kit.launch(daily(A=activity(attemptTimeout="5 minutes")))
    kit.take()
    kit.move(200)
    work = kit.begin("A")
    assert work.attempt_id == f"{ATTEMPT}1"
    kit.move(99)
    assert kit.report(work) == {"canceled": False}
    kit.move(1)
    assert kit.report(work)["error"] == NOT_FOUND
    assert kit.fields(f"{ATTEMPT}1")["@status"] == "FAILED"


@long_lease
def test_an_attempt_times_out_in_the_queue_once_it_was_handed_out(kit):
    """An attempt that was handed out and came back unacknowledged is FAILED in time as well."""
    kit.launch(daily(A=activity(attemptTimeout="5 minutes")))
    kit.take()
    kit.move(300)
    assert kit.fields(f"{ATTEMPT}1")["@status"] == "FAILED"
    assert kit.take() is None
    kit.move(RETRY)
    assert kit.take_all() == [at("A")]


@long_lease
def test_timeouts_may_spend_all_tries(kit):
    """When the last try is out of time the instance is FAILED."""
    kit.launch(daily(A=activity(attemptTimeout="10 minutes", maximumRetries="0")))
    kit.begin("A")
    kit.move(minutes=10)
    assert kit.status("A") == "FAILED"


@long_lease
@pytest.mark.parametrize("status", ["FINISHED", "FAILED"])
def test_an_attempt_which_ended_in_time_does_not_time_out(kit, status):
    """After SetTaskStatus nothing is left of the timeout."""
    kit.launch(daily(A=activity(attemptTimeout="10 minutes", maximumRetries="0")))
    kit.end(kit.begin("A"), status, errorMessage="own words")
    kit.move(hours=1)
    assert kit.status("A") == status
    assert kit.fields(f"{ATTEMPT}1")["errorMessage"] == "own words"


@long_lease
def test_a_canceled_attempt_does_not_time_out(kit):
    """After TRY_CANCEL the instance stays CANCELED."""
    kit.launch(daily(A=activity(attemptTimeout="10 minutes")))
    work = kit.begin("A")
    kit.tell("TRY_CANCEL", "A")
    kit.move(hours=1)
    assert kit.status("A") == "CANCELED"
    assert kit.report(work) == {"canceled": True}


@long_lease
def test_a_rerun_is_not_ended_by_the_timeout_of_the_try_before(kit):
    """The timer of an attempt that has ended does not touch the attempt after it."""
    kit.launch(daily(A=activity(attemptTimeout="10 minutes")))
    kit.begin("A")
    kit.move(minutes=9)
    kit.finish("A")
    kit.tell("RERUN", "A")
    work = kit.begin("A")
    kit.move(minutes=9)
    assert kit.report(work) == {"canceled": False}


def test_work_on_demand_times_out_too():
    """attemptTimeout holds for every kind of schedule."""
    kit = Lifecycle()
    kit.launch(on_demand(A=activity(attemptTimeout="10 minutes", maximumRetries="0")))
    kit.begin("A")
    kit.move(minutes=10)
    assert kit.status("A") == "FAILED"
