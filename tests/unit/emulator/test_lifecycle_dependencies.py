"""When an instance may leave WAITING_ON_DEPENDENCIES: dependsOn, inputs and outputs."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    node,
    schedule,
    shell_precondition,
    stamp,
)

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"


# dependsOn


def test_an_activity_without_dependencies_waits_for_a_runner_at_once(kit):
    """Where nothing is to be waited for, the instance is offered as soon as it is made."""
    kit.launch(daily(A=activity()))
    assert kit.runs() == {at("A"): READY}
    assert kit.take_all() == [at("A")]


def test_an_activity_waits_for_what_it_depends_on(kit):
    """An activity leaves WAITING_ON_DEPENDENCIES when its dependsOn instance is FINISHED."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A"))))
    assert kit.statuses("A", "B") == [READY, WAITING]
    kit.begin("A")
    assert kit.statuses("A", "B") == ["RUNNING", WAITING]
    kit.finish("A")
    assert kit.statuses("A", "B") == ["FINISHED", READY]


def test_what_waits_has_no_attempt(kit):
    """An instance in WAITING_ON_DEPENDENCIES has neither attempts nor a head attempt."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A"))))
    assert kit.query("ATTEMPT") == [f"{at('A')}_Attempt=1"]
    assert "@headAttempt" not in kit.fields(at("B"))
    assert kit.take_all() == [at("A")]


def test_all_of_several_dependencies_must_be_finished(kit):
    """With several dependsOn the last to finish releases the activity."""
    kit.launch(
        daily(A=activity(), B=activity(), C=activity(dependsOn=[Ref("A"), Ref("B")])),
    )
    kit.finish("B")
    assert kit.status("C") == WAITING
    kit.finish("A")
    assert kit.status("C") == READY


def test_waiting_on_names_what_is_not_finished_yet(kit):
    """While it waits, `@waitingOn` refers to each instance which is not FINISHED yet."""
    kit.launch(
        daily(A=activity(), B=activity(), C=activity(dependsOn=[Ref("A"), Ref("B")])),
    )
    assert kit.refs(at("C"), "@waitingOn") == [at("A"), at("B")]
    kit.finish("A")
    assert kit.refs(at("C"), "@waitingOn") == [at("B")]
    kit.finish("B")
    assert "@waitingOn" not in kit.fields(at("C"))


def test_a_chain_runs_in_its_order(kit):
    """Each link is released by the one before, whatever the order in the definition."""
    kit.launch(
        daily(C=activity(dependsOn=Ref("B")), B=activity(dependsOn=Ref("A")), A=activity()),
    )
    for name in ("A", "B", "C"):
        assert kit.take_all() == [at(name)]
        kit.move(minutes=2)  # nobody acknowledged what the last line took
        kit.finish(name)
    assert set(kit.runs().values()) == {"FINISHED"}


def test_an_attempt_which_failed_holds_the_dependant_until_a_retry_succeeds(kit):
    """A dependency counts when its instance is FINISHED, not when an attempt of it has ended."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A"))))
    kit.fail("A")
    assert kit.status("B") == WAITING
    kit.move(minutes=2)
    kit.finish("A")
    assert kit.status("B") == READY


@pytest.mark.settings(max_retries=0)
@pytest.mark.parametrize("status", ["FAILED", "CANCELED"])
def test_without_cascade_a_dependant_of_what_did_not_finish_waits_on(kit, status):
    """In mode none the dependants of a FAILED or CANCELED instance keep waiting."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A"))))
    if status == "FAILED":
        kit.fail("A")
    else:
        assert kit.tell("TRY_CANCEL", "A") == {}
    kit.move(hours=20)
    assert kit.statuses("A", "B") == [status, WAITING]
    assert kit.refs(at("B"), "@waitingOn") == [at("A")]


@pytest.mark.settings(max_retries=0)
def test_marking_a_dependency_finished_releases_its_dependants(kit):
    """MARK_FINISHED of a FAILED instance counts as FINISHED for those which wait on it."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A"))))
    kit.fail("A")
    assert kit.tell("MARK_FINISHED", "A") == {}
    assert kit.statuses("A", "B") == ["FINISHED", READY]


# Data nodes


def test_a_data_node_is_finished_once_its_producer_is(kit):
    """A data node is FINISHED at once when the activity that has it as output is."""
    kit.launch(daily(Maker=activity(output=Ref("Data")), Data=node()))
    assert kit.status("Data") == WAITING
    assert kit.refs(at("Data"), "@waitingOn") == [at("Maker")]
    kit.finish("Maker")
    assert kit.status("Data") == "FINISHED"


def test_a_data_node_waits_for_all_its_producers(kit):
    """Every activity that has the data node as output must be FINISHED."""
    kit.launch(
        daily(M1=activity(output=Ref("Data")), M2=activity(output=Ref("Data")), Data=node()),
    )
    kit.finish("M2")
    assert kit.status("Data") == WAITING
    kit.finish("M1")
    assert kit.status("Data") == "FINISHED"


def test_a_data_node_which_nobody_makes_is_there(kit):
    """A data node without producers and preconditions is FINISHED when its slot comes."""
    kit.launch(daily(Data=node(), Reader=activity(input=Ref("Data"))))
    assert kit.statuses("Data", "Reader") == ["FINISHED", READY]


def test_an_activity_waits_for_its_inputs(kit):
    """A reader waits for its data node, and so for the activity that makes it."""
    kit.launch(
        daily(
            Reader=activity(input=Ref("Data")),
            Data=node(),
            Maker=activity(output=Ref("Data")),
        ),
    )
    assert kit.refs(at("Reader"), "@waitingOn") == [at("Data")]
    assert kit.take_all() == [at("Maker")]
    kit.move(minutes=2)
    kit.finish("Maker")
    assert kit.statuses("Data", "Reader") == ["FINISHED", READY]


def test_an_activity_waits_for_a_data_node_it_depends_on(kit):
    """dependsOn may name a data node, which is there once its producer has finished."""
    kit.launch(
        daily(Maker=activity(output=Ref("Data")), Data=node(), A=activity(dependsOn=Ref("Data")))
    )
    assert kit.status("A") == WAITING
    assert kit.refs(at("A"), "@waitingOn") == [at("Data")]
    assert kit.refs(at("A"), "dependsOn") == [at("Data")]
    kit.finish("Maker")
    assert kit.statuses("Data", "A") == ["FINISHED", READY]


def test_what_inherits_a_dependency_but_has_no_slot_is_left_alone(kit):
    """A precondition waits as well; data which nobody uses is not made."""
    kit.launch(
        daily(
            A=activity(),
            B=activity(precondition=Ref("Pre")),
            Base={"dependsOn": Ref("A")},
            Pre=shell_precondition(parent=Ref("Base")),
            Unused=node(schedule=None, parent=Ref("Base")),
        )
    )
    assert kit.runs() == {at("A"): READY, at("B"): WAITING, at("Pre"): WAITING}
    kit.finish("A", "Pre", "B")


def test_a_data_node_waits_for_a_data_node_it_depends_on(kit):
    """Every runnable object has dependsOn."""
    kit.launch(
        daily(
            Maker=activity(output=Ref("Data")),
            Data=node(),
            Copy=node(directoryPath="s3://bucket/copy", dependsOn=Ref("Data")),
        )
    )
    assert kit.status("Copy") == WAITING
    kit.finish("Maker")
    assert kit.status("Copy") == "FINISHED"


@pytest.mark.settings(max_retries=0)
def test_a_failed_producer_fails_what_depends_on_its_data(kit):
    """A cascade goes through the data node to what depends on it."""
    kit.launch(
        {"Default": {"failureAndRerunMode": "cascade"}}
        | daily(Maker=activity(output=Ref("D")), D=node(), A=activity(dependsOn=Ref("D")))
    )
    kit.fail("Maker")
    assert kit.statuses("D", "A") == ["CASCADE_FAILED", "CASCADE_FAILED"]


def test_all_inputs_must_be_there(kit):
    """With several inputs every data node instance must be FINISHED."""
    kit.launch(
        daily(
            M1=activity(output=Ref("D1")),
            M2=activity(output=Ref("D2")),
            D1=node(),
            D2=node(),
            Reader=activity(input=[Ref("D1"), Ref("D2")]),
        ),
    )
    kit.finish("M1")
    assert kit.refs(at("Reader"), "@waitingOn") == [at("D2")]
    kit.finish("M2")
    assert kit.status("Reader") == READY


def test_what_an_activity_makes_does_not_hold_it_up(kit):
    """An output is no dependency of the activity which makes it."""
    kit.launch(daily(Maker=activity(output=Ref("Data")), Data=node()))
    assert kit.status("Maker") == READY


def test_a_data_node_without_a_schedule_is_made_in_the_slots_of_who_refers_to_it(kit):
    """A dependency without a schedule is instantiated in each slot of its referrer."""
    kit.launch(
        {
            "Hourly": schedule("1 hour"),
            "Data": node(schedule=None),
            "A": activity(schedule=Ref("Hourly"), input=Ref("Data")),
        },
    )
    kit.move(hours=1)
    assert sorted(kit.runs("Data")) == [at("Data"), at("Data", hours=1)]
    assert kit.fields(at("A", hours=1))["input"] == at("Data", hours=1)
    assert kit.fields(at("Data", hours=1))["@scheduledEndTime"] == stamp(hours=2)


def test_an_activity_without_a_schedule_runs_in_the_slots_of_its_dependant(kit):
    """A dependsOn activity without a schedule is no run of its own: it has its referrer's slots."""
    kit.launch(
        {
            "Later": schedule("1 hour", startDateTime=stamp(hours=1)),
            "A": activity(schedule=None),
            "B": activity(schedule=Ref("Later"), dependsOn=Ref("A")),
        },
    )
    assert kit.runs() == {}
    kit.move(hours=1)
    assert kit.runs() == {at("A", hours=1): READY, at("B", hours=1): WAITING}


def test_a_timeseries_data_node_waits_for_the_end_of_its_slot(kit):
    """Data nodes have their time as activities have."""
    kit.launch(
        {
            "S": schedule("1 hour"),
            "Data": node(schedule=Ref("S"), scheduleType="timeseries"),
            "A": activity(schedule=Ref("S"), input=Ref("Data")),
        }
    )
    kit.move(3599)
    assert kit.statuses("Data", "A") == [WAITING, WAITING]
    kit.move(1)
    assert kit.statuses("Data", "A") == ["FINISHED", READY]


def test_referrers_of_one_slot_share_what_has_no_schedule(kit):
    """A data node without a schedule is made once for all which refer to it in a slot."""
    kit.launch(
        daily(
            Data=node(schedule=None), A=activity(output=Ref("Data")), B=activity(input=Ref("Data"))
        )
    )
    assert sorted(kit.runs()) == [at("A"), at("B"), at("Data")]
    assert kit.status("B") == WAITING
    kit.finish("A", "B")
    assert set(kit.runs().values()) == {"FINISHED"}
