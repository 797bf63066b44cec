"""PAUSE and RESUME of components."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import INVALID, RETRY
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    hourly,
    key_exists,
    node,
    on_resource,
    resource,
    slots,
)

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"


def test_instances_of_a_paused_component_wait(kit):
    """Slots of a paused component are made, but stay in WAITING_ON_DEPENDENCIES."""
    kit.launch(slots(hourly()))
    kit.pause("A")
    kit.move(hours=1)
    assert kit.status(at("A", hours=1)) == WAITING
    kit.resume("A")
    assert kit.status(at("A", hours=1)) == READY


def test_a_paused_component_says_so(kit):
    """`@status` of the component is PAUSED, and SCHEDULED again after RESUME."""
    kit.launch(slots(hourly()))
    assert kit.fields("A")["@status"] == "SCHEDULED"
    kit.pause("A")
    assert kit.fields("A")["@status"] == "PAUSED"
    kit.resume("A")
    assert kit.fields("A")["@status"] == "SCHEDULED"


@pytest.mark.parametrize("word", ["pause", "Pause"])
def test_the_words_are_of_any_case(kit, word):
    """The sample of the API reference sends `pause`."""
    kit.launch(slots(hourly()))
    assert kit.call("SetStatus", pipelineId=kit.pipeline_id, objectIds=["A"], status=word) == {}
    assert kit.fields("A")["@status"] == "PAUSED"


@pytest.mark.parametrize("word", ["RERUN", "TRY_CANCEL", "MARK_FINISHED", "STOP"])
def test_components_know_no_other_words(kit, word):
    """Words for instances are refused of components."""
    kit.launch(slots(hourly()))
    answer = kit.call("SetStatus", pipelineId=kit.pipeline_id, objectIds=["A"], status=word)
    assert answer["error"] == INVALID


def test_what_was_offered_is_not_handed_out_amid_a_pause(kit):
    """A task which waits for a runner waits on while its component is paused."""
    kit.launch(slots(hourly()))
    kit.pause("A")
    assert kit.take() is None
    kit.resume("A")
    assert kit.take_all() == [at("A")]


@pytest.mark.parametrize("how", ["pause", "deactivation"])
def test_the_oldest_slot_comes_first_again(kit, how):
    """What waits for a runner keeps its place, whether or not a poll came by meanwhile."""
    definition = slots(hourly()) | {"B": activity(schedule=Ref("S"))}
    kit.launch(definition)
    kit.move(hours=2)
    if how == "pause":
        kit.pause("A")
        assert kit.get().instance_id == at("B")
        kit.resume("A")
    else:
        assert kit.deactivate(cancelActive=False) == {}
        assert kit.take() is None
        assert kit.activate() == {}
        assert kit.get().instance_id == at("A")
    taken = [kit.get().instance_id for _ in range(5)]
    rest = {"pause": at("A"), "deactivation": at("B")}[how]
    assert taken[0] == rest
    assert taken[1:] == [at(name, hours=n) for n in (1, 2) for name in ("A", "B")]


@pytest.mark.parametrize("end", ["TRY_CANCEL", "DeletePipeline"])
@pytest.mark.parametrize("paused", [True, False])
def test_what_has_ended_is_in_no_queue(kit, end, paused):
    """It does not wait there for a poll that may never come, nor does it keep a place."""
    kit.launch(slots(hourly()))
    if paused:
        kit.pause("A")
        assert kit.take() is None
    if end == "TRY_CANCEL":
        assert kit.tell(end, "A") == {}
    else:
        kit.call(end, pipelineId=kit.pipeline_id)
    assert not any(kit.service.model.leases.queues.values())
    attempts = kit.service.model.catalog.pipelines[kit.pipeline_id].attempts.values()
    assert [attempt.place for attempt in attempts] == [None]


def test_what_was_paused_is_not_ahead_of_what_waited_longer(kit):
    """Tasks of other components which came meanwhile are behind it, those before stay before."""
    kit.launch({"S": hourly(), "B": activity(schedule=Ref("S")), "A": activity(schedule=Ref("S"))})
    kit.pause("A")
    kit.move(hours=1)
    kit.resume("A")
    taken = [kit.get().instance_id for _ in range(4)]
    assert taken == [at("B"), at("A"), at("B", hours=1), at("A", hours=1)]


def test_a_held_poll_is_answered_by_resume(kit):
    """RESUME offers what waits, to a long poll as well."""
    kit.launch(slots(hourly()))
    kit.pause("A")
    poll = kit.hold()
    kit.move(10)
    assert poll.resume() is None
    kit.resume("A")
    assert poll.resume() is not None


def test_what_runs_goes_on(kit):
    """A pause does not touch a task which is held."""
    kit.launch(slots(hourly()))
    work = kit.begin("A")
    kit.pause("A")
    assert kit.report(work) == {"canceled": False}
    kit.finish("A")
    assert kit.status("A") == "FINISHED"


@pytest.mark.settings(lease_timeout=300.0)
def test_a_lapse_amid_a_pause_is_not_handed_on(kit):
    """The attempt after a lapse waits until the component is resumed."""
    kit.launch(slots(hourly()))
    kit.begin("A")
    kit.pause("A")
    kit.move(300)
    assert kit.fields(f"{at('A')}_Attempt=1")["@status"] == "FAILED"
    assert kit.take() is None
    kit.resume("A")
    assert kit.get().attempt_id == f"{at('A')}_Attempt=2"


def test_an_unacknowledged_task_is_not_handed_on_amid_a_pause(kit):
    """What nobody acknowledged waits until the component is resumed."""
    kit.launch(slots(hourly()))
    kit.take()
    kit.pause("A")
    kit.move(minutes=2)
    assert kit.take() is None
    kit.resume("A")
    assert kit.get().attempt_id == f"{at('A')}_Attempt=1"


def test_a_retry_amid_a_pause_waits(kit):
    """The retry of a failed attempt is not offered before RESUME."""
    kit.launch(slots(hourly()))
    kit.fail("A")
    kit.pause("A")
    kit.move(2 * RETRY)
    assert kit.take() is None
    kit.resume("A")
    assert kit.get().attempt_id == f"{at('A')}_Attempt=2"


def test_a_dependant_which_is_paused_waits_though_it_might_run(kit):
    """An instance leaves WAITING_ON_DEPENDENCIES when its component is not PAUSED."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A"))))
    kit.pause("B")
    kit.finish("A")
    assert kit.status("B") == WAITING
    kit.resume("B")
    assert kit.status("B") == READY


def test_others_are_not_paused_with_it(kit):
    """A pause is of one component."""
    kit.launch(daily(A=activity(), B=activity()))
    kit.pause("A")
    assert kit.take_all() == [at("B")]


def test_a_rerun_of_a_paused_component_waits(kit):
    """RERUN amid a pause makes the attempt, which is handed out after RESUME."""
    kit.launch(slots(hourly()))
    kit.finish("A")
    kit.pause("A")
    kit.tell("RERUN", "A")
    assert kit.take() is None
    kit.resume("A")
    assert kit.get().attempt_id == f"{at('A')}_Attempt=2"


def test_a_rerun_of_what_never_ran_waits_amid_a_pause(kit):
    """What was canceled while it waited waits for RESUME too."""
    kit.launch(daily(A=activity(), B=activity(dependsOn=Ref("A"))))
    kit.tell("TRY_CANCEL", "B")
    kit.finish("A")
    kit.pause("B")
    kit.tell("RERUN", "B")
    assert kit.status("B") == WAITING
    assert kit.take() is None
    kit.resume("B")
    assert kit.take_all() == [at("B")]


@pytest.mark.settings(resource_worker_group="box")
def test_a_rerun_on_a_paused_resource_waits(kit):
    """What is run again waits for its paused resource until RESUME."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    kit.move(60)
    kit.finish("A", group="box")
    kit.move(30)
    kit.pause("Box")
    kit.tell("RERUN", "A")
    kit.move(60)
    assert kit.statuses("Box", "A") == [WAITING, READY]
    assert kit.take("box") is None
    kit.resume("Box")
    kit.move(60)
    kit.finish("A", group="box")


@pytest.mark.settings(resource_worker_group="box")
def test_a_paused_resource_does_not_start(kit):
    """A resource which is paused stays in WAITING_ON_DEPENDENCIES until RESUME."""
    kit.launch(daily(First=activity(), Box=resource(), A=on_resource(dependsOn=Ref("First"))))
    kit.pause("Box")
    kit.finish("First")
    kit.move(minutes=10)
    assert kit.status("Box") == WAITING
    kit.resume("Box")
    assert kit.status("Box") == "CREATING"


def test_unknown_components_are_refused(kit):
    """An id which is neither component nor instance is refused."""
    kit.launch(slots(hourly()))
    answer = kit.call(
        "SetStatus", pipelineId=kit.pipeline_id, objectIds=["A", "Nobody"], status="PAUSE"
    )
    assert answer["error"] == INVALID
    assert kit.fields("A")["@status"] == "SCHEDULED"


def test_a_paused_data_node_is_not_finished(kit):
    """A data node which is paused waits, and so does its reader."""
    kit.launch(
        daily(Maker=activity(output=Ref("Data")), Data=node(), A=activity(input=Ref("Data")))
    )
    kit.pause("Data")
    kit.finish("Maker")
    assert kit.statuses("Data", "A") == [WAITING, WAITING]
    kit.resume("Data")
    assert kit.statuses("Data", "A") == ["FINISHED", READY]


def test_a_paused_precondition_is_not_checked(kit):
    """A precondition which is paused does not hold before RESUME."""
    kit.launch(daily(A=activity(precondition=Ref("Pre")), Pre=key_exists()))
    kit.pause("Pre")
    kit.outside.objects.add("s3://bucket/ready")
    kit.move(2 * RETRY)
    assert kit.status("A") == WAITING
    kit.resume("Pre")
    kit.move(RETRY)
    assert kit.statuses("Pre", "A") == ["FINISHED", READY]


@pytest.mark.settings(resource_worker_group="box")
def test_a_rerun_of_a_paused_resource_waits(kit):
    """A resource is not created again before RESUME."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    kit.move(60)
    kit.finish("A", group="box")
    kit.move(30)
    kit.pause("Box")
    kit.tell("RERUN", "Box")
    assert kit.status("Box") == WAITING
    kit.resume("Box")
    assert kit.status("Box") == "CREATING"
