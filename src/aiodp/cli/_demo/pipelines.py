"""The demo's pipelines, and what their owner does with them through the service's API."""

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
"""Gets what AWS would run on an EC2 instance: the local service starts none."""
_MOST_DESCRIBED: Final = 25  # the API reference of DescribeObjects
RUNAWAYS: Final = (37, 39)
"""Longer tasks that would not end by themselves while the demo lasts."""
_FEWEST_STEPS: Final = 20
_OTHER_STEPS: Final = {1: 10} | dict.fromkeys(RUNAWAYS, 1000)  # the first one is begun twice


class Pipeline:
    """One pipeline at the service, as its owner sees it."""

    def __init__(self, client: DataPipelineClient, pipeline_id: str) -> None:
        self._client = client
        self._id = pipeline_id

    @classmethod
    async def activated(
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
        """Cancel what runs of these components, as the console's button does; return what it is."""
        instances = await self._find(
            "INSTANCE", fieldName="@componentParent", type="REF_EQ", values=components
        )
        await self._client.set_status(pipelineId=self._id, objectIds=instances, status="TRY_CANCEL")
        return instances

    async def statuses(self) -> dict[str, str]:
        """Return the status of each activity's instance, as the service sees it."""
        described = await self._describe("INSTANCE")
        return {
            object_id: fields["@status"]
            for object_id, fields in described.items()
            if fields["type"].endswith("Activity")
        }

    async def progress(self) -> dict[str, str]:
        """Return the progress that the service knows of each attempt, where it knows any."""
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
        found = {}
        for start in range(0, len(ids), _MOST_DESCRIBED):
            some = ids[start : start + _MOST_DESCRIBED]
            answer = await self._client.describe_objects(pipelineId=self._id, objectIds=some)
            for item in answer["pipelineObjects"]:
                found[item["id"]] = {
                    field["key"]: field.get("stringValue", field.get("refValue", ""))
                    for field in item["fields"]
                }
        return found


def hello_world() -> tuple[list[Any], list[Any], list[Any]]:
    """Return AWS's own sample as it was published, with a value for its one parameter."""
    text = files("aiodp.cli").joinpath("samples", "helloworld.json").read_text("utf-8")
    objects, parameters, values = load_definition(text)
    return objects, parameters, [*values, {"id": "myS3LogsPath", "stringValue": "s3://demo/logs"}]


def long_tasks() -> tuple[list[Any], list[Any], list[Any]]:
    """Return a pipeline of forty longer tasks, which run when it is activated."""
    default = {"id": "Default", "name": "Default", "fields": _fields(scheduleType="ondemand")}
    activities = [
        {
            "id": component(number),
            "name": component(number),
            "fields": _fields(
                type="ShellCommandActivity",
                command="echo simulated",
                workerGroup=LONG_GROUP,
                # A field of our own, as the names that begin with "my" are: the worker reads it.
                mySteps=str(_OTHER_STEPS.get(number, _FEWEST_STEPS + number // 2)),
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
