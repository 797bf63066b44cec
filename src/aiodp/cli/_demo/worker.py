"""The demo's workers: how a program polls for tasks and keeps them with one reporter."""

from __future__ import annotations

from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Final

import anyio

from aiodp import AiodpError, LeaseLost, TaskCanceled, TaskStatus, current_task
from aiodp.cli._demo.board import Entry, Stage

if TYPE_CHECKING:
    from types_aiobotocore_datapipeline import DataPipelineClient
    from types_aiobotocore_datapipeline.type_defs import TaskObjectTypeDef

    from aiodp import ProgressReporter
    from aiodp.cli._demo.board import Board

STEP: Final = 0.3
"""Real seconds that a step of a longer task takes."""


class Worker:
    """Polls worker groups and holds whatever it is given, all with one reporter."""

    def __init__(
        self, client: DataPipelineClient, reporter: ProgressReporter, board: Board
    ) -> None:
        self._client = client
        self._reporter = reporter
        self._board = board

    async def run(self, group: str) -> None:
        """Work for a group until canceled."""
        async with anyio.create_task_group() as jobs:
            while True:
                entry = await poll(self._client, self._board, group, "worker")
                if entry is not None:
                    jobs.start_soon(self._keep, entry, name=entry.label)

    async def _keep(self, entry: Entry) -> None:
        """Keep one task alive while its work is done, and write down how that ended."""
        try:
            await self._reporter.run(
                entry.task_id, self._work, entry, assigned_at=entry.assigned_at
            )
        except TaskCanceled:
            self._board.end(entry, Stage.CANCELED, "canceled in the service")
        except LeaseLost as lost:
            self._board.end(entry, Stage.LOST, lost.reason.value)
        except (AiodpError, OSError, CalledProcessError) as error:
            self._board.end(entry, Stage.BROKEN, str(error))
        else:
            self._board.end(entry, Stage.FINISHED)

    async def _work(self, entry: Entry) -> None:
        """Do the work and say that it is done. If the task ends meanwhile, this is canceled."""
        task = current_task()
        self._board.hold(entry, task)
        try:
            if entry.steps:
                await _take_steps(entry)
            else:
                await self._execute(entry)
            await task.set_status(TaskStatus.FINISHED)
        finally:
            entry.told = task.canceled.is_set()
            await anyio.sleep(STEP)  # cleaning up: the work is canceled once, heartbeats go on
            entry.cleaned_up = True

    async def _execute(self, entry: Entry) -> None:
        """Run the task's command, as a task runner does."""
        done = await anyio.run_process(entry.command)
        self._board.say(f"{entry.label}: the command says {done.stdout.decode().strip()!r}")


async def _take_steps(entry: Entry) -> None:
    """Do a longer job, and tell the service how far it is."""
    task = current_task()
    for step in range(1, entry.steps + 1):
        await anyio.sleep(STEP)
        entry.percent = 100 * step // entry.steps
        task.update(percentComplete=entry.percent)


async def poll(client: DataPipelineClient, board: Board, group: str, hostname: str) -> Entry | None:
    """Wait for a task as long as the service holds the poll, and write it down."""
    answer = await client.poll_for_task(workerGroup=group, hostname=hostname)
    task = answer.get("taskObject")
    if not task:
        return None
    entry = _entry_of(task)
    board.add(entry)
    return entry


async def take_one_and_go_silent(
    client: DataPipelineClient, board: Board, group: str, *, lease_timeout: float
) -> None:
    """Take a task, acknowledge it, and never be heard of again, like a machine that dies."""
    entry = None
    while entry is None:
        entry = await poll(client, board, group, "silent")
    entry.silent_until = anyio.current_time() + lease_timeout
    await client.report_task_progress(taskId=entry.task_id)
    board.say(f"a worker took {entry.label}, acknowledged it, and is never heard of again")
    board.move(entry, Stage.SILENT)


def _entry_of(task: TaskObjectTypeDef) -> Entry:
    """Read what PollForTask gave: the attempt is one of the objects, its fields are a list."""
    attempt_id = task["attemptId"]
    fields = {
        item["key"]: item.get("stringValue", item.get("refValue", ""))
        for item in task["objects"][attempt_id]["fields"]
    }
    attempt = int(attempt_id.rpartition("=")[2])
    component = fields["@componentParent"]
    return Entry(
        label=_label(component, attempt),
        component=component,
        task_id=task["taskId"],
        instance_id=fields["@instanceParent"],
        attempt=attempt,
        assigned_at=anyio.current_time(),
        steps=int(fields.get("mySteps", "0")),
        command=fields["command"],
    )


def _label(component: str, attempt: int) -> str:
    """Return a name short enough for a table: `07`, or `07/2` for its second attempt."""
    short = component.removeprefix("Task").removeprefix("ShellCommandActivity_")
    return f"{short[:5].lower()}/{attempt}" if attempt > 1 else short[:5].lower()
