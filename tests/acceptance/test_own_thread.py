"""A reporter in a thread of its own, while the event loop of the work is blocked.

Time cannot be virtual here, so what is waited for are the service's own records, and the leases are
long enough for any machine.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import subprocess
import sys
import threading
import time
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.credentials import AioRefreshableCredentials, AnyioRefreshableCredentials
from aiobotocore.httpxsession import HttpxSession
from aiobotocore.session import AioSession, get_session

from aiodp import (
    LeaseLost,
    LeaseState,
    LostReason,
    ProgressReporter,
    ReporterClosed,
    ReportKind,
    ReportRejected,
    Task,
    TaskCanceled,
    TaskRunner,
    TaskStatus,
    current_task,
)
from aiodp._aws.own_session import own_session
from aiodp._types import Outcome
from aiodp.emulator import Fault, FaultKind, Settings
from aiodp.testing import MemoryService, ServerKit

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

pytestmark = pytest.mark.anyio

LONG: Final = 60.0  # seconds, for what comes much sooner on any machine
NAME: Final = "aiodp reporter"
OPTIONS: Final[dict[str, Any]] = {"own_thread": True, "interval": 0.05, "quota": None}
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")


@pytest.fixture(params=["asyncio", "trio"])
def anyio_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def service() -> MemoryService:
    return MemoryService(clock=time.monotonic)


@pytest.fixture
def session(service: MemoryService, anyio_backend: str) -> AioSession:
    session = service.attach(get_session())
    if anyio_backend == "trio":
        session.set_default_client_config(AioConfig(http_session_cls=HttpxSession))
        session.set_config_variable("ca_bundle", False)
    return session


@pytest.fixture(autouse=True)
def _nothing_is_left() -> Iterator[None]:
    yield
    assert [thread.name for thread in threading.enumerate() if thread.name == NAME] == []


def block_until(condition: Callable[[], object]) -> None:
    """Block the event loop until something holds."""
    limit = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.005)


class Transport:
    """Answers each report by what a function returns or raises."""

    def __init__(self, answer: Callable[[], Outcome]) -> None:
        self._answer = answer

    async def report(self, *_: object) -> Outcome:
        await anyio.lowlevel.checkpoint()
        return self._answer()

    async def set_status(self, *_: object) -> Outcome:
        await anyio.lowlevel.checkpoint()
        return self._answer()


class FakeReporter(ProgressReporter):
    """A reporter whose reports are answered by a function, in the reporter's thread."""

    def __init__(self, answer: Callable[[], Outcome], **options: Any) -> None:
        super().__init__(get_session(), **OPTIONS, **options)
        self._answer = answer

    @asynccontextmanager
    async def _open_transport(self) -> AsyncIterator[Any]:
        yield Transport(self._answer)


def ok() -> Outcome:
    return Outcome(kind=ReportKind.OK)


async def test_reports_go_on_while_the_loop_is_blocked(session, service):
    """What the thread has done meanwhile is read at once, on the scale of the loop's time."""
    (task_id,) = service.assign()
    async with (
        ProgressReporter(session, **OPTIONS) as reporter,
        reporter.track(task_id, fields={"a": 1}) as task,
    ):
        assert repr(reporter) == "<ProgressReporter open, 1 tracked>"
        task.update(b=2)
        block_until(lambda: task.reports >= 5)
        assert task.state is LeaseState.HELD
        assert dict(service.task(task_id).fields) == {"a": "1", "b": "2"}
        assert 0 < task.deadline - anyio.current_time() <= 300
        assert task.last_reported_at is not None
        assert task.last_reported_at <= anyio.current_time()
        statistics = reporter.statistics()
        assert (statistics.tracked, statistics.acknowledged) == (1, 1)
        assert statistics.succeeded >= 5
        assert await task.report() is False
        await task.set_status(TaskStatus.FINISHED)
        assert service.task(task_id).status.value == "FINISHED"
        assert task.state.name == "RELEASED"
    assert reporter.statistics().tracked == 0


def test_an_event_loop_that_anyio_has_not_started(session, service):
    """What one loop calls in the other is in no task, so anyio cannot tell which loop it is."""
    first, second = service.assign(2)

    async def hold() -> None:
        async with ProgressReporter(session, **OPTIONS) as reporter:
            async with reporter.track(first) as task:
                assert await task.report() is False
                await task.set_status(TaskStatus.FINISHED)
            async with reporter.track(second) as task:
                service.cancel(second)
                await task.canceled.wait()
                with anyio.move_on_after(0.01):
                    await task.lost.wait()

    with asyncio.Runner() as runner:
        runner.run(hold())


async def test_a_cancellation_heard_while_the_loop_is_blocked_is_there_at_once(session, service):
    """The event is set before the loop has run anything, and who waits for it wakes up."""
    (task_id,) = service.assign()
    async with (
        ProgressReporter(session, **OPTIONS) as reporter,
        reporter.track(task_id) as task,
        anyio.create_task_group() as group,
    ):
        group.start_soon(task.ended.wait)
        await anyio.wait_all_tasks_blocked()
        service.cancel(task_id)
        block_until(task.canceled.is_set)
        assert task.state is LeaseState.CANCELED
        with pytest.raises(TaskCanceled):
            task.raise_if_ended()
        await task.canceled.wait()


async def test_work_is_interrupted_in_its_own_loop(session, service):
    """Wherever the work is when the cancellation is heard, it is interrupted and cleans up."""
    (task_id,) = service.assign()
    here, cleaned_up = threading.get_ident(), []

    async def work() -> None:
        task = current_task()
        service.cancel(task_id)
        block_until(task.canceled.is_set)
        try:
            await anyio.sleep(LONG)
        finally:
            cleaned_up.append(threading.get_ident())

    async with ProgressReporter(session, **OPTIONS) as reporter:
        with pytest.raises(TaskCanceled):
            await reporter.run(task_id, work)
    assert cleaned_up == [here]


async def test_a_block_is_interrupted_in_its_own_loop(session, service):
    """At its next await, though the loop was blocked when that was heard; it cleans up first."""
    (task_id,) = service.assign()
    cleaned_up = []

    async def block(reporter: ProgressReporter) -> None:
        async with reporter.track(task_id, interrupt=True) as task:
            service.cancel(task_id)
            block_until(lambda: task.state is LeaseState.CANCELED)
            try:
                await anyio.sleep(LONG)
            finally:
                with anyio.CancelScope(shield=True):
                    await anyio.lowlevel.checkpoint()
                cleaned_up.append(threading.get_ident())

    async with ProgressReporter(session, **OPTIONS) as reporter:
        with pytest.raises(TaskCanceled):
            await block(reporter)
        await anyio.lowlevel.checkpoint()  # nothing of the cancellation is left
    assert cleaned_up == [threading.get_ident()]


async def test_work_that_ran_on_is_told_of(session, service, caplog):
    """What has ended in the thread, and nobody here has looked at."""
    (task_id,) = service.assign()
    async with ProgressReporter(session, **OPTIONS) as reporter, reporter.track(task_id):
        service.cancel(task_id)
        block_until(lambda: reporter.statistics().acknowledged == 0)
    assert caplog.text.count("and nothing in the block looked at that") == 1


async def test_a_lease_that_is_lost_while_the_loop_is_blocked_is_noticed(session):
    """The events are set, and the error has the times of the loop."""
    answers = iter([ok()])

    def answer() -> Outcome:
        return next(answers, Outcome(kind=ReportKind.SERVER_ERROR))

    async with FakeReporter(answer, lease_timeout=0.6, safety_margin=0.1) as reporter:
        before = anyio.current_time()
        async with reporter.track("task") as task:
            block_until(task.lost.is_set)
            assert task.lost_reason is LostReason.EXPIRED
            await task.lost.wait()
            with pytest.raises(LeaseLost) as lost:
                task.raise_if_ended()
    assert lost.value.last_reported_at is not None
    assert before <= lost.value.last_reported_at <= anyio.current_time()


async def test_errors_come_out_as_they_are(session, service):
    """Those of the body, of the first report, and of the reporter's opening."""
    first, second = service.assign(2)
    async with ProgressReporter(session, **OPTIONS) as reporter:
        with pytest.raises(ZeroDivisionError) as raised:
            async with reporter.track(first):
                raise ZeroDivisionError
        assert raised.value.__context__ is None
        with pytest.raises(LeaseLost) as lost:
            async with reporter.track("unknown"):
                pass
        assert lost.value.reason is LostReason.REFUSED
        service.faults.add(Fault(kind=FaultKind.EXPIRED_TOKEN))
        with pytest.raises(ReportRejected, match="xpired"):
            async with reporter.track(second):
                pass
        assert reporter.statistics().tracked == 0
    with pytest.raises(ReporterClosed):
        async with reporter.track(second):
            pass
    with pytest.raises(ZeroDivisionError):
        async with ProgressReporter(session, **OPTIONS):
            raise ZeroDivisionError
    with pytest.raises(ReportRejected, match="endpoint"):
        async with ProgressReporter(session, endpoint_url="nonsense", **OPTIONS):
            pass


@pytest.mark.parametrize("kind", [ZeroDivisionError, SystemExit])
async def test_a_crash_in_the_thread_loses_every_lease(kind):
    """With the cause; what is not a mere exception comes out of the reporter's block as well."""
    crash = threading.Event()

    def answer() -> Outcome:
        if crash.is_set():
            raise error
        return ok()

    error = kind("crash")
    exits = pytest.raises(SystemExit) if kind is SystemExit else anyio.CancelScope()
    with exits:
        async with (
            FakeReporter(answer) as reporter,
            reporter.track("a") as a,
            reporter.track("b") as b,
        ):
            crash.set()
            block_until(lambda: a.lost.is_set() and b.lost.is_set())
            await a.ended.wait()
            for task in (a, b):
                assert task.lost_reason is LostReason.REPORTER_FAILED
                with pytest.raises(LeaseLost) as lost:
                    task.raise_if_ended()
                assert lost.value.__cause__ is error
            with pytest.raises(ReporterClosed):
                async with reporter.track("c"):
                    pass


async def test_leaving_while_canceled_releases_and_ends(session, service):
    """Also from the middle of a call; no report is sent any more, and the thread is gone."""
    first, second = service.assign(2)
    with anyio.CancelScope() as scope:
        async with (
            ProgressReporter(session, **OPTIONS) as reporter,
            reporter.track(first) as task,
        ):
            scope.cancel()
            await task.lost.wait()
    assert scope.cancelled_caught
    assert task.state is LeaseState.RELEASED
    with anyio.CancelScope() as scope:
        scope.cancel()
        async with ProgressReporter(session, **OPTIONS) as reporter:
            pytest.fail("entered")
    async with ProgressReporter(session, **OPTIONS) as reporter:
        with anyio.CancelScope() as scope:
            scope.cancel()
            async with reporter.track(second):
                pytest.fail("entered")
        assert reporter.statistics().tracked == 0


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_the_end_of_the_event_loop_is_a_cancellation_that_comes_once(session, service):
    """Asyncio cancels the tasks themselves, which no shield withstands."""
    (task_id,) = service.assign()
    tracked = asyncio.Event()

    async def work() -> None:
        async with ProgressReporter(session, **OPTIONS) as reporter, reporter.track(task_id):
            tracked.set()
            try:
                await asyncio.sleep(LONG)
            finally:
                reports = service.task(task_id).reports
                block_until(lambda: service.task(task_id).reports > reports + 1)

    task = asyncio.create_task(work())
    await tracked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_context_variables_reach_the_thread():
    """Reports have those of the reporter's opening, a status those of the call."""
    seen = []

    def answer() -> Outcome:
        seen.append(variable.get())
        return ok()

    variable.set("opening")
    async with FakeReporter(answer) as reporter, reporter.track("task") as task:
        variable.set("status")
        seen.clear()
        await task.report()
        assert set(seen) == {"opening"}
        await task.set_status(TaskStatus.FINISHED)
        assert seen[-1] == "status"


async def test_a_loop_that_is_blocked_for_long_is_named(caplog):
    """Nothing else would say that the work does not go on."""
    async with FakeReporter(ok) as reporter, reporter.track("task"):
        block_until(lambda: "the event loop has been blocked for" in caplog.text)


@pytest.mark.slow
async def test_many_calls_at_once(session, service):
    """Tasks come and go by the dozen, from coroutines that are canceled or not."""

    async def hold(task_id: str) -> None:
        async with reporter.track(task_id) as task:
            await task.report()
            await task.set_status(TaskStatus.FINISHED)

    async with ProgressReporter(session, **OPTIONS) as reporter:
        async with anyio.create_task_group() as group:
            for task_id in service.assign(40):
                group.start_soon(hold, task_id)
        async with anyio.create_task_group() as group:
            for task_id in service.assign(40):
                group.start_soon(hold, task_id)
            await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        assert reporter.statistics().tracked == 0


OPEN: Final = """
import asyncio, threading
from acceptance.test_own_thread import FakeReporter, block_until, ok

async def open_and_track():
    global reporter, block
    reporter = FakeReporter(ok)
    await reporter.__aenter__()
    block = reporter.track("task")
    return await block.__aenter__()

"""
NOT_RUN: Final = """
loop = asyncio.new_event_loop()
loop.run_until_complete(open_and_track())
"""
CLOSED: Final = """
loop = asyncio.new_event_loop()
task = loop.run_until_complete(open_and_track())
loop.close()
block_until(lambda: threading.active_count() == 1)
assert task.lost_reason == "reporter closed"
"""
DAEMON: Final = """
async def stay():
    global task
    task = await open_and_track()
    ready.set()
    await asyncio.sleep(3600)

ready = threading.Event()
threading.Thread(target=lambda: asyncio.run(stay()), daemon=True).start()
ready.wait()
"""


@pytest.mark.slow
@pytest.mark.parametrize("end", [NOT_RUN, CLOSED, DAEMON], ids=["not run", "closed", "in a daemon"])
def test_a_program_ends_though_the_reporter_was_never_left(end):
    """Nobody waits for the thread for long, and it keeps no task alive of a loop that is closed."""
    done = subprocess.run(
        [sys.executable, "-c", OPEN + end],
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


async def test_credentials_are_refreshed_in_both_loops_at_once(session, service, anyio_backend):
    """Neither waits for the other's refresh, whose lock belongs to one loop."""
    started = set()

    async def refresh() -> dict[str, str]:
        started.add(threading.get_ident())
        with anyio.fail_after(LONG):
            while len(started) < 2:
                await anyio.sleep(0.01)
        expiry = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
        return {"access_key": "a", "secret_key": "b", "token": "c", "expiry_time": expiry}

    refreshable = (
        AioRefreshableCredentials if anyio_backend == "asyncio" else AnyioRefreshableCredentials
    )
    session._credentials = refreshable(
        "old", "old", "old", datetime.now(UTC) - timedelta(hours=1), refresh, "by-hand"
    )
    (task_id,) = service.assign()

    async def call() -> None:
        async with session.create_client("datapipeline", region_name="us-east-1") as client:
            await client.list_pipelines()

    async with ProgressReporter(session, **OPTIONS) as reporter, anyio.create_task_group() as group:
        group.start_soon(call)
        async with reporter.track(task_id) as task:
            await task.report()
    assert len(started) == 2


def test_a_session_of_its_own_has_the_same_identity_and_nothing_that_waits():
    """Providers, hooks and keys are those of the user's session; locks and connections are new."""
    session = get_session()
    session.set_credentials("key", "secret")
    resolver = session.get_component("credential_provider")
    mine = type("Mine", (), {"METHOD": "mine"})()
    resolver.providers.insert(0, mine)
    loader = session.get_component("data_loader")
    own = own_session(session)
    assert own is not session
    assert own._credentials.access_key == "key"
    others = own.get_component("credential_provider").providers
    assert [type(one) for one in others] == [type(one) for one in resolver.providers]
    assert others[0] is mine
    assert not {id(one) for one in others[1:]} & {id(one) for one in resolver.providers}
    (fetcher,) = (one._role_fetcher for one in others if hasattr(one, "_role_fetcher"))
    assert fetcher._session._sessions is None
    assert own.get_component("data_loader") is loader
    assert own_session("another kind") == "another kind"


def test_a_session_of_another_version_is_copied_as_far_as_it_is_known() -> None:
    """What is private in botocore today may be gone tomorrow: then nothing of it is copied."""
    session = get_session()
    session.set_credentials("key", "secret")
    del session._auth_token
    own = own_session(session)
    assert own._credentials.access_key == "key"
    assert own._credentials is not session._credentials
    bare = get_session()
    kept = bare._components
    for name in ("_credentials", "_internal_components", "_components"):
        delattr(bare, name)
    assert not hasattr(own_session(bare), "_components")
    vars(kept).clear()
    bare._components = kept
    assert own_session(bare)._components is not kept


async def test_credentials_that_the_program_sets_are_used_in_the_thread(session, service):
    """It has new ones now and then, and sets them in the session that it has."""
    session.set_credentials("first", "secret")
    (task_id,) = service.assign()
    used = []

    def note(request: Any, **_: object) -> None:
        used.append(str(request.headers["Authorization"]).partition("Credential=")[2][:5])

    session.get_component("event_emitter").register_first("before-send.data-pipeline", note)
    async with ProgressReporter(session, **OPTIONS) as reporter, reporter.track(task_id) as task:
        block_until(lambda: task.reports >= 2)
        session.set_credentials("other", "secret")
        block_until(lambda: "other" in used)
        reports = task.reports
        block_until(lambda: task.reports >= reports + 2)
    assert used == sorted(used)
    assert set(used) == {"first", "other"}


async def test_a_thread_that_cannot_be_started_is_told(session, monkeypatch):
    """The process may have no more of them; nothing waits for one that never ran."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name == NAME:
            raise RuntimeError("can't start new thread")
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError, match="start new thread"):
        await ProgressReporter(session, **OPTIONS).__aenter__()


@pytest.mark.slow
@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_fifty_short_leases_and_a_loop_that_is_blocked_for_longer():
    """Over HTTP, in real time, beside each other: all are lost without a thread, none with one."""
    session = get_session()
    session.set_credentials("key", "secret")
    with ServerKit(Settings(lease_timeout=5.0, quotas=None)) as server:
        options: dict[str, Any] = {
            "region_name": server.region_name,
            "endpoint_url": server.endpoint,
            "interval": 1.7,
            "lease_timeout": 5.0,
            "safety_margin": 0.1,
            "quota": None,
        }
        async with (
            ProgressReporter(session, own_thread=True, **options) as with_thread,
            ProgressReporter(session, **options) as without,
            AsyncExitStack() as stack,
        ):
            kept, lost = [
                [await stack.enter_async_context(reporter.track(one)) for one in server.assign(50)]
                for reporter in (with_thread, without)
            ]
            time.sleep(8)  # noqa: ASYNC251 - this is what it is about
            assert [task.lost.is_set() for task in kept + lost] == [False] * 50 + [True] * 50
            states = [server.task(task.task_id).state.value for task in kept + lost]
            assert states[:50] == ["held"] * 50
            assert "held" not in states[50:]


@pytest.mark.parametrize("anyio_backend", ["asyncio"], indirect=True)
async def test_a_handler_may_block_the_loop_of_a_runner():
    """`TaskRunner` takes the option, and its tasks are reported meanwhile."""
    session = get_session()
    session.set_credentials("key", "secret")

    async def handler(task: Task) -> None:
        block_until(lambda: task.reports >= 5)
        task.update(done=True)

    with ServerKit(Settings(quotas=None)) as server:
        pipeline = server.activity()
        runner = TaskRunner(
            session,
            worker_group="workers",
            handler=handler,
            region_name=server.region_name,
            endpoint_url=server.endpoint,
            handle_signals=False,
            **OPTIONS,
        )
        await runner.run(max_tasks=1)
        server.assert_finished(pipeline)
        reports = runner.statistics().reports
        assert reports is not None
        assert reports.succeeded >= 5
