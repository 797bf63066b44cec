"""RERUN of an instance, and of what had failed because of it."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import INVALID, Lifecycle
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    after,
    at,
    daily,
    key_exists,
    node,
    schedule,
)

pytestmark = pytest.mark.settings(max_retries=0)

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"
CASCADE = {"Default": {"failureAndRerunMode": "cascade"}}


def diamond():
    return CASCADE | daily(Top=activity(), L=after("Top"), R=after("Top"), End=after("L", "R"))


# RERUN of one


@pytest.mark.parametrize("end", ["FINISHED", "FAILED"])
def test_a_rerun_is_a_new_attempt_at_once(kit, end):
    """RERUN of what has ended makes its next attempt, without any delay."""
    kit.launch(daily(A=activity()))
    kit.end(kit.begin("A"), end)
    assert kit.status("A") == end
    assert kit.tell("RERUN", "A") == {}
    assert kit.status("A") == READY
    assert kit.begin("A").attempt_id == f"{at('A')}_Attempt=2"
    assert "@actualEndTime" not in kit.fields(at("A"))


@pytest.mark.settings(max_retries=1)
def test_a_rerun_restores_the_tries(kit):
    """After RERUN an instance has as many tries as a new one."""
    kit.launch(daily(A=activity()))
    kit.fail("A")
    kit.move(minutes=2)
    kit.fail("A")
    kit.tell("RERUN", "A")
    assert kit.fields(at("A"))["@triesLeft"] == "1"
    kit.fail("A")
    kit.move(minutes=2)
    assert kit.status("A") == READY
    kit.fail("A")
    assert kit.status("A") == "FAILED"
    assert kit.fields(at("A"))["@attemptCount"] == "4"


def test_a_canceled_task_stays_canceled_after_a_rerun(kit):
    """The worker of a canceled try is told so; the rerun is somebody else's task."""
    kit.launch(daily(A=activity()))
    old = kit.begin("A")
    kit.tell("TRY_CANCEL", "A")
    kit.hands.clear()
    kit.tell("RERUN", "A")
    new = kit.begin("A")
    assert new.task_id != old.task_id
    assert kit.report(old) == {"canceled": True}
    assert kit.report(new) == {"canceled": False}
    kit.finish("A")
    assert kit.status("A") == "FINISHED"


@pytest.mark.parametrize("held", [True, False])
def test_what_has_not_ended_cannot_be_rerun(kit, held):
    """RERUN of an instance which is not terminal is an InvalidRequestException."""
    kit.launch(daily(A=activity(), B=after("A")))
    if held:
        kit.begin("A")
    assert kit.tell("RERUN", "A")["error"] == INVALID
    assert kit.tell("RERUN", "B")["error"] == INVALID
    assert kit.statuses("A", "B") == ["RUNNING" if held else READY, WAITING]


def test_a_refused_rerun_changes_nothing(kit):
    """With one instance in the list that cannot be rerun, none is."""
    kit.launch(daily(A=activity(), B=activity()))
    kit.fail("A")
    assert kit.tell("RERUN", "A", "B")["error"] == INVALID
    assert kit.status("A") == "FAILED"


def test_what_waits_for_its_retry_has_not_ended():
    """Between two attempts an instance is not terminal, so not to be rerun."""
    kit = Lifecycle()
    kit.launch(daily(A=activity()))
    kit.fail("A")
    assert kit.tell("RERUN", "A")["error"] == INVALID


def test_a_rerun_does_not_check_dependencies_again(kit):
    """What had run once is run again at once, even while a dependency of it runs again."""
    kit.launch(daily(A=activity(), B=after("A")))
    kit.finish("A", "B")
    kit.tell("RERUN", "A")
    kit.begin("A")
    assert kit.tell("RERUN", "B") == {}
    assert kit.statuses("A", "B") == ["RUNNING", READY]


def test_a_rerun_does_not_reach_finished_dependants(kit):
    """RERUN goes on to CASCADE_FAILED dependants only: FINISHED ones stay."""
    kit.launch(CASCADE | daily(A=activity(), B=after("A")))
    kit.finish("A", "B")
    kit.tell("RERUN", "A")
    assert kit.statuses("A", "B") == [READY, "FINISHED"]


def test_what_was_canceled_before_it_could_run_waits_again(kit):
    """RERUN of an instance that never ran checks its dependencies."""
    kit.launch(daily(A=activity(), B=after("A")))
    kit.tell("TRY_CANCEL", "B")
    assert kit.tell("RERUN", "B") == {}
    assert kit.status("B") == WAITING
    kit.finish("A", "B")
    assert kit.status("B") == "FINISHED"


def test_a_skipped_slot_can_be_run(kit):
    """SKIPPED is terminal, so RERUN runs the slot after all."""
    kit.prepare(
        {
            "S": schedule("1 hour", startDateTime="2025-12-31T23:00:00"),
            "A": activity(schedule=Ref("S")),
        }
    )
    kit.activate(start=0)
    assert kit.tell("RERUN", at("A", hours=-1)) == {}
    kit.finish(at("A", hours=-1))
    assert kit.status(at("A", hours=-1)) == "FINISHED"


def test_a_skipped_slot_is_run_as_any_other():
    """A SKIPPED slot which is rerun has its tries and its preconditions."""
    kit = Lifecycle()
    kit.prepare(
        {
            "S": schedule("1 hour", startDateTime="2025-12-31T23:00:00"),
            "A": activity(schedule=Ref("S"), precondition=Ref("Ready")),
            "Ready": key_exists(),
        }
    )
    kit.activate(start=0)
    skipped = at("A", hours=-1)
    kit.tell("RERUN", skipped)
    assert kit.status(skipped) == WAITING
    kit.outside.objects.add("s3://bucket/ready")
    kit.move(minutes=2)
    assert kit.status(skipped) == READY
    assert kit.fields(skipped)["@triesLeft"] == "2"


def test_an_id_which_is_named_twice_is_rerun_once(kit):
    """Ids in a call are a set."""
    kit.launch(daily(A=activity()))
    kit.finish("A")
    assert kit.tell("RERUN", "A", "A") == {}
    assert len(kit.query("ATTEMPT")) == 2


# RERUN and cascades


def test_a_rerun_goes_on_to_what_failed_by_cascade(kit):
    """CASCADE_FAILED dependants wait again, and run when the rerun has finished."""
    kit.launch(CASCADE | daily(A=activity(), B=after("A"), C=after("B")))
    kit.fail("A")
    assert kit.tell("RERUN", "A") == {}
    assert kit.statuses("A", "B", "C") == [READY, WAITING, WAITING]
    assert "@cascadeFailedOn" not in kit.fields(at("B"))
    kit.finish("A", "B", "C")
    assert set(kit.runs().values()) == {"FINISHED"}


def test_a_rerun_which_fails_cascades_again(kit):
    """After RERUN everything is as before: another failure fails the dependants again."""
    kit.launch(CASCADE | daily(A=activity(), B=after("A"), C=after("B")))
    kit.fail("A")
    kit.tell("RERUN", "A")
    kit.fail("A")
    assert kit.statuses("A", "B", "C") == ["FAILED", "CASCADE_FAILED", "CASCADE_FAILED"]


def test_a_dependant_alone_falls_back(kit):
    """RERUN of what failed by cascade is in vain while its dependency is FAILED."""
    kit.launch(CASCADE | daily(A=activity(), B=after("A"), C=after("B")))
    kit.fail("A")
    assert kit.tell("RERUN", "B") == {}
    assert kit.statuses("A", "B", "C") == ["FAILED", "CASCADE_FAILED", "CASCADE_FAILED"]


@pytest.mark.parametrize("order", ["AB", "BA"])
def test_a_dependency_in_the_same_call_counts_as_rerun(kit, order):
    """The order of the ids in a call says nothing."""
    kit.launch(CASCADE | daily(A=activity(), B=after("A"), C=after("B")))
    kit.fail("A")
    assert kit.tell("RERUN", *order) == {}
    assert kit.statuses("A", "B", "C") == [READY, WAITING, WAITING]


def test_a_dependant_may_be_rerun_once_its_dependency_is_marked_finished(kit):
    """MARK_FINISHED ends the dependency, but the dependant runs only after a RERUN."""
    kit.launch(CASCADE | daily(A=activity(), B=after("A")))
    kit.fail("A")
    kit.tell("MARK_FINISHED", "A")
    assert kit.status("B") == "CASCADE_FAILED"
    kit.tell("RERUN", "B")
    assert kit.status("B") == READY


def test_one_side_of_a_diamond_is_not_enough(kit):
    """The end of a diamond with two failed sides falls back until both are rerun."""
    kit.launch(diamond())
    kit.finish("Top")
    kit.fail("L")
    kit.fail("R")
    kit.tell("RERUN", "L")
    assert kit.statuses("L", "R", "End") == [READY, "FAILED", "CASCADE_FAILED"]
    kit.finish("L")
    assert kit.status("End") == "CASCADE_FAILED"
    kit.tell("RERUN", "R")
    assert kit.status("End") == WAITING
    kit.finish("R")
    assert kit.status("End") == READY


def test_both_sides_of_a_diamond_together(kit):
    """RERUN of both failed sides in one call wakes the end, which waits for both."""
    kit.launch(diamond())
    kit.finish("Top")
    kit.fail("L")
    kit.fail("R")
    kit.tell("RERUN", "L", "R")
    kit.finish("R")
    assert kit.status("End") == WAITING
    kit.finish("L")
    assert kit.status("End") == READY


def test_the_top_of_a_diamond_brings_everything_back(kit):
    """RERUN of the head of a cascade reaches both sides and the end, which is made once."""
    kit.launch(diamond())
    kit.fail("Top")
    assert kit.statuses("L", "R", "End") == ["CASCADE_FAILED"] * 3
    kit.tell("RERUN", "Top")
    assert kit.statuses("L", "R", "End") == [WAITING] * 3
    kit.finish("Top", "L", "R", "End")
    assert len(kit.query("ATTEMPT")) == 5


def test_a_rerun_in_the_middle_leaves_the_top_alone(kit):
    """RERUN never goes upstream."""
    kit.launch(diamond())
    kit.finish("Top", "R")
    kit.fail("L")
    kit.tell("RERUN", "L")
    assert kit.statuses("Top", "R", "L", "End") == ["FINISHED", "FINISHED", READY, WAITING]


def test_without_cascade_a_rerun_is_of_one(kit):
    """In mode none dependants have waited all the time, and go on by themselves."""
    kit.launch(daily(A=activity(), B=after("A")))
    kit.fail("A")
    kit.tell("RERUN", "A")
    kit.finish("A", "B")
    assert kit.status("B") == "FINISHED"


def test_data_nodes_come_back_with_their_producer(kit):
    """A data node which failed by cascade waits again, and so does its reader."""
    kit.launch(
        CASCADE
        | daily(Maker=activity(output=Ref("Data")), Data=node(), Reader=activity(input=Ref("Data")))
    )
    kit.fail("Maker")
    kit.tell("RERUN", "Maker")
    assert kit.statuses("Data", "Reader") == [WAITING, WAITING]
    kit.finish("Maker", "Reader")
    assert kit.statuses("Data", "Reader") == ["FINISHED", "FINISHED"]


def test_canceled_preconditions_come_back_with_what_they_guard(kit):
    """What waits again after a cascade has its preconditions checked again."""
    kit.launch(
        CASCADE | daily(A=activity(), B=after("A", precondition=Ref("Ready")), Ready=key_exists())
    )
    kit.fail("A")
    assert kit.status("Ready") == "CANCELED"
    kit.tell("RERUN", "A")
    kit.finish("A")
    assert kit.status("B") == WAITING
    kit.outside.objects.add("s3://bucket/ready")
    kit.move(minutes=2)
    assert kit.statuses("Ready", "B") == ["FINISHED", READY]
