"""The demo's pipelines, and the calls of their owner."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any, Final

from aiodp.emulator import load_definition

if TYPE_CHECKING:
    from collections.abc import Sequence

    from types_aiobotocore_datapipeline import DataPipelineClient

LONG_TASKS: Final = 40
LONG_GROUP: Final = "longer-tasks"
HELLO_GROUP: Final = "ec2-stand-in"
"""Gets the tasks that AWS would run on an EC2 instance; the local service starts none."""
_MAX_DESCRIBED: Final = 25  # objects in a call, API reference of DescribeObjects
CANCELED_DURING_OUTAGES: Final = (37, 39)
"""Numbers of longer tasks that would run longer than the demo."""
_MIN_STEPS: Final = 20
# The first task has fewer steps, as it is started a second time.
_SPECIAL_STEPS: Final = {1: 10} | dict.fromkeys(CANCELED_DURING_OUTAGES, 1000)


class Pipeline:
    """One pipeline at the service, as its owner sees it."""

    def __init__(self, client: DataPipelineClient, pipeline_id: str) -> None:
        self._client = client
        self._id = pipeline_id

    @classmethod
    async def activate(
        cls,
        client: DataPipelineClient,
        name: str,
        definition: tuple[list[Any], list[Any], list[Any]],
    ) -> Pipeline:
        """Create, define and activate a pipeline; raise `ValueError` for a bad definition."""
        objects, parameters, values = definition
        made = await client.create_pipeline(name=name, uniqueId=name)
        put = await client.put_pipeline_definition(
            pipelineId=made["pipelineId"],
            pipelineObjects=objects,
            parameterObjects=parameters,
            parameterValues=values,
        )
        if put["errored"]:
            raise ValueError(f"the service refuses {name}: {put['validationErrors']}")
        await client.activate_pipeline(pipelineId=made["pipelineId"])
        return cls(client, made["pipelineId"])

    async def cancel(self, components: Sequence[str]) -> list[str]:
        """Cancel the instances of these components, as the console does; return their ids."""
        instances = await self._find(
            "INSTANCE", fieldName="@componentParent", type="REF_EQ", values=components
        )
        await self._client.set_status(pipelineId=self._id, objectIds=instances, status="TRY_CANCEL")
        return instances

    async def statuses(self) -> dict[str, str]:
        """Return the status of each activity's instance."""
        described = await self._describe("INSTANCE")
        return {
            object_id: fields["@status"]
            for object_id, fields in described.items()
            if fields["type"].endswith("Activity")
        }

    async def progress(self) -> dict[str, str]:
        """Return the percentComplete of each attempt that has reported one."""
        described = await self._describe("ATTEMPT")
        return {
            object_id: fields["percentComplete"]
            for object_id, fields in described.items()
            if "percentComplete" in fields
        }

    async def _find(self, sphere: str, **selector: Any) -> list[str]:
        query: Any = {"selectors": []}
        if selector:
            operator = {"type": selector["type"], "values": selector["values"]}
            query["selectors"] = [{"fieldName": selector["fieldName"], "operator": operator}]
        pages = self._client.get_paginator("query_objects").paginate(
            pipelineId=self._id, sphere=sphere, query=query
        )
        return [object_id async for page in pages for object_id in page["ids"]]

    async def _describe(self, sphere: str) -> dict[str, dict[str, str]]:
        ids = await self._find(sphere)
        objects = {}
        for start in range(0, len(ids), _MAX_DESCRIBED):
            batch = ids[start : start + _MAX_DESCRIBED]
            answer = await self._client.describe_objects(pipelineId=self._id, objectIds=batch)
            for item in answer["pipelineObjects"]:
                objects[item["id"]] = {
                    field["key"]: field.get("stringValue", field.get("refValue", ""))
                    for field in item["fields"]
                }
        return objects


def hello_world() -> tuple[list[Any], list[Any], list[Any]]:
    """Return AWS's published sample, with a value for its one parameter."""
    text = files("aiodp.cli").joinpath("samples", "helloworld.json").read_text("utf-8")
    objects, parameters, values = load_definition(text)
    return objects, parameters, [*values, {"id": "myS3LogsPath", "stringValue": "s3://demo/logs"}]


def long_tasks() -> tuple[list[Any], list[Any], list[Any]]:
    """Return a pipeline of forty longer tasks, which run on activation."""
    default = {"id": "Default", "name": "Default", "fields": _fields(scheduleType="ondemand")}
    activities = [
        {
            "id": component(number),
            "name": component(number),
            "fields": _fields(
                type="ShellCommandActivity",
                command="echo simulated",
                workerGroup=LONG_GROUP,
                # The worker reads it. Names of user-defined fields begin with "my".
                mySteps=str(_SPECIAL_STEPS.get(number, _MIN_STEPS + number // 2)),
            ),
        }
        for number in range(1, LONG_TASKS + 1)
    ]
    return [default, *activities], [], []


def component(number: int) -> str:
    """Return the id of a longer task's component."""
    return f"Task{number:02}"


def _fields(**fields: str) -> list[dict[str, str]]:
    return [{"key": key, "stringValue": value} for key, value in fields.items()]
