"""A pipeline from PENDING to FINISHED: activation, its parameters, and changes of definitions."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import INVALID
from unit.emulator.lifecycle_objects import Ref, activity, at, daily, on_demand, schedule, stamp

READY = "WAITING_FOR_RUNNER"


def ending(**end):
    """Return a definition whose hourly schedule ends so."""
    return {"S": schedule("1 hour", **end), "A": activity(schedule=Ref("S"))}


def echo(text):
    return daily(A=activity(command=text))


# States


def test_a_pipeline_is_pending_until_it_is_activated(kit):
    """Before its activation nothing is made of a definition."""
    kit.prepare(daily(A=activity()))
    kit.move(hours=5)
    assert kit.state() == "PENDING"
    assert kit.runs() == {}
    assert kit.take() is None


def test_an_activated_pipeline_is_scheduled(kit):
    """Activation makes a pipeline SCHEDULED, and it stays so while work is to come."""
    kit.launch(ending(occurrences="2"))
    assert kit.state() == "SCHEDULED"
    kit.finish("A")
    assert kit.state() == "SCHEDULED"


def test_a_pipeline_is_finished_when_all_has_ended(kit):
    """FINISHED: no slot is to come and every instance is terminal, whatever its end."""
    kit.launch(ending(occurrences="2"))
    kit.move(hours=1)
    kit.finish("A")
    assert kit.state() == "SCHEDULED"
    kit.move(minutes=5)
    kit.tell("TRY_CANCEL", at("A", hours=1))
    assert kit.state() == "FINISHED"
    assert kit.record()["@finishedTime"] == stamp(hours=1, minutes=5)


def test_a_pipeline_without_a_definition_cannot_be_activated(kit):
    """There must be something to activate."""
    kit.pipeline_id = kit.call("CreatePipeline", name="p", uniqueId="p")["pipelineId"]
    assert kit.activate()["error"] == INVALID
    assert kit.state() == "PENDING"


def test_a_definition_with_errors_cannot_be_activated(kit):
    """It is stored, but stays PENDING (the API reference of PutPipelineDefinition)."""
    kit.prepare(daily(A=activity()))
    assert kit.put(daily(A=activity(dependsOn=Ref("Nobody"))))["errored"] is True
    assert kit.activate()["error"] == INVALID
    assert kit.state() == "PENDING"


def test_activating_what_is_scheduled_changes_nothing(kit):
    """A second activation makes no slot twice."""
    kit.launch(ending())
    kit.begin("A")
    assert kit.activate() == {}
    assert kit.runs() == {at("A"): "RUNNING"}
    kit.move(hours=1)
    assert sorted(kit.runs()) == [at("A"), at("A", hours=1)]


def test_latest_and_next_run(kit):
    """`@latestRunTime` and `@nextRunTime` are the last and the next slot."""
    kit.launch(ending())
    kit.move(minutes=70)
    record = kit.record()
    assert record["@latestRunTime"] == stamp(hours=1)
    assert record["@nextRunTime"] == stamp(hours=2)


def test_there_is_no_next_run_after_the_last(kit):
    """With no slot to come there is no `@nextRunTime`."""
    kit.launch(ending(occurrences="1"))
    assert "@nextRunTime" not in kit.record()


def test_the_health_of_a_pipeline(kit):
    """With one component it is that of the instance which ended last."""
    kit.launch(ending())
    assert "@healthStatus" not in kit.record()
    kit.finish("A")
    assert kit.record()["@healthStatus"] == "HEALTHY"
    kit.move(hours=1)
    kit.tell("TRY_CANCEL", at("A", hours=1))
    assert kit.record()["@healthStatus"] == "ERROR"
    kit.tell("MARK_FINISHED", at("A", hours=1))
    assert kit.record()["@healthStatus"] == "HEALTHY"


def test_activating_what_is_finished_finds_nothing_to_do(kit):
    """Without a change a FINISHED pipeline stays so, and nothing runs twice."""
    kit.launch({"A": activity(schedule=None)})
    kit.finish("A")
    kit.move(minutes=5)
    assert kit.activate() == {}
    assert kit.state() == "FINISHED"
    assert kit.runs() == {at("A"): "FINISHED"}


# Parameters


def test_an_activation_may_bring_values(kit):
    """parameterValues of ActivatePipeline win over those of the definition."""
    kit.prepare(echo("echo #{myWord}"), parameters={"myWord": "String"}, values={"myWord": "one"})
    assert kit.activate(values={"myWord": "two"}) == {}
    assert kit.begin("A").fields()["command"] == "echo two"


def test_values_of_the_definition_hold_without_others(kit):
    """An activation without values takes those which were put."""
    kit.prepare(echo("echo #{myWord}"), parameters={"myWord": "String"}, values={"myWord": "one"})
    kit.activate()
    assert kit.begin("A").fields()["command"] == "echo one"


def test_each_run_on_demand_has_its_own_values(kit):
    """What runs keeps the values of its activation, whatever a later one brings."""
    definition = on_demand(A=activity(command="echo #{myWord}", maxActiveInstances="2"))
    kit.prepare(definition, parameters={"myWord": "String"}, values={"myWord": "one"})
    kit.activate(values={"myWord": "first"})
    kit.move(1)
    kit.activate(values={"myWord": "second"})
    words = {kit.begin(at("A", seconds=n)).fields()["command"] for n in (0, 1)}
    assert words == {"echo first", "echo second"}


# Changes


def test_a_new_definition_holds_from_the_next_activation_on(kit):
    """Edits take effect by re-activation (dp-manage-pipeline-modify-console)."""
    kit.launch(ending() | {"A": activity(schedule=Ref("S"), command="old")})
    kit.put(ending() | {"A": activity(schedule=Ref("S"), command="new")})
    kit.move(hours=1)
    assert kit.begin(at("A", hours=1)).fields()["command"] == "old"
    assert kit.activate() == {}
    kit.move(hours=1)
    assert kit.begin(at("A", hours=2)).fields()["command"] == "new"


def test_a_new_object_has_instances_from_the_next_activation_on(kit):
    """An activity which was added runs once it is activated."""
    kit.launch(ending())
    kit.put(ending() | {"B": activity(schedule=Ref("S"))})
    kit.move(hours=1)
    assert kit.runs("B") == {}
    kit.activate()
    kit.move(hours=1)
    assert kit.status(at("B", hours=2)) == READY


def test_latest_and_active_definition(kit):
    """GetPipelineDefinition has both versions, which differ until the next activation."""

    def command(version):
        answer = kit.call("GetPipelineDefinition", pipelineId=kit.pipeline_id, version=version)
        fields = next(item["fields"] for item in answer["pipelineObjects"] if item["id"] == "A")
        return next(field["stringValue"] for field in fields if field["key"] == "command")

    kit.launch(echo("old"))
    kit.put(echo("new"))
    assert (command("latest"), command("active")) == ("new", "old")
    kit.activate()
    assert command("active") == "new"


def test_a_finished_pipeline_takes_no_other_definition(kit):
    """PutPipelineDefinition of a FINISHED pipeline is refused."""
    kit.launch(ending(occurrences="1"))
    kit.finish("A")
    assert kit.state() == "FINISHED"
    changed = ending(occurrences="1") | {"A": activity(schedule=Ref("S"), command="other")}
    assert kit.put(changed)["error"] == INVALID
    assert kit.put(ending(occurrences="2") | {"B": activity(schedule=Ref("S"))})["error"] == INVALID
    assert kit.state() == "FINISHED"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ({"occurrences": "1"}, {"occurrences": "3"}),
        ({"endDateTime": stamp(hours=1)}, {"endDateTime": stamp(hours=3)}),
    ],
    ids=["occurrences", "endDateTime"],
)
def test_a_finished_pipeline_runs_again_once_its_end_has_moved(kit, old, new):
    """A Put which only moves the end of a schedule is taken, and runs after an activation."""
    kit.launch(ending(**old))
    kit.finish("A")
    kit.move(minutes=30)
    assert kit.state() == "FINISHED"
    assert kit.put(ending(**new))["errored"] is False
    assert kit.state() == "FINISHED"
    assert kit.activate() == {}
    assert kit.state() == "SCHEDULED"
    kit.move(minutes=30)
    assert kit.status(at("A", hours=1)) == READY
    kit.move(hours=1)
    kit.finish(at("A", hours=1), at("A", hours=2))
    assert kit.state() == "FINISHED"
    assert len(kit.runs()) == 3


def test_a_definition_which_was_put_earlier_is_the_same_again(kit):
    """The order of objects and fields is no change of a FINISHED pipeline's definition."""
    kit.launch(ending(occurrences="1"))
    kit.finish("A")
    turned = {
        key: dict(reversed(fields.items()))
        for key, fields in reversed(ending(occurrences="2").items())
    }
    assert kit.put(turned).get("errored") is False


@pytest.mark.parametrize("operation", ["ActivatePipeline", "DeactivatePipeline", "DeletePipeline"])
def test_unknown_pipelines_are_not_found(kit, operation):
    """An id which was never given gets PipelineNotFoundException."""
    answer = kit.call(operation, pipelineId="df-0000000UNKNOWN")
    assert answer["error"] == "PipelineNotFoundException"
