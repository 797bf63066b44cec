"""A worker whose work is a plain function, which runs in a thread.

Run it::

    python plain_function.py WORKER_GROUP

Region and credentials are those of the AWS configuration. Ctrl-C or SIGTERM ends it as soon as the
tasks in hand have ended; at a second one, `raise_if_ended` raises in these.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time

from aiobotocore.session import get_session

from aiodp import Task, TaskRunner

PIECES = 10


def work(task: Task) -> None:
    """Do one task: its return sets it FINISHED, an exception FAILED."""
    for piece in range(PIECES):
        task.raise_if_ended()  # nobody can stop a thread, so it looks for itself
        task.update(percentComplete=100 * piece // PIECES)
        time.sleep(0.3)  # a piece of your work; the heartbeats go on meanwhile


async def main(worker_group: str) -> None:
    """Work until a signal."""
    runner = TaskRunner(get_session(), worker_group=worker_group, handler=work, max_concurrency=2)
    await runner.run()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(sys.argv[1]))
