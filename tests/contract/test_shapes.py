"""Every answer of every operation has the shape that botocore's model gives it."""

from __future__ import annotations

import json

import pytest

from contract.steps import GROUP, make_pipeline, poll, poll_in_vain, refused
from shapes import check_answer, operations

OBJECT = {"id": "Work0", "name": "Work0", "fields": [{"key": "k", "stringValue": "v"}]}


@pytest.mark.anyio
async def test_every_operation_answers_in_its_shape(pipeline_service):
    """Each of the API's 19 operations succeeds, and botocore's model knows all it answers."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        await ask_about(client, pipeline_id)
        await change(client, pipeline_id)
        await work(pipeline_service, client)
        await client.deactivate_pipeline(pipelineId=pipeline_id)
        await client.delete_pipeline(pipelineId=pipeline_id)
        assert pipeline_service.answers.seen == operations()
        assert {outcome for _, outcome in pipeline_service.model.calls} == {"ok"}


async def ask_about(client, pipeline_id):
    """Call what only reads."""
    named = {"pipelineId": pipeline_id}
    await client.list_pipelines()
    await client.describe_pipelines(pipelineIds=[pipeline_id])
    await client.get_pipeline_definition(**named)
    await client.query_objects(**named, sphere="INSTANCE")
    await client.describe_objects(**named, objectIds=["Work0"])
    await client.evaluate_expression(**named, objectId="Work0", expression="#{1 + 1}")
    await client.validate_pipeline_definition(**named, pipelineObjects=[OBJECT])


async def change(client, pipeline_id):
    """Call what changes a pipeline, and leave it as it was."""
    named = {"pipelineId": pipeline_id}
    await client.add_tags(**named, tags=[{"key": "k", "value": "v"}])
    await client.remove_tags(**named, tagKeys=["k"])
    await client.set_status(**named, objectIds=["Work0"], status="PAUSE")
    await client.set_status(**named, objectIds=["Work0"], status="RESUME")


async def work(pipeline_service, client):
    """Call what a worker calls."""
    task_id = (await poll(client))["taskId"]
    await client.report_task_progress(taskId=task_id)
    await client.set_task_status(taskId=task_id, taskStatus="FINISHED")
    await client.report_task_runner_heartbeat(taskrunnerId="r", workerGroup=GROUP)
    await poll_in_vain(pipeline_service, client)


@pytest.mark.anyio
async def test_a_wrong_answer_ends_the_call(pipeline_service):
    """An answer which botocore would take, but its model does not know, fails the test."""

    def corrupt(response_dict, **_):
        response_dict["body"] = b'{"canceled": false, "more": 1}'

    async with pipeline_service.client() as client:
        client.meta.events.register_first("before-parse.data-pipeline", corrupt)
        [task_id] = pipeline_service.model.assign()
        with pytest.raises(AssertionError, match="more"):
            await client.report_task_progress(taskId=task_id)


@pytest.mark.anyio
async def test_an_answer_of_nobody_ends_the_call(pipeline_service):
    """An answer without a request id fails the test, if no fault of its script sent it."""

    def strip(response_dict, **_):
        del response_dict["headers"]["x-amzn-RequestId"]

    async with pipeline_service.client() as client:
        client.meta.events.register_first("before-parse.data-pipeline", strip)
        with pytest.raises(AssertionError, match="request id"):
            await client.list_pipelines()


@pytest.mark.anyio
async def test_refusals_are_looked_at_as_well(pipeline_service):
    """An error under a name which the operation does not declare fails the test."""

    def rename(response_dict, **_):
        name = response_dict["body"].replace(b"PipelineNotFound", b"PipelineForgotten")
        response_dict["body"] = name

    async with pipeline_service.client() as client:
        call = client.describe_pipelines(pipelineIds=["df-NONE"])
        await refused(call, "PipelineNotFoundException")
        client.meta.events.register_first("before-parse.data-pipeline", rename)
        with pytest.raises(AssertionError, match="PipelineForgotten"):
            await client.describe_pipelines(pipelineIds=["df-NONE"])


def described(**changes):
    return {"pipelineObjects": [OBJECT | changes], "hasMoreResults": False}


@pytest.mark.parametrize(
    ("operation", "answer"),
    [
        ("CreatePipeline", {"pipelineId": "df-1"}),
        ("DescribeObjects", described()),
        ("PollForTask", {}),
        ("PollForTask", {"taskObject": {"taskId": "t", "objects": {"Work0": OBJECT}}}),
        ("SetTaskStatus", {}),
    ],
)
def test_right_answers_pass(operation, answer):
    """What the model describes is right."""
    check_answer(operation, json.dumps(answer).encode(), 200)


@pytest.mark.parametrize(
    ("operation", "answer", "reason"),
    [
        ("CreatePipeline", {}, "missing"),
        ("CreatePipeline", {"pipelineId": ""}, "shorter"),
        ("CreatePipeline", {"pipelineId": "x" * 1025}, "longer"),
        ("CreatePipeline", {"pipelineId": 1}, "no string"),
        ("CreatePipeline", {"pipelineId": "\b"}, "XML"),
        ("CreatePipeline", {"pipelineId": "\ud800"}, "XML"),
        ("CreatePipeline", [], "no structure"),
        ("ReportTaskProgress", {"canceled": 0}, "no boolean"),
        ("ReportTaskProgress", {"canceled": None}, "no boolean"),
        ("DescribeObjects", described(id=None), r"pipelineObjects\[0\]\.id"),
        ("DescribeObjects", described(more=1), "unknown"),
        ("DescribeObjects", described(fields={}), "no list"),
        ("DescribeObjects", described(fields=[{"stringValue": "v"}]), "missing"),
        ("PollForTask", {"taskObject": None}, "no structure"),
        ("PollForTask", {"taskObject": {"objects": [OBJECT]}}, "no map"),
        ("PollForTask", {"taskObject": {"objects": {"": OBJECT}}}, "shorter"),
        ("PollForTask", {"taskObject": {"objects": {"a": {}}}}, "missing"),
        (
            "DescribePipelines",
            {
                "pipelineDescriptionList": [
                    {
                        "pipelineId": "df-1",
                        "name": "n",
                        "fields": [],
                        "tags": [{"key": "k", "value": "v"}] * 11,
                    }
                ]
            },
            "longer than 10",
        ),
        ("SetStatus", {}, "must be empty"),
    ],
)
def test_wrong_answers_fail(operation, answer, reason):
    """What the model does not describe is wrong, and the message says what it is."""
    with pytest.raises(AssertionError, match=reason):
        check_answer(operation, json.dumps(answer).encode(), 200)


@pytest.mark.parametrize(
    ("operation", "code", "status"),
    [
        ("DeletePipeline", "PipelineDeletedException", 400),
        ("DeletePipeline", "PipelineNotFoundException", 404),
        ("ListPipelines", "PipelineNotFoundException", 400),
        ("ListPipelines", "InternalServiceError", 400),
        ("ListPipelines", "ThrottlingException", 429),
        ("ListPipelines", "KeyError", 400),
    ],
)
def test_wrong_errors_fail(operation, code, status):
    """An error that the operation does not declare, or under another HTTP status, is wrong."""
    error = {"__type": f"com.amazon.setl.webservice#{code}", "message": "m"}
    with pytest.raises(AssertionError, match=code):
        check_answer(operation, json.dumps(error).encode(), status)


@pytest.mark.parametrize(
    "error",
    [
        {"message": "m"},
        {"__type": "InvalidRequestException", "message": "m"},
        {"__type": "com.amazon.setl.webservice#InvalidRequestException", "message": ""},
        {"__type": "com.amazon.setl.webservice#InvalidRequestException", "Message": "m"},
    ],
)
def test_errors_have_the_services_own_form(error):
    """An error names its type in the service's namespace, with a message, and nothing else."""
    with pytest.raises(AssertionError, match="ListPipelines"):
        check_answer("ListPipelines", json.dumps(error).encode(), 400)
