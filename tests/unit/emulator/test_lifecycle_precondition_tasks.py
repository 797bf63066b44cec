"""Preconditions which a task runner checks, and preconditionTimeout of all of them."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import RETRY
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    guarded,
    key_exists,
    node,
    on_demand,
    on_resource,
    resource,
    shell_precondition,
    stamp,
)

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"
TERMINAL = {"FINISHED", "FAILED", "CANCELED", "CASCADE_FAILED", "TIMEDOUT"}
READY_KEY = "s3://bucket/ready"


# Those which a task runner checks


@pytest.mark.parametrize("kind", ["ShellCommandPrecondition", "Exists"])
def test_a_runner_gets_the_precondition_first(kit, kind):
    """Exists and ShellCommandPrecondition go to the worker group of the guarded activity."""
    pre = {"type": "Exists"} if kind == "Exists" else shell_precondition()
    kit.launch(guarded(pre))
    assert kit.statuses("Pre", "A") == [READY, WAITING]
    work = kit.begin("Pre")
    assert work.attempt_id == f"{at('Pre')}_Attempt=1"
    assert work.fields()["type"] == kind
    assert kit.status("Pre") == "RUNNING"
    kit.finish("Pre")
    assert kit.statuses("Pre", "A") == ["FINISHED", READY]
    kit.finish("A")


def test_a_runner_gets_what_it_guards_too(kit):
    """The task's objects contain the guarded instance, to which `node` refers."""
    kit.launch(
        daily(
            Data=node(precondition=Ref("Pre")),
            A=activity(input=Ref("Data")),
            Pre={"type": "Exists"},
        )
    )
    work = kit.begin("Pre")
    assert work.fields()["node"] == at("Data")
    assert work.fields(at("Data"))["directoryPath"] == "s3://bucket/data"


def test_false_is_asked_again_after_the_delay(kit):
    """FALSE makes another attempt after retryDelay, and costs no try."""
    kit.launch(guarded(shell_precondition()))
    for number in range(1, 9):
        work = kit.begin("Pre")
        assert work.attempt_id == f"{at('Pre')}_Attempt={number}"
        kit.end(work, "FALSE")
        assert kit.status("Pre") not in TERMINAL
        kit.move(RETRY - 1)
        assert kit.take() is None
        kit.move(1)
    kit.finish("Pre")
    assert kit.status("A") == READY


def test_false_and_failed_are_counted_apart(kit):
    """Between two FALSE a FAILED costs a try; the tries are restored by neither."""
    kit.launch(guarded(shell_precondition(maximumRetries="1")))
    for status in ("FALSE", "FAILED", "FALSE", "FAILED"):
        kit.end(kit.begin("Pre"), status)
        kit.move(RETRY)
    assert kit.status("Pre") == "FAILED"


def test_a_precondition_fails_as_other_work_does(kit):
    """FAILED is retried while tries remain; then the precondition is FAILED, its activity waits."""
    kit.launch(guarded(shell_precondition()))
    for _ in range(3):
        kit.fail("Pre")
        kit.move(RETRY)
    assert kit.statuses("Pre", "A") == ["FAILED", WAITING]
    assert kit.take() is None


@pytest.mark.settings(lease_timeout=300.0)
def test_a_silent_runner_loses_a_precondition(kit):
    """Tasks of preconditions have leases like all others."""
    kit.launch(guarded(shell_precondition()))
    kit.begin("Pre")
    kit.move(300)
    assert kit.get().attempt_id == f"{at('Pre')}_Attempt=2"


def test_the_retry_delay_of_a_precondition_holds_for_false(kit):
    """retryDelay of the object is the gap between two checks by a runner."""
    kit.launch(guarded(shell_precondition(retryDelay="10 minutes")))
    kit.end(kit.begin("Pre"), "FALSE")
    kit.move(599)
    assert kit.take() is None
    kit.move(1)
    assert kit.take() is not None


def test_a_data_node_waits_for_its_precondition(kit):
    """A guarded data node is FINISHED, and its reader goes, when the precondition holds."""
    kit.launch(
        daily(Data=node(precondition=Ref("Pre")), A=activity(input=Ref("Data")), Pre=key_exists())
    )
    assert kit.statuses("Data", "A") == [WAITING, WAITING]
    assert kit.refs(at("Data"), "@waitingOn") == [at("Pre")]
    kit.outside.objects.add(READY_KEY)
    kit.move(RETRY)
    assert kit.statuses("Pre", "Data", "A") == ["FINISHED", "FINISHED", READY]


def test_an_attempt_at_a_precondition_must_end_in_time(kit):
    """attemptTimeout holds for preconditions too, and costs a try."""
    kit.launch(guarded(shell_precondition(attemptTimeout="10 minutes", maximumRetries="0")))
    kit.begin("Pre")
    kit.move(minutes=10)
    assert kit.statuses("Pre", "A") == ["FAILED", WAITING]


def test_a_data_nodes_precondition_goes_to_its_readers_group(kit):
    """The first activity which reads the data node lends its worker group."""
    kit.launch(
        daily(
            Data=node(precondition=Ref("Pre")),
            A=activity(input=Ref("Data"), workerGroup="readers"),
            Pre={"type": "Exists"},
        )
    )
    assert kit.take() is None
    assert kit.get("readers").instance_id == at("Pre")


def test_a_precondition_of_data_has_no_worker_group_of_its_own(kit):
    """The group of the activity which uses the data node wins (dp-concepts-preconditions)."""
    kit.launch(
        daily(
            Data=node(precondition=Ref("Pre")),
            A=activity(input=Ref("Data"), workerGroup="readers"),
            Pre={"type": "Exists", "workerGroup": "checkers"},
        )
    )
    assert kit.take("checkers") is None
    assert kit.get("readers").instance_id == at("Pre")


@pytest.mark.settings(resource_worker_group="box")
def test_a_precondition_runs_on_the_resource_of_its_activity(kit):
    """With runsOn the resource starts for the precondition, for nobody else could check it."""
    kit.launch(
        daily(Box=resource(), A=on_resource(precondition=Ref("Pre")), Pre=shell_precondition())
    )
    assert kit.statuses("Box", "A") == ["CREATING", WAITING]
    assert kit.take("box") is None
    kit.move(60)
    kit.finish("Pre", group="box")
    assert kit.statuses("Box", "Pre", "A") == ["RUNNING", "FINISHED", READY]
    kit.finish("A", group="box")


# preconditionTimeout


def test_a_precondition_gives_up_in_time(kit):
    """preconditionTimeout after its start a precondition which does not hold is FAILED."""
    kit.launch(guarded(key_exists(preconditionTimeout="1 hour")))
    kit.move(3599)
    assert kit.status("Pre") not in TERMINAL
    kit.move(1)
    assert kit.statuses("Pre", "A") == ["FAILED", WAITING]
    message = str(
        [kit.fields(attempt_id).get("errorMessage") for attempt_id in _of_precondition(kit)]
    )
    assert "preconditionTimeout" in message
    kit.outside.objects.add(READY_KEY)
    kit.move(hours=1)
    assert kit.status("Pre") == "FAILED"


def _of_precondition(kit):
    attempts = [attempt_id for attempt_id in kit.query("ATTEMPT") if attempt_id.startswith("@Pre_")]
    return [at("Pre"), *attempts]


def test_a_runners_precondition_gives_up_in_time_too(kit):
    """With FALSE all the time it is FAILED by its timeout, whatever tries are left."""
    kit.launch(guarded(shell_precondition(preconditionTimeout="5 minutes")))
    for _ in range(2):
        kit.end(kit.begin("Pre"), "FALSE")
        kit.move(RETRY)
    kit.move(60)
    assert kit.status("Pre") == "FAILED"
    assert kit.take() is None


def test_a_check_under_way_is_ended_by_the_timeout(kit):
    """No report of a task is accepted after its precondition has timed out."""
    kit.launch(guarded(shell_precondition(preconditionTimeout="5 minutes")))
    work = kit.begin("Pre")
    kit.move(minutes=5)
    assert kit.status("Pre") == "FAILED"
    answer = kit.report(work)
    assert "error" in answer or answer["canceled"] is True
    kit.end(work)
    assert kit.statuses("Pre", "A") == ["FAILED", WAITING]


def test_a_precondition_which_held_does_not_time_out(kit):
    """After FINISHED nothing is left of the timeout."""
    kit.outside.objects.add(READY_KEY)
    kit.launch(guarded(key_exists(preconditionTimeout="1 hour")))
    kit.move(hours=2)
    assert kit.status("Pre") == "FINISHED"


def test_a_precondition_which_is_rerun_gives_up_again(kit):
    """preconditionTimeout counts from the new start."""
    kit.launch(guarded(shell_precondition(preconditionTimeout="5 minutes")))
    kit.move(minutes=5)
    assert kit.status("Pre") == "FAILED"
    kit.move(minutes=30)
    kit.tell("RERUN", "Pre")
    kit.move(299)
    assert kit.status("Pre") == READY
    kit.move(1)
    assert kit.status("Pre") == "FAILED"


def test_preconditions_on_demand(kit):
    """Each run on demand is guarded anew."""
    kit.outside.objects.add(READY_KEY)
    kit.launch(on_demand(A=activity(precondition=Ref("Pre")), Pre=key_exists()))
    kit.finish("A")
    kit.outside.objects.clear()
    kit.move(10)
    kit.activate()
    assert kit.status(at("A", seconds=10)) == WAITING
    assert kit.fields(at("Pre", seconds=10))["@scheduledStartTime"] == stamp(seconds=10)
