"""A coroutine that knows nothing of aiodp, kept alive while it works.

Either by a task runner, which polls, calls it and sets the status::

    python existing_coroutine.py worker WORKER_GROUP

or by a reporter, for a task that your own code has got from PollForTask::

    python existing_coroutine.py task TASK_ID

Region and credentials are those of the AWS configuration.
"""

from __future__ import annotations

import asyncio
import logging
import sys

from aiobotocore.session import get_session

from aiodp import AiodpError, ProgressReporter, Task, TaskRunner, TaskStatus, current_task

log = logging.getLogger("example")


async def count_words(text: str) -> int:
    """Stand for your coroutine: if its task is canceled or lost, it is canceled, and cleans up."""
    count = 0
    for _ in text.split():
        await asyncio.sleep(0.2)
        count += 1
    return count


# With a task runner


async def handle(task: Task) -> None:
    """Give the coroutine what it needs of the task; returning sets it FINISHED."""
    words = await count_words(task.text("command"))
    log.info("%s has %d words", task.attempt_id, words)


async def work_for(worker_group: str) -> None:
    """Work until a signal."""
    await TaskRunner(get_session(), worker_group=worker_group, handler=handle).run()


# With a reporter


async def count_and_tell(text: str) -> int:
    """Add the status, which must be set while the task is still kept alive."""
    try:
        words = await count_words(text)
    except Exception as error:
        await current_task().set_status(TaskStatus.FAILED, error_message=str(error))
        raise
    await current_task().set_status(TaskStatus.FINISHED)
    return words


async def work_on(task_id: str) -> None:
    """Do one task."""
    async with ProgressReporter(get_session()) as reporter:
        try:
            words = await reporter.run(task_id, count_and_tell, "four words to count")
        except AiodpError as end:  # canceled or lost: the work has stopped, no status is due
            log.warning("%s", end)
        else:
            log.info("the text has %d words", words)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    how, name = sys.argv[1:]
    asyncio.run({"worker": work_for, "task": work_on}[how](name))
