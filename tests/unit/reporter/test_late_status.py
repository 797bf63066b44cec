"""A status that is set late, in virtual time."""

from __future__ import annotations

import anyio
import pytest

from aiodp import LeaseLost, Quota, ReporterClosed, StatusNotSet, TaskStatus, current_task
from aiodp.testing import VIRTUAL_TIME, Fault, FaultKind
from virtual.fake_transport import FakeReporter
from virtual.kit import block, set_jitter

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """Asyncio on a clock that jumps."""
    return VIRTUAL_TIME


async def test_work_that_blocked_the_loop_for_longer_than_its_lease_sets_its_status(service):
    """Nobody interrupts it before: the work is done, and the service may still take that."""
    [task_id] = service.assign()

    async def work():
        block(295)
        await current_task().set_status(TaskStatus.FINISHED)
        return "done"

    async with FakeReporter(service) as reporter:
        assert await reporter.run(task_id, work) == "done"
    assert service.task(task_id).status == "FINISHED"


@pytest.mark.parametrize(("attempt_timeout", "waited"), [(4, 2.0), (10, 5.0), (60, 5.0)])
async def test_a_status_waits_for_its_fields_for_half_an_attempt(service, attempt_timeout, waited):
    """And no more than five seconds: half of what a runner that is stopped has for all of it."""
    async with (
        FakeReporter(service, attempt_timeout=attempt_timeout) as reporter,
        reporter.track(*service.assign()) as task,
    ):
        service.faults.add(
            Fault(kind=FaultKind.SERVER_ERROR, actions=frozenset({"ReportTaskProgress"}))
        )
        task.update(rows=7)
        began = anyio.current_time()
        await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() - began == pytest.approx(waited)


async def test_work_whose_status_cannot_be_set_stops_if_its_lease_is_over(service):
    """At once: it was left alone only because the service might have taken its status."""
    [task_id] = service.assign()
    service.faults.add(Fault(kind=FaultKind.INVALID_REQUEST, actions=frozenset({"SetTaskStatus"})))
    seen = []

    async def work():
        service.latency = 1.0
        block(295)
        with pytest.raises(StatusNotSet):
            await current_task().set_status(TaskStatus.FINISHED)
        seen.append(anyio.current_time())
        try:
            await anyio.sleep(1000)
        finally:
            seen.append(anyio.current_time())

    async with FakeReporter(service) as reporter:
        with pytest.raises(LeaseLost):
            await reporter.run(task_id, work)
    told_at, interrupted_at = seen
    assert told_at == interrupted_at


async def test_a_status_that_cannot_be_set_any_more_gives_its_call_back(service):
    """Whoever waits for the quota after a task that was left meanwhile waits for one call less."""
    quota = Quota(rate=0.1, burst=1)
    async with FakeReporter(service, quota=quota) as reporter, anyio.create_task_group() as group:
        first, second, third = [reporter.track(task_id) for task_id in service.assign(3)]
        left, is_told = await second.__aenter__(), anyio.Event()

        async def set_status():
            with pytest.raises(ReporterClosed, match="is not tracked any more"):
                await left.set_status(TaskStatus.FINISHED)
            is_told.set()

        async with first as task, third as other:
            await task.set_status(TaskStatus.FINISHED)
            group.start_soon(set_status)
            await anyio.sleep(3)
            await second.__aexit__(None, None, None)
            await is_told.wait()
            now = anyio.current_time()
            await other.set_status(TaskStatus.FINISHED)
            assert anyio.current_time() - now == pytest.approx(7.0)


async def test_a_status_is_tried_again_within_15_seconds_however_long_the_task_has_run(service):
    """The gaps grow with the time for which it is tried, and that begins with its first try."""
    reporter = FakeReporter(service)
    set_jitter(reporter, lambda: 0.0)
    async with reporter, reporter.track(*service.assign()) as task:
        await anyio.sleep(2000)
        actions = frozenset({"SetTaskStatus"})
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=actions, duration=100))
        await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() == pytest.approx(2000 + 105, abs=0.1)
