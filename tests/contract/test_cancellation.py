"""How a worker learns that its task was taken away by the service's users."""

from __future__ import annotations

import pytest

from aiodp.emulator import CanceledStatusAnswer, DeletedAnswer
from aiodp.testing import Settings
from contract.steps import (
    fields_of,
    make_pipeline,
    poll,
    poll_in_vain,
    query,
    refused,
    report,
    state_of,
)

pytestmark = pytest.mark.anyio


async def test_try_cancel_is_told_by_the_next_report(pipeline_service):
    """SetStatus TRY_CANCEL of an instance: its task's next report is answered `canceled`."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        task = await poll(client)
        assert await report(client, task["taskId"]) is False
        ids = await query(client, pipeline_id, "INSTANCE")
        await client.set_status(pipelineId=pipeline_id, objectIds=ids, status="try_cancel")
        assert pipeline_service.model.task(task["taskId"]).told_canceled is False
        assert await report(client, task["taskId"]) is True
        assert pipeline_service.model.task(task["taskId"]).told_canceled is True
        assert (await fields_of(client, pipeline_id, ids[0]))["@status"] == "CANCELED"
        status = client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
        await refused(status, "TaskNotFoundException")
        assert (await fields_of(client, pipeline_id, ids[0]))["@status"] == "CANCELED"


async def test_a_task_canceled_before_its_first_report(pipeline_service):
    """The very first report of a task can be answered `canceled`."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        pipeline_service.model.cancel(task_id)
        assert await report(client, task_id) is True


async def test_a_canceled_task_is_nobodys(pipeline_service):
    """Silence of a canceled task offers it to nobody; its id is unknown in the end."""
    async with pipeline_service.client() as client:
        await make_pipeline(client)
        task_id = (await poll(client))["taskId"]
        await report(client, task_id)
        pipeline_service.model.cancel(task_id)
        await pipeline_service.sleep(301)
        await refused(client.report_task_progress(taskId=task_id), "TaskNotFoundException")
        await poll_in_vain(pipeline_service, client)


async def test_deactivation_cancels_what_runs(pipeline_service):
    """DeactivatePipeline cancels running tasks at once, and makes the pipeline INACTIVE."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        task_id = (await poll(client))["taskId"]
        await report(client, task_id)
        await client.deactivate_pipeline(pipelineId=pipeline_id)
        assert await report(client, task_id) is True
        assert await state_of(client, pipeline_id) == "INACTIVE"


async def test_deactivation_can_let_tasks_end(pipeline_service):
    """With `cancelActive` false a pipeline is DEACTIVATING until its tasks have ended."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client, count=2)
        task_id = (await poll(client))["taskId"]
        await report(client, task_id)
        await client.deactivate_pipeline(pipelineId=pipeline_id, cancelActive=False)
        assert await report(client, task_id) is False
        assert await state_of(client, pipeline_id) == "DEACTIVATING"
        await poll_in_vain(pipeline_service, client)
        await report(client, task_id)
        await client.set_task_status(taskId=task_id, taskStatus="FINISHED")
        assert await state_of(client, pipeline_id) == "INACTIVE"


async def test_what_waited_runs_after_reactivation(pipeline_service):
    """An instance which waited when its pipeline was deactivated is handed out later."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        [waiting] = await query(client, pipeline_id, "INSTANCE")
        await client.deactivate_pipeline(pipelineId=pipeline_id)
        await client.activate_pipeline(pipelineId=pipeline_id)
        assert (await poll(client))["attemptId"] == f"{waiting}_Attempt=1"


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        (Settings(quotas=None), "PipelineDeletedException"),
        (
            Settings(quotas=None, deleted_answer=DeletedAnswer.PIPELINE_NOT_FOUND),
            "PipelineNotFoundException",
        ),
        (
            Settings(quotas=None, deleted_answer=DeletedAnswer.TASK_NOT_FOUND),
            "TaskNotFoundException",
        ),
    ],
)
async def test_tasks_of_a_deleted_pipeline_are_refused(pipeline_service, code):
    """After DeletePipeline each of the three errors that the API declares can be the answer."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        task_id = (await poll(client))["taskId"]
        await report(client, task_id)
        await client.delete_pipeline(pipelineId=pipeline_id)
        assert pipeline_service.model.task(task_id).canceled is True
        await refused(client.report_task_progress(taskId=task_id), code)
        await refused(client.set_task_status(taskId=task_id, taskStatus="FINISHED"), code)
        query_it = client.query_objects(pipelineId=pipeline_id, sphere="INSTANCE")
        await refused(query_it, "PipelineDeletedException")
        await refused(client.delete_pipeline(pipelineId=pipeline_id), "PipelineNotFoundException")


@pytest.mark.parametrize("settings", [Settings(quotas=None, deleted_answer=DeletedAnswer.CANCELED)])
async def test_tasks_of_a_deleted_pipeline_can_be_canceled(pipeline_service):
    """The other possible reading of DeletePipeline: its tasks are told `canceled`."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        task_id = (await poll(client))["taskId"]
        await client.delete_pipeline(pipelineId=pipeline_id)
        assert await report(client, task_id) is True


@pytest.mark.parametrize(
    "settings", [Settings(quotas=None, canceled_status_answer=CanceledStatusAnswer.IGNORED)]
)
async def test_a_status_of_a_canceled_task_can_be_ignored(pipeline_service):
    """As a setting, SetTaskStatus of a canceled task succeeds and changes nothing."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        pipeline_service.model.cancel(task_id)
        await client.set_task_status(taskId=task_id, taskStatus="FINISHED")
        assert pipeline_service.model.task(task_id).instance_status == "CANCELED"


async def test_mark_finished_takes_the_task_away(pipeline_service):
    """An instance marked as finished is FINISHED; its worker is told to stop."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        task_id = (await poll(client))["taskId"]
        ids = await query(client, pipeline_id, "INSTANCE")
        await client.set_status(pipelineId=pipeline_id, objectIds=ids, status="MARK_FINISHED")
        assert await report(client, task_id) is True
        assert (await fields_of(client, pipeline_id, ids[0]))["@status"] == "FINISHED"


async def test_a_canceled_instance_can_be_marked_as_finished(pipeline_service):
    """MARK_FINISHED overrules how an instance ended."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        ids = await query(client, pipeline_id, "INSTANCE")
        for status, shown in [("TRY_CANCEL", "CANCELED"), ("MARK_FINISHED", "FINISHED")]:
            await client.set_status(pipelineId=pipeline_id, objectIds=ids, status=status)
            assert (await fields_of(client, pipeline_id, ids[0]))["@status"] == shown


async def test_rerun_makes_another_attempt(pipeline_service):
    """A canceled instance which is run again has a next attempt; the old task stays canceled."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        old = await poll(client)
        pipeline_service.model.cancel(old["taskId"])
        ids = await query(client, pipeline_id, "INSTANCE")
        await client.set_status(pipelineId=pipeline_id, objectIds=ids, status="RERUN")
        new = await poll(client)
        assert new["attemptId"] == f"{ids[0]}_Attempt=2"
        assert await report(client, old["taskId"]) is True
        assert await report(client, new["taskId"]) is False


async def test_rerun_is_for_all_or_none(pipeline_service):
    """If one of the instances has not ended none is run again; one named twice runs once."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client, count=2)
        ended, going = await query(client, pipeline_id, "INSTANCE")
        await client.set_status(pipelineId=pipeline_id, objectIds=[ended], status="TRY_CANCEL")
        rerun = client.set_status(pipelineId=pipeline_id, objectIds=[ended, going], status="RERUN")
        await refused(rerun, "InvalidRequestException")
        assert await query(client, pipeline_id, "INSTANCE", status="CANCELED") == [ended]
        await client.set_status(pipelineId=pipeline_id, objectIds=[ended] * 2, status="RERUN")
        assert len(await query(client, pipeline_id, "ATTEMPT")) == 3


async def test_a_paused_component_waits(pipeline_service):
    """PAUSE of a component keeps its tasks from workers until RESUME."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        await client.set_status(pipelineId=pipeline_id, objectIds=["Work0"], status="pause")
        await poll_in_vain(pipeline_service, client)
        await client.set_status(pipelineId=pipeline_id, objectIds=["Work0"], status="RESUME")
        assert (await poll(client))["taskId"]


async def test_objects_of_two_spheres_cannot_be_mixed(pipeline_service):
    """SetStatus takes components or instances, and only the statuses that fit them."""
    async with pipeline_service.client() as client:
        pipeline_id = await make_pipeline(client)
        [instance_id] = await query(client, pipeline_id, "INSTANCE")
        for ids, status in [
            (["Work0", instance_id], "TRY_CANCEL"),
            (["Work0"], "TRY_CANCEL"),
            ([instance_id], "PAUSE"),
            ([instance_id], "CANCEL"),
            (["Nothing"], "PAUSE"),
        ]:
            call = client.set_status(pipelineId=pipeline_id, objectIds=ids, status=status)
            await refused(call, "InvalidRequestException")
