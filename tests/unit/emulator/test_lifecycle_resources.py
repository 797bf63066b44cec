"""Resources: from CREATING to FINISHED, and the tasks that run on them."""

from __future__ import annotations

import re

import pytest

from unit.emulator.lifecycle_kit import RETRY, Lifecycle
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    on_demand,
    on_resource,
    resource,
    schedule,
    stamp,
)
from unit.emulator.service_kit import parse

pytestmark = pytest.mark.settings(resource_worker_group="box", max_retries=0)

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"


def test_a_resource_is_up_for_its_activity_only(kit):
    """CREATING for 60 s, RUNNING for the work, SHUTTING_DOWN for 30 s, FINISHED."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    assert kit.status("Box") == "CREATING"
    kit.move(59.9)
    assert kit.status("Box") == "CREATING"
    kit.move(0.1)
    assert kit.status("Box") == "RUNNING"
    kit.begin("A", "box")
    kit.move(hours=1)
    assert kit.status("Box") == "RUNNING"
    kit.finish("A", group="box")
    assert kit.status("Box") == "SHUTTING_DOWN"
    kit.move(29.9)
    assert kit.status("Box") == "SHUTTING_DOWN"
    kit.move(0.1)
    assert kit.status("Box") == "FINISHED"
    assert kit.fields(at("Box"))["@actualEndTime"] == stamp(hours=1, seconds=90)


def test_the_times_of_a_resource_are_settings():
    """resource_startup and resource_shutdown are seconds of the service."""
    kit = Lifecycle(resource_worker_group="box", resource_startup=5.0, resource_shutdown=2.0)
    kit.launch(daily(Box=resource(), A=on_resource()))
    kit.move(5)
    kit.finish("A", group="box")
    kit.move(2)
    assert kit.status("Box") == "FINISHED"


def test_a_resource_waits_until_it_is_needed(kit):
    """It is WAITING_ON_DEPENDENCIES until an activity that runs on it waits for a runner."""
    kit.launch(daily(First=activity(), Box=resource(), A=on_resource(dependsOn=Ref("First"))))
    kit.move(minutes=10)
    assert kit.statuses("Box", "A") == [WAITING, WAITING]
    kit.finish("First")
    assert kit.statuses("Box", "A") == ["CREATING", READY]


def test_tasks_are_offered_while_the_resource_runs(kit):
    """The activity is WAITING_FOR_RUNNER at once, but its task is there with its resource."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    assert kit.status("A") == READY
    kit.move(59)
    assert kit.take("box") is None
    kit.move(1)
    assert kit.get("box").instance_id == at("A")


def test_a_poll_which_is_held_gets_the_task_as_the_resource_comes_up(kit):
    """A long poll of the resource's worker group is answered when the resource is RUNNING."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    poll = kit.hold("box")
    kit.move(59)
    assert poll.resume() is None
    kit.move(1)
    answer = poll.resume()
    assert answer is not None
    assert parse(answer)["taskObject"]["attemptId"] == f"{at('A')}_Attempt=1"


def test_a_resource_has_a_worker_group_of_its_own():
    """Without a setting it is `resource:<pipelineId>_<resource instance id>`."""
    kit = Lifecycle()
    kit.launch(daily(Box=resource(), A=on_resource()))
    kit.move(60)
    assert kit.take("box") is None
    assert kit.get(f"resource:{kit.pipeline_id}_{at('Box')}").instance_id == at("A")


def test_runs_on_wins_over_worker_group(kit):
    """With both, the resource gets the task (the Developer Guide, ShellCommandActivity)."""
    kit.launch(daily(Box=resource(), A=on_resource(workerGroup="workers")))
    kit.move(60)
    assert kit.take() is None
    assert kit.take("box") is not None


@pytest.mark.parametrize(
    ("kind", "form"), [("Ec2Resource", "i-[0-9a-f]{17}"), ("EmrCluster", "j-[0-9a-fA-F]{13}")]
)
def test_a_resource_has_an_id_from_its_creation_on(kit, kind, form):
    """`@resourceId` comes with CREATING, and stays."""
    kit.launch(
        daily(First=activity(), Box=resource(type=kind), A=on_resource(dependsOn=Ref("First")))
    )
    assert "@resourceId" not in kit.fields(at("Box"))
    kit.finish("First")
    resource_id = kit.fields(at("Box"))["@resourceId"]
    assert re.fullmatch(form, resource_id)
    kit.move(60)
    kit.finish("A", group="box")
    kit.move(30)
    assert kit.fields(at("Box"))["@resourceId"] == resource_id


def test_a_resource_serves_all_its_activities(kit):
    """It is RUNNING until every activity of its slot that runs on it is terminal."""
    kit.launch(daily(Box=resource(), A=on_resource(), B=on_resource(dependsOn=Ref("A"))))
    kit.move(60)
    kit.finish("A", group="box")
    assert kit.statuses("Box", "B") == ["RUNNING", READY]
    kit.finish("B", group="box")
    assert kit.status("Box") == "SHUTTING_DOWN"


def test_a_resource_runs_while_its_next_activity_waits_elsewhere(kit):
    """An activity which still waits on dependencies keeps its resource."""
    kit.launch(
        daily(Box=resource(), A=on_resource(), X=activity(), B=on_resource(dependsOn=Ref("X")))
    )
    kit.move(60)
    kit.finish("A", group="box")
    kit.move(hours=3)
    assert kit.status("Box") == "RUNNING"
    kit.finish("X")
    kit.finish("B", group="box")
    assert kit.status("Box") == "SHUTTING_DOWN"


def test_a_failed_activity_ends_its_resource_as_well(kit):
    """Every terminal status counts, FAILED too."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    kit.move(60)
    kit.fail("A", "box")
    assert kit.status("Box") == "SHUTTING_DOWN"


def test_each_slot_has_a_resource_of_its_own(kit):
    """Resources of different slots have different ids, and end by themselves."""
    kit.launch(
        {
            "S": schedule("1 hour"),
            "Box": resource(schedule=Ref("S")),
            "A": on_resource(schedule=Ref("S")),
        }
    )
    kit.move(minutes=61)
    kit.finish("A", group="box")
    assert kit.statuses("Box", at("Box", hours=1)) == ["SHUTTING_DOWN", "RUNNING"]
    ids = {kit.fields(at("Box", hours=n))["@resourceId"] for n in (0, 1)}
    assert len(ids) == 2


def test_an_activity_refers_to_the_instance_of_its_resource(kit):
    """`runsOn` of an instance is the resource's instance of the same slot."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    assert kit.fields(at("A"))["runsOn"] == at("Box")


@pytest.mark.parametrize("handed_out", [True, False])
def test_a_resource_is_terminated_in_time(kit, handed_out):
    """terminateAfter after CREATING began it is TIMEDOUT, and its open activities CANCELED."""
    kit.launch(
        daily(
            Box=resource(terminateAfter="2 Hours"),
            A=on_resource(),
            B=on_resource(dependsOn=Ref("A")),
        )
    )
    kit.move(60)
    work = kit.begin("A", "box") if handed_out else None
    kit.move(2 * 3600 - 61)
    assert kit.status("Box") == "RUNNING"
    kit.move(1)
    assert kit.statuses("Box", "A", "B") == ["TIMEDOUT", "CANCELED", "CANCELED"]
    if work is not None:
        assert kit.report(work) == {"canceled": True}
    assert kit.take("box") is None


def test_a_timeout_does_not_touch_what_has_ended(kit):
    """Activities which are terminal stay what they are when their resource is TIMEDOUT."""
    kit.launch(daily(Box=resource(terminateAfter="2 hours"), A=on_resource(), B=on_resource()))
    kit.move(60)
    kit.begin("B", "box")
    kit.finish("A", group="box")
    kit.move(hours=2)
    assert kit.statuses("Box", "A", "B") == ["TIMEDOUT", "FINISHED", "CANCELED"]


@pytest.mark.parametrize(
    ("life", "status"), [("2", "TIMEDOUT"), ("2 hours", "TIMEDOUT"), ("0", "RUNNING")]
)
def test_a_number_is_the_hours_of_a_cluster(kit, life, status):
    """The page of EmrCluster has an Integer of hours in its table, and periods in its examples."""
    cluster = resource(type="EmrCluster", myLife=life, terminateAfter="#{myLife}")
    kit.launch(daily(Box=cluster, A=on_resource()))
    kit.move(7199)
    assert kit.status("Box") == "RUNNING"
    kit.move(1)
    assert kit.status("Box") == status


def test_the_time_of_a_resource_begins_with_its_creation(kit):
    """terminateAfter does not count while the resource waits."""
    kit.launch(
        daily(
            First=activity(),
            Box=resource(terminateAfter="1 hour"),
            A=on_resource(dependsOn=Ref("First")),
        )
    )
    kit.move(hours=5)
    kit.finish("First")
    kit.move(3599)
    assert kit.status("Box") == "RUNNING"
    kit.move(1)
    assert kit.status("Box") == "TIMEDOUT"


def test_a_resource_which_ended_does_not_time_out(kit):
    """After FINISHED nothing is left of terminateAfter."""
    kit.launch(daily(Box=resource(terminateAfter="1 hour"), A=on_resource()))
    kit.move(60)
    kit.finish("A", group="box")
    kit.move(hours=2)
    assert kit.status("Box") == "FINISHED"


def test_a_timed_out_resource_is_not_tried_again():
    """retryDelay and tries mean nothing after TIMEDOUT (dp-interpret-status)."""
    kit = Lifecycle(resource_worker_group="box")
    kit.launch(daily(Box=resource(terminateAfter="1 hour"), A=on_resource()))
    kit.move(hours=1)
    kit.move(2 * RETRY)
    assert kit.statuses("Box", "A") == ["TIMEDOUT", "CANCELED"]


@pytest.mark.parametrize("after", [0, 30, 90])
def test_a_canceled_resource_cancels_its_activities(kit, after):
    """TRY_CANCEL of a resource ends it with its open activities, while CREATING or RUNNING."""
    kit.launch(daily(Box=resource(), A=on_resource(), B=on_resource(dependsOn=Ref("A"))))
    kit.move(after)
    assert kit.tell("TRY_CANCEL", "Box") == {}
    assert kit.statuses("Box", "A", "B") == ["CANCELED"] * 3
    kit.move(hours=1)
    assert kit.status("Box") == "CANCELED"


def test_a_resource_which_is_not_needed_any_more_never_starts(kit):
    """If all its activities are terminal before it started, it is FINISHED."""
    kit.launch(daily(First=activity(), Box=resource(), A=on_resource(dependsOn=Ref("First"))))
    kit.tell("TRY_CANCEL", "A")
    assert kit.status("Box") == "FINISHED"
    assert "@resourceId" not in kit.fields(at("Box"))


def test_a_resource_waits_for_the_last_of_its_activities_to_be_canceled(kit):
    """One activity that is still to come keeps a resource from ending before it started."""
    kit.launch(
        daily(
            First=activity(),
            Box=resource(),
            A=on_resource(dependsOn=Ref("First")),
            B=on_resource(dependsOn=Ref("First")),
        )
    )
    kit.tell("TRY_CANCEL", "A")
    assert kit.status("Box") == WAITING
    kit.finish("First")
    assert kit.status("Box") == "CREATING"


def test_a_pipeline_is_finished_with_its_resources(kit):
    """A resource that shuts down keeps the pipeline from being FINISHED."""
    kit.launch(
        {
            "Box": resource(schedule=None),
            "A": on_resource(schedule=None),
        }
    )
    kit.move(60)
    kit.finish("A", group="box")
    assert kit.state() == "SCHEDULED"
    kit.move(30)
    assert kit.state() == "FINISHED"


def test_a_resource_on_demand(kit):
    """Each run of an on-demand pipeline has its own resource."""
    kit.launch(on_demand(Box=resource(), A=on_resource()))
    kit.move(60)
    kit.finish("A", group="box")
    kit.move(30)
    assert kit.activate() == {}
    assert kit.statuses("Box", at("Box", seconds=90)) == ["FINISHED", "CREATING"]
