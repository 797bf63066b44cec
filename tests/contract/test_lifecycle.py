"""How runs come about by themselves: time and what ended before wake the polls that wait."""

from __future__ import annotations

import json

import pytest

from aiodp.emulator import AttemptTimeoutAnswer
from aiodp.testing import Settings
from contract.steps import (
    GROUP,
    answer_of,
    fields_of,
    held,
    poll,
    put_file,
    query,
    refused,
    report,
)

pytestmark = pytest.mark.anyio

WORK = {"type": "ShellCommandActivity", "command": "true", "workerGroup": GROUP}
ON_DEMAND = {"id": "Default", "scheduleType": "ondemand"}


async def start(client, *objects):
    """Define and activate a pipeline of these objects of a definition file; return its id."""
    pipeline_id = await put_file(client, json.dumps({"objects": objects}))
    await client.activate_pipeline(pipelineId=pipeline_id)
    return pipeline_id


async def finish(client, task, status="FINISHED"):
    await client.set_task_status(taskId=task["taskId"], taskStatus=status)


async def statuses(client, pipeline_id):
    """Return the statuses of all instances by their components."""
    by_component = {}
    for instance_id in await query(client, pipeline_id, "INSTANCE"):
        fields = await fields_of(client, pipeline_id, instance_id)
        by_component[fields["@componentParent"]] = fields["@status"]
    return by_component


def is_of(task, component):
    return task["attemptId"].startswith(f"@{component}_")


async def wait_for(pipeline_service, client, component):
    """Poll as often as it takes until there is a task, which must be this component's."""
    while True:
        answer = await answer_of(pipeline_service, client.poll_for_task(workerGroup=GROUP))
        if "taskObject" in answer:
            task = answer["taskObject"]
            assert is_of(task, component)
            return task


async def test_a_slot_wakes_a_held_poll(pipeline_service):
    """The instance of a schedule's slot is handed out when the slot begins: a poll is held."""
    async with pipeline_service.client() as client:
        began = pipeline_service.now()
        schedule = {
            "id": "Hourly",
            "type": "Schedule",
            "period": "1 hour",
            "startDateTime": "2026-01-01T00:02:00",
            "occurrences": "1",
        }
        cron = {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "Hourly"}}
        await start(client, schedule, cron, WORK | {"id": "Work"})
        task = await wait_for(pipeline_service, client, "Work")
        assert task["attemptId"] == "@Work_2026-01-01T00:02:00_Attempt=1"
        assert 119 < pipeline_service.now() - began < 175


async def test_what_ends_wakes_a_poll_for_what_depends_on_it(pipeline_service):
    """A dependant is handed out to a held poll when all that it depends on is FINISHED."""
    async with pipeline_service.client() as client, pipeline_service.client() as other:
        after = {"dependsOn": [{"ref": "First"}, {"ref": "Second"}]}
        works = [WORK | {"id": name} for name in ("First", "Second")]
        pipeline_id = await start(client, ON_DEMAND, *works, WORK | {"id": "Last"} | after)
        tasks = [await poll(client) for _ in range(2)]
        assert (await statuses(client, pipeline_id))["Last"] == "WAITING_ON_DEPENDENCIES"
        await finish(client, tasks[0])
        async with held(pipeline_service, poll(other)) as waiting:
            await waiting.pass_time(20)
            assert waiting.answers == []
            began = pipeline_service.now()
            await finish(client, tasks[1])
        assert is_of(waiting.answers[0], "Last")
        assert pipeline_service.now() - began < 60


async def test_a_failure_cascades_and_is_rerun(pipeline_service):
    """In mode cascade dependants fail with what they need, and run after its rerun."""
    async with pipeline_service.client() as client:
        cascade = ON_DEMAND | {"failureAndRerunMode": "cascade", "maximumRetries": "0"}
        after = {"dependsOn": {"ref": "First"}}
        works = [WORK | {"id": "First"}, WORK | {"id": "Last"} | after]
        pipeline_id = await start(client, cascade, *works)
        await finish(client, await poll(client), "FAILED")
        failed = {"First": "FAILED", "Last": "CASCADE_FAILED"}
        assert await statuses(client, pipeline_id) == failed
        ids = await query(client, pipeline_id, "INSTANCE", status="FAILED")
        await client.set_status(pipelineId=pipeline_id, objectIds=ids, status="RERUN")
        await finish(client, await wait_for(pipeline_service, client, "First"))
        await finish(client, await wait_for(pipeline_service, client, "Last"))
        assert set((await statuses(client, pipeline_id)).values()) == {"FINISHED"}


async def test_a_precondition_is_asked_until_it_holds(pipeline_service):
    """A runner checks an activity's precondition: FALSE means again later, FINISHED go on."""
    async with pipeline_service.client() as client:
        exists = {"id": "Ready", "type": "ShellCommandPrecondition", "command": "test -e here"}
        guarded = WORK | {"id": "Work", "precondition": {"ref": "Ready"}}
        pipeline_id = await start(client, ON_DEMAND, exists, guarded)
        first = await wait_for(pipeline_service, client, "Ready")
        instances = await query(client, pipeline_id, "INSTANCE")
        [work] = [instance for instance in instances if "@Work" in instance]
        fields = first["objects"][first["attemptId"]]["fields"]
        assert {"key": "node", "refValue": work} in fields
        assert work in first["objects"]
        began = pipeline_service.now()
        await finish(client, first, "FALSE")
        second = await wait_for(pipeline_service, client, "Ready")
        assert pipeline_service.now() - began >= 120
        assert second["attemptId"] != first["attemptId"]
        await finish(client, second)
        await finish(client, await wait_for(pipeline_service, client, "Work"))


@pytest.mark.parametrize(
    ("settings", "error"),
    [
        (Settings(quotas=None), "TaskNotFoundException"),
        (Settings(quotas=None, attempt_timeout_answer=AttemptTimeoutAnswer.CANCELED), None),
    ],
)
async def test_an_attempt_ends_at_its_timeout(pipeline_service, error):
    """Reports keep an attempt no longer than `attemptTimeout`; then it has failed."""
    async with pipeline_service.client() as client:
        limited = WORK | {"id": "Work", "attemptTimeout": "3 minutes"}
        pipeline_id = await start(client, ON_DEMAND, limited)
        task = await poll(client)
        assert await report(client, task["taskId"]) is False
        await pipeline_service.sleep(100)
        assert await report(client, task["taskId"]) is False
        await pipeline_service.sleep(81)
        if error is None:
            assert await report(client, task["taskId"]) is True
        else:
            await refused(client.report_task_progress(taskId=task["taskId"]), error)
        assert (await fields_of(client, pipeline_id, task["attemptId"]))["@status"] == "FAILED"
        assert (await wait_for(pipeline_service, client, "Work"))["attemptId"].endswith(
            "_Attempt=2"
        )


async def test_what_is_late_is_terminated(pipeline_service):
    """An instance which has not ended when it is late is canceled by its Terminate action."""
    async with pipeline_service.client() as client:
        once = {
            "id": "Once",
            "type": "Schedule",
            "period": "1 day",
            "occurrences": "1",
            "startAt": "FIRST_ACTIVATION_DATE_TIME",
        }
        cron = {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "Once"}}
        late = {"lateAfterTimeout": "4 minutes", "onLateAction": {"ref": "Stop"}}
        stop = {"id": "Stop", "type": "Terminate"}
        pipeline_id = await start(client, once, cron, stop, WORK | {"id": "Work"} | late)
        task = await poll(client)
        assert await report(client, task["taskId"]) is False
        await pipeline_service.sleep(241)
        assert await report(client, task["taskId"]) is True
        assert await statuses(client, pipeline_id) == {"Work": "CANCELED"}
