"""Steps which the tests of the conformance suite share."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest
from botocore.exceptions import ClientError

from aiodp.emulator import load_definition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from contract.forms import PipelineService

GROUP = "workers"
_STEP: Final = 30.0  # seconds, of which both the long poll and a retry's delay are multiples


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
    """Poll for a task which must be there already."""
    task: dict[str, Any] = (await client.poll_for_task(workerGroup=group, hostname="host"))[
        "taskObject"
    ]
    return task


async def poll_held(service: PipelineService, client: Any, group: str = GROUP) -> dict[str, Any]:
    """Poll for a task which must come while the service holds the poll."""
    call = client.poll_for_task(workerGroup=group, hostname="host")
    task: dict[str, Any] = (await answer_of(service, call))["taskObject"]
    return task


async def poll_in_vain(service: PipelineService, client: Any, group: str = GROUP) -> None:
    """Poll for a task which does not come within the length of the long poll."""
    call = client.poll_for_task(workerGroup=group, hostname="host")
    assert "taskObject" not in await answer_of(service, call)


async def answer_of(service: PipelineService, call: Awaitable[Any]) -> Any:
    """Return the answer to a call; time passes as long as the service holds it."""
    async with held(service, call) as waiting:
        while not waiting.answers:
            await waiting.pass_time(_STEP)
    return waiting.answers[0]


class HeldCall:
    """A call which the service may hold, and its answer once that has come."""

    def __init__(self, service: PipelineService, call: Awaitable[Any]) -> None:
        self.answers: list[Any] = []
        self._answered = anyio.Event()
        self._service = service
        self._call = call

    async def wait(self) -> None:
        self.answers.append(await self._call)
        self._answered.set()

    async def pass_time(self, seconds: float) -> None:
        """Let time pass, until the service holds the call at that time or has answered it."""
        held = self._service.next_hold()
        await self._service.sleep(seconds)
        async with anyio.create_task_group() as group:
            group.start_soon(_cancel_after, held, group.cancel_scope)
            group.start_soon(_cancel_after, self._answered.wait, group.cancel_scope)


async def _cancel_after(wait: Callable[[], Awaitable[object]], scope: anyio.CancelScope) -> None:
    await wait()
    scope.cancel()


@asynccontextmanager
async def held(service: PipelineService, call: Awaitable[Any]) -> AsyncIterator[HeldCall]:
    """Make a call, and run the block when the service holds it, or has answered it.

    The end of the block waits for the answer.
    """
    waiting = HeldCall(service, call)
    async with anyio.create_task_group() as group:
        group.start_soon(waiting.wait)
        await waiting.pass_time(0)
        yield waiting


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
    return {field["key"]: field.get("stringValue", field.get("refValue")) for field in fields}


async def state_of(client: Any, pipeline_id: str) -> str:
    """Return the state of a pipeline."""
    described = await client.describe_pipelines(pipelineIds=[pipeline_id])
    fields = described["pipelineDescriptionList"][0]["fields"]
    [state] = [field["stringValue"] for field in fields if field["key"] == "@pipelineState"]
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
