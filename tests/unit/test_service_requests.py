"""Requests as no SDK would send them, and answers as every SDK expects them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from unit.service_kit import Kit

PUT = "PutPipelineDefinition"
SELECTOR = {"fieldName": "@status", "operator": {"type": "EQ", "values": ["RUNNING"]}}


def activity(*extra: dict[str, Any], object_id: str = "Work") -> dict[str, Any]:
    texts = {"type": "ShellCommandActivity", "workerGroup": "workers", "scheduleType": "ondemand"}
    fields = [{"key": key, "stringValue": value} for key, value in texts.items()]
    return {"id": object_id, "name": object_id, "fields": [*fields, *extra]}


@pytest.mark.parametrize(
    ("operation", "members"),
    [
        ("ActivatePipeline", {"parameterValues": None, "startTimestamp": None}),
        ("CreatePipeline", {"description": None, "tags": None}),
        ("DescribeObjects", {"marker": None, "evaluateExpressions": None}),
        ("GetPipelineDefinition", {"version": None}),
        ("ListPipelines", {"marker": None}),
        ("PollForTask", {"hostname": None, "instanceIdentity": None}),
        (PUT, {"parameterObjects": None, "parameterValues": None}),
        ("QueryObjects", {"query": None, "marker": None, "limit": None}),
        ("QueryObjects", {"query": {"selectors": None}}),
        ("ReportTaskProgress", {"fields": None}),
        ("SetTaskStatus", {"errorId": None, "errorMessage": None, "errorStackTrace": None}),
    ],
)
def test_null_is_nothing(operation, members):
    """A member which is null is taken as one that is not there."""
    needed = {
        "name": "other",
        "uniqueId": "other",
        "objectIds": ["Work0"],
        "pipelineObjects": [activity()],
        "workerGroup": "workers",
        "sphere": "INSTANCE",
        "taskStatus": "FINISHED",
    }
    nothing: dict[str, Any] = {}
    answers = []
    for given in (nothing, members):
        kit = Kit(poll_hold=0)
        pipeline_id = kit.pipeline(count=2)
        task_id = kit.poll()
        params = needed | {"pipelineId": pipeline_id, "taskId": task_id} | given
        answers.append(kit.call(operation, **params))
    assert answers[0] == answers[1]
    assert "error" not in answers[0]


def test_cancel_active_null_is_the_default():
    """DeactivatePipeline with cancelActive null cancels, as it does without."""
    kit = Kit()
    pipeline_id = kit.pipeline()
    task_id = kit.poll()
    kit.call("DeactivatePipeline", pipelineId=pipeline_id, cancelActive=None)
    assert kit.call("ReportTaskProgress", taskId=task_id) == {"canceled": True}


@pytest.mark.parametrize("selector", [{}, {"fieldName": "@status", "operator": None}])
def test_a_selector_without_an_operator_is_refused(selector):
    """A query which does not say how to compare is an invalid request."""
    kit = Kit()
    query = {"selectors": [selector]}
    answer = kit.call("QueryObjects", pipelineId=kit.pipeline(), sphere="INSTANCE", query=query)
    assert answer["error"] == "InvalidRequestException"


@pytest.mark.parametrize(
    ("operation", "member", "value"),
    [
        ("ActivatePipeline", "startTimestamp", "now"),
        ("DescribeObjects", "evaluateExpressions", "yes"),
        (PUT, "pipelineObjects", [{"id": "a", "name": "a"}]),
        (PUT, "parameterObjects", [{"id": "myX"}]),
        (PUT, "parameterObjects", [{"id": "myX", "attributes": [{"key": "default"}]}]),
        ("QueryObjects", "limit", True),
        ("ReportTaskRunnerHeartbeat", "hostname", ""),
    ],
)
def test_each_member_has_its_type(operation, member, value):
    """A wrong type, or a needed member that is missing deep inside, refuses the request whole."""
    kit = Kit()
    params = {
        "pipelineId": kit.pipeline(),
        "objectIds": ["Work0"],
        "pipelineObjects": [activity()],
        "sphere": "INSTANCE",
        "taskrunnerId": "runner",
    }
    assert kit.call(operation, **params).get("error") is None
    assert kit.call(operation, **params | {member: value})["error"] == "InvalidRequestException"


def test_only_what_the_api_has_is_kept():
    """Nulls and unknown members of a definition do not come back, nor is the caller's data held."""
    kit = Kit()
    pipeline_id = kit.pipeline()
    given = activity({"key": "a", "stringValue": "b", "refValue": None, "color": "red"})
    kit.call(PUT, pipelineId=pipeline_id, pipelineObjects=[given])
    given["fields"].clear()
    stored = kit.call("GetPipelineDefinition", pipelineId=pipeline_id)
    assert stored["pipelineObjects"] == [activity({"key": "a", "stringValue": "b"})]


def test_answers_have_the_api_s_shape():
    """Each operation's answer has the members that botocore's model needs, and no others."""
    kit = Kit(poll_hold=0)
    model = Session().get_service_model("datapipeline")
    pipeline_id = kit.call("CreatePipeline", name="p", uniqueId="p", tags=[])["pipelineId"]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("CreatePipeline", {"name": "q", "uniqueId": "q"}),
        (PUT, {"pipelineObjects": [activity()]}),
        (PUT, {"pipelineObjects": [activity(), activity({"key": "empty", "stringValue": ""})]}),
        ("ActivatePipeline", {}),
        ("GetPipelineDefinition", {}),
        ("DescribePipelines", {"pipelineIds": [pipeline_id]}),
        ("ListPipelines", {}),
        ("QueryObjects", {"sphere": "INSTANCE", "query": {"selectors": [SELECTOR]}}),
        ("DescribeObjects", {"objectIds": ["Work"]}),
        ("PollForTask", {"workerGroup": "workers"}),
        ("PollForTask", {"workerGroup": "nobody"}),
        ("ReportTaskRunnerHeartbeat", {"taskrunnerId": "r"}),
        ("DeactivatePipeline", {}),
    ]
    for operation, params in calls:
        answer = kit.call(operation, **{"pipelineId": pipeline_id} | params)
        shape = model.operation_model(operation).output_shape
        report = ParamValidator().validate(answer, shape)
        assert not report.has_errors(), f"{operation}: {report.generate_report()}"
        assert set(answer) <= set(shape.members), operation
