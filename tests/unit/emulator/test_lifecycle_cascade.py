"""What a failure does to those who depend on it (dp-manage-cascade-failandrerun)."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    after,
    at,
    daily,
    key_exists,
    node,
    on_resource,
    resource,
    schedule,
    shell_precondition,
)

pytestmark = pytest.mark.settings(max_retries=0)

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"
CASCADE = {"Default": {"failureAndRerunMode": "CASCADE"}}


def cascading(**objects):
    return CASCADE | daily(**objects)


def test_a_dependant_of_a_failed_instance_fails_with_it(kit):
    """In mode cascade a waiting dependant of a FAILED instance becomes CASCADE_FAILED."""
    kit.launch(cascading(A=activity(), B=after("A")))
    kit.fail("A")
    assert kit.statuses("A", "B") == ["FAILED", "CASCADE_FAILED"]


def test_a_cascade_goes_on_downstream(kit):
    """CASCADE_FAILED instances fail their own dependants, and so on."""
    kit.launch(cascading(A=activity(), B=after("A"), C=after("B"), D=after("C")))
    kit.fail("A")
    assert kit.statuses("B", "C", "D") == ["CASCADE_FAILED"] * 3


def test_cascade_failed_on_names_the_cause(kit):
    """`@cascadeFailedOn` refers to the instance which failed."""
    kit.launch(cascading(A=activity(), B=after("A")))
    assert "@cascadeFailedOn" not in kit.fields(at("B"))
    kit.fail("A")
    assert kit.refs(at("B"), "@cascadeFailedOn") == [at("A")]
    assert "@waitingOn" not in kit.fields(at("B"))


def test_what_failed_by_cascade_has_ended(kit):
    """A CASCADE_FAILED instance was never tried, and has an end."""
    kit.launch(cascading(A=activity(), B=after("A")))
    kit.move(minutes=3)
    kit.fail("A")
    fields = kit.fields(at("B"))
    assert fields["@actualEndTime"] == "2026-01-01T00:03:00"
    assert "@headAttempt" not in fields
    assert kit.take_all() == []


@pytest.mark.settings(max_retries=1)
def test_no_cascade_before_the_retries_are_spent(kit):
    """An attempt which failed is no failure of its instance while tries remain."""
    kit.launch(cascading(A=activity(), B=after("A")))
    kit.fail("A")
    assert kit.status("B") == WAITING
    kit.move(minutes=2)
    kit.fail("A")
    assert kit.status("B") == "CASCADE_FAILED"


@pytest.mark.parametrize("mode", ["cascade", "Cascade", "CASCADE"])
def test_the_mode_is_of_any_case(kit, mode):
    """The reference says `cascade`, its samples say `CASCADE`."""
    kit.launch(daily(A=activity(), B=after("A", failureAndRerunMode=mode)))
    kit.fail("A")
    assert kit.status("B") == "CASCADE_FAILED"


@pytest.mark.parametrize("fields", [{}, {"failureAndRerunMode": "none"}])
def test_without_the_mode_dependants_keep_waiting(kit, fields):
    """The mode is none unless the object or its parents say otherwise."""
    kit.launch(daily(A=activity(failureAndRerunMode="cascade"), B=after("A", **fields)))
    kit.fail("A")
    kit.move(hours=20)
    assert kit.status("B") == WAITING


def test_the_dependants_own_mode_counts(kit):
    """A dependant in mode none stops a cascade, for it does not fail itself."""
    kit.launch(cascading(A=activity(), B=after("A", failureAndRerunMode="none"), C=after("B")))
    kit.fail("A")
    assert kit.statuses("B", "C") == [WAITING, WAITING]


def test_the_mode_is_inherited_from_a_parent(kit):
    """The mode may stand in any parent of an object."""
    base = {"failureAndRerunMode": "cascade"}
    kit.launch(daily(Base=base, A=activity(), B=after("A", parent=Ref("Base"))))
    kit.fail("A")
    assert kit.status("B") == "CASCADE_FAILED"


def test_a_canceled_instance_cascades(kit):
    """TRY_CANCEL of an instance fails those which wait on it."""
    kit.launch(cascading(A=activity(), B=after("A")))
    assert kit.tell("TRY_CANCEL", "A") == {}
    assert kit.statuses("A", "B") == ["CANCELED", "CASCADE_FAILED"]


def test_others_in_the_slot_are_not_touched(kit):
    """A cascade goes downstream only: neither upstream, nor to those beside it."""
    kit.launch(cascading(Root=activity(), A=after("Root"), B=after("Root"), C=after("A")))
    kit.finish("Root")
    kit.fail("A")
    assert kit.statuses("Root", "B", "C") == ["FINISHED", READY, "CASCADE_FAILED"]


def test_what_has_ended_is_not_touched(kit):
    """FINISHED, FAILED and CANCELED dependants stay what they are."""
    kit.launch(cascading(A=activity(), B=after("A"), C=after("A"), D=after("A")))
    kit.tell("MARK_FINISHED", "B")
    kit.tell("TRY_CANCEL", "C")
    kit.fail("A")
    assert kit.statuses("B", "C", "D") == ["FINISHED", "CANCELED", "CASCADE_FAILED"]


def test_what_runs_already_is_not_touched(kit):
    """Only what waits on dependencies fails: after a rerun of A, B runs on though A fails now."""
    kit.launch(cascading(A=activity(), B=after("A")))
    kit.finish("A")
    work = kit.begin("B")
    kit.tell("RERUN", "A")
    kit.fail("A")
    assert kit.statuses("A", "B") == ["FAILED", "RUNNING"]
    assert kit.report(work) == {"canceled": False}


def test_one_failed_dependency_of_several_is_enough(kit):
    """In a diamond the failure of one side fails the end, while the other side goes on."""
    kit.launch(cascading(Top=activity(), L=after("Top"), R=after("Top"), End=after("L", "R")))
    kit.finish("Top")
    kit.begin("R")
    kit.fail("L")
    assert kit.statuses("R", "End") == ["RUNNING", "CASCADE_FAILED"]
    kit.finish("R")
    assert kit.statuses("R", "End") == ["FINISHED", "CASCADE_FAILED"]
    assert kit.refs(at("End"), "@cascadeFailedOn") == [at("L")]


def test_the_output_of_a_failed_activity_fails(kit):
    """A data node which is the output of a FAILED activity is its dependant; so are its readers."""
    kit.launch(
        cascading(
            Maker=activity(output=Ref("Data")), Data=node(), Reader=activity(input=Ref("Data"))
        )
    )
    kit.fail("Maker")
    assert kit.statuses("Data", "Reader") == ["CASCADE_FAILED"] * 2
    assert kit.refs(at("Data"), "@cascadeFailedOn") == [at("Maker")]


def test_a_cascade_stays_in_its_slot(kit):
    """Instances of the next slot have dependencies of their own."""
    kit.launch(
        CASCADE
        | {
            "S": schedule("1 hour"),
            "A": activity(schedule=Ref("S")),
            "B": after("A", schedule=Ref("S")),
        }
    )
    kit.move(hours=1)
    kit.fail("A")
    assert kit.statuses("B", at("B", hours=1)) == ["CASCADE_FAILED", WAITING]


def test_what_is_made_after_the_failure_fails_too(kit):
    """An instance which is made when a dependency of it has failed is CASCADE_FAILED at once."""
    kit.launch(
        CASCADE
        | {
            "Hourly": schedule("1 hour"),
            "Quarters": schedule("15 minutes"),
            "A": activity(schedule=Ref("Hourly")),
            "B": after("A", schedule=Ref("Quarters")),
        }
    )
    kit.fail("A")
    kit.move(minutes=15)
    assert kit.statuses("B", at("B", minutes=15)) == ["CASCADE_FAILED"] * 2
    kit.move(minutes=45)
    assert kit.status(at("B", minutes=60)) == WAITING


def test_a_dependant_fails_before_its_time_has_come(kit):
    """A timeseries dependant does not wait for the end of its slot to fail."""
    kit.launch(cascading(A=activity(), B=after("A", scheduleType="timeseries")))
    kit.fail("A")
    assert kit.status("B") == "CASCADE_FAILED"


def test_preconditions_of_both_are_canceled(kit):
    """The open preconditions of a dependant which fails are CANCELED."""
    kit.launch(cascading(A=activity(), B=after("A", precondition=Ref("Ready")), Ready=key_exists()))
    kit.fail("A")
    assert kit.statuses("B", "Ready") == ["CASCADE_FAILED", "CANCELED"]


def test_preconditions_of_the_canceled_are_canceled(kit):
    """The open preconditions of the instance at the head of a cascade are CANCELED."""
    kit.launch(
        cascading(A=activity(precondition=Ref("Ready")), B=after("A"), Ready=shell_precondition())
    )
    work = kit.begin("Ready")
    kit.tell("TRY_CANCEL", "A")
    assert kit.statuses("A", "B", "Ready") == ["CANCELED", "CASCADE_FAILED", "CANCELED"]
    assert kit.report(work) == {"canceled": True}


def test_a_finished_precondition_stays_finished(kit):
    """Only open preconditions are canceled by a cascade."""
    kit.outside.objects.add("s3://bucket/ready")
    kit.launch(cascading(A=activity(), B=after("A", precondition=Ref("Ready")), Ready=key_exists()))
    kit.fail("A")
    assert kit.statuses("B", "Ready") == ["CASCADE_FAILED", "FINISHED"]


def test_a_precondition_which_fails_fails_what_it_guards(kit):
    """The guarded instance is a dependant of its precondition."""
    kit.launch(
        cascading(A=activity(precondition=Ref("Ready")), B=after("A"), Ready=shell_precondition())
    )
    kit.fail("Ready")
    assert kit.statuses("Ready", "A", "B") == ["FAILED", "CASCADE_FAILED", "CASCADE_FAILED"]
    assert kit.refs(at("A"), "@cascadeFailedOn") == [at("Ready")]


@pytest.mark.settings(resource_worker_group="box")
def test_a_lost_resource_cancels_its_activity_and_fails_the_next(kit):
    """A CANCELED resource cancels its open activities, whose dependants are CASCADE_FAILED."""
    kit.launch(cascading(Box=resource(), A=on_resource(), B=after("A")))
    kit.move(60)
    work = kit.begin("A", "box")
    kit.tell("TRY_CANCEL", "Box")
    assert kit.statuses("Box", "A", "B") == ["CANCELED", "CANCELED", "CASCADE_FAILED"]
    assert kit.report(work) == {"canceled": True}


def test_a_pipeline_ends_with_a_cascade(kit):
    """CASCADE_FAILED is terminal: when no slot is to come the pipeline is FINISHED."""
    kit.launch(CASCADE | {"A": activity(schedule=None), "B": after("A", schedule=None)})
    kit.fail("A")
    assert kit.state() == "FINISHED"


def test_a_cascade_is_no_health(kit):
    """`@healthStatus` of FAILED and CASCADE_FAILED instances is ERROR."""
    kit.launch(cascading(A=activity(), B=after("A")))
    kit.fail("A")
    assert kit.fields(at("A"))["@healthStatus"] == "ERROR"
    assert kit.fields(at("B"))["@healthStatus"] == "ERROR"
