"""A worker beside the other work of an asyncio program.

Run it::

    python beside_other_work.py WORKER_GROUP

Region and credentials are those of the AWS configuration. Ctrl-C or SIGTERM cancels the block, and
ends the program as soon as the tasks in hand have ended; a second one interrupts these.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from aiobotocore.session import get_session

from aiodp import Task, TaskRunner

log = logging.getLogger("example")


async def work(task: Task) -> None:
    """Do one task: the place of your own code."""
    for percent in range(0, 100, 20):
        task.update(percentComplete=percent)  # goes with the next heartbeat
        await asyncio.sleep(0.2)


async def main(worker_group: str) -> None:
    """Let the worker run as long as the program has other things to do."""
    async with TaskRunner(get_session(), worker_group=worker_group, handler=work) as runner:
        while True:
            log.info("%d tasks in hand", len(runner.tasks))
            await asyncio.sleep(1)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    asyncio.run(main(sys.argv[1]))
