"""Deactivation amid work, and what a later activation makes up for."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import HOUR, INVALID, RETRY
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    hourly,
    key_exists,
    on_resource,
    resource,
    schedule,
    slots,
    stamp,
)

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"


# What runs


def test_what_runs_is_canceled(kit):
    """By default (cancelActive) running instances are CANCELED at once; workers are told."""
    kit.launch(slots(hourly()))
    work = kit.begin("A")
    kit.move(minutes=7)
    assert kit.deactivate() == {}
    assert kit.state() == "INACTIVE"
    assert kit.status("A") == "CANCELED"
    assert kit.report(work) == {"canceled": True}
    assert kit.record()["@lastDeactivatedTime"] == stamp(minutes=7)


def test_what_was_handed_out_is_canceled(kit):
    """An unacknowledged task is active as well."""
    kit.launch(slots(hourly()))
    work = kit.take()
    kit.deactivate()
    assert kit.status("A") == "CANCELED"
    assert kit.report(work) == {"canceled": True}


def test_what_waits_is_left(kit):
    """Instances which nobody works on stay, and are offered again after the next activation."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A"))))
    kit.deactivate()
    assert kit.statuses("A", "B") == [READY, WAITING]
    assert kit.take() is None
    assert kit.activate() == {}
    kit.finish("A", "B")


def test_what_runs_may_end(kit):
    """With cancelActive=false the pipeline is DEACTIVATING until running work has ended."""
    kit.launch(slots(hourly()))
    work = kit.begin("A")
    assert kit.deactivate(cancelActive=False) == {}
    assert kit.state() == "DEACTIVATING"
    assert kit.report(work) == {"canceled": False}
    kit.finish("A")
    assert kit.status("A") == "FINISHED"
    assert kit.state() == "INACTIVE"


def test_a_failure_ends_what_runs_too(kit):
    """A failed attempt is not retried while the pipeline is not SCHEDULED."""
    kit.launch(slots(hourly()))
    kit.begin("A")
    kit.deactivate(cancelActive=False)
    kit.fail("A")
    assert kit.state() == "INACTIVE"
    kit.move(RETRY)
    assert kit.take() is None
    kit.activate()
    assert kit.get().attempt_id == f"{at('A')}_Attempt=2"


@pytest.mark.settings(lease_timeout=300.0)
@pytest.mark.parametrize("acknowledged", [True, False])
def test_a_lapsed_lease_ends_what_runs_while_deactivating(kit, acknowledged):
    """DEACTIVATING ends when the worker is silent for too long; nobody else gets the task."""
    kit.launch(slots(hourly()))
    if acknowledged:
        kit.begin("A")
    else:
        kit.take()
    kit.deactivate(cancelActive=False)
    kit.move(119)
    assert kit.state() == "DEACTIVATING"
    kit.move(181)
    assert kit.state() == "INACTIVE"
    assert kit.take() is None
    kit.activate()
    assert kit.take_all() == [at("A")]


def test_nobody_is_released_while_deactivating(kit):
    """What depends on the work that ends is not offered before the next activation."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A"))))
    kit.begin("A")
    kit.deactivate(cancelActive=False)
    kit.finish("A")
    assert kit.status("B") == WAITING
    assert kit.take() is None
    kit.activate()
    assert kit.status("B") == READY


def test_with_nothing_to_wait_for_it_is_inactive_at_once(kit):
    """cancelActive=false waits for running work only."""
    kit.launch(slots(hourly()))
    kit.deactivate(cancelActive=False)
    assert kit.state() == "INACTIVE"


@pytest.mark.settings(resource_worker_group="box")
@pytest.mark.parametrize("after", [0, 60])
def test_resources_are_canceled(kit, after):
    """Resources which are CREATING or RUNNING are active, and canceled with their work."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    kit.move(after)
    kit.deactivate()
    assert kit.status("Box") == "CANCELED"
    assert kit.state() == "INACTIVE"


@pytest.mark.settings(resource_worker_group="box")
def test_a_resource_which_shuts_down_is_canceled(kit):
    """SHUTTING_DOWN is active as well."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    kit.move(60)
    kit.finish("A", group="box")
    kit.deactivate()
    assert kit.statuses("Box", "A") == ["CANCELED", "FINISHED"]


@pytest.mark.settings(resource_worker_group="box")
def test_a_pipeline_is_inactive_when_its_resources_have_ended_too(kit):
    """cancelActive=false: DEACTIVATING until running objects end, a resource among them."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    kit.move(60)
    kit.begin("A", "box")
    kit.deactivate(cancelActive=False)
    kit.finish("A", group="box")
    assert kit.status("Box") == "SHUTTING_DOWN"
    assert kit.state() == "DEACTIVATING"
    kit.move(30)
    assert kit.status("Box") == "FINISHED"
    assert kit.state() == "INACTIVE"


@pytest.mark.settings(resource_worker_group="box")
def test_a_resource_which_a_deactivation_ended_is_created_again(kit):
    """What waits for its runner keeps its resource's place: the next activation brings it back."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    first = kit.fields(at("Box"))["@resourceId"]
    kit.deactivate(cancelActive=False)
    kit.move(31)
    assert kit.statuses("Box", "A") == ["FINISHED", READY]
    assert kit.state() == "INACTIVE"
    kit.activate()
    assert kit.status("Box") == "CREATING"
    assert kit.fields(at("Box"))["@resourceId"] != first
    kit.move(60)
    kit.finish("A", group="box")
    assert kit.status("A") == "FINISHED"


@pytest.mark.settings(max_retries=0)
def test_a_failure_while_deactivating_cascades(kit):
    """What fails while the pipeline is DEACTIVATING fails those behind it at once."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A"), failureAndRerunMode="cascade")))
    kit.begin("A")
    kit.deactivate(cancelActive=False)
    kit.fail("A")
    assert kit.statuses("A", "B") == ["FAILED", "CASCADE_FAILED"]


def test_deactivation_cascades(kit):
    """What it cancels fails those behind it, in mode cascade."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A"), failureAndRerunMode="cascade")))
    kit.begin("A")
    kit.deactivate()
    assert kit.statuses("A", "B") == ["CANCELED", "CASCADE_FAILED"]


@pytest.mark.parametrize("before", ["PENDING", "INACTIVE"])
def test_only_what_is_scheduled_can_be_deactivated(kit, before):
    """Deactivating a pipeline which does not run is refused."""
    kit.prepare(slots(hourly()))
    if before == "INACTIVE":
        kit.activate()
        kit.deactivate()
    assert kit.state() == before
    assert kit.deactivate()["error"] == INVALID


def test_checks_rest_while_inactive(kit):
    """Preconditions are not checked while nothing may run, and are after the next activation."""
    kit.launch(daily(A=activity(precondition=Ref("Pre")), Pre=key_exists()))
    kit.deactivate()
    kit.outside.objects.add("s3://bucket/ready")
    kit.move(hours=1)
    assert kit.status("A") == WAITING
    kit.activate()
    kit.move(RETRY)
    assert kit.statuses("Pre", "A") == ["FINISHED", READY]


# Slots


def test_no_slot_is_made_while_inactive(kit):
    """While the pipeline is not SCHEDULED its slots pass by."""
    kit.launch(slots(hourly()))
    kit.finish("A")
    kit.deactivate()
    kit.move(hours=3)
    assert kit.runs() == {at("A"): "FINISHED"}
    assert "@nextRunTime" not in kit.record()


def test_missed_slots_are_made_up_for(kit):
    """After the next activation missed slots are made, one every five minutes."""
    kit.launch(slots(hourly()))
    kit.finish("A")
    kit.deactivate()
    kit.move(hours=3)
    kit.activate()
    assert sorted(kit.runs()) == [at("A"), at("A", hours=1)]
    kit.move(600)
    assert sorted(kit.runs()) == [at("A", hours=n) for n in range(4)]


def test_missed_slots_may_be_skipped(kit):
    """A startTimestamp skips what was missed, as SKIPPED instances."""
    kit.launch(slots(hourly()))
    kit.finish("A")
    kit.deactivate()
    kit.move(hours=3)
    kit.activate(start=3 * HOUR)
    assert kit.statuses(*(at("A", hours=n) for n in range(4))) == [
        "FINISHED",
        "SKIPPED",
        "SKIPPED",
        READY,
    ]


def test_a_slot_amid_which_it_was_deactivated_goes_on(kit):
    """A timeseries instance whose slot ended meanwhile runs as the pipeline is activated again."""
    kit.launch(slots(hourly(), scheduleType="timeseries"))
    kit.move(minutes=30)
    kit.deactivate()
    kit.move(minutes=60)
    assert kit.status("A") == WAITING
    kit.activate()
    assert kit.runs() == {at("A"): READY, at("A", hours=1): WAITING}


def test_back_before_the_end_of_the_slot(kit):
    """A short deactivation amid a slot changes nothing for it."""
    kit.launch(slots(hourly(), scheduleType="timeseries"))
    kit.move(minutes=10)
    kit.deactivate()
    kit.move(minutes=10)
    kit.activate()
    assert kit.runs() == {at("A"): WAITING}
    kit.move(minutes=40)
    assert kit.runs() == {at("A"): READY, at("A", hours=1): WAITING}


def test_a_canceled_slot_is_not_made_again(kit):
    """What a deactivation canceled stays canceled; the next slot is the next."""
    kit.launch(slots(hourly()))
    kit.begin("A")
    kit.deactivate()
    kit.activate()
    assert kit.runs() == {at("A"): "CANCELED"}
    kit.move(hours=1)
    assert kit.status(at("A", hours=1)) == READY


def test_setting_a_status_while_inactive(kit):
    """SetStatus acts on an INACTIVE pipeline; a rerun is handed out once it is activated."""
    kit.launch(slots(hourly()))
    kit.begin("A")
    kit.deactivate()
    assert kit.tell("RERUN", "A") == {}
    assert kit.take() is None
    kit.activate()
    assert kit.get().attempt_id == f"{at('A')}_Attempt=2"


def test_an_ended_schedule_finishes_when_it_is_activated_again(kit):
    """When all slots were made and all has ended, an activation finds nothing to come."""
    kit.launch({"S": schedule("1 hour", occurrences="1"), "A": activity(schedule=Ref("S"))})
    kit.begin("A")
    kit.deactivate()
    assert kit.state() == "INACTIVE"
    kit.activate()
    assert kit.state() == "FINISHED"
