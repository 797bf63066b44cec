"""TaskRunner's start: what is wrong with the configuration is raised, what may pass is not."""

from __future__ import annotations

import anyio
import pytest

from aiodp import ReportRejected, TaskRunner
from aiodp.testing import AuditKind, Fault, FaultKind
from virtual.runner_kit import calls, running

pytestmark = pytest.mark.anyio

BEAT = frozenset({"ReportTaskRunnerHeartbeat"})
ALWAYS = 10_000.0


async def work(task): ...


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (FaultKind.ACCESS_DENIED, "Allow datapipeline:ReportTaskRunnerHeartbeat on resource "),
        (FaultKind.EXPIRED_TOKEN, "ExpiredToken.* Renew the credentials.*check_access=False"),
    ],
)
async def test_credentials_that_the_service_refuses_are_raised(kit, client_runner, kind, words):
    """By `run` and by the block, before anything is polled for; with the cause and the remedy."""
    kit.faults.add(Fault(kind=kind, duration=ALWAYS))
    for start in (TaskRunner.run, TaskRunner.__aenter__):
        one = client_runner(work)
        with pytest.raises(ReportRejected, match=words) as caught:
            await start(one)
        assert type(caught.value.__cause__).__name__ == "ClientError"
        assert one._state == "closed"
    assert (calls(kit, "PollForTask"), kit.now) == (0, 0)


async def test_no_credentials_are_raised(monkeypatch, new_session):
    """Nothing is sent; the message says where they are looked for."""
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    session = new_session()

    async def nothing():
        return None

    monkeypatch.setattr(session, "get_credentials", nothing)
    one = TaskRunner(session, worker_group="workers", handler=work, region_name="us-east-1")
    with pytest.raises(ReportRejected, match=r"credentials.*Check the credentials") as caught:
        await one.run()
    assert "Unable to locate credentials" in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "begins_after"),
    [
        (FaultKind.SERVER_ERROR, 0),
        (FaultKind.RESET, 0),
        (FaultKind.THROTTLE, 0),
        (FaultKind.HTML, 0),
        (FaultKind.HANG, 10),
    ],
)
async def test_what_may_pass_is_not_raised(kit, client_runner, kind, begins_after, caplog):
    """It is logged, and the work begins; at the latest after ten seconds."""
    pipeline = kit.activity()
    kit.faults.add(Fault(kind=kind, actions=BEAT, duration=30))
    one = client_runner(work)
    async with running(one):
        await kit.finished([pipeline])
        [begun] = [event.at for event in kit.audit if event.kind is AuditKind.ASSIGNED]
        assert begun == pytest.approx(begins_after, abs=0.1)
        assert "heartbeats of the task runner fail" in caplog.text
        await kit.until(lambda: kit.calls["ReportTaskRunnerHeartbeat", "ok"])


async def test_a_passing_failure_of_a_later_heartbeat_is_not_even_logged(
    kit, client_runner, caplog
):
    """The client repeats it; at the start it does not, for the work is to begin at once."""
    one = client_runner(work)
    async with running(one):
        await anyio.sleep(600)
        kit.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=BEAT, count=1))
        await anyio.sleep(600)
    assert calls(kit, "ReportTaskRunnerHeartbeat") == 3
    assert kit.calls["ReportTaskRunnerHeartbeat", "ok"] == 2
    assert "heartbeats" not in caplog.text


async def test_the_check_is_left_out_on_request(kit, client_runner, caplog):
    """For those who start before their credentials do: they are waited for, and it is logged."""
    pipeline = kit.activity()
    kit.faults.add(Fault(kind=FaultKind.EXPIRED_TOKEN, duration=100))
    one = client_runner(work, check_access=False)
    async with running(one):
        await kit.finished([pipeline])
    assert kit.now > 100
    assert "polls fail (configuration): ExpiredToken" in caplog.text


async def test_a_stop_ends_the_check(kit, client_runner):
    """Nobody waits for the answer any more."""
    kit.faults.add(Fault(kind=FaultKind.HANG, duration=ALWAYS))
    one = client_runner(work)
    async with anyio.create_task_group() as group:
        group.start_soon(one.run)
        await kit.until(lambda: calls(kit, "ReportTaskRunnerHeartbeat"))
        one.stop()
    assert kit.now < 5
