"""Pipelines, their definitions and their objects, as their owner sees them."""

from __future__ import annotations

import json

import pytest

from aiodp.testing import Settings
from contract.steps import fields_of, make_pipeline, poll, put_file, query, refused

pytestmark = pytest.mark.anyio

RUN_ONCE = json.dumps(
    {
        "objects": [
            {
                "id": "Default",
                "scheduleType": "cron",
                "schedule": {"ref": "Once"},
                "pipelineLogUri": "#{myLogs}/here",
            },
            {
                "id": "Once",
                "type": "Schedule",
                "occurrences": "1",
                "period": "1 Day",
                "startAt": "FIRST_ACTIVATION_DATE_TIME",
            },
            {"id": "Machine", "type": "Ec2Resource", "terminateAfter": "1 Hour"},
            {"id": "Data", "type": "S3DataNode", "directoryPath": "s3://bucket/in"},
            {
                "id": "Copy",
                "name": "Copier",
                "type": "ShellCommandActivity",
                "runsOn": {"ref": "Machine"},
                "workerGroup": "ignored",
                "input": {"ref": "Data"},
                "command": "copy #{myLogs} #{@scheduledStartTime}",
                "scriptArgument": ["one", "two"],
            },
        ],
        "parameters": [{"id": "myLogs", "type": "String", "default": "s3://default"}],
        "values": {"myLogs": "s3://given"},
    }
)


async def test_creation_is_idempotent(pipeline_service):
    """The same name and uniqueId give the same pipeline; another uniqueId another one."""
    async with pipeline_service.client() as client:
        one = await client.create_pipeline(name="a", uniqueId="1", description="d")
        same = await client.create_pipeline(name="a", uniqueId="1")
        other = await client.create_pipeline(name="a", uniqueId="2")
        assert one["pipelineId"] == same["pipelineId"] != other["pipelineId"]
        assert one["pipelineId"].startswith("df-")


async def test_a_pipeline_describes_itself(pipeline_service):
    """DescribePipelines has the record's fields; its state follows the activation."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client, "mine")
        answer = await client.describe_pipelines(pipelineIds=[pipeline_id])
        [described] = answer["pipelineDescriptionList"]
        fields = {one["key"]: one["stringValue"] for one in described["fields"]}
        assert described["name"] == fields["name"] == "mine"
        assert fields["@pipelineState"] == "SCHEDULED"
        assert fields["@sphere"] == "PIPELINE"
        assert fields["uniqueId"] == "mine"
        assert (await client.list_pipelines())["pipelineIdList"] == [
            {"id": pipeline_id, "name": "mine"}
        ]


async def test_long_lists_come_in_pages(pipeline_service):
    """ListPipelines and QueryObjects give all there is, each once, over several pages."""
    async with pipeline_service.client() as client:
        made = [
            (await client.create_pipeline(name="p", uniqueId=str(n)))["pipelineId"]
            for n in range(51)
        ]
        pages = client.get_paginator("list_pipelines").paginate()
        listed = [one["id"] async for page in pages for one in page["pipelineIdList"]]
        assert listed == made
        pipeline_id = await make_pipeline(client, count=7)
        pages = client.get_paginator("query_objects").paginate(
            pipelineId=pipeline_id, sphere="INSTANCE", PaginationConfig={"PageSize": 3}
        )
        sizes, found = [], set()
        async for page in pages:
            sizes.append(len(page["ids"]))
            found.update(page["ids"])
        assert sizes == [3, 3, 1]
        assert len(found) == 7


async def test_a_definition_comes_back_as_it_went(pipeline_service):
    """GetPipelineDefinition gives what was put: the latest at once, the active after activation."""
    async with pipeline_service.client() as client:
        pipeline_id = await put_file(client, RUN_ONCE)
        latest = await client.get_pipeline_definition(pipelineId=pipeline_id)
        active = await client.get_pipeline_definition(pipelineId=pipeline_id, version="active")
        assert {one["id"] for one in latest["pipelineObjects"]} == {
            "Default",
            "Once",
            "Machine",
            "Data",
            "Copy",
        }
        assert latest["parameterValues"] == [{"id": "myLogs", "stringValue": "s3://given"}]
        assert active["pipelineObjects"] == []
        await client.activate_pipeline(pipelineId=pipeline_id)
        active = await client.get_pipeline_definition(pipelineId=pipeline_id, version="active")
        assert active["pipelineObjects"] == latest["pipelineObjects"]


@pytest.mark.parametrize("settings", [Settings(quotas=None, resource_worker_group="machines")])
async def test_a_run_once_pipeline_on_a_resource(pipeline_service):
    """Its one task goes to the resource's group with all it inherits, and ends the pipeline."""
    async with pipeline_service.client() as client:
        pipeline_id = await put_file(client, RUN_ONCE)
        await client.activate_pipeline(pipelineId=pipeline_id)
        task = await poll(client, "machines")
        attempt = task["objects"][task["attemptId"]]["fields"]
        texts = {one["key"]: one["stringValue"] for one in attempt if "stringValue" in one}
        refs = {one["key"]: one["refValue"] for one in attempt if "refValue" in one}
        arguments = [one["stringValue"] for one in attempt if one["key"] == "scriptArgument"]
        assert texts["pipelineLogUri"] == "s3://given/here"
        assert texts["command"] == "copy s3://given #{@scheduledStartTime}"
        assert arguments == ["one", "two"]
        assert refs["parent"] == refs["@componentParent"] == "Copy"
        assert refs["input"] in task["objects"]
        assert refs["runsOn"] in task["objects"]
        await client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
        ids = await query(client, pipeline_id, "INSTANCE", status="FINISHED")
        assert len(ids) == 3
        described = await client.describe_pipelines(pipelineIds=[pipeline_id])
        fields = described["pipelineDescriptionList"][0]["fields"]
        assert {"key": "@pipelineState", "stringValue": "FINISHED"} in fields
        call = client.set_status(pipelineId=pipeline_id, objectIds=ids, status="RERUN")
        await refused(call, "InvalidRequestException")


async def test_nobody_works_for_a_resource_without_a_group(pipeline_service):
    """Without a worker group for resources their tasks wait for a runner for ever."""
    async with pipeline_service.client() as client:
        pipeline_id = await put_file(client, RUN_ONCE)
        await client.activate_pipeline(pipelineId=pipeline_id)
        assert "taskObject" not in await client.poll_for_task(workerGroup="ignored")
        waiting = await query(client, pipeline_id, "INSTANCE", status="WAITING_FOR_RUNNER")
        assert len(waiting) == 1


async def test_values_given_at_activation_win(pipeline_service):
    """parameterValues of ActivatePipeline replace those of the definition."""
    async with pipeline_service.client() as client:
        pipeline_id = await put_file(client, RUN_ONCE)
        values = [{"id": "myLogs", "stringValue": "s3://now"}]
        await client.activate_pipeline(pipelineId=pipeline_id, parameterValues=values)
        component = await fields_of(client, pipeline_id, "Default")
        assert component["pipelineLogUri"] == "s3://now/here"


async def test_each_activation_is_a_run_on_demand(pipeline_service):
    """A second activation makes a second instance with an id of its own."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        await client.activate_pipeline(pipelineId=pipeline_id)
        assert len(set(await query(client, pipeline_id, "INSTANCE"))) == 2


async def test_a_broken_definition_is_kept_but_not_activated(pipeline_service):
    """Validation errors are answered, the definition is stored, its activation is refused."""
    async with pipeline_service.client() as client:
        pipeline_id = (await client.create_pipeline(name="p", uniqueId="p"))["pipelineId"]
        fields = [
            {"key": "schedule", "refValue": "Nowhere"},
            {"key": "reportProgressTimeout", "stringValue": "soon"},
        ]
        twice = {"id": "B", "name": "B", "fields": []}
        objects = [{"id": "A", "name": "A", "fields": fields}, twice, twice]
        answer = await client.put_pipeline_definition(
            pipelineId=pipeline_id, pipelineObjects=objects
        )
        assert answer["errored"] is True
        assert [len(one["errors"]) for one in answer["validationErrors"]] == [2, 1]
        stored = await client.get_pipeline_definition(pipelineId=pipeline_id)
        assert stored["pipelineObjects"] == objects
        activation = client.activate_pipeline(pipelineId=pipeline_id)
        await refused(activation, "InvalidRequestException")


async def test_an_incomplete_definition_is_not_kept(pipeline_service):
    """An empty field or too many objects leave the pipeline without the definition."""
    async with pipeline_service.client() as client:
        pipeline_id = (await client.create_pipeline(name="p", uniqueId="p"))["pipelineId"]
        empty = [{"id": "A", "name": "A", "fields": [{"key": "k", "stringValue": ""}]}]
        many = [{"id": f"A{n}", "name": "A", "fields": []} for n in range(101)]
        for objects in (empty, many):
            answer = await client.put_pipeline_definition(
                pipelineId=pipeline_id, pipelineObjects=objects
            )
            assert answer["errored"] is True
        stored = await client.get_pipeline_definition(pipelineId=pipeline_id)
        assert stored["pipelineObjects"] == []
        activation = client.activate_pipeline(pipelineId=pipeline_id)
        await refused(activation, "InvalidRequestException")


async def test_selectors_are_anded(pipeline_service):
    """QueryObjects finds by name, reference and time; an operator on a wrong field is refused."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client, count=2)
        task = await poll(client)
        attempt = await fields_of(client, pipeline_id, task["attemptId"])
        started = attempt["@actualStartTime"]

        async def find(*selectors):
            wire = [
                {"fieldName": name, "operator": {"type": kind, "values": values}}
                for name, kind, values in selectors
            ]
            answer = await client.query_objects(
                pipelineId=pipeline_id, sphere="ATTEMPT", query={"selectors": wire}
            )
            return answer["ids"]

        of_parent = ("parent", "REF_EQ", [attempt["parent"]])
        then = ("@actualStartTime", "BETWEEN", [started, started])
        before = ("@actualStartTime", "LE", ["2020-01-01T00:00:00"])
        after = ("@scheduledStartTime", "GE", ["2020-01-01T00:00:00"])
        named = ("name", "EQ", ["nothing", task["attemptId"]])
        assert await find(of_parent, then, named) == [task["attemptId"]]
        assert await find(of_parent, before) == []
        assert len(await find(after)) == 2
        assert await find(("parent", "EQ", [attempt["parent"]])) == []
        for wrong in [
            ("command", "EQ", ["true"]),
            ("@status", "GE", ["A"]),
            ("@status", "IS", ["A"]),
            ("@actualStartTime", "BETWEEN", [started]),
        ]:
            with pytest.raises(client.exceptions.InvalidRequestException):
                await find(wrong)


async def test_unknown_things_are_refused(pipeline_service):
    """Unknown pipelines are not found, with HTTP 400; unknown objects are invalid requests."""
    async with pipeline_service.client() as client:
        for call in [
            client.activate_pipeline(pipelineId="df-NONE"),
            client.get_pipeline_definition(pipelineId="df-NONE"),
            client.describe_pipelines(pipelineIds=["df-NONE"]),
            client.delete_pipeline(pipelineId="df-NONE"),
        ]:
            await refused(call, "PipelineNotFoundException")
        pipeline_id = await make_pipeline(client)
        unknown = client.describe_objects(pipelineId=pipeline_id, objectIds=["None"])
        await refused(unknown, "InvalidRequestException")
        many = client.describe_objects(pipelineId=pipeline_id, objectIds=["Work0"] * 26)
        await refused(many, "InvalidRequestException")


@pytest.mark.parametrize("settings", [Settings(quotas=None, max_pipelines=1)])
async def test_the_limit_of_pipelines(pipeline_service):
    """An account with as many pipelines as it may have gets no more until it deletes one."""
    async with pipeline_service.client() as client:
        first = (await client.create_pipeline(name="a", uniqueId="a"))["pipelineId"]
        await refused(client.create_pipeline(name="b", uniqueId="b"), "InvalidRequestException")
        await client.delete_pipeline(pipelineId=first)
        assert (await client.create_pipeline(name="b", uniqueId="b"))["pipelineId"] != first


async def test_operations_which_are_not_served_say_so(pipeline_service):
    """An operation which the local service has not learned is an unknown operation."""
    async with pipeline_service.client() as client:
        call = client.evaluate_expression(pipelineId="df-1", objectId="o", expression="#{1}")
        await refused(call, "UnknownOperationException")
