"""The reporter on real sockets: against the HTTP service, and against servers that misbehave."""

from __future__ import annotations

import asyncio
import socket
import struct
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session

from aiodp import (
    LeaseLost,
    LeaseState,
    LostReason,
    ProgressReporter,
    Quota,
    ReportRejected,
    TaskCanceled,
    TaskStatus,
)
from aiodp.emulator import EmulatorServer, Fault, FaultKind, Settings
from aiodp.testing import scaled

pytestmark = pytest.mark.asyncio

SCALE = 20.0  # a minute lasts three seconds
FAST = scaled(SCALE)


def aws_session():
    """A session that needs nothing of the machine's own configuration."""
    session = get_session()
    session.set_credentials("testing", "testing")
    session.set_config_variable("region", "us-east-1")
    session.set_default_client_config(AioConfig(proxies={}))
    return session


@pytest.fixture
def server():
    with EmulatorServer(time_scale=SCALE) as running:
        yield running


def reporter(server, **changes: Any):
    options: dict[str, Any] = {**FAST, **changes}
    return ProgressReporter(aws_session(), endpoint_url=server.endpoint, **options)


def open_files():
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_story(server):
    """Track, report, cancel, finish; what the service saw is what was done."""
    service = server.service()
    async with reporter(server) as opened:
        done, canceled = service.assign(2)  # now, for to make a client takes its time
        async with opened.track(done, fields={"step": "one"}) as task:
            assert await task.report() is False
            await task.set_status(TaskStatus.FINISHED)
        service.cancel(canceled)
        with pytest.raises(TaskCanceled):
            await opened.run(canceled, asyncio.sleep, 60)
        with pytest.raises(LeaseLost):
            await opened.run("nobody", asyncio.sleep, 60)
    assert service.task(done).status == "FINISHED"
    assert service.task(done).fields["step"] == "one"
    assert service.calls["ReportTaskProgress", "ok"] == 3


async def test_long_polls_do_not_starve_heartbeats(server):
    """Twelve polls fill a client's pool of ten, and starve what else it calls; not heartbeats."""
    session = aws_session()
    client = session.create_client("datapipeline", endpoint_url=server.endpoint)
    opening = ProgressReporter(session, endpoint_url=server.endpoint, **FAST)
    before = open_files()
    async with client as polling, opening as opened, asyncio.TaskGroup() as group:
        polls = [
            group.create_task(polling.poll_for_task(workerGroup=f"empty-{number}"))
            for number in range(12)
        ]
        while open_files() < before + 2 * 10:  # both ends of ten connections
            await asyncio.sleep(0.01)
        [task_id] = server.service().assign()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await polling.report_task_progress(taskId=task_id)
        async with opened.track(task_id) as task:
            for _ in range(3):
                await task.report()
            assert task.reports == 4
            assert opened.statistics().failed == {}
        assert not any(poll.done() for poll in polls)
        for poll in polls:
            poll.cancel()


@pytest.mark.parametrize(
    ("kind", "counted"),
    [
        (FaultKind.RESET, "connection"),
        (FaultKind.RESET_AFTER, "connection"),
        (FaultKind.SERVER_ERROR, "server_error"),
        (FaultKind.GARBAGE, "malformed"),
        (FaultKind.EMPTY, "malformed"),
        (FaultKind.HTML, "malformed"),
        (FaultKind.TYPE_IN_OK, "malformed"),
        (FaultKind.HTML_ERROR, "server_error"),
        pytest.param(FaultKind.HANG, "timeout", marks=pytest.mark.slow),
    ],
)
async def test_what_a_network_can_do(server, kind, counted):
    """Each is survived, and counted under its kind."""
    service = server.service()
    async with reporter(server) as opened, opened.track(*service.assign()) as task:
        service.faults.add(Fault(kind=kind, count=2))
        assert await task.report() is False
        assert task.state is LeaseState.HELD
        assert dict(opened.statistics().failed) == {counted: 2}


@pytest.mark.slow
async def test_a_server_that_accepts_and_never_replies():
    """Twenty tasks: every `lost` is set before the service's own deadline, and wakes its waiter."""
    with EmulatorServer(time_scale=SCALE) as server:
        service = server.service()
        margins = []

        async def hold(opened, task_id):
            async with opened.track(task_id) as task:
                await task.ended.wait()
                deadline = service.lease_deadline(task_id)
                margins.append(deadline - service.now if deadline else -1)

        async with reporter(server) as opened, asyncio.TaskGroup() as group:
            for task_id in service.assign(20):
                group.create_task(hold(opened, task_id))
            while opened.statistics().acknowledged < 20:
                await asyncio.sleep(0.01)
            service.faults.add(Fault(kind=FaultKind.HANG))
        assert len(margins) == 20
        assert min(margins) > 0


@pytest.mark.slow
async def test_a_server_that_goes_away_and_comes_back():
    """Every connection is reset for two minutes of service time: nobody is lost."""
    with EmulatorServer(time_scale=SCALE) as server:
        service = server.service()
        async with reporter(server) as opened, opened.track(*service.assign()) as task:
            service.faults.add(Fault(kind=FaultKind.RESET, duration=120.0))
            await asyncio.sleep(180 / SCALE)
            assert await task.report() is False
            assert task.state is LeaseState.HELD
            assert opened.statistics().failed["connection"] > 0


async def test_nobody_listens():
    """A refused connection is retried until the acknowledgement window is over."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        opening = ProgressReporter(
            aws_session(), endpoint_url=f"http://127.0.0.1:{port}", **(FAST | {"ack_timeout": 2.0})
        )
        async with opening as opened:
            with pytest.raises(LeaseLost) as caught:
                async with opened.track("task"):
                    pytest.fail("the body must not begin")
            assert caught.value.reason is LostReason.EXPIRED
            assert opened.statistics().failed["connection"] >= 2


@asynccontextmanager
async def raw_server(behave):
    """A TCP server that does to each connection what it is told."""
    server = await asyncio.start_server(behave, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


ANSWERS = {
    "nothing at all": b"",
    "half a status line": b"HTT",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "binary": bytes(range(256)),
    "a body that is too short": b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}",
    "a redirect": b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n",
    "a list": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
    "a string": b'HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"x"',
    "null": b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nnull",
    "no UTF-8": b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe",
    "canceled is a string": b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"canceled":"false"}',
    "canceled is null": b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"canceled":null}',
    "an error without a type": b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n{}",
    "an error that is a list": b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n[]",
    "an error of a number": b'HTTP/1.1 400 Bad\r\nContent-Length: 12\r\n\r\n{"__type":5}',
    "a teapot": b"HTTP/1.1 418 Teapot\r\nContent-Length: 0\r\n\r\n",
    "a bad gateway": b"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n",
}


async def report_to(behave, ready=None):
    """Report to a server of raw sockets until the task is lost; return how, and the failures."""
    async with raw_server(behave) as endpoint:
        opening = ProgressReporter(
            aws_session(), endpoint_url=endpoint, **(FAST | {"ack_timeout": 6.0})
        )
        async with opening as opened:
            if ready is not None:
                await ready.wait()
            with pytest.raises(LeaseLost) as caught:
                async with opened.track("task"):
                    pytest.fail("the body must not begin")
            return caught.value.reason, opened.statistics().failed


@pytest.fixture(scope="module")
def ends():
    """What became of a task with each of the answers; all at once, for each waits."""

    async def end(name, ready):
        async def behave(reader, writer):
            with suppress(OSError, EOFError), closing(writer):  # the client may give up first
                await reader.readuntil(b"\r\n\r\n")
                writer.write(ANSWERS[name])
                await writer.drain()

        return await report_to(behave, ready)

    async def all_ends():
        ready = asyncio.Barrier(len(ANSWERS))  # to make a client takes its time
        async with asyncio.TaskGroup() as group:
            tasks = {name: group.create_task(end(name, ready)) for name in ANSWERS}
        return {name: task.result() for name, task in tasks.items()}

    return asyncio.run(all_ends())


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERS)
async def test_whatever_a_server_says_is_no_success(ends, name):
    """Garbage is never taken for an acknowledgement, nor does it raise anything of botocore's."""
    reason, failed = ends[name]
    assert reason is LostReason.EXPIRED
    assert sum(failed.values()) >= 2


@pytest.mark.slow
async def test_a_connection_that_is_reset_in_the_answer():
    """RST instead of an answer."""

    async def behave(reader, writer):
        with suppress(OSError, EOFError), closing(writer):  # the client may give up first
            await reader.readuntil(b"\r\n\r\n")
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    _, failed = await report_to(behave)
    assert failed["connection"] >= 2


async def test_a_wrong_key_is_rejected_at_once(server):
    """Permission is denied: `ReportRejected`, without waiting for the window."""
    service = server.service()
    service.faults.add(Fault(kind=FaultKind.ACCESS_DENIED))
    async with reporter(server) as opened:
        with pytest.raises(ReportRejected, match="AccessDenied"):
            async with opened.track(*service.assign()):
                pytest.fail("the body must not begin")


@pytest.mark.parametrize("hang", [False, True])
async def test_cancellation_leaves_no_connection_behind(server, hang):
    """Canceled while calls are on the way, or hang: no task and no socket is left."""
    service = server.service()
    before_files, before_tasks = open_files(), len(asyncio.all_tasks())

    async def worker(opened, task_id):
        async with opened.track(task_id) as task:
            while True:
                await task.report()

    async def workers():
        async with reporter(server) as opened, asyncio.TaskGroup() as group:
            for task_id in service.assign(10):
                group.create_task(worker(opened, task_id))
            while opened.statistics().sent < 30:
                await asyncio.sleep(0.01)
            if hang:
                service.faults.add(Fault(kind=FaultKind.HANG))
                while opened.statistics().in_flight < 10:
                    await asyncio.sleep(0.01)
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await workers()
    assert len(asyncio.all_tasks()) == before_tasks
    service.faults.clear()
    async with asyncio.timeout(50):
        while open_files() > before_files:
            await asyncio.sleep(0.01)


@pytest.mark.slow
async def test_quota_of_the_service_over_http():
    """A service that throttles is followed: a few calls are refused, none is lost."""
    quotas = {"ReportTaskProgress": (20.0 / SCALE, 5)}  # 20 calls in a real second
    with EmulatorServer(time_scale=SCALE, settings=Settings(quotas=quotas)) as server:
        service = server.service()
        options = {"quota": Quota(rate=600, burst=100), "interval": 30 / SCALE}
        turn = asyncio.Semaphore(10)

        async def hold(opened):
            async with AsyncExitStack() as held:
                async with turn:  # the time to acknowledge a task begins when it is assigned
                    task = await held.enter_async_context(opened.track(*service.assign()))
                await asyncio.sleep(160 / SCALE)
                assert task.state is LeaseState.HELD

        async with reporter(server, **options) as opened, asyncio.TaskGroup() as group:
            for _ in range(25):
                group.create_task(hold(opened))
        statistics = opened.statistics()
        assert statistics.throttled > 0
        assert statistics.throttled < statistics.succeeded
