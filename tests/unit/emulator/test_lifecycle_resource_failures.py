"""What a resource does that does not start, or whose tasks fail (dp-object-ec2resource)."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import RETRY
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    alarm,
    at,
    daily,
    on_resource,
    resource,
    schedule,
    shell_precondition,
)

pytestmark = pytest.mark.settings(resource_worker_group="box", max_retries=0)

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"


# initTimeout


def test_a_resource_which_starts_in_time_is_not_concerned(kit):
    """CREATING lasts a minute, unless the setting says otherwise."""
    kit.launch(daily(Box=resource(initTimeout="30 minutes"), A=on_resource()))
    kit.move(60)
    assert kit.status("Box") == "RUNNING"


@pytest.mark.settings(resource_startup=1800.0)
def test_init_timeout_ends_a_start(kit):
    """After initTimeout the resource is FAILED, onFail fires, and what waits for it is CANCELED."""
    kit.launch(
        daily(
            Box=resource(initTimeout="10 minutes", onFail=Ref("Bad")), A=on_resource(), Bad=alarm()
        )
    )
    kit.move(minutes=10, seconds=-1)
    assert kit.statuses("Box", "A") == ["CREATING", READY]
    kit.move(1)
    assert kit.statuses("Box", "A") == ["FAILED", "CANCELED"]
    assert kit.fields(at("Box"))["errorMessage"] == "It did not start in initTimeout"
    assert kit.fired() == [("Bad", at("Box"))]
    kit.move(hours=1)
    assert kit.status("Box") == "FAILED"


@pytest.mark.settings(resource_startup=600.0)
def test_init_timeout_may_be_just_enough(kit):
    """A resource which is up at that moment has started in time."""
    kit.launch(daily(Box=resource(initTimeout="10 minutes"), A=on_resource()))
    kit.move(minutes=10)
    assert kit.status("Box") == "RUNNING"


@pytest.mark.settings(resource_startup=1800.0)
@pytest.mark.parametrize("action", ["retryall", "retryAll", None])
def test_a_start_is_tried_again(kit, action):
    """maximumRetries and retryDelay hold for resources as well, each try with an id of its own."""
    fields = {} if action is None else {"actionOnResourceFailure": action}
    box = resource(initTimeout="10 minutes", maximumRetries="1", retryDelay="5 minutes", **fields)
    kit.launch(daily(Box=box, A=on_resource()))
    first = kit.fields(at("Box"))["@resourceId"]
    kit.move(minutes=10)
    assert kit.statuses("Box", "A") == [WAITING, READY]
    kit.move(minutes=5)
    assert kit.status("Box") == "CREATING"
    assert kit.fields(at("Box"))["@resourceId"] != first
    kit.move(minutes=10)
    assert kit.statuses("Box", "A") == ["FAILED", "CANCELED"]


@pytest.mark.settings(resource_startup=1800.0)
def test_a_start_is_not_tried_again_if_its_action_says_so(kit):
    """With actionOnResourceFailure `retrynone` the first failure is the last."""
    box = resource(
        initTimeout="10 minutes", maximumRetries="1", actionOnResourceFailure="RetryNone"
    )
    kit.launch(daily(Box=box, A=on_resource()))
    kit.move(minutes=10)
    assert kit.statuses("Box", "A") == ["FAILED", "CANCELED"]


@pytest.mark.settings(resource_startup=1800.0)
def test_nothing_is_tried_again_for_nobody(kit):
    """A resource between two tries is FINISHED when its last activity has ended."""
    kit.launch(daily(Box=resource(initTimeout="10 minutes", maximumRetries="1"), A=on_resource()))
    kit.move(minutes=10)
    kit.tell("TRY_CANCEL", "A")
    assert kit.status("Box") == "FINISHED"
    kit.move(2 * RETRY)
    assert kit.status("Box") == "FINISHED"


@pytest.mark.settings(resource_startup=1800.0)
def test_a_resource_which_did_not_start_serves_no_later_slot(kit):
    """What is to run on a FAILED resource later in its slot is CANCELED; RERUN tries it anew."""
    kit.launch(
        {
            "Hourly": schedule("1 hour"),
            "Thirds": schedule("20 minutes"),
            "Box": resource(schedule=Ref("Hourly"), initTimeout="10 minutes"),
            "A": on_resource(schedule=Ref("Thirds")),
        }
    )
    kit.move(minutes=20)
    assert kit.statuses("Box", "A", at("A", minutes=20)) == ["FAILED", "CANCELED", "CANCELED"]
    kit.tell("RERUN", "Box")
    assert kit.statuses("Box", "A", at("A", minutes=20)) == ["CREATING", READY, READY]


# actionOnTaskFailure


def terminating(**fields):
    """Return a definition of two activities on a resource which a failure terminates."""
    return daily(
        Box=resource(actionOnTaskFailure="terminate"),
        A=on_resource(**fields),
        B=on_resource(),
    )


def test_a_failed_task_terminates_its_resource(kit):
    """The resource is CANCELED, and so is what runs on it; the worker is told."""
    kit.launch(terminating())
    kit.move(60)
    work = kit.begin("B", "box")
    kit.fail("A", "box")
    assert kit.statuses("Box", "A", "B") == ["CANCELED", "FAILED", "CANCELED"]
    assert kit.report(work) == {"canceled": True}
    reason = kit.fields(at("Box"))["cancellationReason"]
    assert reason == f"{at('A')} is FAILED, and actionOnTaskFailure is terminate"


@pytest.mark.parametrize("action", ["continue", None])
def test_a_failed_task_does_not_touch_a_resource_which_is_to_continue(kit, action):
    """`continue`, which is also what a resource without the field does."""
    fields = {} if action is None else {"actionOnTaskFailure": action}
    kit.launch(daily(Box=resource(**fields), A=on_resource(), B=on_resource()))
    kit.move(60)
    kit.begin("B", "box")
    kit.fail("A", "box")
    assert kit.statuses("Box", "A", "B") == ["RUNNING", "FAILED", "RUNNING"]


def test_a_task_with_tries_left_has_not_failed(kit):
    """Retries use the resource of the first attempt (dp-how-tasks-scheduled)."""
    kit.launch(terminating(maximumRetries="1"))
    kit.move(60)
    kit.fail("A", "box")
    assert kit.statuses("Box", "A") == ["RUNNING", READY]
    kit.move(RETRY)
    kit.fail("A", "box")
    assert kit.statuses("Box", "A", "B") == ["CANCELED", "FAILED", "CANCELED"]


def test_a_canceled_task_has_not_failed(kit):
    """A user's TRY_CANCEL leaves the resource to the others."""
    kit.launch(terminating())
    kit.move(60)
    kit.tell("TRY_CANCEL", "A")
    assert kit.statuses("Box", "B") == ["RUNNING", READY]


def test_a_failed_precondition_terminates_the_resource_on_which_it_ran(kit):
    """What checks a precondition is a task as well."""
    kit.launch(terminating(precondition=Ref("Pre")) | {"Pre": shell_precondition()})
    kit.move(60)
    kit.fail("Pre", "box")
    assert kit.statuses("Box", "Pre", "A", "B") == ["CANCELED", "FAILED", "CANCELED", "CANCELED"]


def test_the_last_failure_terminates_at_once(kit):
    """Without other tasks the resource ends without shutting down."""
    kit.launch(daily(Box=resource(actionOnTaskFailure="TERMINATE"), A=on_resource()))
    kit.move(60)
    kit.fail("A", "box")
    assert kit.status("Box") == "CANCELED"
    kit.move(60)
    assert kit.status("Box") == "CANCELED"


def test_a_rerun_brings_a_terminated_resource_back(kit):
    """RERUN of what failed creates it again, and the next failure terminates it again."""
    kit.launch(terminating())
    kit.move(60)
    kit.fail("A", "box")
    kit.tell("RERUN", "A")
    assert kit.statuses("Box", "A", "B") == ["CREATING", READY, "CANCELED"]
    kit.move(60)
    kit.fail("A", "box")
    assert kit.status("Box") == "CANCELED"


def test_a_failure_before_the_resource_is_up_terminates_nothing(kit):
    """An activity that fails without having run leaves the resource to the others."""
    kit.launch(
        daily(
            Box=resource(actionOnTaskFailure="terminate"),
            First=activity(),
            A=on_resource(dependsOn=Ref("First"), command="#{noSuchField}"),
            B=on_resource(dependsOn=Ref("A")),
        )
    )
    kit.finish("First")
    assert kit.statuses("A", "B", "Box") == ["FAILED", WAITING, WAITING]
