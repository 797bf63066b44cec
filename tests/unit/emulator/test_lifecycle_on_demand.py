"""Runs which ActivatePipeline makes: when, how many, and under which ids."""

from __future__ import annotations

import pytest

from aiodp.emulator import OnDemandBusy
from unit.emulator.lifecycle_kit import INVALID
from unit.emulator.lifecycle_objects import Ref, activity, at, on_demand

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


def test_an_activation_of_a_busy_pipeline_is_ignored(kit):
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
    """on_demand_busy chooses a refusal, for what the service does is not documented."""
    kit.launch(on_demand(A=activity()))
    kit.move(5)
    assert kit.activate()["error"] == INVALID
    assert len(kit.runs()) == 1


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
    for _ in range(2):
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
    for _ in range(9):
        kit.move(1)
        assert kit.activate() == {}
    assert len(kit.runs()) == 5
