"""RERUN of data nodes, preconditions and resources."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    node,
    on_resource,
    resource,
    shell_precondition,
)

pytestmark = pytest.mark.settings(max_retries=0)

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"


def test_a_data_node_is_rerun_by_waiting_again(kit):
    """RERUN of a data node puts it to WAITING_ON_DEPENDENCIES: it waits for its producer."""
    kit.launch(daily(Maker=activity(output=Ref("Data")), Data=node()))
    kit.finish("Maker")
    kit.tell("RERUN", "Maker")
    assert kit.tell("RERUN", "Data") == {}
    assert kit.status("Data") == WAITING
    kit.finish("Maker")
    assert kit.status("Data") == "FINISHED"


def test_a_precondition_can_be_rerun(kit):
    """RERUN of a FAILED precondition has it checked again, and lets its activity go."""
    kit.launch(daily(A=activity(precondition=Ref("Ready")), Ready=shell_precondition()))
    kit.fail("Ready")
    assert kit.statuses("Ready", "A") == ["FAILED", WAITING]
    assert kit.tell("RERUN", "Ready") == {}
    kit.finish("Ready")
    assert kit.statuses("Ready", "A") == ["FINISHED", READY]


@pytest.mark.settings(resource_worker_group="box")
def test_a_resource_is_created_again(kit):
    """RERUN of a resource puts it to CREATING."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    kit.tell("TRY_CANCEL", "Box")
    assert kit.statuses("Box", "A") == ["CANCELED", "CANCELED"]
    assert kit.tell("RERUN", "Box", "A") == {}
    assert kit.statuses("Box", "A") == ["CREATING", READY]
    kit.move(59)
    assert kit.take_all("box") == []
    kit.move(1)
    kit.finish("A", group="box")
    assert kit.status("Box") == "SHUTTING_DOWN"


@pytest.mark.settings(resource_worker_group="box")
def test_an_activity_which_is_rerun_brings_its_resource_back(kit):
    """RERUN of an activity whose resource has ended has it created again, under a new id."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    kit.move(60)
    first = kit.fields(at("Box"))["@resourceId"]
    kit.fail("A", "box")
    kit.move(30)
    assert kit.status("Box") == "FINISHED"
    kit.tell("RERUN", "A")
    assert kit.statuses("Box", "A") == ["CREATING", READY]
    assert kit.fields(at("Box"))["@resourceId"] != first
    kit.move(60)
    kit.finish("A", group="box")


@pytest.mark.settings(resource_worker_group="box")
def test_a_resource_which_shuts_down_is_created_again(kit):
    """RERUN of an activity does not wait for SHUTTING_DOWN to end."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    kit.move(60)
    kit.finish("A", group="box")
    kit.move(10)
    kit.tell("RERUN", "A")
    assert kit.status("Box") == "CREATING"
    kit.move(30)
    assert kit.status("Box") == "CREATING"
    kit.move(30)
    assert kit.status("Box") == "RUNNING"


@pytest.mark.settings(resource_worker_group="box")
def test_a_resource_which_timed_out_is_created_again(kit):
    """RERUN of its activity brings a TIMEDOUT resource back, and its time begins anew."""
    kit.launch(daily(Box=resource(terminateAfter="1 hour"), A=on_resource()))
    kit.move(hours=1)
    assert kit.statuses("Box", "A") == ["TIMEDOUT", "CANCELED"]
    kit.tell("RERUN", "A")
    assert kit.statuses("Box", "A") == ["CREATING", READY]
    kit.move(3599)
    assert kit.status("Box") == "RUNNING"
    kit.move(1)
    assert kit.statuses("Box", "A") == ["TIMEDOUT", "CANCELED"]


@pytest.mark.settings(resource_worker_group="box")
def test_a_resource_is_rerun_with_what_depends_on_it(kit):
    """RERUN of a resource runs its ended activities again (dp-manage-cascade-failandrerun)."""
    kit.launch(daily(Box=resource(), A=on_resource(), B=on_resource(dependsOn=Ref("A"))))
    kit.move(60)
    kit.finish("A", group="box")
    kit.fail("B", "box")
    kit.move(30)
    assert kit.tell("RERUN", "Box") == {}
    assert kit.statuses("Box", "A", "B") == ["CREATING", READY, READY]
    kit.move(60)
    kit.finish("A", "B", group="box")
    kit.move(30)
    assert kit.statuses("Box", "A", "B") == ["FINISHED"] * 3


@pytest.mark.settings(resource_worker_group="box")
def test_a_rerun_of_a_resource_takes_along_what_failed_behind_its_activities(kit):
    """In mode cascade the consumers of the canceled activity are run again as well."""
    kit.launch(
        {"Default": {"failureAndRerunMode": "cascade"}}
        | daily(
            Box=resource(terminateAfter="1 hour"),
            A=on_resource(output=Ref("Data")),
            Data=node(),
            After=activity(input=Ref("Data")),
        )
    )
    kit.move(hours=1)
    failed = ["TIMEDOUT", "CANCELED", "CASCADE_FAILED", "CASCADE_FAILED"]
    assert kit.statuses("Box", "A", "Data", "After") == failed
    kit.tell("RERUN", "Box")
    assert kit.statuses("Box", "A", "Data", "After") == ["CREATING", READY, WAITING, WAITING]
    kit.move(60)
    kit.finish("A", group="box")
    kit.finish("After")


@pytest.mark.settings(resource_worker_group="box")
def test_a_rerun_of_a_resource_leaves_what_waits_for_it(kit):
    """An activity which has not ended keeps its tries and its place; those elsewhere stay."""
    kit.launch(
        daily(
            First=activity(),
            Box=resource(),
            A=on_resource(),
            B=on_resource(dependsOn=Ref("First")),
            Elsewhere=activity(),
        )
    )
    kit.finish("Elsewhere")
    kit.tell("MARK_FINISHED", "Box")
    assert kit.statuses("Box", "A", "B") == ["FINISHED", "CANCELED", "CANCELED"]
    kit.tell("RERUN", "B")
    kit.tell("RERUN", "Box")
    assert kit.statuses("Box", "A", "B", "Elsewhere") == ["CREATING", READY, WAITING, "FINISHED"]
