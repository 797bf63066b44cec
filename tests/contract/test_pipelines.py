"""Pipelines, their definitions and their objects, as their owner sees them."""

from __future__ import annotations

import json

import pytest

from aiodp.emulator import OnDemandBusy
from aiodp.testing import Settings
from contract.steps import (
    fields_of,
    make_pipeline,
    poll,
    poll_held,
    put_file,
    query,
    refused,
    state_of,
)

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
        first = await client.create_pipeline(name="a", uniqueId="1", description="d")
        same = await client.create_pipeline(name="a", uniqueId="1")
        other = await client.create_pipeline(name="a", uniqueId="2")
        assert first["pipelineId"] == same["pipelineId"] != other["pipelineId"]
        assert first["pipelineId"].startswith("df-")


async def test_a_pipeline_describes_itself(pipeline_service):
    """DescribePipelines has the record's fields; its state follows the activation."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client, "mine")
        answer = await client.describe_pipelines(pipelineIds=[pipeline_id])
        [described] = answer["pipelineDescriptionList"]
        fields = {field["key"]: field["stringValue"] for field in described["fields"]}
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
        listed = [item["id"] async for page in pages for item in page["pipelineIdList"]]
        assert listed == made
        pipeline_id = await make_pipeline(client, count=7)
        pages = client.get_paginator("query_objects").paginate(
            pipelineId=pipeline_id, sphere="INSTANCE", PaginationConfig={"PageSize": 3}
        )
        sizes, ids = [], set()
        async for page in pages:
            sizes.append(len(page["ids"]))
            ids.update(page["ids"])
        assert sizes == [3, 3, 1]
        assert len(ids) == 7


async def test_a_definition_comes_back_as_it_went(pipeline_service):
    """GetPipelineDefinition gives what was put: the latest at once, the active after activation."""
    async with pipeline_service.client() as client:
        pipeline_id = await put_file(client, RUN_ONCE)
        latest = await client.get_pipeline_definition(pipelineId=pipeline_id)
        active = await client.get_pipeline_definition(pipelineId=pipeline_id, version="active")
        assert {item["id"] for item in latest["pipelineObjects"]} == {
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
    """Its one task goes to the resource's group with all it inherits, and ends the pipeline.

    The poll is held while the resource starts; the pipeline ends when the resource has shut down.
    """
    async with pipeline_service.client() as client:
        pipeline_id = await put_file(client, RUN_ONCE)
        await client.activate_pipeline(pipelineId=pipeline_id)
        task = await poll_held(pipeline_service, client, "machines")
        attempt = task["objects"][task["attemptId"]]["fields"]
        texts = {field["key"]: field["stringValue"] for field in attempt if "stringValue" in field}
        refs = {field["key"]: field["refValue"] for field in attempt if "refValue" in field}
        arguments = [field["stringValue"] for field in attempt if field["key"] == "scriptArgument"]
        assert texts["pipelineLogUri"] == "s3://given/here"
        assert texts["command"] == f"copy s3://given {texts['@scheduledStartTime']}"
        assert arguments == ["one", "two"]
        assert refs["parent"] == refs["@componentParent"] == "Copy"
        assert refs["input"] in task["objects"]
        assert refs["runsOn"] in task["objects"]
        await client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
        assert await state_of(client, pipeline_id) == "SCHEDULED"
        await pipeline_service.sleep(31)
        ids = await query(client, pipeline_id, "INSTANCE", status="FINISHED")
        assert len(ids) == 3
        assert await state_of(client, pipeline_id) == "FINISHED"
        call = client.set_status(pipelineId=pipeline_id, objectIds=ids, status="RERUN")
        await refused(call, "InvalidRequestException")


async def test_each_resource_has_a_group_of_its_own(pipeline_service):
    """Without a setting the tasks of a resource are for the runner on that very resource."""
    async with pipeline_service.client() as client:
        pipeline_id = await put_file(client, RUN_ONCE)
        await client.activate_pipeline(pipelineId=pipeline_id)
        instances = await query(client, pipeline_id, "INSTANCE")
        [machine] = [name for name in instances if name.startswith("@Machine_")]
        task = await poll_held(pipeline_service, client, f"resource:{pipeline_id}_{machine}")
        assert task["attemptId"].startswith("@Copy_")


async def test_values_given_at_activation_win(pipeline_service):
    """parameterValues of ActivatePipeline replace those of the definition."""
    async with pipeline_service.client() as client:
        pipeline_id = await put_file(client, RUN_ONCE)
        values = [{"id": "myLogs", "stringValue": "s3://now"}]
        await client.activate_pipeline(pipelineId=pipeline_id, parameterValues=values)
        component = await fields_of(client, pipeline_id, "Default")
        assert component["pipelineLogUri"] == "s3://now/here"


async def test_each_activation_is_a_run_on_demand(pipeline_service):
    """A second activation makes a second instance, up to `maxActiveInstances` at one time.

    Beyond that all that runs is canceled, and the pipeline runs anew.
    """
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client, maxActiveInstances="2")
        statuses = []
        for _ in range(2):
            await client.activate_pipeline(pipelineId=pipeline_id)
            ids = await query(client, pipeline_id, "INSTANCE")
            statuses.append([(await fields_of(client, pipeline_id, key))["@status"] for key in ids])
        ready = "WAITING_FOR_RUNNER"
        assert statuses == [[ready, ready], ["CANCELED", "CANCELED", ready]]


@pytest.mark.parametrize(
    "settings", [Settings(quotas=None, on_demand_busy=OnDemandBusy.INVALID_REQUEST)]
)
async def test_a_busy_pipeline_can_refuse_to_run_on_demand(pipeline_service):
    """As a setting, an activation which would make no run is an invalid request."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        activation = client.activate_pipeline(pipelineId=pipeline_id)
        await refused(activation, "InvalidRequestException")
        task_id = (await poll(client))["taskId"]
        await client.set_task_status(taskId=task_id, taskStatus="FINISHED")
        await client.activate_pipeline(pipelineId=pipeline_id)
        assert len(await query(client, pipeline_id, "INSTANCE")) == 2


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
        assert [len(item["errors"]) for item in answer["validationErrors"]] == [2, 1]
        stored = await client.get_pipeline_definition(pipelineId=pipeline_id)
        assert stored["pipelineObjects"] == objects
        activation = client.activate_pipeline(pipelineId=pipeline_id)
        await refused(activation, "InvalidRequestException")


async def test_an_incomplete_definition_is_not_kept(pipeline_service):
    """A definition with an empty field or too many objects is refused, and not stored."""
    async with pipeline_service.client() as client:
        pipeline_id = (await client.create_pipeline(name="p", uniqueId="p"))["pipelineId"]
        empty = [{"id": "A", "name": "A", "fields": [{"key": "k", "stringValue": ""}]}]
        many = [{"id": f"A{n}", "name": "A", "fields": []} for n in range(101)]
        for objects in (empty, many):
            call = client.put_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=objects)
            await refused(call, "InvalidRequestException")
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
        many = client.describe_objects(pipelineId=pipeline_id, objectIds=["Work0"] * 101)
        await refused(many, "InvalidRequestException")


@pytest.mark.parametrize("settings", [Settings(quotas=None, max_pipelines=1)])
async def test_the_limit_of_pipelines(pipeline_service):
    """An account with as many pipelines as it may have gets no more until it deletes one."""
    async with pipeline_service.client() as client:
        first = (await client.create_pipeline(name="a", uniqueId="a"))["pipelineId"]
        await refused(client.create_pipeline(name="b", uniqueId="b"), "InvalidRequestException")
        await client.delete_pipeline(pipelineId=first)
        assert (await client.create_pipeline(name="b", uniqueId="b"))["pipelineId"] != first


async def test_expressions_are_evaluated_for_an_object(pipeline_service):
    """EvaluateExpression takes components and instances; what it cannot evaluate is refused."""
    async with pipeline_service.client() as client:
        pipeline_id = await put_file(client, RUN_ONCE)
        await client.activate_pipeline(pipelineId=pipeline_id)
        instances = await query(client, pipeline_id, "INSTANCE")
        [copy] = [name for name in instances if name.startswith("@Copy_")]
        started = (await fields_of(client, pipeline_id, copy))["@scheduledStartTime"]
        for object_id, text, value in [
            ("Copy", "#{name} to #{myLogs}", "Copier to s3://given"),
            ("Copy", "#{input.directoryPath}", "s3://bucket/in"),
            (copy, "#{minusDays(@scheduledStartTime, 0)}", started),
            (copy, "no expression", "no expression"),
        ]:
            answer = await client.evaluate_expression(
                pipelineId=pipeline_id, objectId=object_id, expression=text
            )
            assert answer["evaluatedExpression"] == value
        for object_id, text in [("None", "#{1}"), ("Copy", "#{nothing}"), ("Copy", "#{day(1")]:
            call = client.evaluate_expression(
                pipelineId=pipeline_id, objectId=object_id, expression=text
            )
            await refused(call, "InvalidRequestException")


async def test_objects_are_described_as_evaluated(pipeline_service):
    """DescribeObjects fills expressions in where it is asked to, of an instance with its slot."""
    async with pipeline_service.client() as client:
        pipeline_id = await put_file(client, RUN_ONCE)
        await client.activate_pipeline(pipelineId=pipeline_id)
        instances = await query(client, pipeline_id, "INSTANCE")
        [copy] = [name for name in instances if name.startswith("@Copy_")]
        for evaluate, when in [(False, "#{@scheduledStartTime}"), (True, copy.rpartition("_")[2])]:
            answer = await client.describe_objects(
                pipelineId=pipeline_id, objectIds=[copy], evaluateExpressions=evaluate
            )
            [described] = answer["pipelineObjects"]
            command = {"key": "command", "stringValue": f"copy s3://given {when}"}
            assert command in described["fields"]


async def test_validation_stores_nothing(pipeline_service):
    """ValidatePipelineDefinition answers as PutPipelineDefinition would, and leaves all alone."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        before = await client.get_pipeline_definition(pipelineId=pipeline_id)
        [work] = before["pipelineObjects"]
        lost = [*work["fields"], {"key": "dependsOn", "refValue": "Nowhere"}]
        answer = await client.validate_pipeline_definition(
            pipelineId=pipeline_id, pipelineObjects=[work | {"fields": lost}]
        )
        assert answer["errored"] is True
        assert [item["id"] for item in answer["validationErrors"]] == ["Work0"]
        after = await client.get_pipeline_definition(pipelineId=pipeline_id)
        assert after["pipelineObjects"] == before["pipelineObjects"]


async def test_tags_are_added_and_removed(pipeline_service):
    """AddTags replaces the values of keys that are there; RemoveTags takes keys that are not."""
    async with pipeline_service.client() as client:
        made = await client.create_pipeline(
            name="p", uniqueId="p", tags=[{"key": "a", "value": "1"}, {"key": "b", "value": "1"}]
        )
        pipeline_id = made["pipelineId"]
        tags = [{"key": "b", "value": "2"}, {"key": "c", "value": "2"}]
        await client.add_tags(pipelineId=pipeline_id, tags=tags)
        await client.remove_tags(pipelineId=pipeline_id, tagKeys=["a", "none"])
        described = await client.describe_pipelines(pipelineIds=[pipeline_id])
        assert described["pipelineDescriptionList"][0]["tags"] == tags
        many = [{"key": f"k{n}", "value": ""} for n in range(9)]
        call = client.add_tags(pipelineId=pipeline_id, tags=many)
        await refused(call, "InvalidRequestException")


async def test_unknown_operations_are_refused(pipeline_service):
    """A target which the API does not have is an unknown operation, with HTTP 400."""

    def retarget(request, **_):
        request.headers.replace_header("X-Amz-Target", "DataPipeline.MakeCoffee")

    async with pipeline_service.client() as client:
        client.meta.events.register("before-sign.data-pipeline", retarget)
        await refused(client.list_pipelines(), "UnknownOperationException")
