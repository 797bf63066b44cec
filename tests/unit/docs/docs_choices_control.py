"""Proofs of choices about owners, resources, limits, queries and expressions."""

from __future__ import annotations

from aiodp.emulator import PUBLISHED_QUOTAS
from unit.docs.docs_choices import INVALID, error, kit, proves
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    alarm,
    at,
    daily,
    key_exists,
    node,
    on_resource,
    resource,
    wire_objects,
)

# What an owner says


@proves("What RERUN is for")
def _() -> None:
    one = kit(daily(A=activity(), B=activity(dependsOn=Ref("A"))))
    assert error(one.tell("RERUN", "A")) == INVALID
    one.finish("A", "B")
    assert one.tell("RERUN", "A", "B") == {}
    assert one.take_all() == [at("A"), at("B")]


@proves("TRY_CANCEL of what has ended")
def _() -> None:
    one = kit()
    one.finish("A")
    assert one.tell("TRY_CANCEL", "A") == {}
    assert one.status("A") == "FINISHED"


@proves("SetStatus of attempts")
def _() -> None:
    one = kit()
    for ids in ([at("A") + "_Attempt=1"], ["A", at("A")]):
        params = {"pipelineId": one.pipeline_id, "objectIds": ids, "status": "PAUSE"}
        assert error(one.call("SetStatus", **params)) == INVALID


@proves("DeactivatePipeline while DEACTIVATING")
def _() -> None:
    one = kit()
    one.begin("A")
    assert one.deactivate(cancelActive=False) == {}
    assert error(one.deactivate(cancelActive=False)) == INVALID
    assert one.deactivate() == {}
    assert (one.state(), one.status("A")) == ("INACTIVE", "CANCELED")


@proves("What a deactivation does to preconditions")
def _() -> None:
    one = kit(daily(A=activity(precondition=Ref("P")), P=key_exists()))
    one.deactivate()
    one.outside.objects.add("s3://bucket/ready")
    one.move(3600)
    assert one.status("P") == "RUNNING"
    one.activate()
    one.move(120)
    assert one.status("P") == "FINISHED"


# Resources and preconditions


@proves("Which worker group gets the tasks")
def _() -> None:
    one = kit(daily(Box=resource(), A=on_resource()))
    one.move(60)
    one.get(f"resource:{one.pipeline_id}_{at('Box')}")


@proves("How long a resource is CREATING")
def _() -> None:
    one = kit(daily(Box=resource(), A=on_resource()), resource_worker_group="workers")
    one.move(59)
    assert one.status("Box") == "CREATING"
    one.move(1)
    one.finish("A")
    one.move(29)
    assert one.status("Box") == "SHUTTING_DOWN"
    one.move(1)
    assert one.status("Box") == "FINISHED"


@proves("`terminateAfter`: an Integer")
def _() -> None:
    one = kit(
        daily(Box=resource(terminateAfter="1 minute"), A=on_resource()),
        resource_worker_group="workers",
        resource_startup=20.0,
    )
    assert one.put(daily(Box=resource(terminateAfter="1"), A=on_resource()))["errored"] is True
    one.move(35)
    one.finish("A")
    one.move(25)
    assert one.status("Box") == "SHUTTING_DOWN"
    one = kit(daily(Box=resource(terminateAfter="1 minute"), A=on_resource()))
    one.move(60)
    assert one.status("Box") == "TIMEDOUT"


@proves("Ids of a precondition")
def _() -> None:
    guarded = {"precondition": Ref("P")}
    one = kit(daily(A=activity(**guarded), B=activity(**guarded), P=key_exists()))
    assert sorted(one.runs("P") | one.runs("P_2")) == [at("P"), at("P") + "_2"]


@proves("Whether a pipeline's health")
def _() -> None:
    one = kit(daily(A=activity(), B=activity()), max_retries=0)
    one.fail("A")
    assert one.record()["@healthStatus"] == "ERROR"
    one.finish("B")
    assert one.record()["@healthStatus"] == "HEALTHY"


# Limits


@proves("How many ids DescribeObjects takes")
def _() -> None:
    one = kit()
    for count, expected in ((100, None), (101, INVALID)):
        ids = ["A"] * count
        answer = one.call("DescribeObjects", pipelineId=one.pipeline_id, objectIds=ids)
        assert error(answer) == expected


@proves("How many ids DescribePipelines takes")
def _() -> None:
    one = kit()
    for count, expected in ((25, None), (26, INVALID)):
        answer = one.call("DescribePipelines", pipelineIds=[one.pipeline_id] * count)
        assert error(answer) == expected


@proves("Pipelines, and objects in one")
def _() -> None:
    one = kit()
    assert one.put(daily(**{f"A{n}": activity() for n in range(99)}))["errored"] is True  # no "A"
    assert error(one.put(daily(**{f"A{n}": activity() for n in range(100)}))) == INVALID
    made = [one.call("CreatePipeline", name="n", uniqueId=str(n)) for n in range(100)]
    assert [n for n, answer in enumerate(made) if error(answer)] == [99]


@proves("Size of a field and of an object")
def _() -> None:
    one = kit()
    for sizes, errored in (([10_240], False), ([10_000, 5_400], True)):
        texts = {f"my_{n}": "x" * size for n, size in enumerate(sizes)}
        assert one.put(daily(A=activity(**texts)))["errored"] is errored


@proves("CreatePipeline: one a second")
def _() -> None:
    assert PUBLISHED_QUOTAS["CreatePipeline"] == (1.0, 100)


@proves("Operations which the page of quotas leaves out")
def _() -> None:
    one = kit(quotas=PUBLISHED_QUOTAS)
    params = {"pipelineId": one.pipeline_id, "objectId": "A", "expression": "1"}
    assert not any(error(one.call("EvaluateExpression", **params)) for _ in range(200))


@proves("What a throttled call costs")
def _() -> None:
    one = kit(quotas={"ListPipelines": (1.0, 1)})
    answers = []
    for _ in range(4):
        answers.append(error(one.call("ListPipelines")))
        one.move(0.5)
    assert answers == [None, "ThrottlingException", None, "ThrottlingException"]


# Queries, expressions, names


@proves("EQ of QueryObjects")
def _() -> None:
    one = kit(daily(A=activity(), D=node()))
    either = {"type": "EQ", "values": ["FINISHED", "WAITING_FOR_RUNNER"]}
    found = one.query("INSTANCE", {"fieldName": "@status", "operator": either})
    assert sorted(found) == [at("A"), at("D")]


@proves("An expression without a value")
def _() -> None:
    one = kit(daily(A=activity(command="#{nothing}")), max_retries=0)
    assert one.take() is None
    attempt = one.fields(at("A") + "_Attempt=1")
    assert (attempt["@status"], attempt["errorId"]) == ("FAILED", "Service_ExpressionError")
    asked = {"pipelineId": one.pipeline_id, "objectId": at("A"), "expression": "#{nothing}"}
    assert error(one.call("EvaluateExpression", **asked)) == INVALID
    assert error(one.describe("A", evaluate=True)) == INVALID


@proves("EvaluateExpression whose value is a list")
def _() -> None:
    one = kit(daily(A=activity(scriptArgument=["a", "b"])))
    asked = {"pipelineId": one.pipeline_id, "objectId": "A", "expression": "#{scriptArgument}"}
    assert one.call("EvaluateExpression", **asked)["evaluatedExpression"] == "a,b"


@proves("CANCELED or CANCELLED")
def _() -> None:
    box = resource(terminateAfter="1 minute")
    one = kit(daily(Box=box, A=on_resource()), resource_startup=120.0)
    one.move(60)
    assert one.statuses("Box", "A") == ["TIMEDOUT", "CANCELED"]


@proves("Case of `cascade`")
def _() -> None:
    spread = {"failureAndRerunMode": "CASCADE", "scheduleType": "CRON"}
    one = kit(
        daily(A=activity(attemptTimeout="1 MINUTE"), B=activity(dependsOn=Ref("A"), **spread))
    )
    one.tell("try_cancel", "A")
    assert one.status("B") == "CASCADE_FAILED"


@proves("An optional parameter without a value")
def _() -> None:
    objects = wire_objects(daily(A=activity(stdout="#{myOut}", command="ls #{myOut} .")))
    one = kit()
    optional = {"key": "optional", "stringValue": "true"}
    one.call(
        "PutPipelineDefinition",
        pipelineId=one.pipeline_id,
        pipelineObjects=objects,
        parameterObjects=[{"id": "myOut", "attributes": [optional]}],
    )
    component = one.fields("A")
    assert component["command"] == "true"  # until it is activated
    one.activate()
    assert one.fields("A")["command"] == "ls  ."
    assert "stdout" not in one.fields("A")


@proves("An expression of an SnsAlarm")
def _() -> None:
    message = "#{node.@status}: #{node.nothing}"
    one = kit(daily(A=activity(onSuccess=Ref("Told")), Told=alarm(message=message)))
    one.finish("A")
    assert [sent.message for sent in one.outside.published] == ["FINISHED: #{node.nothing}"]


@proves("`scriptArgument` beside `scriptUri`")
def _() -> None:
    script = activity(scriptUri="s3://bucket/script", scriptArgument="x")
    del script["command"]
    answer = kit().put(daily(A=script))
    assert answer["errored"] is False
    assert any(one["id"] == "A" for one in answer["validationWarnings"])
