"""A process with a TaskRunner: runner_fleet_worker.py GROUP HOSTNAME RECORDS TIME_SCALE.

It appends what its handler does with each task to the file RECORDS, a line of JSON each, and ends
at SIGTERM, as soon as it holds no task any more.
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import anyio
from aiobotocore.session import get_session

from aiodp import TaskRunner
from aiodp.testing import scaled

if TYPE_CHECKING:
    from typing import TextIO

    from aiodp import Task

AT_ONCE: Final = 8
SLEEP: Final = "sleep "


class Work:
    """Sleeps as long as the command of a task says, in seconds of the service."""

    def __init__(self, records: TextIO, time_scale: float) -> None:
        self._records = records
        self._time_scale = time_scale

    async def __call__(self, task: Task) -> None:
        """Do one task."""
        self._note("begun", task)
        await anyio.sleep(self._seconds(task) / self._time_scale)
        self._note("finished", task)

    def _seconds(self, task: Task) -> float:
        command = task.fields["command"]
        assert isinstance(command, str)
        return float(command.removeprefix(SLEEP))

    def _note(self, what: str, task: Task) -> None:
        line = json.dumps({"what": what, "task": task.task_id, "attempt": task.attempt_id})
        self._records.write(line + "\n")
        self._records.flush()


async def work(group: str, hostname: str, records: str, time_scale: float) -> None:
    """Take tasks until the process is told to end."""
    with Path(records).open("a") as file:  # noqa: ASYNC230 - before anything else runs
        runner = TaskRunner(
            get_session(),
            worker_group=group,
            hostname=hostname,
            handler=Work(file, time_scale),
            max_concurrency=AT_ONCE,
            **scaled(time_scale),
        )
        await runner.run()


def main() -> None:
    """Do what the command line says."""
    logging.basicConfig(level=logging.CRITICAL)  # a fault of the runner itself
    group, hostname, records, time_scale = sys.argv[1:]
    anyio.run(work, group, hostname, records, float(time_scale))


if __name__ == "__main__":
    main()
