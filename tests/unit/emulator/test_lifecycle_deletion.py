"""Deletion amid work: nothing happens afterwards."""

from __future__ import annotations

from unit.emulator.lifecycle_kit import NOT_FOUND
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    alarm,
    hourly,
    key_exists,
    on_resource,
    resource,
    schedule,
    shell_precondition,
    slots,
)

GONE = "PipelineDeletedException"


def everything():
    """Return a definition with something of each kind that could happen later."""
    late = {"lateAfterTimeout": "1 hour", "onLateAction": Ref("Late"), "onFail": Ref("Late")}
    return {
        "S": schedule("1 hour"),
        "A": activity(schedule=Ref("S"), attemptTimeout="10 minutes", **late),
        "Failed": activity(schedule=Ref("S"), **late),
        "Box": resource(schedule=Ref("S"), terminateAfter="2 hours", **late),
        "OnBox": on_resource(schedule=Ref("S")),
        "Checked": activity(schedule=Ref("S"), precondition=[Ref("Key"), Ref("Shell")]),
        "Key": key_exists(preconditionTimeout="3 hours"),
        "Shell": shell_precondition(workerGroup="workers"),
        "Behind": activity(
            schedule=Ref("S"), dependsOn=Ref("A"), failureAndRerunMode="cascade", **late
        ),
        "Late": alarm(),
    }


def test_after_its_deletion_nothing_happens(kit):
    """Amid everything a pipeline is deleted: no slot, retry, check, timeout or action comes."""
    kit.launch(everything())
    kit.begin("A")
    kit.fail("Failed")
    kit.move(30)
    assert kit.call("DeletePipeline", pipelineId=kit.pipeline_id) == {}
    before = len(kit.service.audit)
    assert kit.service.next_event() is None
    kit.move(days=2)
    assert kit.take() is None
    assert kit.outside.published == []
    assert len(kit.service.audit) == before


def test_tasks_of_a_deleted_pipeline_are_refused(kit):
    """A task id whose pipeline was deleted gets PipelineDeletedException."""
    kit.launch(everything())
    work = kit.begin("A")
    kit.call("DeletePipeline", pipelineId=kit.pipeline_id)
    assert kit.report(work)["error"] == GONE
    assert kit.end(work)["error"] == GONE
    kit.move(minutes=10)
    assert kit.report(work)["error"] in (GONE, NOT_FOUND)


def test_tasks_of_a_deleted_pipeline_are_not_handed_out(kit):
    """What waited for a runner is gone, and a held poll does not get it."""
    kit.launch(slots(hourly()))
    kit.pause("A")
    poll = kit.hold()
    kit.call("DeletePipeline", pipelineId=kit.pipeline_id)
    kit.move(10)
    assert poll.resume() is None
    assert kit.take() is None


def test_a_deleted_pipeline_is_not_there(kit):
    """Every operation on it names its deletion; deleting it again does not find it."""
    kit.launch(slots(hourly()))
    pipeline = {"pipelineId": kit.pipeline_id}
    kit.call("DeletePipeline", **pipeline)
    assert kit.activate()["error"] == GONE
    assert kit.deactivate()["error"] == GONE
    assert kit.tell("TRY_CANCEL", "A")["error"] == GONE
    assert kit.call("QueryObjects", sphere="INSTANCE", **pipeline)["error"] == GONE
    assert kit.describe("A")["error"] == GONE
    evaluated = kit.call("EvaluateExpression", objectId="A", expression="#{name}", **pipeline)
    assert evaluated["error"] == GONE
    assert kit.call("DeletePipeline", **pipeline)["error"] == "PipelineNotFoundException"
