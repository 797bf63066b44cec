"""An async worker inside a FastAPI application; one of Starlette has the same `lifespan`.

Run it, and look at what it does::

    WORKER_GROUP=my-group uvicorn embedded_in_fastapi:app
    curl http://127.0.0.1:8000/tasks

Region and credentials are those of the AWS configuration; if they allow no worker, the application
does not start. Ctrl-C or SIGTERM ends it as soon as the tasks in hand have ended; no further ones
are taken meanwhile. A second one interrupts these.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from aiobotocore.session import get_session
from fastapi import FastAPI

from aiodp import Task, TaskRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


async def work(task: Task) -> None:
    """Do one task: the place of your own code."""
    for percent in range(0, 100, 20):
        task.update(percentComplete=percent)  # goes with the next heartbeat
        await asyncio.sleep(0.2)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Run the worker as long as the application runs."""
    async with TaskRunner(
        get_session(), worker_group=os.environ["WORKER_GROUP"], handler=work
    ) as app.state.runner:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/tasks")
async def show_tasks() -> dict[str, Any]:
    """Answer what the worker does."""
    runner: TaskRunner = app.state.runner
    attempts = [task.attempt_id for task in runner.tasks]
    return {"tasks": attempts, "statistics": asdict(runner.statistics())}
