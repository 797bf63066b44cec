"""A resource with a schedule of its own (dp-concepts-schedules, "Maximum Resource Efficiency")."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import RETRY
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    node,
    on_resource,
    resource,
    schedule,
    shell_precondition,
    stamp,
)

pytestmark = pytest.mark.settings(resource_worker_group="box", max_retries=0)

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"
THIRDS, HOURLY = Ref("Thirds"), Ref("Hourly")


def box_and_activity(period="20 minutes", box=None, **fields):
    """Return a definition of an hourly resource and an activity of another period."""
    return {
        "Thirds": schedule(period),
        "Hourly": schedule("1 hour"),
        "Box": resource(schedule=HOURLY, **(box or {})),
        "A": on_resource(schedule=THIRDS, **fields),
    }


def test_a_resource_of_an_hour_serves_the_three_runs_of_an_activity(kit):
    """The guide's own example: one resource instance for all slots of its hour."""
    kit.launch(box_and_activity())
    kit.move(60)
    resource_id = kit.fields(at("Box"))["@resourceId"]
    for minutes in (0, 20, 40):
        kit.finish(at("A", minutes=minutes), group="box")
        assert kit.fields(at("A", minutes=minutes))["runsOn"] == at("Box")
        if minutes < 40:
            assert kit.status("Box") == "RUNNING"
            kit.move(minutes=20)
    assert kit.runs("Box") == {at("Box"): "SHUTTING_DOWN"}
    assert kit.fields(at("Box"))["@resourceId"] == resource_id
    assert kit.fields(at("Box"))["@scheduledEndTime"] == stamp(hours=1)
    kit.move(minutes=20)
    assert kit.statuses("Box", at("Box", hours=1)) == ["FINISHED", "RUNNING"]


def test_a_schedule_of_the_default_object_is_the_resources_own(kit):
    """A resource inherits its schedule, as the guide recommends, from the object Default."""
    definition = box_and_activity() | {"Default": {"schedule": HOURLY}}
    definition["Box"] = resource(schedule=None)
    kit.launch(definition)
    kit.move(minutes=21)
    assert list(kit.runs("Box")) == [at("Box")]
    kit.finish(at("A", minutes=20), group="box")


@pytest.mark.settings(resource_worker_group=None)
def test_the_tasks_of_a_resource_have_its_worker_group(kit):
    """Without a setting all runs of the hour have the group of the one resource."""
    kit.launch(box_and_activity())
    kit.move(minutes=21)
    group = f"resource:{kit.pipeline_id}_{at('Box')}"
    assert kit.take_all(group) == [at("A"), at("A", minutes=20)]


def test_a_slot_of_a_resource_in_which_nothing_begins_is_finished_at_once(kit):
    """Without activities a resource is not created, and the pipeline need not wait for it."""
    kit.launch(box_and_activity("2 hours"))
    kit.move(60)
    kit.finish("A", group="box")
    kit.move(hours=1)
    assert kit.statuses("Box", at("Box", hours=1)) == ["FINISHED", "FINISHED"]
    assert "@resourceId" not in kit.fields(at("Box", hours=1))


def test_an_activity_which_is_longer_than_its_resource_runs_where_it_begins(kit):
    """The slot of the resource in which the activity's slot begins is the one that counts."""
    kit.launch(box_and_activity("90 minutes"))
    kit.move(minutes=91)
    assert kit.fields(at("A", minutes=90))["runsOn"] == at("Box", hours=1)
    kit.finish(at("A"), at("A", minutes=90), group="box")


def test_an_activity_of_style_timeseries_runs_on_the_resource_of_its_slot(kit):
    """The resource of the hour stays for the last third, which runs as the hour ends."""
    kit.launch(box_and_activity(scheduleType="timeseries"))
    kit.move(minutes=61)
    for minutes in (0, 20, 40):
        kit.finish(at("A", minutes=minutes), group="box")
    assert kit.status("Box") == "SHUTTING_DOWN"


def test_an_activity_before_the_first_slot_waits_for_the_resource(kit):
    """Its task is there when the resource is, which is made when its own schedule begins."""
    definition = box_and_activity()
    definition["Hourly"] = schedule("1 hour", startDateTime=stamp(minutes=30))
    kit.launch(definition)
    assert kit.status("A") == READY
    kit.move(minutes=31)
    kit.finish("A", at("A", minutes=20), group="box")
    assert kit.fields(at("A"))["runsOn"] == at("Box", minutes=30)


def test_an_activity_after_the_last_slot_brings_the_last_resource_back(kit):
    """What no slot of the resource serves runs on the nearest one."""
    definition = box_and_activity("1 hour")
    definition["Hourly"] = schedule("1 hour", occurrences="1")
    kit.launch(definition)
    kit.move(60)
    kit.finish("A", group="box")
    kit.move(hours=1)
    assert kit.fields(at("A", hours=1))["runsOn"] == at("Box")
    kit.finish(at("A", hours=1), group="box")


def test_a_resource_ends_with_the_last_slot_of_its_activities(kit):
    """Where no more slots are to come within the hour, it does not wait for its end."""
    definition = box_and_activity()
    definition["Thirds"] = schedule("20 minutes", occurrences="2")
    definition["Hourly"] = schedule("1 hour", occurrences="1")
    kit.launch(definition)
    kit.move(60)
    kit.finish("A", group="box")
    kit.move(minutes=20)
    kit.finish(at("A", minutes=20), group="box")
    assert kit.status("Box") == "SHUTTING_DOWN"
    kit.move(30)
    assert kit.state() == "FINISHED"


def test_slots_of_the_resource_alone_do_not_keep_a_pipeline_going(kit):
    """It is FINISHED once its activities have no slots to come, and can be revived."""
    definition = box_and_activity()
    definition["Thirds"] = schedule("20 minutes", occurrences="1")
    kit.launch(definition)
    kit.move(60)
    kit.finish("A", group="box")
    kit.move(30)
    assert kit.state() == "FINISHED"
    assert "@nextRunTime" not in kit.record()
    kit.move(hours=2)
    assert kit.runs("Box") == {at("Box"): "FINISHED"}
    definition["Thirds"] = schedule("20 minutes", occurrences="8")
    assert kit.put(definition)["errored"] is False
    kit.activate()
    kit.move(60)
    kit.finish(at("A", minutes=20), group="box")


def test_a_resource_out_of_time_serves_no_later_slot(kit):
    """Activities whose slots begin after TIMEDOUT are CANCELED; the next hour has a new one."""
    kit.launch(box_and_activity(box={"terminateAfter": "30 minutes"}))
    kit.move(60)
    kit.finish("A", group="box")
    kit.move(minutes=40)
    assert kit.statuses("Box", at("A", minutes=20), at("A", minutes=40)) == [
        "TIMEDOUT",
        "CANCELED",
        "CANCELED",
    ]
    kit.move(minutes=21)
    kit.finish(at("A", hours=1), group="box")


def test_a_canceled_resource_serves_no_later_slot(kit):
    """TRY_CANCEL of a resource cancels what was to run on it within the hour, until a RERUN."""
    kit.launch(box_and_activity())
    kit.tell("TRY_CANCEL", "Box")
    kit.move(minutes=20)
    assert kit.statuses("Box", "A", at("A", minutes=20)) == ["CANCELED"] * 3
    kit.tell("RERUN", at("A", minutes=20))
    kit.move(60)
    kit.finish(at("A", minutes=20), group="box")


def test_a_deactivation_within_the_hour_ends_the_resource_until_the_next_activation(kit):
    """The later slots of the hour have it created again."""
    kit.launch(box_and_activity())
    kit.move(60)
    kit.finish("A", group="box")
    kit.deactivate()
    assert kit.status("Box") == "CANCELED"
    kit.move(minutes=10)
    kit.activate()
    kit.move(minutes=9)
    assert kit.statuses("Box", at("A", minutes=20)) == ["CREATING", READY]
    kit.move(60)
    kit.finish(at("A", minutes=20), group="box")


def test_a_skip_of_the_rest_of_the_hour_releases_the_resource(kit):
    """startTimestamp beyond the hour leaves nothing for which the resource would wait."""
    kit.launch(box_and_activity())
    kit.move(60)
    kit.finish("A", group="box")
    assert kit.status("Box") == "RUNNING"
    kit.activate(start=3600)
    assert kit.status("Box") == "SHUTTING_DOWN"


def test_what_is_kept_for_the_hour_is_not_lost_in_an_earlier_end_of_the_schedule(kit):
    """An endDateTime that is moved ahead leaves nothing to wait for, either."""
    definition = box_and_activity()
    kit.launch(definition)
    kit.move(60)
    kit.finish("A", group="box")
    definition["Thirds"] = schedule("20 minutes", endDateTime=stamp(minutes=10))
    assert kit.put(definition)["errored"] is False
    kit.activate()
    assert kit.status("Box") == "SHUTTING_DOWN"


@pytest.mark.settings(max_retries=1)
def test_a_retry_stays_on_its_resource_when_the_schedule_is_cut(kit):
    """A slot of the resource which the newest definition has no more still serves what it had."""
    definition = box_and_activity("1 hour")
    kit.launch(definition)
    kit.move(hours=1, seconds=60)
    last = at("A", hours=1)
    kit.fail(last, "box")
    definition["Hourly"] = schedule("1 hour", occurrences="1")
    assert kit.put(definition)["errored"] is False
    assert kit.activate() == {}
    kit.move(RETRY)
    kit.finish(last, group="box")
    resource_id = kit.fields(at("Box", hours=1))["@resourceId"]
    for seen in (last, f"{last}_Attempt=1", f"{last}_Attempt=2"):
        assert kit.fields(seen)["runsOn"] == at("Box", hours=1)
    assert kit.fields(f"{last}_Attempt=2")["@resourceId"] == resource_id
    assert kit.status(at("Box", hours=1)) == "SHUTTING_DOWN"


def test_preconditions_run_on_the_resource_of_the_hour(kit):
    """A runner's precondition of an activity, and of its data, goes where the activity runs."""
    definition = box_and_activity(precondition=Ref("Pre"), input=Ref("Data"))
    definition["Data"] = node(schedule=THIRDS, precondition=Ref("Own"))
    kit.launch(definition | {"Pre": shell_precondition(), "Own": shell_precondition()})
    kit.move(minutes=20)
    for name in ("Pre", "Own", "A"):
        kit.finish(at(name, minutes=20), group="box")


def test_a_single_run_takes_the_resource_of_the_slot_it_falls_into(kit):
    """An activity without a schedule runs on the resource of the hour of its activation."""
    definition = {"Hourly": schedule("1 hour"), "Box": resource(schedule=HOURLY)}
    kit.prepare(definition | {"A": on_resource(schedule=None)})
    kit.move(minutes=30)
    kit.activate()
    kit.move(60)
    kit.finish(at("A", minutes=30), group="box")
    assert kit.status("Box") == "SHUTTING_DOWN"


def test_a_resource_nobody_runs_on_is_not_made(kit):
    """Its schedule makes nothing."""
    kit.launch(
        {
            "Hourly": schedule("1 hour"),
            "Box": resource(schedule=HOURLY),
            "A": activity(schedule=HOURLY),
        }
    )
    assert kit.runs("Box") == {}
