"""Heartbeats on real sockets wait for nothing that the program's work can exhaust."""

from __future__ import annotations

import asyncio
import errno
import itertools
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from functools import partial
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest
import trio
from aiobotocore.config import AioConfig
from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.httpxsession import HttpxSession
from aiobotocore.session import get_session
from botocore.exceptions import EndpointConnectionError

from acceptance.fake_aws import metadata_at
from aiodp import ProgressReporter
from aiodp._aws import addresses, renewal
from aiodp._aws.connections import Connections, SocketReserve, _telling
from aiodp._aws.errors import describe
from aiodp.emulator import EmulatorServer, Fault, FaultKind

pytestmark = pytest.mark.anyio

BLOCKING = 20
OVER_HTTPX = AioConfig(http_session_cls=HttpxSession)
ROLE = {
    "AWS_CONFIG_FILE": "[default]\nrole_arn = arn:aws:iam::123456789012:role/r\n"
    "source_profile = base\nregion = us-east-1\n",
    "AWS_SHARED_CREDENTIALS_FILE": "[base]\naws_access_key_id = id\naws_secret_access_key = key\n",
}


@pytest.fixture(
    params=[
        ("asyncio", AIOHTTPSession),
        pytest.param(("asyncio", HttpxSession), marks=pytest.mark.slow),  # each has another test
        ("trio", HttpxSession),
    ],
    ids=lambda param: f"{param[0]}-{param[1].__name__}",
)
def library(request):
    return request.param


@pytest.fixture
def anyio_backend(library):
    return library[0]


@pytest.fixture
def session(library):
    return make_session(http_session_cls=library[1])


def make_session(**config):
    session = get_session()
    session.set_credentials("testing", "testing")
    session.set_config_variable("region", "us-east-1")
    session.set_default_client_config(AioConfig(**{"proxies": {}, **config}))
    return session


@pytest.fixture
def server():
    with EmulatorServer(allowed_hosts=["aws.test"]) as running:
        yield running


def by_name(server, name="localhost"):
    return f"http://{name}:{urlsplit(server.endpoint).port}"


def reporter(session, endpoint, **options):
    times = {"interval": 0.2, "ack_timeout": 30.0, "attempt_timeout": 5.0}
    return ProgressReporter(session, endpoint_url=endpoint, **times | options)


@asynccontextmanager
async def full_threads():
    """Fill the threads that the event loop has for everybody, to the end of the block."""
    release = threading.Event()
    async with anyio.create_task_group() as group:
        if anyio.get_cancelled_exc_class() is asyncio.CancelledError:
            asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
            block = partial(asyncio.to_thread, release.wait)
        else:
            trio.to_thread.current_default_thread_limiter().total_tokens = 2
            block = partial(trio.to_thread.run_sync, release.wait)
        for _ in range(BLOCKING):
            group.start_soon(block)
        await anyio.lowlevel.checkpoint()
        try:
            yield
        finally:
            release.set()


async def test_work_in_threads_costs_no_lease(server, session):
    """Twenty blocking calls fill the threads; the endpoint is a name, which has to be looked up."""
    [task_id] = server.service().assign()
    async with (
        reporter(session, by_name(server)) as opened,
        full_threads(),
        opened.track(task_id) as task,
    ):
        while task.reports < 3:
            await anyio.sleep(0.1)
        assert opened.statistics().failed == {}


@contextmanager
def names(monkeypatch, answer):
    """Let all lookups of names in `.test` be answered by a function."""
    real = socket.getaddrinfo

    def look_up(host, port, *args, **options):
        if str(host).endswith(".test"):
            answer()
            host = "127.0.0.1"
        return real(host, port, *args, **options)

    with monkeypatch.context() as patched:
        patched.setattr(socket, "getaddrinfo", look_up)
        yield


async def test_a_name_server_that_is_down_costs_no_lease(server, session, monkeypatch, caplog):
    """Each connection is broken off, and each new one is made to the last address that is known."""
    monkeypatch.setattr(addresses, "_FRESH", 0.0)
    down = threading.Event()
    failed: list[None] = []

    def answer():
        if down.is_set():
            failed.append(None)
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    [task_id] = server.service().assign()
    with names(monkeypatch, answer):
        async with (
            reporter(session, by_name(server, "aws.test")) as opened,
            opened.track(task_id) as task,
        ):
            down.set()
            server.service().faults.add(Fault(kind=FaultKind.RESET, count=2))
            while not failed or task.reports < 4:
                await anyio.sleep(0.05)
            assert not task.ended.is_set()
    assert "the address of aws.test cannot be looked up" in caplog.text


LONG_ENOUGH = 2.0
"""Seconds in which a call comes to what it waits for, on a busy machine."""


async def track_until_told(reporter, task_id, caplog):
    """Track a task until the log says that a report was not answered in time."""
    async with anyio.create_task_group() as group:
        group.start_soon(reporter.track(task_id).__aenter__)
        while "was not answered in time" not in caplog.text:
            await anyio.sleep(0.05)
        group.cancel_scope.cancel()


async def test_the_log_names_the_lookup_that_was_waited_for(server, session, monkeypatch, caplog):
    """Not only that there was no answer in time."""
    release = threading.Event()
    [task_id] = server.service().assign()
    with names(monkeypatch, release.wait):
        try:
            async with reporter(
                session, by_name(server, "aws.test"), attempt_timeout=LONG_ENOUGH
            ) as opened:
                await track_until_told(opened, task_id, caplog)
                release.set()  # or else the end waits for the lookup
        finally:
            release.set()
    assert "it waited for the address of aws.test" in caplog.text


async def test_the_log_names_the_answer_that_was_waited_for(server, session, caplog):
    """The connection was there."""
    server.service().faults.add(Fault(kind=FaultKind.HANG, delay=60))
    [task_id] = server.service().assign()
    async with reporter(session, server.endpoint, attempt_timeout=LONG_ENOUGH) as opened:
        await track_until_told(opened, task_id, caplog)
    assert "it waited for an answer" in caplog.text
    server.service().faults.clear()


@pytest.mark.parametrize("proxy", ["127.0.0.1:1", "proxy.test:8080"])
async def test_a_proxy_that_cannot_be_reached_is_named(library, proxy, monkeypatch, caplog):
    """Whether it refuses, or its name is unknown."""

    def unknown():
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    session = make_session(http_session_cls=library[1], proxies={"http": f"http://{proxy}"})
    with names(monkeypatch, unknown):
        async with (
            reporter(session, "http://192.0.2.1") as opened,
            anyio.create_task_group() as group,
        ):
            group.start_soon(opened.track("task").__aenter__)
            while proxy.removesuffix(":8080") not in caplog.text:
                await anyio.sleep(0.02)
            group.cancel_scope.cancel()


class TestSocketReserve:
    """One socket is kept back for when there are no more files to be opened."""

    ADDRESS = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", ("127.0.0.1", 1))

    @pytest.fixture
    def anyio_backend(self):
        return "asyncio"

    @pytest.fixture
    def exhausted(self, monkeypatch):
        """Whether sockets cannot be made, to be set."""
        exhausted = threading.Event()

        class Scarce(socket.socket):
            def __init__(self, *args, **options):
                if exhausted.is_set() and not options.get("fileno"):
                    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
                super().__init__(*args, **options)

        monkeypatch.setattr(socket, "socket", Scarce)
        return exhausted

    def test_it_serves_once_and_is_filled_again(self, exhausted):
        """The next connection after that waits until files are free."""
        reserve = SocketReserve()
        exhausted.set()
        made = [reserve.make(self.ADDRESS)]
        with pytest.raises(OSError, match="Too many open files"):
            reserve.make(self.ADDRESS)
        exhausted.clear()
        made.append(reserve.make(self.ADDRESS))
        exhausted.set()
        made.append(reserve.make(self.ADDRESS))
        reserve.close()
        for connection in made:
            connection.close()

    async def test_a_report_goes_out_when_no_file_can_be_opened(self, exhausted, server):
        """By the socket that was kept back."""
        [task_id] = server.service().assign()
        async with reporter(make_session(), server.endpoint) as opened:
            exhausted.set()
            async with opened.track(task_id) as task:
                assert task.reports >= 1
            exhausted.clear()

    def test_an_error_says_what_to_do(self):
        """Not only that the endpoint could not be reached."""
        scarce = OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        error = EndpointConnectionError(endpoint_url="https://aws.test", error=scarce)
        assert "raise `ulimit -n`" in describe(error)


class TestOtherVersions:
    """What is private to aiohttp and aiobotocore may change: heartbeats go on all the same."""

    async def test_a_request_that_does_not_say_whereto_it_goes(self):
        """Then the log does not say it either."""

        async def connect(request, *_):
            return request

        request = object()
        assert await _telling(connect)(request, [], None) is request

    def test_a_library_that_is_made_by_a_function(self):
        """It is the user's own, and stays as it is."""

        def make(*_args, **_options):
            raise NotImplementedError

        with Connections() as connections:
            config = connections.config(
                get_session(), AioConfig(http_session_cls=make), AioConfig(), None
            )
        assert config.http_session_cls is make


@pytest.fixture
def role(server, monkeypatch, tmp_path):
    """The files of a machine whose role is assumed by way of a name: `localhost`."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, text in ROLE.items():
        (tmp_path / name).write_text(text)
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setenv("AWS_ENDPOINT_URL", by_name(server))


def session_of_machine(library):
    session = get_session()
    session.set_default_client_config(AioConfig(proxies={}, http_session_cls=library[1]))
    return session


async def reports_beside_full_threads(opened, task_id):
    async with full_threads(), opened.track(task_id) as task:
        while task.reports < 3:
            await anyio.sleep(0.1)
        assert opened.statistics().failed == {}


async def test_a_role_is_assumed_beside_work_in_threads(server, role, library, monkeypatch):
    """Twenty blocking calls fill the threads; the name of STS is looked up by another."""
    monkeypatch.setattr(renewal, "_PATIENCE", 0.2)
    session = session_of_machine(library)
    [task_id] = server.service().assign()
    async with reporter(session, by_name(server)) as opened:
        await reports_beside_full_threads(opened, task_id)
    assert not (await session.get_credentials()).refresh_needed()


SLOW_PROCESS = """#!/bin/sh
echo >> "$0.started"
[ -e "$0.slow" ] && sleep 0.6
echo '{"Version": 1, "AccessKeyId": "key", "SecretAccessKey": "secret",
"Expiration": "2999-01-01T00:00:00Z"}'
"""
BY_ROLE = "[profile {}]\nrole_arn = arn:aws:iam::123456789012:role/r\nsource_profile = {}\n"


@pytest.mark.parametrize("library", [("asyncio", AIOHTTPSession)], indirect=True, ids=["asyncio"])
@pytest.mark.parametrize("between", [[], ["middle"]], ids=["one role", "two roles"])
async def test_a_slow_process_behind_a_role_is_started_once(
    server, role, monkeypatch, tmp_path, between
):
    """It has time of its own, for it waits for no thread; here it takes three times as long."""
    monkeypatch.setattr(renewal, "_PATIENCE", 0.2)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    process = tmp_path / "process"
    process.write_text(SLOW_PROCESS)
    process.chmod(0o700)
    (tmp_path / "AWS_SHARED_CREDENTIALS_FILE").write_text("")
    profiles = ["default", *between, "base"]
    config = "".join(BY_ROLE.format(*pair) for pair in itertools.pairwise(profiles))
    (tmp_path / "AWS_CONFIG_FILE").write_text(
        f"{config.replace('profile default', 'default')}[profile base]\n"
        f"credential_process = {process}\n"
    )
    session = get_session()
    held = await session.get_credentials()
    await held.get_frozen_credentials()
    started = tmp_path / "process.started"
    before = len(started.read_text())
    (tmp_path / "process.slow").touch()
    credentials = held
    while credentials is not None:
        credentials._expiry_time = datetime(2020, 1, 1, tzinfo=UTC)
        fetcher = getattr(credentials._refresh_using, "__self__", None)
        getattr(fetcher, "_cache", {}).clear()
        credentials = getattr(fetcher, "_source_credentials", None)
    await renewal.renew(session, held)
    assert len(started.read_text()) == before + 1
    assert not held.refresh_needed()


ENDLESS_PROCESS = """#!/bin/sh
echo $$ > "$0.pid.new" && mv "$0.pid.new" "$0.pid"
exec sleep 300
"""


@pytest.mark.parametrize("library", [("asyncio", AIOHTTPSession)], indirect=True, ids=["asyncio"])
@pytest.mark.parametrize("begun", [False, True], ids=["at the start", "at a renewal"])
async def test_a_process_does_not_outlive_what_waits_for_it(
    server, role, monkeypatch, tmp_path, begun
):
    """An interrupted program leaves nothing behind that may ask a person, or hold a device."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    process = tmp_path / "process"
    process.write_text(SLOW_PROCESS if begun else ENDLESS_PROCESS)
    process.chmod(0o700)
    (tmp_path / "AWS_CONFIG_FILE").write_text(f"[default]\ncredential_process = {process}\n")
    session = get_session()
    announced = tmp_path / "process.pid"
    opened = anyio.Event()

    async def report():
        async with reporter(session, server.endpoint, attempt_timeout=0.5) as one:
            process.write_text(ENDLESS_PROCESS)
            (await session.get_credentials())._expiry_time = datetime(2020, 1, 1, tzinfo=UTC)
            opened.set()
            async with one.track(*server.service().assign()):
                pytest.fail("the body must not begin")

    with anyio.fail_after(60):
        async with anyio.create_task_group() as group:
            group.start_soon(report)
            while not announced.exists():
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        assert opened.is_set() is begun
        while is_running(int(announced.read_text())):
            await anyio.sleep(0.01)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def test_metadata_are_read_beside_work_in_threads(server, role, library, monkeypatch):
    """Credentials of the machine have run out; connections need threads, too."""
    monkeypatch.setattr(renewal, "_PATIENCE", 0.2)
    monkeypatch.setattr(renewal, "_STATE", (*renewal._STATE, "_of_another_version"))
    monkeypatch.setenv("AWS_CONFIG_FILE", "none")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "none")
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        place = f"http://127.0.0.1:{bound.getsockname()[1]}"
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", place)
        session = session_of_machine(library)
        [task_id] = server.service().assign()
        with metadata_at(bound):
            async with reporter(session, server.endpoint, region_name="us-east-1") as opened:
                credentials = await session.get_credentials()
                credentials._expiry_time = datetime(2020, 1, 1, tzinfo=UTC)
                await reports_beside_full_threads(opened, task_id)
            assert not credentials.refresh_needed()
