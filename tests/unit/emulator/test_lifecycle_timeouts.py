"""What ends an attempt without its worker: the windows of a task, and attemptTimeout."""

from __future__ import annotations

import pytest

from aiodp.emulator import AttemptTimeoutAnswer
from unit.emulator.lifecycle_kit import NOT_FOUND, RETRY, Lifecycle
from unit.emulator.lifecycle_objects import activity, at, daily, on_demand, stamp

READY = "WAITING_FOR_RUNNER"
ACKNOWLEDGE, LEASE = 120.0, 300.0
ATTEMPT = f"{at('A')}_Attempt="


@pytest.fixture
def kit():
    return Lifecycle(lease_timeout=LEASE)


@pytest.fixture
def patient():
    """A service whose leases do not lapse in these tests."""
    return Lifecycle()


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


def test_silence_may_spend_all_tries(kit):
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


def test_a_worker_out_of_time_is_told_so(patient):
    """Its next report and its status get TaskNotFoundException."""
    patient.launch(daily(A=activity(attemptTimeout="10 minutes")))
    work = patient.begin("A")
    patient.move(minutes=10)
    assert patient.report(work)["error"] == NOT_FOUND
    assert patient.end(work)["error"] == NOT_FOUND
    assert patient.status("A") == READY


def test_a_worker_out_of_time_may_be_canceled():
    """attempt_timeout_answer chooses `canceled`, for the real answer is not documented."""
    kit = Lifecycle(attempt_timeout_answer=AttemptTimeoutAnswer.CANCELED)
    kit.launch(daily(A=activity(attemptTimeout="10 minutes")))
    work = kit.begin("A")
    kit.move(minutes=10)
    assert kit.report(work) == {"canceled": True}
    assert kit.fields(f"{ATTEMPT}1")["@status"] == "FAILED"


def test_an_attempt_out_of_time_is_retried_after_the_delay(patient):
    """It costs a try, and the next attempt comes after retryDelay."""
    patient.launch(daily(A=activity(attemptTimeout="10 minutes")))
    patient.begin("A")
    patient.move(minutes=10)
    assert patient.take() is None
    patient.move(RETRY - 1)
    assert patient.take() is None
    patient.move(1)
    assert patient.get().attempt_id == f"{ATTEMPT}2"
    assert patient.fields(at("A"))["@triesLeft"] == "1"


def test_each_attempt_has_the_whole_timeout(patient):
    """The time of an attempt begins with its own hand-out, not with the first one's."""
    patient.launch(daily(A=activity(attemptTimeout="10 minutes")))
    patient.fail("A")
    patient.move(minutes=30)
    work = patient.begin("A")
    patient.move(599)
    assert patient.report(work) == {"canceled": False}
    patient.move(1)
    assert patient.report(work)["error"] == NOT_FOUND


def test_time_in_the_queue_does_not_count(patient):
    """An attempt which nobody takes does not time out."""
    patient.launch(daily(A=activity(attemptTimeout="10 minutes")))
    patient.move(hours=5)
    work = patient.begin("A")
    patient.move(599)
    assert patient.report(work) == {"canceled": False}


def test_an_attempt_times_out_before_it_is_acknowledged(patient):
    """An attemptTimeout shorter than the acknowledgement window ends the attempt first."""
    patient.launch(daily(A=activity(attemptTimeout="1 minute")))
    work = patient.take()
    patient.move(60)
    assert patient.fields(f"{ATTEMPT}1")["@status"] == "FAILED"
    assert patient.report(work)["error"] == NOT_FOUND
    patient.move(60)
    assert patient.take() is None
    patient.move(60)
    assert patient.get().attempt_id == f"{ATTEMPT}2"


def test_a_second_hand_out_does_not_start_the_time_anew(patient):
    """attemptTimeout counts from the first task of the attempt, though nobody acknowledged it."""
    patient.launch(daily(A=activity(attemptTimeout="5 minutes")))
    patient.take()
    patient.move(200)
    work = patient.begin("A")
    assert work.attempt_id == f"{ATTEMPT}1"
    patient.move(99)
    assert patient.report(work) == {"canceled": False}
    patient.move(1)
    assert patient.report(work)["error"] == NOT_FOUND
    assert patient.fields(f"{ATTEMPT}1")["@status"] == "FAILED"


def test_an_attempt_times_out_in_the_queue_once_it_was_handed_out(patient):
    """An attempt that was handed out and came back unacknowledged is FAILED in time as well."""
    patient.launch(daily(A=activity(attemptTimeout="5 minutes")))
    patient.take()
    patient.move(300)
    assert patient.fields(f"{ATTEMPT}1")["@status"] == "FAILED"
    assert patient.take() is None
    patient.move(RETRY)
    assert patient.take_all() == [at("A")]


def test_timeouts_may_spend_all_tries(patient):
    """When the last try is out of time the instance is FAILED."""
    patient.launch(daily(A=activity(attemptTimeout="10 minutes", maximumRetries="0")))
    patient.begin("A")
    patient.move(minutes=10)
    assert patient.status("A") == "FAILED"


@pytest.mark.parametrize("status", ["FINISHED", "FAILED"])
def test_an_attempt_which_ended_in_time_does_not_time_out(patient, status):
    """After SetTaskStatus nothing is left of the timeout."""
    patient.launch(daily(A=activity(attemptTimeout="10 minutes", maximumRetries="0")))
    patient.end(patient.begin("A"), status, errorMessage="own words")
    patient.move(hours=1)
    assert patient.status("A") == status
    assert patient.fields(f"{ATTEMPT}1")["errorMessage"] == "own words"


def test_a_canceled_attempt_does_not_time_out(patient):
    """After TRY_CANCEL the instance stays CANCELED."""
    patient.launch(daily(A=activity(attemptTimeout="10 minutes")))
    work = patient.begin("A")
    patient.tell("TRY_CANCEL", "A")
    patient.move(hours=1)
    assert patient.status("A") == "CANCELED"
    assert patient.report(work) == {"canceled": True}


def test_a_rerun_is_not_ended_by_the_timeout_of_the_try_before(patient):
    """The timer of an attempt that has ended does not touch the attempt after it."""
    patient.launch(daily(A=activity(attemptTimeout="10 minutes")))
    patient.begin("A")
    patient.move(minutes=9)
    patient.finish("A")
    patient.tell("RERUN", "A")
    work = patient.begin("A")
    patient.move(minutes=9)
    assert patient.report(work) == {"canceled": False}


def test_work_on_demand_times_out_too():
    """attemptTimeout holds for every kind of schedule."""
    kit = Lifecycle()
    kit.launch(on_demand(A=activity(attemptTimeout="10 minutes", maximumRetries="0")))
    kit.begin("A")
    kit.move(minutes=10)
    assert kit.status("A") == "FAILED"
