"""Quotas and faults: what a client gets."""

from __future__ import annotations

import anyio
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError

from aiodp.testing import AuditKind, Fault, FaultKind, Settings, TaskState
from contract.steps import (
    answer_of,
    held,
    make_pipeline,
    poll,
    poll_held,
    poll_in_vain,
    refused,
    report,
)

pytestmark = pytest.mark.anyio

REPORTS = frozenset({"ReportTaskProgress"})
BROKEN = (HTTPClientError, EndpointConnectionError)  # aiobotocore calls a TCP reset the latter


@pytest.mark.parametrize("settings", [Settings(quotas={"ReportTaskProgress": (0.05, 3)})])
async def test_a_quota_is_a_bucket(pipeline_service):
    """A burst passes, the next call is throttled and renews nothing, time refills the bucket."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        for _ in range(3):
            assert await report(client, task_id) is False
        before = pipeline_service.model.lease_deadline(task_id)
        await refused(client.report_task_progress(taskId=task_id), "ThrottlingException")
        assert pipeline_service.model.lease_deadline(task_id) == before
        await pipeline_service.sleep(21)
        assert await report(client, task_id) is False
        assert pipeline_service.model.calls["ReportTaskProgress", "ok"] == 4
        assert pipeline_service.model.calls["ReportTaskProgress", "ThrottlingException"] == 1


@pytest.mark.parametrize(
    ("kind", "code", "status"),
    [
        (FaultKind.THROTTLE, "ThrottlingException", 400),
        (FaultKind.SERVER_ERROR, "InternalServiceError", 500),
        (FaultKind.UNAVAILABLE, "ServiceUnavailable", 503),
        (FaultKind.ACCESS_DENIED, "AccessDeniedException", 403),
        (FaultKind.EXPIRED_TOKEN, "ExpiredTokenException", 403),
        (FaultKind.INVALID_REQUEST, "InvalidRequestException", 400),
    ],
)
async def test_errors_on_demand(pipeline_service, kind, code, status):
    """Such a fault is answered as the service's own error, and the call is not applied."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        pipeline_service.model.faults.add(Fault(kind=kind, actions=REPORTS, count=1))
        await refused(client.report_task_progress(taskId=task_id), code, status)
        assert pipeline_service.model.task(task_id).state is TaskState.ASSIGNED
        assert await report(client, task_id) is False


@pytest.mark.parametrize(
    "kind", [FaultKind.GARBAGE, FaultKind.HTML, FaultKind.EMPTY, FaultKind.TYPE_IN_OK]
)
async def test_successes_which_are_none(pipeline_service, kind):
    """A broken success raises nothing in botocore, but has no `canceled`: nothing was applied."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        pipeline_service.model.faults.add(Fault(kind=kind))
        assert "canceled" not in await client.report_task_progress(taskId=task_id)
        assert pipeline_service.model.task(task_id).state is TaskState.ASSIGNED


async def test_an_error_page_of_a_proxy(pipeline_service):
    """A proxy's 502 is an error, whatever botocore makes of its page."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        pipeline_service.model.faults.add(Fault(kind=FaultKind.HTML_ERROR))
        with pytest.raises(ClientError) as caught:
            await client.report_task_progress(taskId=task_id)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 502


@pytest.mark.parametrize(
    ("kind", "state"),
    [(FaultKind.RESET, TaskState.ASSIGNED), (FaultKind.RESET_AFTER, TaskState.HELD)],
)
async def test_dropped_connections(pipeline_service, kind, state):
    """A reset is a broken connection; the request was applied only if it says so."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        pipeline_service.model.faults.add(Fault(kind=kind, count=1))
        with pytest.raises(BROKEN):
            await client.report_task_progress(taskId=task_id)
        assert pipeline_service.model.task(task_id).state is state
        assert await report(client, task_id) is False


@pytest.mark.parametrize(
    ("kind", "state"),
    [(FaultKind.HANG, TaskState.ASSIGNED), (FaultKind.HANG_AFTER, TaskState.HELD)],
)
async def test_hanging_calls(pipeline_service, kind, state):
    """A hanging call is never answered; the request was applied only if it says so."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        pipeline_service.model.faults.add(Fault(kind=kind, count=1))

        async def call():
            await client.report_task_progress(taskId=task_id)
            pytest.fail("a hanging call was answered")

        async with anyio.create_task_group() as group:
            held_now = pipeline_service.next_hold()
            group.start_soon(call)
            await held_now()
            await pipeline_service.sleep(60)
            group.cancel_scope.cancel()
        assert pipeline_service.model.task(task_id).state is state


async def test_slow_answers(pipeline_service):
    """A slow call is applied when it arrives and answered after the delay."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        pipeline_service.model.faults.add(Fault(kind=FaultKind.SLOW, delay=30, actions=REPORTS))
        began = pipeline_service.now()
        assert await answer_of(pipeline_service, report(client, task_id)) is False
        assert pipeline_service.now() - began >= 30
        assert pipeline_service.model.task(task_id).last_reported_at < began + 30


async def test_a_lost_answer_of_a_poll_orphans_the_task_for_a_while(pipeline_service):
    """What was handed out in an answer that got lost is offered again after two minutes."""
    async with pipeline_service.client() as client:
        await make_pipeline(client)
        fault = Fault(kind=FaultKind.RESET_AFTER, actions=frozenset({"PollForTask"}), count=1)
        pipeline_service.model.faults.add(fault)
        with pytest.raises(BROKEN):
            await client.poll_for_task(workerGroup="workers")
        await poll_in_vain(pipeline_service, client)
        assert (await poll_held(pipeline_service, client))["attemptId"].endswith("_Attempt=1")


async def test_faults_have_a_time(pipeline_service):
    """A fault begins and ends at its time, and changes only calls of the actions it names."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        start = pipeline_service.now() + 30
        pipeline_service.model.faults.add(
            Fault(kind=FaultKind.UNAVAILABLE, actions=REPORTS, start=start, duration=60)
        )
        assert await report(client, task_id) is False
        await pipeline_service.sleep(45)
        await refused(client.report_task_progress(taskId=task_id), "ServiceUnavailable", 503)
        assert (await client.list_pipelines())["hasMoreResults"] is False
        await pipeline_service.sleep(60)
        assert await report(client, task_id) is False


async def test_a_truncated_answer_is_a_broken_connection(pipeline_service):
    """The connection ends amid the answer to a call which was applied; the next one goes well."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        pipeline_service.model.faults.add(Fault(kind=FaultKind.TRUNCATED, count=1))
        with pytest.raises(BROKEN):
            await client.report_task_progress(taskId=task_id)
        assert pipeline_service.model.task(task_id).state is TaskState.HELD
        assert pipeline_service.model.calls["ReportTaskProgress", "truncated"] == 1
        assert await report(client, task_id) is False


async def test_a_truncated_poll_orphans_its_task(pipeline_service):
    """What was handed out in an answer that broke off is assigned, though nobody knows."""
    async with pipeline_service.client() as client:
        await make_pipeline(client)
        fault = Fault(kind=FaultKind.TRUNCATED, actions=frozenset({"PollForTask"}), count=1)
        pipeline_service.model.faults.add(fault)
        with pytest.raises(BROKEN):
            await client.poll_for_task(workerGroup="workers")
        [assigned] = [e for e in pipeline_service.model.audit if e.kind is AuditKind.ASSIGNED]
        assert pipeline_service.model.task(assigned.task_id).state is TaskState.ASSIGNED


async def test_a_wrong_content_type(pipeline_service):
    """An answer labelled as plain text is complete; botocore does not mind."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        pipeline_service.model.faults.add(Fault(kind=FaultKind.WRONG_TYPE))
        answer = await client.report_task_progress(taskId=task_id)
        assert answer["canceled"] is False
        headers = answer["ResponseMetadata"]["HTTPHeaders"]
        assert headers["content-type"].startswith("text/plain")


async def test_faults_of_a_task(pipeline_service):
    """A fault may change the calls about one task only."""
    async with pipeline_service.client() as client:
        marked, other = pipeline_service.model.assign(2)
        fault = Fault(kind=FaultKind.SERVER_ERROR, tasks=frozenset({marked}))
        pipeline_service.model.faults.add(fault)
        assert await report(client, other) is False
        await refused(client.report_task_progress(taskId=marked), "InternalServiceError", 500)


async def test_the_clock_jumps(pipeline_service):
    """Time jumps when a call arrives: its task's lease ran out meanwhile."""
    async with pipeline_service.client() as client:
        [task_id] = pipeline_service.model.assign()
        assert await report(client, task_id) is False
        fault = Fault(kind=FaultKind.CLOCK_JUMP, jump=10_000, actions=REPORTS, count=1)
        pipeline_service.model.faults.add(fault)
        before = pipeline_service.model.now
        await refused(client.report_task_progress(taskId=task_id), "TaskNotFoundException")
        assert pipeline_service.model.now >= before + 10_000


async def answer_after_jump(pipeline_service, call):
    """Let the model's time jump once the call is held, and return the answer."""
    async with held(pipeline_service, call) as waiting:
        assert waiting.answers == []
        pipeline_service.model.jump(1e6)
    return waiting.answers[0]


@pytest.mark.parametrize("settings", [Settings(quotas=None, poll_hold=9e5)])
async def test_a_jump_ends_a_long_poll(pipeline_service):
    """A held poll is answered when time jumps past its end, and not only when it is."""
    async with pipeline_service.client() as client:
        answer = await answer_after_jump(pipeline_service, client.poll_for_task(workerGroup="none"))
        assert "taskObject" not in answer


async def test_a_jump_brings_a_slow_answer_forward(pipeline_service):
    """A slow answer comes when time jumps past its delay."""
    async with pipeline_service.client() as client:
        pipeline_service.model.faults.add(Fault(kind=FaultKind.SLOW, delay=9e5, count=1))
        answer = await answer_after_jump(pipeline_service, client.list_pipelines())
        assert answer["pipelineIdList"] == []


async def test_a_task_is_given_away(pipeline_service):
    """Its worker is refused from now on, and somebody else has it at once."""
    async with pipeline_service.client() as client:
        await make_pipeline(client)
        first = await poll(client)
        await report(client, first["taskId"])
        pipeline_service.model.give_away(first["taskId"])
        second = await poll(client)
        assert second["attemptId"].endswith("_Attempt=2")
        await refused(client.report_task_progress(taskId=first["taskId"]), "TaskNotFoundException")
        pipeline_service.model.audit.assert_single_owner()


async def test_a_task_runner_is_terminated(pipeline_service):
    """The heartbeat of a runner which shall terminate says so."""
    async with pipeline_service.client() as client:
        names = {"taskrunnerId": "runner", "workerGroup": "workers", "hostname": "host"}
        answer = await client.report_task_runner_heartbeat(**names)
        assert answer["terminate"] is False
        [runner] = pipeline_service.model.runners
        assert (runner.taskrunner_id, runner.worker_group) == ("runner", "workers")
        pipeline_service.model.terminate("runner")
        answer = await client.report_task_runner_heartbeat(**names)
        assert answer["terminate"] is True
