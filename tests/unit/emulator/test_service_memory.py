"""The service in process: real clients, virtual time, asyncio and trio."""

from __future__ import annotations

from itertools import count

import anyio
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.httpxsession import HttpxSession
from aiobotocore.session import AioSession
from botocore.exceptions import ConnectionClosedError, ReadTimeoutError
from trio.testing import MockClock

from aiodp.testing import Fault, FaultKind, MemoryService, Settings, VirtualTimeLoop

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request):
    if request.param == "asyncio":
        return "asyncio", {"loop_factory": VirtualTimeLoop}
    return "trio", {"clock": MockClock(autojump_threshold=0)}


@pytest.fixture
def config(anyio_backend):
    own = {"retries": {"total_max_attempts": 1}, "read_timeout": 100}
    if anyio_backend[0] == "trio":
        return AioConfig(**own, http_session_cls=HttpxSession)
    return AioConfig(**own)


@pytest.fixture
def memory():
    return MemoryService(settings=Settings(quotas=None, retry_delay=5.0))


@pytest.fixture
async def client(memory, config, anyio_backend):  # the loop to be started in
    session = memory.attach(AioSession())
    async with session.create_client("datapipeline", config=config) as made:
        yield made


async def test_a_poll_is_held_in_the_loop_s_time(client):
    """An empty long poll takes exactly its 90 seconds of the clock that everyone uses."""
    began = anyio.current_time()
    assert "taskObject" not in await client.poll_for_task(workerGroup="workers")
    assert anyio.current_time() - began == pytest.approx(90)


async def test_a_held_poll_wakes_for_a_retry(client, memory):
    """A held poll gets a retried task the moment its delay is over, though nobody calls then."""
    [task_id] = memory.assign()

    async def fail_later():
        await anyio.sleep(10)
        await client.set_task_status(taskId=task_id, taskStatus="FAILED")

    async with anyio.create_task_group() as group:
        group.start_soon(fail_later)
        began = anyio.current_time()
        answer = await client.poll_for_task(workerGroup="workers")
    assert answer["taskObject"]["attemptId"].endswith("_Attempt=2")
    assert anyio.current_time() - began == pytest.approx(15, abs=0.01)


async def test_one_task_for_many_polls(client, memory):
    """Of many held polls one gets the task; the others go on waiting."""
    [task_id] = memory.assign(worker_group="other")
    view = memory.service.task(task_id)
    memory.cancel(task_id)
    got = []

    async def poll():
        answer = await client.poll_for_task(workerGroup="other")
        if "taskObject" in answer:
            got.append((anyio.current_time(), answer["taskObject"]["attemptId"]))

    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(poll)
        await anyio.sleep(30)
        await client.set_status(
            pipelineId=view.pipeline_id, objectIds=[view.instance_id], status="RERUN"
        )
    [(at, attempt_id)] = got
    assert at - began == pytest.approx(30)
    assert attempt_id == f"{view.instance_id}_Attempt=2"
    assert anyio.current_time() - began == pytest.approx(90)


async def test_a_cancelled_poll_leaves_nothing(client, memory):
    """Cancelling a held poll ends it in the service too."""
    with anyio.move_on_after(10) as scope:
        await client.poll_for_task(workerGroup="workers")
    assert scope.cancelled_caught
    assert memory.calls["PollForTask", "abandoned"] == 1
    assert not memory.service._subscribers


async def test_a_hang_lasts_until_its_caller_gives_up(client, memory):
    """A hanging call ends with its client's read timeout, not when the fault is cleared."""
    memory.faults.add(Fault(kind=FaultKind.HANG))
    ended = []

    async def hang():
        with pytest.raises(ReadTimeoutError):
            await client.list_pipelines()
        ended.append(anyio.current_time())

    began = anyio.current_time()
    async with anyio.create_task_group() as group:
        group.start_soon(hang)
        await anyio.sleep(50)
        memory.faults.clear()
        await client.list_pipelines()
    assert ended == [pytest.approx(began + 100)]


async def test_each_client_has_its_own_read_timeout(client, memory, config):
    """A poll, which takes 90 s, is too long for the read timeout of botocore's defaults, 60 s."""
    usual = config.merge(AioConfig(read_timeout=60))
    session = memory.attach(AioSession())
    async with session.create_client("datapipeline", config=usual) as impatient:
        began = anyio.current_time()
        with pytest.raises(ReadTimeoutError):
            await impatient.poll_for_task(workerGroup="workers")
        assert anyio.current_time() - began == pytest.approx(60)
        assert "taskObject" not in await client.poll_for_task(workerGroup="workers")
        assert anyio.current_time() - began == pytest.approx(150)
    assert memory.calls["PollForTask", "abandoned"] == 1


async def test_a_reset_is_botocore_s_error(client, memory):
    """A dropped connection is the error which botocore raises for one."""
    memory.faults.add(Fault(kind=FaultKind.RESET))
    with pytest.raises(ConnectionClosedError):
        await client.list_pipelines()


async def test_a_slow_answer_is_applied_at_once(client, memory):
    """A slow poll takes its task when it arrives, and hears of it after the delay."""
    [task_id] = memory.assign()
    began = anyio.current_time()
    memory.faults.add(Fault(kind=FaultKind.SLOW, delay=30.0))
    await client.report_task_progress(taskId=task_id)
    assert anyio.current_time() - began == pytest.approx(30)
    assert memory.service.lease_deadline(task_id) == pytest.approx(began + 300)


async def test_latency_is_there_and_back(client, memory):
    """A request arrives after the latency, and its answer after another."""
    [task_id] = memory.assign()
    memory.latency = 0.5
    began = anyio.current_time()
    await client.report_task_progress(taskId=task_id)
    assert memory.service.lease_deadline(task_id) == pytest.approx(began + 300.5)
    assert anyio.current_time() - began == pytest.approx(1)


async def test_latency_can_vary(client, memory):
    """A function gives each journey its own latency."""
    steps = count(1)
    memory.latency = lambda: float(next(steps))
    began = anyio.current_time()
    await client.list_pipelines()
    await client.list_pipelines()
    assert anyio.current_time() - began == pytest.approx(1 + 2 + 3 + 4)


async def test_sessions_share_the_service(client, memory, config):
    """Clients of several sessions see the same tasks; a client keeps the service it began with."""
    other = memory.attach(AioSession())
    [task_id] = memory.assign()
    async with other.create_client("datapipeline", config=config) as second:
        await second.report_task_progress(taskId=task_id)
        memory.detach(other)
        await client.report_task_progress(taskId=task_id)
        await second.report_task_progress(taskId=task_id)
    assert memory.calls["ReportTaskProgress", "ok"] == 3


async def test_a_detached_session_uses_the_network(memory, config):
    """After `detach` new clients send their requests to where they would go without it."""
    session = memory.attach(AioSession())
    memory.detach(session)

    def network(**_):
        raise ConnectionClosedError(endpoint_url="network")

    session.register("before-send.data-pipeline", network)
    async with session.create_client("datapipeline", config=config) as client:
        with pytest.raises(ConnectionClosedError, match="network"):
            await client.list_pipelines()
    assert not memory.calls


@pytest.fixture
def no_configuration(monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return tmp_path


async def test_a_bare_session_gets_what_it_lacks(memory, config, no_configuration):
    """A session without region and credentials works, with made-up ones."""
    session = memory.attach(AioSession())
    async with session.create_client("datapipeline", config=config) as client:
        assert client.meta.region_name == "us-east-1"
        assert (await client.list_pipelines())["pipelineIdList"] == []


async def test_a_configured_session_keeps_what_it_has(memory, no_configuration):
    """Region and credentials of a session, given or configured, are left alone."""
    given = AioSession()
    given.set_credentials("mine", "secret")
    given.set_config_variable("region", "eu-west-1")
    memory.attach(given)
    assert (await given.get_credentials()).access_key == "mine"
    assert given.get_config_variable("region") == "eu-west-1"
    (no_configuration / "credentials").write_text(
        "[default]\naws_access_key_id = filed\naws_secret_access_key = x\n"
    )
    configured = memory.attach(AioSession())
    assert (await configured.get_credentials()).access_key == "filed"
