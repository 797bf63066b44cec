"""What an activation costs: it depends on what is to be done, and not on what was done before."""

from __future__ import annotations

import gc
import sys
from statistics import median

import pytest

from aiodp.emulator import LockedService, Settings
from aiodp.emulator._clock import ManualClock
from aiodp.emulator._model.listing.series import Series
from aiodp.emulator._store import ServiceStore, Store
from unit.emulator.lifecycle_kit import Lifecycle
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    after,
    daily,
    on_demand,
    on_resource,
    resource,
    schedule,
    stamp,
    wire_objects,
)

RUNS = 60
ON_DEMAND = on_demand(A=activity(), B=activity(dependsOn=Ref("A")))
ON_RESOURCE = on_demand(Box=resource(), A=on_resource())
WALKS = ("__iter__", "keys", "values", "items")


def steps(operation):
    """Return how many functions an operation calls."""
    calls = 0

    def count(_frame, event, _argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    before = sys.getprofile()
    gc.disable()  # a collection of garbage calls functions, of whatever others have left
    sys.setprofile(count)
    try:
        operation()
    finally:
        sys.setprofile(before)
        gc.enable()
    return calls


def assert_flat(costs):
    """The last cost what the first did."""
    part = len(costs) // 3
    assert median(costs[-part:]) <= 1.02 * median(costs[:part])


def end_run(kit):
    """Do all the work of a run, and let its resource shut down."""
    kit.move(61)
    for group in ("workers", "resources"):
        while (work := kit.take(group)) is not None:
            kit.end(work)
    kit.move(31)


@pytest.mark.settings(resource_worker_group="resources")
@pytest.mark.parametrize("definition", [ON_DEMAND, ON_RESOURCE])
def test_the_cost_of_a_run_on_demand_does_not_grow(kit, definition):
    """Each activation takes as many steps as the second, and so does the work of its run."""
    kit.launch(definition)
    end_run(kit)
    costs = [(steps(kit.activate), steps(lambda: end_run(kit))) for _ in range(RUNS)]
    assert len(kit.runs()) == 2 * (RUNS + 1)
    for parts in zip(*costs, strict=True):
        assert max(parts) <= 1.02 * min(parts)


def test_runs_within_one_second_do_not_search_for_a_free_one(kit):
    """Many runs of one second of the service take the seconds that follow, without a search."""
    kit.launch(on_demand(A=activity()))
    costs = []
    for _ in range(RUNS):
        kit.end(kit.get())
        costs.append(steps(kit.activate))
    assert len(set(kit.runs())) == RUNS + 1
    assert max(costs) <= 1.02 * min(costs)


def test_the_end_of_an_instance_costs_the_same_however_many_wait():
    """What `maxActiveInstances` and dependencies hold back is not looked at again each time."""
    costs = []
    for days in (2, 20):
        kit = Lifecycle(max_backfill=None, instance_interval=0.0)
        past = schedule("1 hour", startDateTime=stamp(days=-days))
        parts = {"A": activity(schedule=Ref("S")), "B": after("A", schedule=Ref("S"))}
        kit.launch({"S": past} | parts)
        for _ in range(12):  # the first end of each component looks at all that wait, once
            kit.end(kit.get())
        costs.append(steps(lambda kit=kit: [kit.end(kit.get()) for _ in range(20)]))
    assert max(costs) <= 1.02 * min(costs)


def test_saving_an_activation_does_not_look_at_earlier_ones(tmp_path):
    """With a state file, too, values of parameters that change make no activation dearer."""
    store = Store(tmp_path / "state")
    keeping = ServiceStore(store, "123456789012", "us-east-1")
    clock = ManualClock()
    service = LockedService(clock, Settings(quotas=None), persistence=keeping)
    made = service.perform("CreatePipeline", name="p", uniqueId="p")
    service.perform(
        "PutPipelineDefinition",
        **made,
        pipelineObjects=wire_objects(on_demand(A=activity(command="#{myNumber}"))),
        parameterObjects=[{"id": "myNumber", "attributes": []}],
    )

    def activate(number):
        clock.advance(1)
        values = [{"id": "myNumber", "stringValue": f"{number:03}"}]
        service.perform("ActivatePipeline", **made, parameterValues=values)

    costs = [steps(lambda number=number: activate(number)) for number in range(RUNS)]
    store.close()
    assert_flat(costs[10:])


def test_what_has_ended_is_not_looked_at_again(kit, monkeypatch):
    """Activating, deactivating and resuming look at open instances alone."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A"))))
    kit.finish("A", "B")
    kit.move(days=1)

    def refuse(_):
        raise AssertionError("all instances are looked at")

    for name in WALKS:
        monkeypatch.setattr(Series, name, refuse)
    kit.pause("A")
    kit.resume("A")
    assert kit.deactivate() == {}
    assert kit.activate() == {}
    assert kit.state() == "SCHEDULED"
