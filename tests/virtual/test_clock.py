"""Time that the event loop does not see pass: the machine was suspended, or the process stopped."""

from __future__ import annotations

import anyio
import pytest

from aiodp import LeaseLost, LeaseState, LostReason

pytestmark = pytest.mark.anyio


class Suspension:
    """How long the machine was suspended; the test says when."""

    def __init__(self) -> None:
        self.seconds = 1000.0  # before the reporter was opened

    def __call__(self) -> float:
        """Return it in seconds."""
        return self.seconds


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
