"""`aiodp.poll`, for those who poll themselves."""

from __future__ import annotations

import logging
import socket

import anyio
import pytest

import aiodp
from aiodp import CallFailed, ProgressReporter, ReportRejected, TaskStatus
from aiodp._aws.runner_transport import ClientRunnerTransport
from aiodp.testing import Fault, FaultKind
from virtual.runner_kit import calls

pytestmark = pytest.mark.anyio

POLL = frozenset({"PollForTask"})


@pytest.fixture
def poll(kit, new_session):
    """Polls with clients of its own."""
    session = kit.attach(new_session())

    async def poll(worker_group: str = "workers", **options: object) -> aiodp.TaskObject | None:
        return await aiodp.poll(session, worker_group=worker_group, **options)  # type: ignore[arg-type]

    return poll


async def test_an_idle_queue_is_no_failure(kit, poll):
    """The service holds each poll for 90 s, and a loop over an empty queue goes on for hours.

    A client with botocore's defaults gives up after 60 s, polls again, and fails after all tries.
    """
    for number in range(1, 41):
        assert await poll() is None
        assert (kit.now, calls(kit, "PollForTask")) == (pytest.approx(90 * number, abs=1), number)


async def test_it_gives_what_tracking_needs(kit, poll, new_session):
    """The task is kept from the moment of the answer, for as long as its object says."""
    pipeline = kit.activity(command="echo hello", reportProgressTimeout="20 minutes")
    task = await poll(hostname="here")
    assert task is not None
    assert (task.type, task.fields["command"]) == ("ShellCommandActivity", "echo hello")
    assert (task.pipeline_id, task.attempt.text("command")) == (pipeline.id, "echo hello")
    assert task.task_id not in repr(task)
    assert task.attempt_id in repr(task)
    assert pipeline.runs[0].hostname == "here"
    assert task.assigned_at == anyio.current_time()
    await anyio.sleep(60)
    async with (
        ProgressReporter(kit.attach(new_session())) as reporter,
        reporter.track(
            task.task_id, assigned_at=task.assigned_at, lease_timeout=task.report_progress_timeout
        ) as tracked,
    ):
        assert tracked.deadline - anyio.current_time() == pytest.approx(1200, abs=1)
        await tracked.set_status(TaskStatus.FINISHED)
    kit.assert_finished(pipeline)


async def test_a_timeout_that_is_no_period_is_none(poll, kit):
    """The task is kept as the reporter keeps any other."""
    kit.activity(reportProgressTimeout="#{format(@scheduledStartTime, 'YYYY')}")
    task = await poll()
    assert task is not None
    assert task.report_progress_timeout is None


@pytest.mark.parametrize(
    "kind",
    [FaultKind.SERVER_ERROR, FaultKind.RESET, FaultKind.THROTTLE, FaultKind.HTML, FaultKind.HANG],
)
async def test_a_poll_without_an_answer_is_repeated(kit, poll, caplog, kind):
    """Not by botocore, but after growing delays, and with one line in the log."""
    caplog.set_level(logging.WARNING, logger="aiodp")
    kit.faults.add(Fault(kind=kind, actions=POLL, count=4))
    kit.activity()
    assert await poll() is not None
    assert calls(kit, "PollForTask") == 5
    held = 4 * 100 if kind is FaultKind.HANG else 0
    assert 15 / 2 <= kit.now - held < 20
    assert len([record for record in caplog.records if "polls fail" in record.getMessage()]) == 1


async def test_a_task_whose_hand_over_is_lost_comes_again(kit, poll):
    """The service offers it after two minutes; until then, the polls go on."""
    kit.faults.add(Fault(kind=FaultKind.RESET_AFTER, actions=POLL, count=1))
    kit.activity()
    while (task := await poll()) is None:
        pass
    assert task.attempt_id.endswith("_Attempt=1")
    assert 120 <= kit.now < 130


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.ACCESS_DENIED, ReportRejected),
        (FaultKind.EXPIRED_TOKEN, ReportRejected),
        (FaultKind.INVALID_REQUEST, CallFailed),
    ],
)
async def test_what_no_repetition_mends_is_raised(kit, poll, kind, error):
    """At once, with the service's words, and its error as the cause."""
    kit.faults.add(Fault(kind=kind, actions=POLL, count=1))
    with pytest.raises(error, match="the poll was refused: ") as caught:
        await poll()
    assert caught.value.__cause__ is not None
    assert kit.now < 1


async def test_an_answer_that_is_no_task_is_raised(poll, monkeypatch):
    """It is said what is wrong with it: nobody could work on that."""

    async def answer(*_):
        return {"taskId": "task", "pipelineId": "df-1", "attemptId": "@A", "objects": {}}

    monkeypatch.setattr(ClientRunnerTransport, "poll", answer)
    with pytest.raises(CallFailed, match="cannot be read: its attempt '@A' is not among"):
        await poll()


@pytest.mark.parametrize("names", [{"worker_group": ""}, {"hostname": "\x07"}])
async def test_names_are_checked_before_anything_is_sent(kit, poll, names):
    """Which one is wrong stands in the message."""
    with pytest.raises(ValueError, match=next(iter(names))):
        await poll(**names)
    assert calls(kit, "PollForTask") == 0


async def test_the_system_s_hostname_is_told_if_none_is_given(kit, poll):
    """The attempt shows it, as that of the machine that works on it."""
    pipeline = kit.activity()
    await poll()
    assert pipeline.runs[0].hostname == socket.gethostname()


async def test_what_is_no_session_is_said():
    """Before anything else goes wrong with it."""
    with pytest.raises(TypeError, match="session must be a session of aiobotocore"):
        await aiodp.poll(None, worker_group="workers")


async def test_a_client_that_cannot_be_made_is_rejected(new_session):
    """As a reporter says it."""
    with pytest.raises(ReportRejected, match="no client"):
        await aiodp.poll(new_session(), worker_group="w", endpoint_url="no address")
