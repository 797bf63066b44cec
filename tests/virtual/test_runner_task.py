"""Task: what a handler can ask."""

from __future__ import annotations

import anyio
import anyio.to_thread
import pytest

from aiodp import CallFailed, PipelineObject, Ref, ReporterClosed, Task, TrackedTask
from aiodp.testing import Fault, FaultKind
from virtual.runner_kit import running

pytestmark = pytest.mark.anyio

DEFINITION = {
    "objects": [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "workers"},
        {"id": "In", "type": "S3DataNode", "directoryPath": "s3://bucket/#{myDay}"},
        {"id": "Out", "type": "S3DataNode", "directoryPath": "s3://bucket/out"},
        {"id": "More", "type": "S3DataNode", "filePath": "s3://bucket/more"},
        {
            "id": "Work",
            "type": "ShellCommandActivity",
            "command": "echo #{myDay} #{@sphere}",
            "scriptArgument": ["a", "b"],
            "input": [{"ref": "In"}, {"ref": "More"}],
            "output": {"ref": "Out"},
            "reportProgressTimeout": "2 Hours",
        },
    ],
    "parameters": [{"id": "myDay", "type": "String"}],
    "values": {"myDay": "today"},
}


@pytest.fixture
def with_task(kit, client_runner):
    """Runs a coroutine function in a handler, and returns what it returns."""

    async def run(work, definition=DEFINITION):
        results = []

        async def handler(task):
            results.append(await work(task))

        pipeline = kit.pipeline(definition)
        await client_runner(handler).run(max_tasks=1)
        kit.assert_finished(pipeline)
        return results[0]

    return run


async def test_a_task_is_a_tracked_task_with_objects(with_task):
    """Fields of the attempt, repeated keys as lists, references that resolve."""

    async def work(task):
        assert isinstance(task, Task)
        assert isinstance(task, TrackedTask)
        assert task.pipeline_id.startswith("df-")
        assert task.attempt_id == "@Work_2026-01-01T00:00:00_Attempt=1"
        assert task.type == "ShellCommandActivity"
        assert not task.is_precondition
        assert task.fields["command"] == "echo today ATTEMPT"
        assert task.fields["scriptArgument"] == ["a", "b"]
        assert task.text("command") == "echo today ATTEMPT"
        assert task.texts("scriptArgument") == ("a", "b")
        assert (task.texts("stage"), task.text("stage", "false")) == ((), "false")
        with pytest.raises(ValueError, match="'scriptArgument' has 2 values, not one"):
            task.text("scriptArgument")
        with pytest.raises(
            LookupError, match=r"no field 'stage' .*its fields are .*reportProgressTimeout"
        ):
            task.text("stage")
        assert task.fields["@componentParent"] == Ref("Work")
        assert task.report_progress_timeout == 7200
        assert task.attempt.period("reportProgressTimeout") == 7200
        assert task.objects[task.attempt_id] is task.attempt
        output = task.ref("output")
        assert isinstance(output, PipelineObject)
        assert (output.type, output.text("directoryPath")) == ("S3DataNode", "s3://bucket/out")
        assert [node.type for node in task.refs("input")] == ["S3DataNode"] * 2
        with pytest.raises(ValueError, match="refers to 2 objects"):
            task.ref("input")
        with pytest.raises(LookupError, match="no field 'runsOn'"):
            task.ref("runsOn")
        with pytest.raises(LookupError, match="did not send along"):
            task.ref("@componentParent")
        with pytest.raises(TypeError):
            task.fields["command"] = "other"  # type: ignore[index]
        assert repr(task) == (
            "<Task ShellCommandActivity '@Work_2026-01-01T00:00:00_Attempt=1' HELD, 1 reports>"
        )
        assert repr(output) == f"<S3DataNode '{output.id}', {len(output.fields)} fields>"
        assert task.refs("input")[0].text("directoryPath") == "s3://bucket/today"
        return True

    assert await with_task(work)


async def test_the_service_evaluates_expressions(with_task):
    """In the context of the attempt, or of another object."""

    async def work(task):
        return (
            await task.evaluate("#{myDay} at #{format(@scheduledStartTime,'YYYY')}"),
            await task.evaluate("#{filePath}", object_id="More"),
        )

    assert await with_task(work) == ("today at 2026", "s3://bucket/more")


async def test_query_and_describe(kit, with_task):
    """Ids by selectors, objects by ids; more than one page of each."""

    async def work(task):
        by_parent = ("@componentParent", "REF_EQ", "Work")
        ids = [object_id async for object_id in task.query("INSTANCE", by_parent)]
        everything = [object_id async for object_id in task.query("INSTANCE")]
        described = [instance async for instance in task.describe(ids)]
        components = [
            component async for component in task.describe(["Work"], evaluate_expressions=False)
        ]
        return ids, everything, described, components

    ids, everything, described, components = await with_task(work)
    assert ids == ["@Work_2026-01-01T00:00:00"]
    assert set(ids) < set(everything)
    assert described[0].fields["@status"] == "RUNNING"
    assert described[0].fields["command"] == "echo today INSTANCE"
    assert components[0].fields["command"] == "echo today #{@sphere}"
    with pytest.raises(LookupError, match="refers to 'Default'"):
        components[0].ref("parent")


async def test_pages(kit, client_runner):
    """More ids than a page holds, and more objects than a call describes."""
    definition = {
        "objects": [
            {"id": "Default", "scheduleType": "ondemand", "workerGroup": "workers"},
            *(
                {"id": f"A{n}", "type": "ShellCommandActivity", "command": "true"}
                for n in range(95)
            ),
        ]
    }
    kit.pipeline(definition)
    object_ids = []

    async def work(task):
        ids = [object_id async for object_id in task.query("COMPONENT")]
        object_ids.append([described.id async for described in task.describe(ids)])

    await client_runner(work).run(max_tasks=1)
    assert len(object_ids[0]) == len(set(object_ids[0])) >= 95


async def test_questions_that_fail(kit, with_task):
    """A passing fault is outlasted; what the service refuses comes as CallFailed."""

    async def work(task):
        kit.faults.add(Fault(kind=FaultKind.SERVER_ERROR, count=1))
        assert await task.evaluate("#{myDay}") == "today"
        with pytest.raises(CallFailed, match="EvaluateExpression failed") as caught:
            await task.evaluate("#{nothing.of.this}")
        assert caught.value.__cause__ is not None
        with pytest.raises(CallFailed, match="describe_objects failed"):
            async for _ in task.describe(["nothing"]):
                pass
        with pytest.raises(CallFailed, match="query_objects failed"):
            async for _ in task.query("NO_SPHERE"):
                pass
        return True

    assert await with_task(work)


async def test_questions_are_asked_in_the_event_loop_of_the_runner(with_task):
    """Elsewhere it is said so at once, and nobody waits for ever."""

    async def work(task):
        async def evaluate():
            await task.evaluate("#{myDay}")

        async def query():
            task.query("INSTANCE")

        async def describe():
            task.describe(["Work"])

        for question in (evaluate, query, describe):
            with pytest.raises(ReporterClosed, match="another event loop"):
                await anyio.to_thread.run_sync(anyio.run, question)
        return True

    assert await with_task(work)


async def test_a_task_knows_when_it_was_assigned(kit, client_runner):
    """On the event loop's clock; its time for the acknowledgement counts from then."""
    times = []

    async def work(task):
        times.append((task.assigned_at, anyio.current_time()))

    async with running(client_runner(work)):
        await anyio.sleep(45)
        await kit.finished(kit.activity())
    [(assigned_at, begun_at)] = times
    assert assigned_at == pytest.approx(begun_at, abs=0.1)


async def test_updates_go_with_heartbeats(kit, client_runner):
    """What a handler sets reaches the service with the next report."""
    pipeline = kit.activity()

    async def work(task):
        task.update(percentComplete=50)
        await anyio.sleep(100)

    one = client_runner(work)
    async with running(one):
        held = await kit.held(pipeline)
        await anyio.sleep(70)
        assert kit.task(held.task_id).fields["percentComplete"] == "50"
