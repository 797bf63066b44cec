"""The service in process, in real time."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
import pytest
from aiobotocore.session import get_session

from aiodp import LeaseState, ProgressReporter
from aiodp._concurrency import system_time
from aiodp.emulator import ServiceClock
from aiodp.testing import MemoryService, Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from aiodp import TrackedTask


on_asyncio = pytest.mark.parametrize("anyio_backend", ["asyncio"])


@asynccontextmanager
async def tracked(*, lease_timeout: float) -> AsyncIterator[TrackedTask]:
    """Track a task of a service whose clock is the system's."""
    memory = MemoryService(clock=system_time)
    [task_id] = memory.assign()
    async with (
        ProgressReporter(
            memory.attach(get_session()),
            interval=lease_timeout / 10,
            lease_timeout=lease_timeout,
            safety_margin=0.1,
        ) as reporter,
        reporter.track(task_id) as task,
    ):
        yield task


def test_a_fast_clock_of_the_service():
    """A service whose clock is a faster one holds a poll for as long as that clock says."""

    async def main() -> float:
        memory = MemoryService(clock=ServiceClock(900), settings=Settings(quotas=None))
        async with memory.attach(get_session()).create_client("datapipeline") as client:
            began = memory.now
            assert "taskObject" not in await client.poll_for_task(workerGroup="workers")
            return memory.now - began

    assert 90 <= asyncio.run(main()) < 900


@on_asyncio
@pytest.mark.anyio
async def test_time_that_a_test_freezes_for_itself_loses_no_lease(monkeypatch):
    """As freezegun does with `real_asyncio=True`: the event loop's time is another method then."""
    async with tracked(lease_timeout=300) as task:
        monkeypatch.setattr(asyncio.BaseEventLoop, "time", lambda _loop: system_time())
        monkeypatch.setattr(time, "monotonic", lambda: system_time() + 1e9)
        assert task.state is LeaseState.HELD
        assert 0 < task.deadline - anyio.current_time() <= 300


@on_asyncio
@pytest.mark.anyio
@pytest.mark.slow
async def test_time_that_is_frozen_for_the_event_loop_too_loses_no_lease(monkeypatch, caplog):
    """Heartbeats go on meanwhile and afterwards, and the log says what to do."""
    now = system_time() + 1e9
    async with tracked(lease_timeout=8) as task:
        with monkeypatch.context() as frozen:
            frozen.setattr(time, "monotonic", lambda: now)
            reports = task.reports
            while task.reports < reports + 2:  # a timer would stand still
                await asyncio.to_thread(time.sleep, 0.1)
        await asyncio.sleep(8.5)
        assert task.state is LeaseState.HELD
    assert caplog.text.count("time.monotonic was replaced") == 1


FROZEN_WORK = """
import asyncio, logging, sys, time
from aiobotocore.session import get_session
from aiodp import ProgressReporter
from aiodp._concurrency import system_time
from aiodp.testing import MemoryService
from freezegun import freeze_time

async def main():
    memory = MemoryService(clock=system_time)
    [task_id] = memory.assign()
    async with (
        ProgressReporter(memory.attach(get_session()), interval=0.1, lease_timeout=15) as reporter,
        reporter.track(task_id) as task,
    ):
        for real_asyncio in (True, False):
            print("frozen", flush=True)
            with freeze_time("2031-01-01", real_asyncio=real_asyncio):
                frozen, reports = time.time(), task.reports
                while task.reports < reports + 2:
                    await asyncio.to_thread(time.sleep, 0.02)
                assert time.time() == frozen
            reports = task.reports
            while task.reports < reports + 2:
                await asyncio.sleep(0.02)
            print(task.state.value, flush=True)

logging.basicConfig(stream=sys.stdout, format="%(message)s")
asyncio.run(main())
"""


@pytest.mark.slow
def test_freezegun_in_the_middle_of_a_run_loses_no_lease():
    """Reports go on while it is years later for the program, and it is told what to do."""
    pytest.importorskip("freezegun")
    ran = subprocess.run(
        [sys.executable, "-c", FROZEN_WORK], capture_output=True, text=True, timeout=60, check=False
    )
    first, second = ran.stdout.split("frozen\n")[1:]
    assert first == "held\n", ran.stderr
    assert "time.monotonic was replaced" in second
    assert second.count("\n") == 2
    assert second.endswith("\nheld\n")


STOPPED_WORK = """
import anyio, logging, sys
from aiobotocore.session import get_session
from aiodp import LeaseLost, ProgressReporter
from aiodp.testing import MemoryService

async def work():
    print("working", flush=True)
    await anyio.sleep_forever()

async def main():
    memory = MemoryService()
    [task_id] = memory.assign()
    async with ProgressReporter(
        memory.attach(get_session()), interval=0.5, lease_timeout=2, safety_margin=0.2
    ) as reporter:
        try:
            await reporter.run(task_id, work)
        except LeaseLost as lost:
            print(lost.reason, flush=True)

logging.basicConfig(stream=sys.stdout, format="%(message)s")
anyio.run(main)
"""


@pytest.mark.slow
def test_a_process_that_was_stopped_gives_up_its_work_at_once():
    """SIGSTOP, as by a debugger or when a container is paused: told with what it cost."""
    with subprocess.Popen(
        [sys.executable, "-c", STOPPED_WORK], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "working\n"
        process.send_signal(signal.SIGSTOP)
        time.sleep(3)  # longer than the lease, however slow the machine is
        process.send_signal(signal.SIGCONT)
        output = process.stdout.read()
    told, end = output.splitlines()[-2:]
    assert "or the process was stopped: heartbeats were late, 1 lease was lost" in told
    assert end == "expired"
