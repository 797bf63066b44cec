"""Steps which the tests of the conformance suite share."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from aiodp.emulator import load_definition

GROUP = "workers"


async def make_pipeline(client: Any, name: str = "pipeline", count: int = 1, **fields: str) -> str:
    """Create, define and activate an on-demand pipeline of activities; return its id."""
    pipeline_id: str = (await client.create_pipeline(name=name, uniqueId=name))["pipelineId"]
    activity = {
        "type": "ShellCommandActivity",
        "command": "true",
        "workerGroup": GROUP,
        "scheduleType": "ondemand",
    } | fields
    wire = [{"key": key, "stringValue": value} for key, value in activity.items()]
    objects = [{"id": f"Work{n}", "name": f"Work{n}", "fields": wire} for n in range(count)]
    answer = await client.put_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=objects)
    assert answer["errored"] is False
    await client.activate_pipeline(pipelineId=pipeline_id)
    return pipeline_id


async def put_file(client: Any, text: str, name: str = "file") -> str:
    """Create a pipeline and define it by a definition file; return its id."""
    pipeline_id: str = (await client.create_pipeline(name=name, uniqueId=name))["pipelineId"]
    objects, parameters, values = load_definition(text)
    answer = await client.put_pipeline_definition(
        pipelineId=pipeline_id,
        pipelineObjects=objects,
        parameterObjects=parameters,
        parameterValues=values,
    )
    assert answer["errored"] is False
    return pipeline_id


async def poll(client: Any, group: str = GROUP) -> dict[str, Any]:
    """Poll for a task which must be there."""
    task: dict[str, Any] = (await client.poll_for_task(workerGroup=group, hostname="host"))[
        "taskObject"
    ]
    return task


async def report(client: Any, task_id: str, **fields: str) -> bool:
    """Report progress; return whether the task is canceled."""
    wire = [{"key": key, "stringValue": value} for key, value in fields.items()]
    answer = await client.report_task_progress(taskId=task_id, fields=wire)
    canceled: bool = answer["canceled"]
    return canceled


async def fields_of(client: Any, pipeline_id: str, object_id: str) -> dict[str, str]:
    """Return the fields of an object, of which none is a list."""
    answer = await client.describe_objects(pipelineId=pipeline_id, objectIds=[object_id])
    [described] = answer["pipelineObjects"]
    fields = described["fields"]
    return {one["key"]: one.get("stringValue", one.get("refValue")) for one in fields}


async def state_of(client: Any, pipeline_id: str) -> str:
    """Return the state of a pipeline."""
    described = await client.describe_pipelines(pipelineIds=[pipeline_id])
    fields = described["pipelineDescriptionList"][0]["fields"]
    [state] = [one["stringValue"] for one in fields if one["key"] == "@pipelineState"]
    return str(state)


async def query(client: Any, pipeline_id: str, sphere: str, **selectors: str) -> list[str]:
    """Return the ids of the objects of a sphere whose `@` fields equal these values."""
    wire = [
        {"fieldName": f"@{key}", "operator": {"type": "EQ", "values": [value]}}
        for key, value in selectors.items()
    ]
    answer = await client.query_objects(
        pipelineId=pipeline_id, sphere=sphere, query={"selectors": wire}
    )
    ids: list[str] = answer["ids"]
    return ids


async def refused(call: Any, code: str, status: int = 400) -> None:
    """Await a call which the service must refuse with this error."""
    with pytest.raises(ClientError) as caught:
        await call
    assert caught.value.response["Error"]["Code"] == code
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == status
