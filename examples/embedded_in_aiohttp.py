"""An async worker inside an aiohttp web application.

Run it, and look at what it does::

    python embedded_in_aiohttp.py WORKER_GROUP [PORT]
    curl http://127.0.0.1:8080/tasks

Region and credentials are those of the AWS configuration; if they allow no worker, the application
does not start. Ctrl-C or SIGTERM ends it as soon as the tasks in hand have ended; no further ones
are taken meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

from aiobotocore.session import get_session
from aiohttp import web

from aiodp import Task, TaskRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

RUNNER = web.AppKey("RUNNER", TaskRunner)


async def work(task: Task) -> None:
    """Do one task: the place of your own code."""
    for percent in range(0, 100, 20):
        task.update(percentComplete=percent)  # goes with the next heartbeat
        await asyncio.sleep(0.2)


async def worker(app: web.Application) -> AsyncIterator[None]:
    """Run the worker as long as the application runs."""
    async with app[RUNNER]:
        yield


async def show_tasks(request: web.Request) -> web.Response:
    """Answer what the worker does."""
    runner = request.app[RUNNER]
    statistics = runner.statistics()
    tasks = [
        {"attempt": task.attempt_id, "type": task.type, "state": task.state.value}
        for task in runner.tasks
    ]
    return web.json_response(
        {"tasks": tasks, "polls": statistics.polls, "ended": dict(statistics.ended)}
    )


def main(worker_group: str, port: str = "8080") -> None:
    """Serve until a signal."""
    logging.basicConfig(level=logging.INFO)
    app = web.Application()
    app[RUNNER] = TaskRunner(get_session(), worker_group=worker_group, handler=work)
    app.cleanup_ctx.append(worker)
    app.router.add_get("/tasks", show_tasks)
    web.run_app(app, host="127.0.0.1", port=int(port))


if __name__ == "__main__":
    main(*sys.argv[1:])
