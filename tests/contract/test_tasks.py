"""A task's life, from the poll to its end, as a worker sees it."""

from __future__ import annotations

import anyio
import pytest

from aiodp.testing import Settings, TaskState
from contract.steps import (
    GROUP,
    fields_of,
    held,
    make_pipeline,
    poll,
    poll_held,
    poll_in_vain,
    query,
    refused,
    report,
)

pytestmark = pytest.mark.anyio


async def test_a_queued_task_is_handed_out_at_once(pipeline_service):
    """A poll gets the attempt of an activated pipeline, with the component's fields in it."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client, reportProgressTimeout="10 minutes")
        task = await poll(client)
        attempt = task["objects"][task["attemptId"]]
        fields = {field["key"]: field.get("stringValue") for field in attempt["fields"]}
        assert task["pipelineId"] == pipeline_id
        assert attempt["id"] == attempt["name"] == task["attemptId"]
        assert task["attemptId"].startswith("@Work0_")
        assert task["attemptId"].endswith("_Attempt=1")
        assert fields["@status"] == "WAITING_FOR_RUNNER"
        assert fields["@sphere"] == "ATTEMPT"
        assert fields["command"] == "true"
        assert fields["reportProgressTimeout"] == "10 minutes"


async def test_a_poll_without_work_is_held_and_then_empty(pipeline_service):
    """A poll for which nothing comes ends without a task after the length of the long poll."""
    async with pipeline_service.client() as client:
        began = pipeline_service.now()
        await poll_in_vain(pipeline_service, client)
        assert 90 <= pipeline_service.now() - began < 120


async def test_a_held_poll_gets_work_that_comes_meanwhile(pipeline_service):
    """Activation ends a poll which is held, well before its time."""
    async with pipeline_service.client() as polling, pipeline_service.client() as owner:
        async with held(pipeline_service, poll(polling)) as waiting:
            await waiting.pass_time(20)
            assert waiting.answers == []
            began = pipeline_service.now()
            await make_pipeline(owner)
        assert pipeline_service.now() - began < 60
        assert len(waiting.answers) == 1


async def test_an_abandoned_poll_loses_no_task(pipeline_service):
    """A task which arrives after the poll's client has gone is there for the next poll."""
    async with pipeline_service.client() as gone, pipeline_service.client() as client:
        async with anyio.create_task_group() as group:
            held_now = pipeline_service.next_hold()
            group.start_soon(poll, gone)
            await held_now()
            await pipeline_service.sleep(10)
            group.cancel_scope.cancel()
        await make_pipeline(client)
        assert (await poll(client))["attemptId"].endswith("_Attempt=1")


async def test_worker_groups_are_exact(pipeline_service):
    """A task is for its own worker group only, in the very case of its name."""
    async with pipeline_service.client() as client:
        await make_pipeline(client, workerGroup="Batch")
        await poll_in_vain(pipeline_service, client, "batch")
        assert (await poll(client, "Batch"))["taskId"]


async def test_the_first_report_makes_it_run(pipeline_service):
    """Attempt and instance are RUNNING from the first report on, and carry what it reported."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        task = await poll(client)
        assert await report(client, task["taskId"], percentComplete="50") is False
        attempt = await fields_of(client, pipeline_id, task["attemptId"])
        assert attempt["@status"] == "RUNNING"
        assert attempt["percentComplete"] == "50"
        assert attempt["hostname"] == "host"
        [instance_id] = await query(client, pipeline_id, "INSTANCE", status="RUNNING")
        instance = await fields_of(client, pipeline_id, instance_id)
        assert instance["@headAttempt"] == task["attemptId"]
        assert attempt["@instanceParent"] == attempt["@activeInstances"] == instance_id


async def test_what_is_not_acknowledged_is_offered_again(pipeline_service):
    """After two minutes without a report the same attempt has a new task id; the old is unknown."""
    async with pipeline_service.client() as client:
        await make_pipeline(client)
        first = await poll(client)
        await pipeline_service.sleep(121)
        second = await poll(client)
        assert second["attemptId"] == first["attemptId"]
        assert second["taskId"] != first["taskId"]
        await refused(client.report_task_progress(taskId=first["taskId"]), "TaskNotFoundException")
        assert await report(client, second["taskId"]) is False


async def test_reports_keep_a_task(pipeline_service):
    """A task which is reported within its progress timeout stays, longer than one lease lasts."""
    async with pipeline_service.client() as client:
        await make_pipeline(client, reportProgressTimeout="2 Minutes")
        task = await poll(client)
        for _ in range(4):
            assert await report(client, task["taskId"]) is False
            await pipeline_service.sleep(60)
        assert pipeline_service.model.task(task["taskId"]).state is TaskState.HELD


async def test_a_silent_task_goes_to_somebody_else(pipeline_service):
    """Silence past the progress timeout fails the attempt; the next one is waiting at once."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client, reportProgressTimeout="1 minute")
        silent = await poll(client)
        await report(client, silent["taskId"])
        await pipeline_service.sleep(61)
        other = await poll(client)
        assert other["attemptId"].endswith("_Attempt=2")
        await refused(client.report_task_progress(taskId=silent["taskId"]), "TaskNotFoundException")
        failed = await fields_of(client, pipeline_id, silent["attemptId"])
        assert failed["@status"] == "FAILED"
        pipeline_service.model.audit.assert_single_owner()


async def test_finished_is_the_end(pipeline_service):
    """After FINISHED the instance is FINISHED, and any call with the task id is refused."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        task_id = (await poll(client))["taskId"]
        await report(client, task_id)
        await client.set_task_status(taskId=task_id, taskStatus="FINISHED")
        assert len(await query(client, pipeline_id, "INSTANCE", status="FINISHED")) == 1
        await refused(client.report_task_progress(taskId=task_id), "TaskNotFoundException")
        again = client.set_task_status(taskId=task_id, taskStatus="FAILED")
        await refused(again, "TaskNotFoundException")


async def test_failed_is_retried_after_its_delay(pipeline_service):
    """The error is on the attempt; the next attempt comes after the delay, not before."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        task = await poll(client)
        await client.set_task_status(
            taskId=task["taskId"], taskStatus="FAILED", errorId="Broken", errorMessage="It broke"
        )
        failed = await fields_of(client, pipeline_id, task["attemptId"])
        assert (failed["@status"], failed["errorId"]) == ("FAILED", "Broken")
        assert "@activeInstances" not in failed
        await poll_in_vain(pipeline_service, client)
        assert (await poll_held(pipeline_service, client))["attemptId"].endswith("_Attempt=2")


@pytest.mark.parametrize("settings", [Settings(quotas=None, retry_delay=0.0)])
async def test_failure_is_final_when_no_tries_are_left(pipeline_service):
    """With one retry the second failure fails the instance."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client, maximumRetries="1")
        for _ in range(2):
            task_id = (await poll(client))["taskId"]
            await client.set_task_status(taskId=task_id, taskStatus="FAILED")
        [instance_id] = await query(client, pipeline_id, "INSTANCE", status="FAILED")
        assert len(await query(client, pipeline_id, "ATTEMPT", status="FAILED")) == 2
        assert (await fields_of(client, pipeline_id, instance_id))["@attemptCount"] == "2"


async def test_the_runner_heartbeat_is_answered(pipeline_service):
    """ReportTaskRunnerHeartbeat says whether to terminate: no."""
    async with pipeline_service.client() as client:
        answer = await client.report_task_runner_heartbeat(taskrunnerId="r", workerGroup=GROUP)
        assert answer["terminate"] is False


@pytest.mark.parametrize(
    "fields",
    [
        [{"key": f"k{n}", "stringValue": "v"} for n in range(51)],
        [{"key": "k", "stringValue": "é" * 5121}],
        [{"key": "é" * 129, "stringValue": "v"}],
        [{"key": f"k{n}", "stringValue": "v" * 8000} for n in range(2)],
        [{"key": "@status", "stringValue": "FINISHED"}],
        [{"key": "k", "stringValue": "\x07"}],
        [{"key": "k"}],
    ],
    ids=["count", "value", "name", "object", "read-only", "control", "no value"],
)
async def test_bad_fields_are_refused_and_renew_nothing(pipeline_service, fields):
    """A report with fields beyond a limit is an invalid request, and acknowledges nothing."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        call = client.report_task_progress(taskId=task_id, fields=fields)
        await refused(call, "InvalidRequestException")
        assert pipeline_service.model.task(task_id).state is TaskState.ASSIGNED


@pytest.mark.parametrize(
    ("task_id", "code"),
    [("x" * 2049, "InvalidRequestException"), ("x" * 2048, "TaskNotFoundException")],
)
async def test_task_ids_which_never_were(pipeline_service, task_id, code):
    """An id which is too long is an invalid request; one which was never given is not found."""
    async with pipeline_service.client() as client:
        await refused(client.report_task_progress(taskId=task_id), code)


@pytest.mark.parametrize(
    "arguments",
    [
        {"taskStatus": "CANCELED"},
        {"taskStatus": "FAILED", "errorId": "Service_Mine"},
        {"taskStatus": "FAILED", "errorStackTrace": "x" * 1025},
    ],
)
async def test_bad_statuses_are_refused(pipeline_service, arguments):
    """A status, error id or stack trace which is not allowed ends nothing."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        call = client.set_task_status(taskId=task_id, **arguments)
        await refused(call, "InvalidRequestException")
        assert await report(client, task_id) is False
