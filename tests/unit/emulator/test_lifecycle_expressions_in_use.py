"""Where the service evaluates expressions, and what a broken one does."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import INVALID, RETRY
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    key_exists,
    node,
    on_resource,
    resource,
    schedule,
)

READY = "WAITING_FOR_RUNNER"
BROKEN = "#{noSuchField}"


def evaluate(kit, object_id, expression):
    return kit.call(
        "EvaluateExpression",
        pipelineId=kit.pipeline_id,
        objectId=object_id,
        expression=expression,
    )


# What a worker gets


@pytest.mark.parametrize(
    ("command", "evaluated"),
    [
        ("run #{@scheduledStartTime}", "run 2026-01-01T00:00:00"),
        ("run #{format(@scheduledStartTime, 'YYYY/MM/dd')}", "run 2026/01/01"),
        ("run #{format(minusDays(@scheduledStartTime, 1), 'YYYY-MM-dd')}", "run 2025-12-31"),
        ("run #{parent.@id} #{workerGroup}", "run A workers"),
        ("run #{input.directoryPath}", "run s3://bucket/2026-01-01"),
        ("run #{1 + 2 * 3}", "run 7"),
        ("run #{id}", f"run {at('A')}_Attempt=1"),
        ("run #{name}", f"run {at('A')}_Attempt=1"),
        ("run #{parent.id} #{parent.name}", "run A A"),
        ("run #{input.id} #{input.name}", f"run {at('Data')} {at('Data')}"),
        ("run #{schedule.id} #{schedule.name}", "run Daily Daily"),
    ],
)
def test_a_worker_gets_evaluated_fields(kit, command, evaluated):
    """Expressions are resolved by the service before a runner sees the command."""
    kit.launch(
        daily(
            A=activity(command=command, input=Ref("Data")),
            Data=node(directoryPath="s3://bucket/#{format(@scheduledStartTime, 'YYYY-MM-dd')}"),
        )
    )
    assert kit.begin("A").fields()["command"] == evaluated


@pytest.mark.parametrize(
    ("command", "evaluated"),
    [
        ("run #{@actualStartTime}", "run 2026-01-01T00:05:00"),
        ("run #{format(@actualStartTime, 'HH:mm')}", "run 00:05"),
        ("run #{hostname}", "run host-1"),
    ],
)
def test_a_worker_gets_what_is_known_when_it_takes_the_task(kit, command, evaluated):
    """The task which is handed out has a start and a host, so its command may name them."""
    kit.launch(daily(A=activity(command=command)))
    kit.move(minutes=5)
    answer = kit.call("PollForTask", workerGroup="workers", hostname="host-1")["taskObject"]
    fields = answer["objects"][answer["attemptId"]]["fields"]
    assert {"key": "command", "stringValue": evaluated} in fields


@pytest.mark.parametrize("name", ["id", "name"])
def test_every_field_may_name_the_object(kit, name):
    """`#{id}` and `#{name}` work wherever an expression is evaluated (dp-pipeline-characters)."""
    text = f"#{{{name}}}"
    kit.launch(
        {
            "Default": {"myText": text},
            "Daily": schedule("1 day"),
            "A": activity(
                schedule=Ref("Daily"),
                workerGroup=f"{text}.workers",
                stdout=f"s3://bucket/{text}.csv",
                input=Ref("Data"),
            ),
            "Data": node(schedule=Ref("Daily"), filePath=f"s3://bucket/{text}.csv"),
        }
    )
    for object_id in ("A", "Data", "Daily", at("A"), f"{at('A')}_Attempt=1", at("Data")):
        assert evaluate(kit, object_id, text) == {"evaluatedExpression": object_id}
    assert kit.fields(at("Data"), evaluate=True)["filePath"] == f"s3://bucket/{at('Data')}.csv"
    assert kit.fields("A", evaluate=True)["stdout"] == "s3://bucket/A.csv"
    assert kit.take(f"{at('A')}.workers") is not None


def test_the_objects_of_a_task_are_evaluated_too(kit):
    """Every object which comes with a task is evaluated for its own instance."""
    kit.launch(
        daily(
            A=activity(input=Ref("Data")),
            Data=node(directoryPath="s3://bucket/#{format(@scheduledStartTime, 'YYYY-MM-dd')}"),
        )
    )
    work = kit.begin("A")
    assert work.fields(at("Data"))["directoryPath"] == "s3://bucket/2026-01-01"


def test_each_slot_has_its_own_values(kit):
    """Expressions are evaluated for the instance, not for the component."""
    kit.launch(
        {
            "S": schedule("1 hour"),
            "A": activity(schedule=Ref("S"), command="run #{hour(@scheduledStartTime)}"),
        }
    )
    kit.move(hours=1)
    assert kit.begin("A").fields()["command"] == "run 0"
    assert kit.begin(at("A", hours=1)).fields()["command"] == "run 1"


def test_a_list_makes_several_fields(kit):
    """An expression with a list gives one field for each item."""
    kit.launch(daily(A=activity(myNames=["x", "y"], scriptArgument="#{'-' + myNames}")))
    assert kit.begin("A").fields()["scriptArgument"] == ["-x", "-y"]


# What is described


def test_components_are_described_raw(kit):
    """Without evaluateExpressions fields are as they were put."""
    kit.launch(daily(A=activity(command="run #{@scheduledStartTime}")))
    for object_id in ("A", at("A"), f"{at('A')}_Attempt=1"):
        assert kit.fields(object_id)["command"] == "run #{@scheduledStartTime}"


def test_instances_and_attempts_are_described_with_values(kit):
    """evaluateExpressions=true evaluates the fields of instances and attempts."""
    kit.launch(daily(A=activity(command="run #{@scheduledStartTime}")))
    for object_id in (at("A"), f"{at('A')}_Attempt=1"):
        assert kit.fields(object_id, evaluate=True)["command"] == "run 2026-01-01T00:00:00"


def test_a_component_has_no_slot(kit):
    """evaluateExpressions=true fails for a component whose expression needs an instance."""
    kit.launch(daily(A=activity(command="run #{@scheduledStartTime}")))
    assert kit.describe("A", evaluate=True)["error"] == INVALID


def test_a_component_whose_expressions_need_no_slot_is_described(kit):
    """A component's own fields are enough for some expressions."""
    kit.launch(daily(A=activity(command="run #{workerGroup}")))
    assert kit.fields("A", evaluate=True)["command"] == "run workers"


def test_parameters_are_filled_in_without_being_asked_for(kit):
    """Parameters are evaluated always."""
    kit.prepare(
        daily(A=activity(command="run #{myWord}")),
        parameters={"myWord": "String"},
        values={"myWord": "now"},
    )
    kit.activate()
    assert kit.fields("A")["command"] == "run now"
    assert kit.fields(at("A"))["command"] == "run now"


# EvaluateExpression


@pytest.mark.parametrize(
    ("object_id", "expression", "value"),
    [
        ("A", "group #{workerGroup}, type #{type}", "group workers, type ShellCommandActivity"),
        (
            at("A"),
            "from #{@scheduledStartTime} to #{@scheduledEndTime}",
            "from 2026-01-01T00:00:00 to 2026-01-02T00:00:00",
        ),
        (f"{at('A')}_Attempt=1", "#{@sphere}", "ATTEMPT"),
        (at("A"), "#{parent.@id}", "A"),
        (at("A"), "nothing to evaluate", "nothing to evaluate"),
    ],
    ids=["component", "instance", "attempt", "parent", "plain"],
)
def test_an_expression_in_the_context_of_an_object(kit, object_id, expression, value):
    """EvaluateExpression takes components, instances and attempts."""
    kit.launch(daily(A=activity()))
    assert evaluate(kit, object_id, expression) == {"evaluatedExpression": value}


@pytest.mark.parametrize("expression", [BROKEN, "#{nosuch(1)}", "#{1 +", "#{1 / 0}"])
def test_a_broken_expression_is_refused_with_its_reason(kit, expression):
    """EvaluateExpression of what has no value is an InvalidRequestException that says why."""
    kit.launch(daily(A=activity()))
    answer = evaluate(kit, at("A"), expression)
    assert answer["error"] == INVALID
    assert len(answer["message"]) > len("InvalidRequest")


def test_an_unknown_object_is_refused(kit):
    """There is no context without an object."""
    kit.launch(daily(A=activity()))
    assert evaluate(kit, "Nobody", "#{name}")["error"] == INVALID


# What the service itself reads


def test_timeouts_are_evaluated(kit):
    """attemptTimeout may be an expression."""
    kit.launch(daily(A=activity(attemptTimeout="#{5 + 5} minutes", maximumRetries="0")))
    kit.begin("A")
    kit.move(599)
    assert kit.status("A") == "RUNNING"
    kit.move(1)
    assert kit.status("A") == "FAILED"


def test_leases_are_evaluated(kit):
    """reportProgressTimeout may refer to another field."""
    kit.launch(daily(A=activity(myPatience="7 minutes", reportProgressTimeout="#{myPatience}")))
    work = kit.begin("A")
    kit.move(419)
    assert kit.report(work) == {"canceled": False}
    kit.move(420)
    assert "error" in kit.report(work)


def test_retries_are_evaluated(kit):
    """maximumRetries and retryDelay may be parameters."""
    kit.prepare(
        daily(A=activity(maximumRetries="#{myTries}", retryDelay="#{myDelay}")),
        parameters={"myTries": "Integer", "myDelay": "String"},
        values={"myTries": "1", "myDelay": "5 minutes"},
    )
    kit.activate()
    kit.fail("A")
    kit.move(299)
    assert kit.take() is None
    kit.move(1)
    kit.fail("A")
    assert kit.status("A") == "FAILED"


def test_worker_groups_are_evaluated(kit):
    """workerGroup may be computed."""
    kit.launch(daily(A=activity(workerGroup="group-#{month(@scheduledStartTime)}")))
    assert kit.get("group-1").instance_id == at("A")


def test_late_by_an_expression(kit):
    """terminateAfter, too, may be an expression."""
    kit.launch(daily(Box=resource(myLife="1 hour", terminateAfter="#{myLife}"), A=on_resource()))
    kit.move(hours=1)
    assert kit.status("Box") == "TIMEDOUT"


def test_a_precondition_reads_what_it_guards(kit):
    """`node` of a precondition is the guarded instance, whose fields it may use."""
    kit.outside.objects.add("s3://bucket/data/ready")
    kit.launch(
        daily(Data=node(precondition=Ref("Pre")), Pre=key_exists("#{node.directoryPath}/ready"))
    )
    assert kit.statuses("Pre", "Data") == ["FINISHED", "FINISHED"]


# Failures


def test_an_attempt_with_a_broken_expression_fails(kit):
    """It is never handed out: the attempt is FAILED, and says why."""
    kit.launch(daily(A=activity(command=f"run {BROKEN}", maximumRetries="0")))
    assert kit.take() is None
    kit.move(RETRY)
    assert kit.status("A") == "FAILED"
    fields = kit.fields(f"{at('A')}_Attempt=1")
    assert fields["@status"] == "FAILED"
    assert fields["errorId"] == "Service_ExpressionError"
    assert "noSuchField" in fields["errorMessage"]


def test_a_broken_expression_costs_tries_as_any_failure(kit):
    """The attempt is retried after retryDelay while tries remain."""
    kit.launch(daily(A=activity(command=f"run {BROKEN}")))
    kit.move(RETRY)
    assert kit.status("A") == READY
    kit.move(RETRY)
    assert kit.status("A") == "FAILED"
    assert len(kit.query("ATTEMPT")) == 3


def test_a_broken_expression_holds_up_no_other_instance(kit):
    """Other instances are handed out as ever."""
    kit.launch(daily(A=activity(command=f"run {BROKEN}"), B=activity()))
    assert kit.take_all() == [at("B")]
