"""Attempts: how many there are, when the next one comes, and what the last one leaves."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import INVALID, NOT_FOUND, RETRY
from unit.emulator.lifecycle_objects import Ref, activity, at, daily, on_resource, resource, stamp

READY = "WAITING_FOR_RUNNER"
ATTEMPT = f"{at('A')}_Attempt="


def test_a_failed_attempt_is_retried_twice(kit):
    """maximumRetries is 2 by default: after three failed attempts the instance is FAILED."""
    kit.launch(daily(A=activity()))
    for number in (1, 2, 3):
        assert kit.begin("A").attempt_id == f"{ATTEMPT}{number}"
        kit.fail("A")
        assert kit.status("A") == (READY if number < 3 else "FAILED")
        kit.move(RETRY)
    assert kit.take() is None
    assert kit.query("ATTEMPT") == [f"{ATTEMPT}{number}" for number in (1, 2, 3)]


def test_a_retry_comes_after_the_delay(kit):
    """A FAILED attempt is retried after retryDelay, which is 2 minutes by default."""
    kit.launch(daily(A=activity()))
    kit.fail("A")
    kit.move(RETRY - 1)
    assert kit.take() is None
    kit.move(1)
    assert kit.begin("A").attempt_id == f"{ATTEMPT}2"


@pytest.mark.parametrize(
    ("given", "delay"), [("1 minute", RETRY), ("2 Minutes", RETRY), ("1 hour", 3600)]
)
def test_a_retry_delay_is_at_least_two_minutes(kit, given, delay):
    """retryDelay has a floor of 2 minutes (the Developer Guide, dp-limits)."""
    kit.launch(daily(A=activity(retryDelay=given)))
    kit.fail("A")
    kit.move(delay - 1)
    assert kit.take() is None
    kit.move(1)
    assert kit.take() is not None


@pytest.mark.parametrize(("given", "attempts"), [("0", 1), ("1", 2), ("5", 6), ("9", 6)])
def test_the_object_says_how_often_it_is_retried(kit, given, attempts):
    """maximumRetries of the object holds, up to 5 (the Developer Guide, dp-limits)."""
    kit.launch(daily(A=activity(maximumRetries=given)))
    for _ in range(attempts):
        assert kit.status("A") == READY
        kit.fail("A")
        kit.move(RETRY)
    assert kit.status("A") == "FAILED"


def test_tries_are_counted(kit):
    """`@attemptCount` grows and `@triesLeft` falls with each attempt, from 1 and 2."""
    kit.launch(daily(A=activity()))
    for count, left in (("1", "2"), ("2", "1"), ("3", "0")):
        fields = kit.fields(at("A"))
        assert (fields["@attemptCount"], fields["@triesLeft"]) == (count, left)
        assert fields["@headAttempt"] == f"{ATTEMPT}{count}"
        kit.fail("A")
        kit.move(RETRY)


def test_what_the_worker_says_lands_on_its_attempt(kit):
    """errorId, errorMessage and errorStackTrace of SetTaskStatus are fields of the attempt."""
    kit.launch(daily(A=activity()))
    said = {"errorId": "Oops", "errorMessage": "it broke", "errorStackTrace": "line 1"}
    kit.fail("A", **said)
    kit.move(RETRY)
    assert kit.fields(f"{ATTEMPT}1").items() >= said.items()
    assert kit.fields(f"{ATTEMPT}1")["@status"] == "FAILED"
    assert "errorId" not in kit.fields(f"{ATTEMPT}2")


def test_an_attempt_has_its_own_times(kit):
    """`@actualStartTime` of an attempt is its hand-out, `@actualEndTime` its end."""
    kit.launch(daily(A=activity()))
    kit.move(10)
    kit.begin("A")
    kit.move(20)
    kit.fail("A")
    fields = kit.fields(f"{ATTEMPT}1")
    assert fields["@actualStartTime"] == stamp(seconds=10)
    assert fields["@actualEndTime"] == stamp(seconds=30)
    assert "@actualEndTime" not in kit.fields(at("A"))


def test_a_worker_of_an_ended_attempt_is_refused(kit):
    """After SetTaskStatus the task id is refused, while the next attempt waits or runs."""
    kit.launch(daily(A=activity()))
    work = kit.begin("A")
    kit.fail("A")
    for _ in range(2):
        assert kit.report(work)["error"] == NOT_FOUND
        assert kit.end(work)["error"] == NOT_FOUND
        kit.move(RETRY)


def test_false_of_an_activity_is_a_failure(kit):
    """FALSE is an answer of preconditions; of an activity it counts as FAILED."""
    kit.launch(daily(A=activity(maximumRetries="0")))
    kit.end(kit.begin("A"), "FALSE")
    assert kit.status("A") == "FAILED"


def test_other_statuses_are_refused(kit):
    """SetTaskStatus takes FINISHED, FAILED and FALSE."""
    kit.launch(daily(A=activity()))
    work = kit.begin("A")
    assert kit.end(work, "CANCELED")["error"] == INVALID
    assert kit.report(work) == {"canceled": False}


def test_a_success_after_failures_finishes(kit):
    """The last try counts: an instance is FINISHED with its attempt."""
    kit.launch(daily(A=activity()))
    kit.fail("A")
    kit.move(RETRY)
    kit.finish("A")
    assert kit.status("A") == "FINISHED"
    kit.move(hours=20)
    assert kit.query("ATTEMPT") == [f"{ATTEMPT}1", f"{ATTEMPT}2"]


@pytest.mark.settings(resource_worker_group="box")
def test_retries_use_the_same_resource(kit):
    """A retry finds its resource RUNNING still (the Developer Guide, dp-how-tasks-scheduled)."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    kit.move(60)
    first = kit.fields(at("Box"))["@resourceId"]
    kit.fail("A", "box")
    kit.move(RETRY)
    assert kit.status("Box") == "RUNNING"
    kit.finish("A", group="box")
    assert kit.fields(at("Box"))["@resourceId"] == first


def test_each_instance_has_tries_of_its_own(kit):
    """The failures of one activity cost another none of its tries."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A"))))
    kit.fail("A")
    kit.move(RETRY)
    kit.finish("A")
    assert kit.fields(at("B"))["@triesLeft"] == "2"
