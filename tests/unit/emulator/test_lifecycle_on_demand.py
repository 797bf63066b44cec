"""Runs which ActivatePipeline makes: when, how many, and under which ids."""

from __future__ import annotations

import pytest

from aiodp.emulator import OnDemandBusy
from unit.emulator.lifecycle_kit import INVALID
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    key_exists,
    on_demand,
    on_resource,
    resource,
)

READY = "WAITING_FOR_RUNNER"


def test_each_activation_makes_a_run_on_demand(kit):
    """On demand there are no slots: a run begins with each ActivatePipeline."""
    kit.launch(on_demand(A=activity()))
    assert kit.runs() == {at("A"): READY}
    kit.finish("A")
    kit.move(days=40)
    assert len(kit.runs()) == 1
    assert kit.activate() == {}
    assert kit.status(at("A", days=40)) == READY


def test_an_on_demand_pipeline_stays_scheduled(kit):
    """After its work it is SCHEDULED as before, and can be activated again."""
    kit.launch(on_demand(A=activity()))
    kit.finish("A")
    kit.move(days=1)
    assert kit.state() == "SCHEDULED"


def test_a_run_on_demand_starts_at_a_whole_second(kit):
    """The slot of a run is the second of its activation."""
    kit.move(7.9)
    kit.launch(on_demand(A=activity()))
    assert kit.runs() == {at("A", seconds=7): READY}


def test_the_schedule_type_of_on_demand_is_of_any_case(kit):
    """`onDemand` is `ondemand`."""
    kit.launch(on_demand(A=activity()) | {"Default": {"scheduleType": "onDemand"}})
    assert kit.runs() == {at("A"): READY}


def test_an_activation_of_a_running_pipeline_cancels_what_runs_and_runs_it_anew(kit):
    """Its worker is told so, and the tasks of the new run are handed out (ActivatePipeline)."""
    kit.launch(on_demand(A=activity(), B=activity(), C=activity(dependsOn=Ref("A"))))
    work = kit.begin("A")
    kit.move(5)
    assert kit.activate() == {}
    assert kit.statuses("A", "B", "C") == ["CANCELED"] * 3
    assert "activated again" in kit.fields(at("C"))["cancellationReason"]
    assert kit.report(work) == {"canceled": True}
    anew = [at(name, seconds=5) for name in "ABC"]
    assert kit.take_all() == anew[:2]
    assert list(kit.runs())[3:] == anew


def test_all_objects_of_what_runs_are_canceled(kit):
    """Also a resource which is up, what waits for others, and their preconditions."""
    kit.launch(
        on_demand(
            A=on_resource(precondition=Ref("Ready")),
            B=on_resource(dependsOn=Ref("A")),
            C=on_resource(),
            Box=resource(),
            Ready=key_exists(),
        )
    )
    kit.move(70)
    assert kit.status("Box") == "RUNNING"
    kit.activate()
    assert kit.statuses("A", "B", "C", "Box", "Ready") == ["CANCELED"] * 5
    kit.move(5)
    assert kit.status(at("Box", seconds=70)) == "CREATING"


def test_what_has_ended_stays_as_it_is_when_the_pipeline_runs_anew(kit):
    """Only what runs is canceled."""
    kit.launch(on_demand(A=activity(), B=activity(dependsOn=Ref("A"))))
    kit.finish("A")
    kit.move(5)
    kit.activate()
    assert kit.statuses("A", "B") == ["FINISHED", "CANCELED"]


def test_a_start_time_means_nothing_on_demand(kit):
    """`startTimestamp` does not apply (the API reference of ActivatePipeline)."""
    kit.launch(on_demand(A=activity()), start=-3600.0)
    kit.move(5)
    assert kit.activate(start=86_400.0) == {}
    assert kit.runs() == {at("A"): "CANCELED", at("A", seconds=5): READY}


def test_a_deactivated_pipeline_goes_on_with_what_has_waited(kit):
    """It was not running, so nothing is canceled, and its run is not over."""
    kit.launch(on_demand(A=activity(), B=activity()))
    kit.begin("A")
    kit.deactivate()
    kit.move(5)
    kit.activate()
    assert kit.statuses("A", "B") == ["CANCELED", READY]
    assert kit.take_all() == [at("B")]


@pytest.mark.settings(on_demand_busy=OnDemandBusy.IGNORED)
def test_an_activation_of_a_busy_pipeline_can_be_ignored(kit):
    """With maxActiveInstances (1) runs open an activation succeeds, and makes no run."""
    kit.launch(on_demand(A=activity()))
    kit.begin("A")
    kit.move(5)
    assert kit.activate() == {}
    assert kit.runs() == {at("A"): "RUNNING"}
    kit.finish("A")
    kit.move(5)
    assert len(kit.runs()) == 1


@pytest.mark.settings(on_demand_busy=OnDemandBusy.INVALID_REQUEST)
def test_an_activation_of_a_busy_pipeline_may_be_refused(kit):
    """on_demand_busy chooses a refusal."""
    kit.launch(on_demand(A=activity()))
    kit.move(5)
    assert kit.activate()["error"] == INVALID
    assert len(kit.runs()) == 1


@pytest.mark.settings(on_demand_busy=OnDemandBusy.IGNORED)
def test_a_run_is_open_until_all_of_it_has_ended(kit):
    """The run is busy while any of its activities is not terminal."""
    kit.launch(on_demand(A=activity(), B=activity(dependsOn=Ref("A"))))
    kit.finish("A")
    kit.move(5)
    kit.activate()
    assert len(kit.runs()) == 2
    kit.finish("B")
    kit.activate()
    assert len(kit.runs()) == 4


def test_two_runs_at_once(kit):
    """maxActiveInstances=2 lets two runs be open, in the next free second if they would collide."""
    kit.launch(on_demand(A=activity(maxActiveInstances=2)))
    assert kit.activate() == {}
    assert kit.runs() == {at("A"): READY, at("A", seconds=1): READY}


def test_a_second_is_used_once(kit):
    """A run which is made in a second that had one, even an ended one, takes the next second."""
    kit.launch(on_demand(A=activity()))
    kit.finish("A")
    kit.activate()
    assert kit.runs() == {at("A"): "FINISHED", at("A", seconds=1): READY}


def test_no_more_than_five_runs_at_once(kit):
    """maxActiveInstances is at most 5 on demand (the Developer Guide, dp-concepts-schedules)."""
    kit.launch(on_demand(A=activity(maxActiveInstances=9)))
    for _ in range(4):
        kit.move(1)
        assert kit.activate() == {}
    assert list(kit.runs().values()) == [READY] * 5
    kit.move(1)
    kit.activate()
    assert list(kit.runs().values()) == ["CANCELED"] * 5 + [READY]
