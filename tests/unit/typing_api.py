"""What type checkers make of the public API; checked by mypy, never run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import assert_type

from aiobotocore.session import get_session
from anyio import to_thread

from aiodp import (
    LeaseState,
    LostReason,
    ObjectField,
    PipelineObject,
    ProgressReporter,
    Quota,
    Ref,
    RunnerStatistics,
    Statistics,
    Task,
    TaskObject,
    TaskRunner,
    TaskStatus,
    TrackedTask,
    current_task,
    poll,
)
from aiodp.sql import CopyHandler, SqlHandler


async def work(steps: int, name: str) -> list[str]:
    return [name] * steps


async def api() -> None:
    async with ProgressReporter(
        get_session(), interval=timedelta(minutes=1), quota=Quota(rate=5, burst=50), own_thread=True
    ) as reporter:
        assert_type(reporter, ProgressReporter)
        assert_type(reporter.capacity, int | None)
        assert_type(reporter.statistics(), Statistics)
        assert_type(reporter.statistics().failed, Mapping[str, int])
        async with reporter.track("task", fields={"a": 1, "b": [Ref("x"), 2.5]}) as task:
            assert_type(task, TrackedTask)
            assert_type(task.state, LeaseState)
            assert_type(task.lost_reason, LostReason | None)
            assert_type(task.canceled.is_set(), bool)
            assert_type(await task.report(), bool)
            assert_type(await to_thread.run_sync(task.report_from_thread), bool)
            task.update({"when": datetime.now()}, done=True)  # noqa: DTZ005
            await task.set_status(TaskStatus.FAILED, error_id="e")
        async with reporter.track("task", interrupt=True) as task:
            assert_type(task, TrackedTask)
        assert_type(await reporter.run("task", work, 3, "x", lease_timeout=900), list[str])
        assert_type(await reporter.run("task", work(3, "x")), list[str])
        await reporter.run("task", work, "3", "x")  # type: ignore[arg-type]
        await reporter.run("task", work, 3, "x", no_such_option=1)  # type: ignore[call-arg]
        reporter.track("task", fields={"a": None})  # type: ignore[dict-item]
    assert_type(current_task(), TrackedTask)


async def runner() -> None:
    task_runner = TaskRunner(
        get_session(),
        worker_group="workers",
        drain_timeout=timedelta(minutes=5),
        region_name="eu-west-1",
        lease_timeout=600,
        quota=None,
    )

    @task_runner.activity("ShellCommandActivity", max_concurrency=2)
    async def shell(task: Task) -> bool:
        assert_type(task.fields, Mapping[str, ObjectField])
        assert_type(task.text("command"), str)
        assert_type(task.text("command", ""), str)
        assert_type(task.text("command", None), str | None)
        assert_type(task.texts("scriptArgument"), tuple[str, ...])
        assert_type(task.ref("input"), PipelineObject)
        assert_type(task.ref("input").text("filePath"), str)
        assert_type(task.report_progress_timeout, float | None)
        assert_type(await task.evaluate("#{x}"), str)
        object_ids = [
            object_id async for object_id in task.query("INSTANCE", ("@status", "EQ", "FAILED"))
        ]
        assert_type(object_ids, list[str])
        return True

    @task_runner.activity("CopyActivity")
    def copy(task: Task) -> None:
        task.raise_if_ended()

    assert_type(task_runner.activity("SqlActivity")(SqlHandler(get_session())), SqlHandler)
    assert_type(
        task_runner.activity("EmrActivity")(CopyHandler(get_session(), region_name="eu-west-1")),
        CopyHandler,
    )

    def rest(task: Task) -> None:
        assert_type(task.canceled.is_set(), bool)

    TaskRunner(get_session(), worker_group="workers", handler=rest)
    assert_type(await shell(task_runner.tasks[0]), bool)
    assert_type(task_runner.statistics(), RunnerStatistics)
    await task_runner.run(max_tasks=3)
    async with task_runner as entered:
        assert_type(entered, TaskRunner)


async def own_loop() -> None:
    task = await poll(get_session(), worker_group="workers", hostname="here", region_name="r")
    assert_type(task, TaskObject | None)
    if task is None:
        return
    assert_type(task.fields, Mapping[str, ObjectField])
    assert_type(task.attempt, PipelineObject)
    async with ProgressReporter(get_session()).track(
        task.task_id, assigned_at=task.assigned_at, lease_timeout=task.report_progress_timeout
    ):
        pass
