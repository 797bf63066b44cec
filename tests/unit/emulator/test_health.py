"""The health of components and pipelines (the Developer Guide, dp-interpret-health-status)."""

from __future__ import annotations

import pytest

from aiodp.emulator import LockedService, Settings
from aiodp.emulator._clock import ManualClock
from aiodp.emulator._store import ServiceStore, Store
from unit.emulator.lifecycle_kit import Lifecycle
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    after,
    at,
    daily,
    guarded,
    key_exists,
    node,
    on_resource,
    resource,
    schedule,
    shell_precondition,
    stamp,
    wire_objects,
)

HEALTH = ("@healthStatus", "@healthStatusFromInstanceId", "@healthStatusUpdatedTime")


@pytest.fixture
def kit():
    """A service which tries nothing again."""
    return Lifecycle(max_retries=0, resource_worker_group="resources")


def health(kit, component):
    """Return the three fields of a component's health."""
    fields = kit.fields(component)
    return tuple(fields.get(key) for key in HEALTH)


def of_pipeline(kit):
    return kit.record().get("@healthStatus")


def test_a_pipeline_is_as_ill_as_the_worst_of_its_components(kit):
    """It is ERROR while one component is, whatever has ended well since."""
    kit.launch(daily(A=activity(), B=activity()))
    assert of_pipeline(kit) is None
    kit.fail("A")
    assert of_pipeline(kit) == "ERROR"
    kit.finish("B")
    assert of_pipeline(kit) == "ERROR"
    kit.move(days=1)
    kit.finish(at("A", days=1))
    assert of_pipeline(kit) == "HEALTHY"


def test_the_health_of_a_component_is_that_of_its_instance_which_ended_last(kit):
    """It says which instance that was, and when."""
    kit.launch(daily(A=activity(), B=activity()))
    assert health(kit, "A") == (None, None, None)
    kit.move(5)
    kit.fail("A")
    assert health(kit, "A") == ("ERROR", at("A"), stamp(seconds=5))
    kit.move(days=1)
    kit.finish(at("A", days=1))
    assert health(kit, "A") == ("HEALTHY", at("A", days=1), stamp(days=1, seconds=5))
    assert health(kit, "B") == (None, None, None)


def test_an_earlier_slot_which_ends_later_decides(kit):
    """What counts is the end, not the slot."""
    kit.launch(daily(A=activity()))
    kit.begin("A")
    kit.move(days=1)
    kit.finish(at("A", days=1))
    kit.fail("A")
    assert health(kit, "A")[:2] == ("ERROR", at("A"))


def test_the_health_stays_while_the_instance_runs_again(kit):
    """Only its next end can change it."""
    kit.launch(daily(A=activity()))
    kit.fail("A")
    kit.tell("RERUN", "A")
    assert health(kit, "A")[:2] == ("ERROR", at("A"))
    kit.finish("A")
    assert health(kit, "A")[0] == of_pipeline(kit) == "HEALTHY"


@pytest.mark.parametrize(
    ("command", "status"), [("TRY_CANCEL", "ERROR"), ("MARK_FINISHED", "HEALTHY")]
)
def test_what_a_user_makes_of_an_instance_counts(kit, command, status):
    """CANCELED is an error, a mark as finished is none."""
    kit.launch(daily(A=activity()))
    kit.tell(command, "A")
    assert health(kit, "A")[0] == of_pipeline(kit) == status


def test_data_nodes_and_resources_have_a_health(kit):
    """The guide's tables list it for activities, data nodes and resources."""
    kit.launch(daily(A=on_resource(input=Ref("D")), D=node(), Box=resource(), S=activity()))
    kit.move(60)
    kit.finish("A", group="resources")
    kit.move(30)
    assert [health(kit, name)[0] for name in ("A", "D", "Box", "Daily")] == ["HEALTHY"] * 3 + [None]


@pytest.mark.parametrize("pre", [key_exists, shell_precondition])
def test_a_failed_precondition_is_an_error_of_what_it_guards(kit, pre):
    """It is the instance from which the health comes; the precondition itself has none."""
    kit.launch(guarded(pre(preconditionTimeout="10 minutes")))
    kit.move(minutes=10)
    assert kit.statuses("Pre", "A") == ["FAILED", "WAITING_ON_DEPENDENCIES"]
    assert health(kit, "A") == ("ERROR", at("Pre"), stamp(minutes=10))
    assert health(kit, "Pre") == (None, None, None)
    assert of_pipeline(kit) == "ERROR"
    assert "@healthStatus" not in kit.fields(at("Pre"))


def test_a_precondition_which_is_not_needed_any_more_is_no_error(kit):
    """It is canceled when what it guards is marked as finished."""
    kit.launch(guarded(key_exists()))
    kit.tell("MARK_FINISHED", "A")
    assert kit.status("Pre") == "CANCELED"
    assert health(kit, "A")[:2] == ("HEALTHY", at("A"))


def test_a_cascade_is_an_error_of_each_component(kit):
    """CASCADE_FAILED is an end like FAILED."""
    kit.launch(daily(Default={"failureAndRerunMode": "cascade"}, A=activity(), B=after("A")))
    kit.fail("A")
    assert health(kit, "B")[:2] == ("ERROR", at("B"))


def test_the_health_is_the_same_after_a_restart(tmp_path):
    """A state file has which end was the last, also of ends at one moment."""
    store, clock = Store(tmp_path / "state"), ManualClock()
    settings = Settings(quotas=None, max_retries=0, max_backfill=None, instance_interval=0.0)

    def start():
        keeping = ServiceStore(store, "123456789012", "us-east-1")
        return LockedService(clock, settings, persistence=keeping)

    service = start()
    made = service.perform("CreatePipeline", name="p", uniqueId="p")
    hours = schedule("1 hour", startDateTime="2025-12-31T22:00:00")
    objects = wire_objects({"S": hours, "A": activity(schedule=Ref("S"))})
    service.perform("PutPipelineDefinition", **made, pipelineObjects=objects)
    service.perform("ActivatePipeline", **made)
    for instance_id, status in (
        (at("A", hours=-1), "TRY_CANCEL"),
        (at("A", hours=-2), "MARK_FINISHED"),
    ):
        service.perform("SetStatus", **made, objectIds=[instance_id], status=status)
    asked = {"objectIds": ["A"], **made}
    before = service.perform("DescribeObjects", **asked)
    assert {"key": HEALTH[1], "stringValue": at("A", hours=-2)} in before["pipelineObjects"][0][
        "fields"
    ]
    assert start().perform("DescribeObjects", **asked) == before
    store.close()


def test_skipped_slots_are_no_health(kit):
    """Nothing was run."""
    kit.prepare(daily(A=activity()))
    kit.move(days=2)
    kit.activate(start=2 * 86_400.0 - 1)
    assert "SKIPPED" in kit.runs().values()
    assert of_pipeline(kit) is None
