"""What the tests of the task runner share."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiodp import TaskRunner
    from aiodp.testing import MemoryKit


@asynccontextmanager
async def running(runner: TaskRunner, **options: Any) -> AsyncIterator[TaskRunner]:
    """Run a runner beside the block; then drain it, and wait until it has ended.

    The block begins when its clients are open.
    """
    async with anyio.create_task_group() as group:
        group.start_soon(partial(runner.run, **options))
        while runner.statistics().reports is None:
            await anyio.lowlevel.checkpoint()
        yield runner
        runner.stop()


def attempts(kit: MemoryKit, pipeline: Any) -> list[dict[str, Any]]:
    """Return the fields of a pipeline's attempts, in the order of their making."""

    def call(operation: str, **params: Any) -> dict[str, Any]:
        return kit.service.perform(operation, pipelineId=pipeline.id, **params)

    ids = call("QueryObjects", sphere="ATTEMPT")["ids"]
    if not ids:
        return []
    fields_of = {
        attempt["id"]: {field["key"]: field.get("stringValue") for field in attempt["fields"]}
        for attempt in call("DescribeObjects", objectIds=ids)["pipelineObjects"]
    }
    return [fields_of[attempt_id] for attempt_id in sorted(ids)]


def calls(kit: MemoryKit, operation: str) -> int:
    """Return how many calls of an operation the service has seen, however they ended."""
    return sum(count for (name, _), count in kit.calls.items() if name == operation)
