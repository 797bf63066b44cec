"""A reporter belongs to the event loop, and is left in the task, in which it was entered."""

from __future__ import annotations

import asyncio
import os
from contextlib import closing

import pytest

from aiodp import ProgressReporter, ReporterClosed, TaskStatus
from aiodp._reporter.home import Home
from aiodp.testing import MemoryService
from virtual.fake_transport import FakeReporter

LIMIT = 60  # seconds for what must raise at once


@pytest.fixture
def service():
    """A Data Pipeline whose time stands still."""
    return MemoryService(clock=lambda: 0.0)


@pytest.fixture
def loops():
    """Two event loops, neither of which runs."""
    with closing(asyncio.new_event_loop()) as one, closing(asyncio.new_event_loop()) as other:
        yield one, other


def test_in_another_event_loop_it_raises_at_once(service, loops):
    """As when a fixture has another loop than the test; before, each of these waited for ever."""
    one, other = loops
    task_id, another = service.assign(2)
    reporter: ProgressReporter = FakeReporter(service)

    async def track():
        tracking = reporter.track(task_id)
        return tracking, await tracking.__aenter__()

    async def leave():
        await tracking.__aexit__(None, None, None)
        await reporter.__aexit__(None, None, None)

    one.run_until_complete(reporter.__aenter__())
    tracking, task = one.run_until_complete(track())
    for wait in (
        lambda: reporter.track(another).__aenter__(),
        lambda: reporter.run(another, asyncio.sleep, 0),
        task.report,
        task.ended.wait,
        lambda: task.set_status(TaskStatus.FINISHED),
    ):
        with pytest.raises(ReporterClosed, match="was opened in another event loop"):
            other.run_until_complete(asyncio.wait_for(wait(), LIMIT))
    with pytest.raises(RuntimeError, match="reporter is left in another task"):
        one.run_until_complete(asyncio.wait_for(leave(), LIMIT))


def test_a_reporter_that_is_left_in_another_task_says_so(service, loops):
    """As pytest-asyncio does with fixtures; what the reporter began is ended all the same."""
    one, _ = loops
    reporter = FakeReporter(service)
    one.run_until_complete(reporter.__aenter__())
    with pytest.raises(RuntimeError, match=r"another task than it was entered in.*pytest-asyncio"):
        one.run_until_complete(reporter.__aexit__(None, None, None))
    assert repr(reporter) == "<ProgressReporter closed, 0 tracked>"
    assert not asyncio.all_tasks(one)


def test_an_error_of_the_block_stays_as_it_is(service):
    """A `RuntimeError` too."""
    error = RuntimeError("of the block")

    async def main():
        async with FakeReporter(service):
            raise error

    with pytest.raises(RuntimeError, match="of the block") as caught:
        asyncio.run(main())
    assert caught.value is error


def test_a_forked_child_is_told_what_it_must_not_use(monkeypatch):
    """And whose that is."""

    async def main():
        return Home("task runner")

    home = asyncio.run(main())
    home.check_process()
    process = os.getpid()
    told = f"the task runner belongs to process {process},"
    with monkeypatch.context() as forked:
        forked.setattr(os, "getpid", lambda: process + 1)
        with pytest.raises(ReporterClosed, match=told):
            home.check_process()
