"""RERUN of data nodes, preconditions and resources."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import Lifecycle
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

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"


@pytest.fixture
def kit():
    return Lifecycle(max_retries=0)


@pytest.fixture
def boxed():
    """A service whose resources have the worker group `box`."""
    return Lifecycle(max_retries=0, resource_worker_group="box")


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


def test_a_resource_is_created_again(boxed):
    """RERUN of a resource puts it to CREATING."""
    boxed.launch(daily(Box=resource(), A=on_resource()))
    boxed.tell("TRY_CANCEL", "Box")
    assert boxed.statuses("Box", "A") == ["CANCELED", "CANCELED"]
    assert boxed.tell("RERUN", "Box", "A") == {}
    assert boxed.statuses("Box", "A") == ["CREATING", READY]
    boxed.move(59)
    assert boxed.take_all("box") == []
    boxed.move(1)
    boxed.finish("A", group="box")
    assert boxed.status("Box") == "SHUTTING_DOWN"


def test_an_activity_which_is_rerun_brings_its_resource_back(boxed):
    """RERUN of an activity whose resource has ended has it created again, under a new id."""
    boxed.launch(daily(Box=resource(), A=on_resource()))
    boxed.move(60)
    first = boxed.fields(at("Box"))["@resourceId"]
    boxed.fail("A", "box")
    boxed.move(30)
    assert boxed.status("Box") == "FINISHED"
    boxed.tell("RERUN", "A")
    assert boxed.statuses("Box", "A") == ["CREATING", READY]
    assert boxed.fields(at("Box"))["@resourceId"] != first
    boxed.move(60)
    boxed.finish("A", group="box")


def test_a_resource_which_shuts_down_is_created_again(boxed):
    """RERUN of an activity does not wait for SHUTTING_DOWN to end."""
    boxed.launch(daily(Box=resource(), A=on_resource()))
    boxed.move(60)
    boxed.finish("A", group="box")
    boxed.move(10)
    boxed.tell("RERUN", "A")
    assert boxed.status("Box") == "CREATING"
    boxed.move(30)
    assert boxed.status("Box") == "CREATING"
    boxed.move(30)
    assert boxed.status("Box") == "RUNNING"


def test_a_resource_which_timed_out_is_created_again(boxed):
    """RERUN of its activity brings a TIMEDOUT resource back, and its time begins anew."""
    boxed.launch(daily(Box=resource(terminateAfter="1 hour"), A=on_resource()))
    boxed.move(hours=1)
    assert boxed.statuses("Box", "A") == ["TIMEDOUT", "CANCELED"]
    boxed.tell("RERUN", "A")
    assert boxed.statuses("Box", "A") == ["CREATING", READY]
    boxed.move(3599)
    assert boxed.status("Box") == "RUNNING"
    boxed.move(1)
    assert boxed.statuses("Box", "A") == ["TIMEDOUT", "CANCELED"]


def test_a_resource_is_rerun_without_its_activities(boxed):
    """A resource which is rerun alone comes up, has nothing to do, and ends again."""
    boxed.launch(daily(Box=resource(), A=on_resource()))
    boxed.move(60)
    boxed.finish("A", group="box")
    boxed.move(30)
    boxed.tell("RERUN", "Box")
    assert boxed.statuses("Box", "A") == ["CREATING", "FINISHED"]
    boxed.move(minutes=5)
    assert boxed.statuses("Box", "A") == ["FINISHED", "FINISHED"]
