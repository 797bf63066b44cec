"""Requests as no SDK would send them, and answers as every SDK expects them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.session import Session
from botocore.validate import ParamValidator

from aiodp.emulator._model.requests import REQUESTS
from unit.emulator.service_kit import Kit

PUT, VALIDATE = "PutPipelineDefinition", "ValidatePipelineDefinition"
MODEL = Session().get_service_model("datapipeline")
SELECTOR = {"fieldName": "@status", "operator": {"type": "EQ", "values": ["RUNNING"]}}


def activity(*extra: dict[str, Any], object_id: str = "Work") -> dict[str, Any]:
    texts = {
        "type": "ShellCommandActivity",
        "command": "true",
        "workerGroup": "workers",
        "scheduleType": "ondemand",
    }
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
def test_a_member_which_is_null_is_taken_as_missing(operation, members):
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


@pytest.mark.parametrize(
    ("operation", "member", "value"),
    [
        ("SetTaskStatus", "taskStatus", "finished"),
        ("QueryObjects", "query", {"selectors": [{"operator": {"type": "NE"}}]}),
        ("ActivatePipeline", "startTimestamp", float("nan")),
    ],
)
def test_values_which_no_member_has(operation, member, value):
    """An enumeration has its own values alone, and a time is a finite number."""
    kit = Kit()
    params = {"pipelineId": kit.pipeline(), "sphere": "INSTANCE", "taskId": kit.poll()}
    answer = kit.call(operation, **params | {member: value})
    assert answer["error"] == "InvalidRequestException"
    assert "type" in answer["message"] or member in answer["message"]


KINDS = {
    "structure": dict,
    "list": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "timestamp": (int, float),
}
OUR_OWN = {  # where this service asks for less than the model, or has a bound which that lacks
    ("PipelineObject", "id"): {"least": 0},  # a missing id or name is an error of validation
    ("PipelineObject", "name"): {"least": 0},
    ("SetTaskStatusInput", "errorMessage"): {"most": 20_971_520},
    ("SetTaskStatusInput", "errorStackTrace"): {"most": 20_971_520},  # Settings.max_stack_trace
}


def expected(shape: Any, *, required: bool, own: dict[str, int]) -> dict[str, Any]:
    bounds = {"string": (0, 1024), "list": (0, 10_000)}.get(shape.type_name, (0, 1024))
    return {
        "kind": KINDS[shape.type_name],
        "required": required,
        "least": shape.metadata.get("min", bounds[0]),
        "most": shape.metadata.get("max", bounds[1]),
        "choices": frozenset(shape.enum) if shape.type_name == "string" else frozenset(),
    } | own


def differences(member: Any, shape: Any, where: str) -> list[str]:
    """Return where a request's form is not that of the model."""
    found: list[str] = []
    if shape.type_name == "list":
        wanted = expected(shape.member, required=False, own={})
        found += compared(member.item, wanted, f"{where}[]", relaxed=True)
        found += differences(member.item, shape.member, f"{where}[]")
    if shape.type_name == "structure":
        if set(member.members) != set(shape.members):
            found.append(f"{where}: {sorted(set(member.members) ^ set(shape.members))}")
        for key, inner in shape.members.items():
            own = OUR_OWN.get((shape.name, key), {})
            wanted = expected(inner, required=key in shape.required_members, own=own)
            found += compared(member.members[key], wanted, f"{where}.{key}")
            found += differences(member.members[key], inner, f"{where}.{key}")
    return found


def compared(
    member: Any, wanted: dict[str, Any], where: str, *, relaxed: bool = False
) -> list[str]:
    keys = [key for key in wanted if key != "required" or not relaxed]
    return [
        f"{where}.{key}: {getattr(member, key)} for {wanted[key]}"
        for key in keys
        if getattr(member, key) != wanted[key]
    ]


def test_every_operation_is_known():
    """The forms of requests are those of the API's operations, all of them."""
    assert sorted(REQUESTS) == sorted(MODEL.operation_names)


@pytest.mark.parametrize("operation", MODEL.operation_names)
def test_requests_are_those_of_the_model(operation):
    """Members, their types, lengths, values and whether they are needed are botocore's model's."""
    shape = MODEL.operation_model(operation).input_shape
    assert differences(REQUESTS[operation], shape, operation) == []


def test_only_what_the_api_has_is_kept():
    """Nulls and unknown members of a definition do not come back, nor is the caller's data held."""
    kit = Kit()
    pipeline_id = kit.pipeline()
    given = activity({"key": "a", "stringValue": "b", "refValue": None, "color": "red"})
    kit.call(PUT, pipelineId=pipeline_id, pipelineObjects=[given])
    given["fields"].clear()
    stored = kit.call("GetPipelineDefinition", pipelineId=pipeline_id)
    assert stored["pipelineObjects"] == [activity({"key": "a", "stringValue": "b"})]


@pytest.mark.parametrize(
    "field",
    [
        {"key": "runsOn", "stringValue": "", "refValue": "Box"},
        {"key": "runsOn", "stringValue": ""},
        {"key": "runsOn"},
    ],
)
def test_an_empty_value_is_fatal(field):
    """A definition with an empty field is not stored, whatever the field refers to beside it."""
    kit = Kit()
    pipeline_id = kit.pipeline()
    answer = kit.call(PUT, pipelineId=pipeline_id, pipelineObjects=[activity(field)])
    assert answer["error"] == "InvalidRequestException"
    assert "'runsOn' is empty" in answer["message"]
    (found,) = kit.call(VALIDATE, pipelineId=pipeline_id, pipelineObjects=[activity(field)])[
        "validationErrors"
    ]
    assert found["id"] == "Work"
    stored = kit.call("GetPipelineDefinition", pipelineId=pipeline_id)
    assert [item["id"] for item in stored["pipelineObjects"]] == ["Work0"]


@pytest.mark.parametrize(("count", "error"), [(100, None), (101, "InvalidRequestException")])
def test_a_hundred_objects_are_described_at_once(count, error):
    """DescribeObjects takes a hundred ids, as the AWS CLI sends."""
    kit = Kit()
    answer = kit.call("DescribeObjects", pipelineId=kit.pipeline(), objectIds=["Work0"] * count)
    assert answer.get("error") == error
    assert error or len(answer["pipelineObjects"]) == count


def test_answers_have_the_api_s_shape():
    """Each operation's answer has the members that botocore's model needs, and no others."""
    kit = Kit(poll_hold=0)
    pipeline_id = kit.call("CreatePipeline", name="p", uniqueId="p", tags=[])["pipelineId"]
    calls: list[tuple[str, dict[str, Any]]] = [
        ("CreatePipeline", {"name": "q", "uniqueId": "q"}),
        (PUT, {"pipelineObjects": [activity()]}),
        (PUT, {"pipelineObjects": [activity(), activity({"key": "retryDelay", "refValue": "x"})]}),
        (PUT, {"pipelineObjects": [activity()]}),
        (VALIDATE, {"pipelineObjects": [activity(), activity({"key": "k", "stringValue": ""})]}),
        ("AddTags", {"tags": [{"key": "k", "value": "v"}]}),
        ("RemoveTags", {"tagKeys": ["k"]}),
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
        shape = MODEL.operation_model(operation).output_shape
        report = ParamValidator().validate(answer, shape)
        assert not report.has_errors(), f"{operation}: {report.generate_report()}"
        assert set(answer) <= set(shape.members), operation
