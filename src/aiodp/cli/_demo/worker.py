"""The demo's workers: they poll for tasks and keep them alive with one reporter."""

from __future__ import annotations

import math
from subprocess import CalledProcessError
from typing import TYPE_CHECKING, Final

import anyio

from aiodp import AiodpError, LeaseLost, TaskCanceled, TaskStatus, current_task
from aiodp.cli._demo.task_log import Entry, Stage

if TYPE_CHECKING:
    from types_aiobotocore_datapipeline import DataPipelineClient
    from types_aiobotocore_datapipeline.type_defs import TaskObjectTypeDef

    from aiodp import ProgressReporter
    from aiodp.cli._demo.task_log import TaskLog

STEP_DURATION: Final = 0.3
"""Real seconds."""


class Worker:
    """Polls worker groups and holds all their tasks with one reporter."""

    def __init__(
        self, client: DataPipelineClient, reporter: ProgressReporter, log: TaskLog
    ) -> None:
        self._client = client
        self._reporter = reporter
        self._log = log

    async def run(self, group: str) -> None:
        """Execute the tasks of a group until canceled."""
        async with anyio.create_task_group() as jobs:
            while True:
                entry = await poll(self._client, self._log, group, "worker")
                if entry is not None:
                    jobs.start_soon(self._keep_alive, entry, name=entry.label)

    async def _keep_alive(self, entry: Entry) -> None:
        """Keep one task alive while its work runs, and record how that ended."""
        try:
            await self._reporter.run(
                entry.task_id, self._work, entry, assigned_at=entry.assigned_at
            )
        except TaskCanceled:
            self._log.end(entry, Stage.CANCELED, "canceled in the service")
        except LeaseLost as lost:
            self._log.end(entry, Stage.LOST, lost.reason.value)
        except (AiodpError, OSError, CalledProcessError) as error:
            self._log.end(entry, Stage.FAILED, str(error))
        else:
            self._log.end(entry, Stage.FINISHED)

    async def _work(self, entry: Entry) -> None:
        """Work and set the status FINISHED; canceled if the task ends meanwhile."""
        task = current_task()
        self._log.set_held(entry, task)
        try:
            if entry.steps:
                await _work_in_steps(entry)
            else:
                await self._execute(entry)
            await task.set_status(TaskStatus.FINISHED)
        finally:
            entry.canceled_set = task.canceled.is_set()
            # This stands for a clean-up: the work was canceled once, and the heartbeats go on.
            await anyio.sleep(STEP_DURATION)
            entry.cleaned_up = True

    async def _execute(self, entry: Entry) -> None:
        """Run the task's command."""
        done = await anyio.run_process(entry.command)
        self._log.add_text(f"{entry.label}: the command says {done.stdout.decode().strip()!r}")


async def _work_in_steps(entry: Entry) -> None:
    """Work for so many steps, and report the progress."""
    task, began_at = current_task(), math.inf
    for step in range(1, entry.steps + 1):
        await anyio.sleep(STEP_DURATION)
        entry.percent = 100 * step // entry.steps
        task.update(percentComplete=entry.percent)
        began_at = min(began_at, anyio.current_time())
        entry.progress_reported = (task.last_reported_at or 0.0) > began_at


async def poll(client: DataPipelineClient, log: TaskLog, group: str, hostname: str) -> Entry | None:
    """Poll once; return the task, which is added to the log, or None."""
    answer = await client.poll_for_task(workerGroup=group, hostname=hostname)
    task = answer.get("taskObject")
    if not task:
        return None
    entry = _entry_of(task)
    log.add(entry)
    return entry


async def poll_and_go_silent(
    client: DataPipelineClient, log: TaskLog, group: str, *, lease_timeout: float
) -> None:
    """Acknowledge one task and never report again, like a machine that crashes."""
    entry = None
    while entry is None:
        entry = await poll(client, log, group, "silent")
    entry.silent_until = anyio.current_time() + lease_timeout
    await client.report_task_progress(taskId=entry.task_id)
    log.add_text(f"a worker took {entry.label}, acknowledged it, and is never heard of again")
    log.set_stage(entry, Stage.SILENT)


def _entry_of(task: TaskObjectTypeDef) -> Entry:
    """Parse the answer of PollForTask; the attempt is one of its objects."""
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
