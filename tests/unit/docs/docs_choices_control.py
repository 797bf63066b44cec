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
    on_demand,
    on_resource,
    resource,
    selector,
    wire_objects,
)

# What an owner says


@proves("What RERUN is for")
def _() -> None:
    service = kit(daily(A=activity(), B=activity(dependsOn=Ref("A"))))
    assert error(service.tell("RERUN", "A")) == INVALID
    service.finish("A", "B")
    assert service.tell("RERUN", "A", "B") == {}
    assert service.take_all() == [at("A"), at("B")]


@proves("TRY_CANCEL of what has ended")
def _() -> None:
    service = kit()
    service.finish("A")
    assert service.tell("TRY_CANCEL", "A") == {}
    assert service.status("A") == "FINISHED"


@proves("SetStatus of attempts")
def _() -> None:
    service = kit()
    for ids in ([at("A") + "_Attempt=1"], ["A", at("A")]):
        params = {"pipelineId": service.pipeline_id, "objectIds": ids, "status": "PAUSE"}
        assert error(service.call("SetStatus", **params)) == INVALID


@proves("DeactivatePipeline while DEACTIVATING")
def _() -> None:
    service = kit()
    service.begin("A")
    assert service.deactivate(cancelActive=False) == {}
    assert error(service.deactivate(cancelActive=False)) == INVALID
    assert service.deactivate() == {}
    assert (service.state(), service.status("A")) == ("INACTIVE", "CANCELED")


@proves("What a deactivation does to preconditions")
def _() -> None:
    service = kit(daily(A=activity(precondition=Ref("P")), P=key_exists()))
    service.deactivate()
    service.outside.objects.add("s3://bucket/ready")
    service.move(3600)
    assert service.status("P") == "RUNNING"
    service.activate()
    service.move(120)
    assert service.status("P") == "FINISHED"


# Resources and preconditions


@proves("Which worker group gets the tasks")
def _() -> None:
    service = kit(daily(Box=resource(), A=on_resource()))
    service.move(60)
    service.get(f"resource:{service.pipeline_id}_{at('Box')}")


@proves("How long a resource is CREATING")
def _() -> None:
    service = kit(daily(Box=resource(), A=on_resource()), resource_worker_group="workers")
    service.move(59)
    assert service.status("Box") == "CREATING"
    service.move(1)
    service.finish("A")
    service.move(29)
    assert service.status("Box") == "SHUTTING_DOWN"
    service.move(1)
    assert service.status("Box") == "FINISHED"


@proves("`terminateAfter` of an EmrCluster")
def _() -> None:
    service = kit(
        daily(Box=resource(terminateAfter="1 minute"), A=on_resource()),
        resource_worker_group="workers",
        resource_startup=20.0,
    )
    assert service.put(daily(Box=resource(terminateAfter="1"), A=on_resource()))["errored"] is True
    service.move(35)
    service.finish("A")
    service.move(25)
    assert service.status("Box") == "SHUTTING_DOWN"
    service = kit(daily(Box=resource(terminateAfter="1 minute"), A=on_resource()))
    service.move(60)
    assert service.status("Box") == "TIMEDOUT"
    service = kit(daily(Box=resource(type="EmrCluster", terminateAfter="1"), A=on_resource()))
    service.move(3600)
    assert service.status("Box") == "TIMEDOUT"


@proves("Ids of a precondition")
def _() -> None:
    guarded = {"precondition": Ref("P")}
    service = kit(daily(A=activity(**guarded), B=activity(**guarded), P=key_exists()))
    assert sorted(service.runs("P") | service.runs("P_2")) == [at("P"), at("P") + "_2"]


@proves("What is an error of health")
def _() -> None:
    cascade = {"failureAndRerunMode": "cascade"}
    ready = {"P": key_exists(preconditionTimeout="1 minute")}
    objects = {"A": activity(), "B": activity(dependsOn=Ref("A"), **cascade), **ready}
    service = kit(daily(**objects, C=activity(precondition=Ref("P"))), max_retries=0)
    service.fail("A")
    service.move(60)
    assert service.statuses("A", "B", "P") == ["FAILED", "CASCADE_FAILED", "FAILED"]
    found = {name: service.fields(name).get("@healthStatus") for name in "ABCP"}
    assert found == {"A": "ERROR", "B": "ERROR", "C": "ERROR", "P": None}


# Limits


@proves("How many ids DescribeObjects takes")
def _() -> None:
    service = kit()
    for count, expected in ((100, None), (101, INVALID)):
        ids = ["A"] * count
        answer = service.call("DescribeObjects", pipelineId=service.pipeline_id, objectIds=ids)
        assert error(answer) == expected


@proves("How many ids DescribePipelines takes")
def _() -> None:
    service = kit()
    for count, expected in ((25, None), (26, INVALID)):
        answer = service.call("DescribePipelines", pipelineIds=[service.pipeline_id] * count)
        assert error(answer) == expected


@proves("Pipelines, and objects in one")
def _() -> None:
    service = kit()
    assert (
        service.put(daily(**{f"A{n}": activity() for n in range(99)}))["errored"] is True
    )  # no "A"
    assert error(service.put(daily(**{f"A{n}": activity() for n in range(100)}))) == INVALID
    made = [service.call("CreatePipeline", name="n", uniqueId=str(n)) for n in range(100)]
    assert [n for n, answer in enumerate(made) if error(answer)] == [99]


@proves("Size of a field and of an object")
def _() -> None:
    service = kit()
    for sizes, errored in (([10_240], False), ([10_000, 5_400], True)):
        texts = {f"my_{n}": "x" * size for n, size in enumerate(sizes)}
        assert service.put(daily(A=activity(**texts)))["errored"] is errored


@proves("CreatePipeline: one a second")
def _() -> None:
    assert PUBLISHED_QUOTAS["CreatePipeline"] == (1.0, 100)


@proves("Operations which the page of quotas leaves out")
def _() -> None:
    service = kit(quotas=PUBLISHED_QUOTAS)
    params = {"pipelineId": service.pipeline_id, "objectId": "A", "expression": "1"}
    assert not any(error(service.call("EvaluateExpression", **params)) for _ in range(200))


@proves("What a throttled call costs")
def _() -> None:
    service = kit(quotas={"ListPipelines": (1.0, 1)})
    answers = []
    for _ in range(4):
        answers.append(error(service.call("ListPipelines")))
        service.move(0.5)
    assert answers == [None, "ThrottlingException", None, "ThrottlingException"]


# Queries, expressions, names


@proves("EQ of QueryObjects")
def _() -> None:
    service = kit(daily(A=activity(), D=node()))
    either = {"type": "EQ", "values": ["FINISHED", "WAITING_FOR_RUNNER"]}
    found = service.query("INSTANCE", {"fieldName": "@status", "operator": either})
    assert sorted(found) == [at("A"), at("D")]


@proves("The order of QueryObjects, and what changes between two of its pages")
def _() -> None:
    service = kit(on_demand(**{name: activity() for name in "CBA"}))
    assert service.query("INSTANCE") == [at("C"), at("B"), at("A")]
    assert service.query("COMPONENT") == ["A", "B", "C", "Default"]
    waits = {"selectors": [selector("@status", "EQ", "WAITING_FOR_RUNNER")]}
    asked = {"pipelineId": service.pipeline_id, "sphere": "INSTANCE", "query": waits}
    page = service.call("QueryObjects", **asked, limit=2)
    service.finish("C")
    assert service.call("QueryObjects", **asked, marker=page["marker"])["ids"] == [at("A")]


@proves("An expression without a value")
def _() -> None:
    service = kit(daily(A=activity(command="#{nothing}")), max_retries=0)
    assert service.take() is None
    attempt = service.fields(at("A") + "_Attempt=1")
    assert (attempt["@status"], attempt["errorId"]) == ("FAILED", "Service_ExpressionError")
    asked = {"pipelineId": service.pipeline_id, "objectId": at("A"), "expression": "#{nothing}"}
    assert error(service.call("EvaluateExpression", **asked)) == INVALID
    assert error(service.describe("A", evaluate=True)) == INVALID


@proves("EvaluateExpression whose value is a list")
def _() -> None:
    service = kit(daily(A=activity(scriptArgument=["a", "b"])))
    asked = {"pipelineId": service.pipeline_id, "objectId": "A", "expression": "#{scriptArgument}"}
    assert service.call("EvaluateExpression", **asked)["evaluatedExpression"] == "a,b"


@proves("CANCELED or CANCELLED")
def _() -> None:
    box = resource(terminateAfter="1 minute")
    service = kit(daily(Box=box, A=on_resource()), resource_startup=120.0)
    service.move(60)
    assert service.statuses("Box", "A") == ["TIMEDOUT", "CANCELED"]


@proves("Case of `cascade`")
def _() -> None:
    spread = {"failureAndRerunMode": "CASCADE", "scheduleType": "CRON"}
    service = kit(
        daily(A=activity(attemptTimeout="1 MINUTE"), B=activity(dependsOn=Ref("A"), **spread))
    )
    service.tell("try_cancel", "A")
    assert service.status("B") == "CASCADE_FAILED"
    asked = {"pipelineId": service.pipeline_id, "pipelineObjects": wire_objects(daily())}
    typed = {"id": "myOne", "attributes": [{"key": "type", "stringValue": "string"}]}
    assert "myOne" not in str(
        service.call("PutPipelineDefinition", **asked, parameterObjects=[typed])["validationErrors"]
    )


@proves("An optional parameter without a value")
def _() -> None:
    objects = wire_objects(daily(A=activity(stdout="#{myOut}", command="ls #{myOut} .")))
    service = kit()
    optional = {"key": "optional", "stringValue": "true"}
    service.call(
        "PutPipelineDefinition",
        pipelineId=service.pipeline_id,
        pipelineObjects=objects,
        parameterObjects=[{"id": "myOut", "attributes": [optional]}],
    )
    component = service.fields("A")
    assert component["command"] == "true"  # until it is activated
    service.activate()
    assert service.fields("A")["command"] == "ls  ."
    assert "stdout" not in service.fields("A")


@proves("An expression of an SnsAlarm")
def _() -> None:
    message = "#{node.@status}: #{node.nothing}"
    service = kit(daily(A=activity(onSuccess=Ref("Told")), Told=alarm(message=message)))
    service.finish("A")
    assert [sent.message for sent in service.outside.published] == ["FINISHED: #{node.nothing}"]


@proves("`scriptArgument` beside `scriptUri`")
def _() -> None:
    script = activity(scriptUri="s3://bucket/script", scriptArgument="x")
    del script["command"]
    answer = kit().put(daily(A=script))
    assert answer["errored"] is False
    assert not any(told["id"] == "A" for told in answer["validationWarnings"])


@proves("What `[#{myList1}, #{myList2}]` is")
def _() -> None:
    lists = {"myOne": "1", "myMany": ["2", "3"]}
    texts = ["[#{myOne}, #{myMany}]", "[#{myOne}, #{myOne}]", "#{myMany}#{myMany}"]
    service = kit(daily(A=activity(scriptArgument=texts, **lists)))
    given = service.begin("A").fields()["scriptArgument"]
    assert given == ["1", "2", "3", "[1, 1]", "22", "23", "32", "33"]


@proves("Roles, and `runsOn` or `workerGroup`")
def _() -> None:
    box = resource(terminateAfter="1 hour")
    del box["role"]
    objects = daily(A=activity(), B=activity(), Box=box)
    del objects["B"]["workerGroup"]
    answer = kit().put(objects)
    told = {item["id"]: item["warnings"] for item in answer["validationWarnings"]}
    assert answer["errored"] is False
    assert told["Box"] == ["'role' is missing, which AWS asks for."]
    assert ["WAITING_FOR_RUNNER" in warning for warning in told["B"]] == [True]


@proves("A `region` which the guide does not list")
def _() -> None:
    machine = resource(region="eu-north-1")
    login = {"username": "u", "*password": "p", "rdsInstanceId": "i"}
    database = {"type": "RdsDatabase", "region": "eu-north-1"} | login
    answer = kit().put(daily(Box=machine, Db=database))
    told = {item["id"]: item["errors"] for item in answer["validationErrors"]}
    assert "'region' value must be one of" in told["Box"][0]
    assert "Db" not in told
