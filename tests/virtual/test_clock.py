"""Time that the event loop does not see pass: the machine was suspended, or the process stopped."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio
import pytest

from aiodp import LeaseLost, LeaseState, LostReason
from virtual.kit import block
from virtual.runner_kit import running

pytestmark = pytest.mark.anyio


class Suspension:
    """How long the machine was suspended; the test says when."""

    def __init__(self) -> None:
        self.seconds = 1000.0  # before the reporter was opened

    def __call__(self) -> float:
        """Return it in seconds."""
        return self.seconds


def leaps(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what was logged of time that passed unseen."""
    return [text for text in caplog.messages if "suspended" in text or "stopped" in text]


@pytest.fixture
def suspension() -> Suspension:
    """A machine that is suspended when the test says so."""
    return Suspension()


async def test_time_that_was_suspended_counts(service, reporter, suspension):
    """Whoever asks after a suspension is told the truth, whatever was noticed before."""
    [task_id] = service.assign()
    async with reporter(suspended=suspension) as opened, opened.track(task_id) as task:
        await anyio.sleep(30)
        suspension.seconds += 241
        assert task.deadline - anyio.current_time() == 29
        assert opened.statistics().smallest_remaining_lease == 19
        suspension.seconds += 20
        assert task.lost.is_set()
        assert task.state is LeaseState.LOST
        assert task.lost_reason is LostReason.EXPIRED
        with pytest.raises(LeaseLost) as lost:
            task.raise_if_ended()
        assert lost.value.last_reported_at == anyio.current_time() - 291
        assert task.last_reported_at == lost.value.last_reported_at


async def test_a_short_suspension_costs_nothing(service, reporter, suspension):
    """What the lease can bear, it bears; the next report renews it."""
    [task_id] = service.assign()
    async with reporter(suspended=suspension) as opened, opened.track(task_id) as task:
        await anyio.sleep(30)
        suspension.seconds += 200
        await anyio.sleep(31)
        assert task.reports == 2
        await anyio.sleep(300)
        assert task.state is LeaseState.HELD


async def test_a_task_is_assigned_on_the_scale_of_the_user(service, reporter, suspension):
    """`assigned_at` is `anyio.current_time()`, also after a suspension."""
    [task_id] = service.assign()
    async with reporter(suspended=suspension) as opened:
        suspension.seconds += 500
        async with opened.track(task_id, assigned_at=anyio.current_time() - 100) as task:
            assert task.state is LeaseState.HELD
            assert task.deadline - anyio.current_time() == 300


async def test_a_suspension_is_noticed_when_it_ends(service, reporter, suspension, caplog):
    """The work hears within a second, and the log says once what happened."""
    task_ids = service.assign(3)
    async with reporter(suspended=suspension) as opened, AsyncExitStack() as stack:
        tasks = [await stack.enter_async_context(opened.track(task_id)) for task_id in task_ids]
        await anyio.sleep(20)
        suspension.seconds += 300
        began = anyio.current_time()
        for task in tasks:
            await task.lost.wait()
        assert anyio.current_time() - began <= 1
        assert all(task.reports == 1 for task in tasks)
    assert leaps(caplog) == ["the machine was suspended for 300.0 s: 3 leases were lost"]


async def test_a_suspension_ends_the_work_before_anything_is_reported(
    service, reporter, suspension
):
    """The work is interrupted, though a report would have been due long ago."""
    [task_id] = service.assign()
    events = []

    async def work() -> None:
        try:
            await anyio.sleep(1000)
        finally:
            events.append((service.calls.total(), anyio.current_time() - began))

    async with reporter(suspended=suspension) as opened, anyio.create_task_group() as group:

        async def suspend() -> None:
            await anyio.sleep(45)
            suspension.seconds += 600

        group.start_soon(suspend)
        began = anyio.current_time()
        with pytest.raises(LeaseLost, match="expired"):
            await opened.run(task_id, work)
    [(calls, after)] = events
    assert calls == 1
    assert after <= 46


async def test_a_report_that_was_in_flight_during_a_suspension_renews_nothing(
    service, reporter, suspension
):
    """Its answer comes when the lease has lapsed; it counts from when it was sent."""
    [task_id] = service.assign()
    async with reporter(suspended=suspension) as opened, opened.track(task_id) as task:
        service.latency = 1.0
        await anyio.sleep(60.5)
        assert opened.statistics().in_flight == 1
        suspension.seconds += 295
        await anyio.sleep(2)
        assert task.lost_reason is LostReason.EXPIRED


async def test_a_suspension_that_costs_nothing_is_told_too(service, reporter, suspension, caplog):
    """Also when no lease is lost; less than a second is not worth a word."""
    [task_id] = service.assign()
    async with reporter(suspended=suspension) as opened, opened.track(task_id):
        suspension.seconds += 0.9
        await anyio.sleep(10)
        assert leaps(caplog) == []
        suspension.seconds += 120
        await anyio.sleep(10)
    assert leaps(caplog) == ["the machine was suspended for 120.0 s: 0 leases were lost"]


async def test_a_blocked_loop_is_told_with_what_it_cost(service, reporter, caplog):
    """A process that was stopped looks the same, so both are named."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await anyio.sleep(30)
        block(289)
        await task.lost.wait()
        await anyio.sleep(1)
    [told] = leaps(caplog)
    assert told.endswith("heartbeats were late, 1 lease was lost")
    assert "or the process was stopped" in told


async def test_a_suspended_runner_ends_the_work_that_others_may_have(
    kit, runner, suspension, caplog
):
    """Its handler is interrupted and sets no status; what the service offers again is executed."""
    pipeline = kit.activity()
    interrupted_at: list[float] = []

    async def handler(_task) -> None:
        try:
            await anyio.sleep(100 if interrupted_at else 10_000)
        except anyio.get_cancelled_exc_class():
            interrupted_at.append(anyio.current_time())
            raise

    async with running(runner(handler, suspended=suspension)) as one:
        await anyio.sleep(100)
        suspension.seconds += 1000
        suspended_at = anyio.current_time()
        await anyio.sleep(2)
        assert one.statistics().ended == {"lost": 1}
        kit.jump(1000)
        await kit.finished(pipeline)
    [at] = interrupted_at
    assert at - suspended_at <= 1
    assert leaps(caplog) == ["the machine was suspended for 1000.0 s: 1 lease was lost"]
