"""A reporter belongs to the event loop, and is left in the task, in which it was entered."""

from __future__ import annotations

import asyncio
import os
from contextlib import asynccontextmanager, closing

import pytest

from aiodp import ProgressReporter, ReporterClosed, TaskStatus
from aiodp._reporter.home import Home, OneTaskBlock
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


def test_an_error_in_leaving_the_block_stays_as_it_is():
    """A `RuntimeError` of the task that entered it says nothing about tasks."""
    error = RuntimeError("of the end")

    @asynccontextmanager
    async def opened():
        yield
        raise error

    async def main():
        async with OneTaskBlock(opened()):
            pass

    with pytest.raises(RuntimeError, match="of the end") as caught:
        asyncio.run(main())
    assert caught.value is error


def test_after_its_end_a_reporter_says_that_it_is_closed(service):
    """And where its tasks are to be tracked."""

    async def main():
        async with FakeReporter(service) as reporter:
            pass
        async with reporter.track(*service.assign()):
            pytest.fail("the body must not begin")

    with pytest.raises(ReporterClosed, match="reporter is closed: track inside its `async with`"):
        asyncio.run(main())


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


def test_in_a_forked_child_a_task_is_asked_and_told_nothing(service, monkeypatch):
    """Each of its members raises; leaving the blocks does nothing, for they are the parent's."""
    process = os.getpid()

    async def main():
        async with FakeReporter(service) as reporter, reporter.track(*service.assign()) as task:
            with monkeypatch.context() as forked:
                forked.setattr(os, "getpid", lambda: process + 1)
                for ask in (
                    lambda: task.state,
                    lambda: task.lost_reason,
                    lambda: task.update(a=1),
                    task.ended.is_set,
                    task.raise_if_ended,
                ):
                    with pytest.raises(ReporterClosed, match="of which this one was forked"):
                        ask()
                for wait in (
                    task.report,
                    task.ended.wait,
                    lambda: task.set_status(TaskStatus.FINISHED),
                    lambda: reporter.track("another").__aenter__(),
                ):
                    with pytest.raises(ReporterClosed, match="of which this one was forked"):
                        await wait()
            await task.report()
            return service.task(task.task_id).fields

    assert asyncio.run(main()) == {}
