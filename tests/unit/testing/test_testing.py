"""The test kit: its small parts, and the service in process as tests hold it."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from aiobotocore.session import get_session
from botocore.exceptions import ClientError

import aiodp.emulator
import aiodp.testing
from aiodp import ProgressReporter, TaskStatus
from aiodp.testing import (
    Fault,
    FaultKind,
    MemoryKit,
    Settings,
    VirtualTimeLoop,
    scaled,
    virtual_time,
)
from aiodp.testing._environment import local_variables, redirecting
from aiodp.testing._virtual import LoopClock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

LOADER = get_session().get_component("data_loader")
DEFINITION: dict[str, Any] = {
    "objects": [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "workers"},
        {"id": "Work", "type": "ShellCommandActivity", "command": "do #{myThing}"},
    ],
    "parameters": [{"id": "myThing", "type": "String"}],
    "values": {"myThing": "this"},
}


@pytest.fixture
def kit() -> MemoryKit:
    return MemoryKit(Settings(max_retries=0))


@pytest.fixture
def connect(kit: MemoryKit) -> Callable[[], Any]:
    """Makes clients of the kit."""

    def make() -> Any:
        session = get_session()
        session.register_component("data_loader", LOADER)
        return kit.attach(session).create_client("datapipeline")

    return make


async def take(client: Any, hostname: str = "here") -> str:
    answer = await client.poll_for_task(workerGroup="workers", hostname=hostname)
    task_id: str = answer["taskObject"]["taskId"]
    return task_id


async def finish(client: Any, task_id: str, status: str = "FINISHED", **error: str) -> None:
    await client.report_task_progress(taskId=task_id)
    await client.set_task_status(taskId=task_id, taskStatus=status, **error)


def test_scaled_options_are_the_reporters():
    """They fit the constructor, and keep the proportions of the defaults."""
    reporter = ProgressReporter(get_session(), **scaled(60))
    assert reporter._timing.lease_timeout == 5
    assert reporter._timing.interval == 1
    assert reporter._quota is not None
    assert reporter._quota.rate == 600


@pytest.mark.parametrize("scale", [0, -1])
def test_impossible_scales(scale):
    """Time does not stand still."""
    with pytest.raises(ValueError, match="time_scale"):
        scaled(scale)


def test_all_of_the_test_kit_is_documented():
    """`__all__` is sorted as ruff sorts it, and each public name has a docstring."""
    for name in aiodp.testing.__all__:
        assert getattr(aiodp.testing, name).__doc__, name


# Time


def test_the_clock_stands_still_without_a_loop_and_goes_on_in_the_next():
    """Work put in before the loop runs is put in at zero, and no second is counted twice."""
    clock = LoopClock()

    async def sleep() -> tuple[float, float]:
        start = clock()
        await anyio.sleep(30)
        return start, clock()

    assert clock() == 0
    for expected in ((0, 30), (30, 60)):
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            assert runner.run(sleep()) == pytest.approx(expected)
        assert clock() == pytest.approx(expected[1])


def test_virtual_time_makes_a_plain_test():
    """It keeps the test's name and arguments, passes on what it returns, and its failure."""

    @virtual_time
    async def test_something(seconds: float) -> float:
        """Say what it is."""
        await anyio.sleep(seconds)
        return asyncio.get_running_loop().time()

    assert test_something.__name__ == "test_something"
    assert test_something(86_400) == 86_400
    with pytest.raises(TypeError):
        test_something()  # type: ignore[call-arg]


def test_one_name_is_no_set_of_names():
    """A fault takes a set; a text would be a set of its letters."""
    with pytest.raises(TypeError, match=r"actions must be a set of names, .* not 'SetTaskStatus'"):
        Fault(kind=FaultKind.HANG, actions="SetTaskStatus")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="tasks must be a set"):
        Fault(kind=FaultKind.HANG, tasks=["task"])  # type: ignore[arg-type]


def test_a_missing_module_is_named(monkeypatch):
    """Whichever it is that the extra would bring, the error says its name."""
    for name in (
        "aiodp.emulator._server.server",
        "aiodp.emulator._server.http",
        "werkzeug.serving",
    ):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "werkzeug.serving", None)
    with pytest.raises(
        ModuleNotFoundError, match=r"EmulatorServer needs .* werkzeug\.serving: pip"
    ):
        aiodp.emulator.EmulatorServer  # noqa: B018 - reading it imports it


# Work


@pytest.mark.parametrize("form", ["mapping", "text", "path"])
def test_the_forms_of_a_definition(kit, form, tmp_path):
    """A mapping, its JSON, and a file of that, which may have a byte order mark, are the same."""
    text = json.dumps(DEFINITION)
    file = tmp_path / "definition.json"
    file.write_text(text, encoding="utf-8-sig")
    pipeline = kit.pipeline({"mapping": DEFINITION, "text": text, "path": file}[form])
    [run] = pipeline.runs
    assert (run.component_id, run.status) == ("Work", "WAITING_FOR_RUNNER")
    assert pipeline.state == "SCHEDULED"
    assert pipeline.id in repr(pipeline)


def test_a_path_as_a_string_is_refused(kit):
    """A string is JSON; what looks like a path is told from broken JSON."""
    with pytest.raises(ValueError, match=r"pass a pathlib\.Path"):
        kit.pipeline("pipelines/report.json")


@virtual_time
async def test_given_values_go_before_the_definitions(kit, connect):
    """The worker sees the value which the test gave."""
    kit.pipeline(DEFINITION, values={"myThing": "that"})
    async with connect() as client:
        task = (await client.poll_for_task(workerGroup="workers"))["taskObject"]
    fields = task["objects"][task["attemptId"]]["fields"]
    assert {"key": "command", "stringValue": "do that"} in fields


def test_errors_of_a_definition_are_listed(kit):
    """The test sees what the service says of which object."""
    with pytest.raises(ValueError, match=r"Work: .*Nowhere"):
        kit.pipeline({"objects": [DEFINITION["objects"][1] | {"dependsOn": {"ref": "Nowhere"}}]})


def test_putting_work_in_is_no_call_of_the_worker(kit):
    """It costs no quota, is not counted, and no fault applies to it."""
    kit.faults.add(Fault(kind=FaultKind.SERVER_ERROR))
    for _ in range(90):
        kit.activity()
    assert kit.calls.total() == 0


def test_work_is_put_in_before_the_loop_runs(kit, connect):
    """A plain fixture may prepare what a coroutine then works on."""
    pipeline = kit.activity()

    @virtual_time
    async def work() -> None:
        async with connect() as client:
            await finish(client, await take(client))

    work()
    kit.assert_finished(pipeline)


def test_a_pipeline_is_steered(kit):
    """Activated again it runs again; deactivated it is INACTIVE; deleted it is gone."""
    pipeline = kit.pipeline(DEFINITION, activate=False)
    assert pipeline.runs == ()
    pipeline.activate()
    assert len(pipeline.runs) == 1
    pipeline.deactivate()
    assert pipeline.state == "INACTIVE"
    pipeline.delete()
    with pytest.raises(AssertionError, match="deleted"):
        pipeline.state  # noqa: B018 - reading it is the test
    with pytest.raises(ValueError, match=r"ActivatePipeline: PipelineDeletedException"):
        pipeline.activate()


# Waiting


@pytest.fixture
async def client(connect: Callable[[], Any]) -> AsyncIterator[Any]:
    async with connect() as made:
        yield made


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    return aiodp.testing.VIRTUAL_TIME


@pytest.mark.anyio
async def test_finished_returns_the_runs(kit, client):
    """It waits across tasks that others hold, and returns what ran."""
    pipeline = kit.activity(worker_group="workers")

    async def work() -> None:
        await anyio.sleep(500.5)
        await finish(client, await take(client, "host-a"))

    async with anyio.create_task_group() as group:
        group.start_soon(work)
        [run] = await kit.finished(pipeline)
    assert (run.status, run.hostname, run.attempts) == ("FINISHED", "host-a", 1)
    assert kit.now == pytest.approx(500.5)  # at once, and not when it looks of itself


@pytest.mark.anyio
async def test_finished_fails_as_soon_as_it_cannot(kit, client):
    """A FAILED run ends the wait at once, with the worker's own message."""
    pipeline = kit.activity()
    await finish(client, await take(client), "FAILED", errorMessage="no disk")
    with pytest.raises(AssertionError, match=r"FAILED \(1 attempt, the last by here\): no disk"):
        await kit.finished(pipeline)
    assert kit.now < 1
    [run] = await kit.ended(pipeline)
    assert run.error == "no disk"


@pytest.mark.anyio
async def test_a_run_without_an_attempts_message_has_the_services(kit, client):
    """Why a run was canceled stands in its line, too."""
    pipeline = kit.activity()
    task_id = await take(client)
    await client.report_task_progress(taskId=task_id)
    kit.cancel((await kit.held(pipeline)).task_id)
    [run] = await kit.ended(pipeline)
    assert (run.status, bool(run.error)) == ("CANCELED", True)
    assert str(run).endswith(f"CANCELED (1 attempt, the last by here): {run.error}")
    with pytest.raises(AssertionError, match="CANCELED"):
        await kit.finished(pipeline)


@pytest.mark.anyio
async def test_a_wait_ends_at_its_timeout(kit):
    """It says until when it waited, and how each run stands."""
    pipeline = kit.activity()
    with pytest.raises(AssertionError, match=r"not FINISHED by 90 s(.|\n)*WAITING_FOR_RUNNER"):
        await kit.finished(pipeline, timeout=90)
    with pytest.raises(AssertionError, match="by 3690 s"):
        await kit.held(pipeline)


def test_a_wait_in_real_time_takes_no_hour(kit, monkeypatch):
    """Without a timeout of its own it gives up after some real time."""
    monkeypatch.setattr("aiodp.testing._memory_kit.WAIT_TIMEOUT", 0.01)
    monkeypatch.setattr("aiodp.testing._memory_kit._MAX_WAIT", 0.01)
    pipeline = kit.activity()
    with pytest.raises(AssertionError, match="not FINISHED by"):
        asyncio.run(kit.finished(pipeline))
    assert kit.now < 360


@pytest.mark.anyio
async def test_a_pipeline_that_never_ran_is_not_finished(kit):
    """No instance at all is no success, and the message asks what was forgotten."""
    pipeline = kit.pipeline(DEFINITION, activate=False)
    with pytest.raises(AssertionError, match="was the pipeline activated"):
        kit.assert_finished(pipeline)


@pytest.mark.anyio
async def test_held_waits_for_the_acknowledgement(kit, client):
    """A task which was handed out is held once its worker has reported."""
    pipeline = kit.activity()
    task_id = await take(client)
    with pytest.raises(AssertionError):
        await kit.held(pipeline, timeout=60)
    await client.report_task_progress(taskId=task_id)
    assert (await kit.held(pipeline)).task_id == task_id


@pytest.mark.anyio
async def test_tasks_are_work_as_well(kit, client):
    """One task id, or several: what is waited for are their instances."""
    first, second = kit.assign(2)
    await finish(client, first)
    await kit.finished(first)
    with pytest.raises(AssertionError):
        kit.assert_finished([first, second])
    await finish(client, second)
    assert len(await kit.finished([first, second])) == 2


@pytest.mark.anyio
async def test_until_sees_what_time_does(kit):
    """What the service does by itself is seen when it happens."""
    [task_id] = kit.assign()
    await kit.until(lambda: kit.task(task_id).deadline is None)
    assert kit.now == pytest.approx(120, abs=0.01)
    with pytest.raises(AssertionError, match="not true by 150 s"):
        await kit.until(lambda: False, timeout=30)


@pytest.mark.anyio
async def test_a_change_whose_answer_is_lost_is_seen(kit, client):
    """A status which was applied, but never answered, ends the wait within a second."""
    pipeline = kit.activity()
    task_id = await take(client)
    await client.report_task_progress(taskId=task_id)
    kit.faults.add(Fault(kind=FaultKind.HANG_AFTER))
    async with anyio.create_task_group() as group:
        group.start_soon(lambda: client.set_task_status(taskId=task_id, taskStatus="FINISHED"))
        await kit.finished(pipeline)
        group.cancel_scope.cancel()
    assert kit.now <= 1


# Two owners


async def lose(kit: MemoryKit, client: Any) -> tuple[str, str]:
    """A worker falls silent, and another one gets its work."""
    kit.activity(maximumRetries="1")
    silent = await take(client, "silent")
    await client.report_task_progress(taskId=silent)
    await anyio.sleep(300)
    return silent, await take(client, "other")


@pytest.mark.anyio
async def test_two_owners_are_found(kit, client):
    """A worker that finishes what another one has, fails the test, which says who did what when."""
    silent, other = await lose(kit, client)
    await finish(client, other)
    kit.assert_single_owner()
    await anyio.sleep(100)
    with pytest.raises(ClientError):
        await client.set_task_status(taskId=silent, taskStatus="FINISHED")
    with pytest.raises(AssertionError) as raised:
        kit.assert_single_owner()
    assert "two workers had the same work in hand at once" in str(raised.value)
    for part in ("silent (task", "lost it at 300 s", "other (task", "at 400 s"):
        assert part in str(raised.value)


@pytest.mark.anyio
async def test_a_worker_past_its_attempt_timeout_is_a_second_owner(kit, client):
    """The service gave the next attempt to another worker; the first should have stopped."""
    kit.activity(maximumRetries="1", attemptTimeout="5 minutes")
    slow = await take(client, "slow")
    for _ in range(5):
        await client.report_task_progress(taskId=slow)
        await anyio.sleep(60)
    await anyio.sleep(121)  # the pause before a retry
    await take(client, "other")
    with pytest.raises(ClientError):
        await client.report_task_progress(taskId=slow)
    with pytest.raises(
        AssertionError, match=r"slow .* was canceled \(attemptTimeout\) and lost it"
    ):
        kit.assert_single_owner()


@pytest.mark.anyio
async def test_a_lost_task_which_nobody_else_has_is_no_second_owner(kit, client):
    """A late call before anybody else got the work shows one owner."""
    kit.activity(maximumRetries="1")
    task_id = await take(client)
    await anyio.sleep(121)
    with pytest.raises(ClientError):
        await client.report_task_progress(taskId=task_id)
    await take(client, "other")
    kit.assert_single_owner()


@pytest.mark.anyio
@pytest.mark.parametrize("deed", ["give_away", "jump"])
async def test_what_the_test_itself_took_away_is_left_out(kit, client, deed):
    """The worker of a task which the test took cannot know before it asks."""
    kit.activity(maximumRetries="1")
    task_id = await take(client)
    await client.report_task_progress(taskId=task_id)
    if deed == "jump":
        kit.jump(400)
    else:
        kit.give_away(task_id)
    await take(client, "other")
    with pytest.raises(ClientError):
        await client.report_task_progress(taskId=task_id)
    kit.assert_single_owner()


@pytest.mark.anyio
async def test_a_reporter_that_loses_its_answers_has_no_second_owner(kit):
    """The reporter gives up before the service does: that is what the check proves of a worker."""
    pipeline = kit.activity(maximumRetries="1")
    session = kit.attach(get_session())
    async with (
        session.create_client("datapipeline") as client,
        ProgressReporter(session) as reporter,
    ):
        async with reporter.track(await take(client)) as task:
            kit.faults.add(Fault(kind=FaultKind.HANG, duration=400))
            await task.lost.wait()
        await anyio.sleep(500)
        async with reporter.track(await take(client, "other")) as again:
            await again.set_status(TaskStatus.FINISHED)
    await kit.finished(pipeline)
    kit.assert_single_owner()


# The environment


def test_the_environment_leads_nowhere_else(monkeypatch):
    """An endpoint for one service, a profile, a token: each would lead away from the test's."""
    monkeypatch.setenv("NO_PROXY", "intranet")
    led = ["AWS_ENDPOINT_URL_S3", "AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_CREDENTIAL_EXPIRATION"]
    assert redirecting([*led, "AWS_MAX_ATTEMPTS", "HOME"]) == led
    variables = local_variables("http://127.0.0.1:1", "eu-west-1")
    assert variables["AWS_REGION"] == variables["AWS_DEFAULT_REGION"] == "eu-west-1"
    assert variables["NO_PROXY"] == "intranet,127.0.0.1"
