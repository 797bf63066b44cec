"""A task that is never acknowledged: `track` raises in time, and nothing acknowledges it later."""

from __future__ import annotations

import anyio
import pytest

from aiodp import LeaseLost, LostReason
from aiodp.testing import Fault, FaultKind
from virtual.fake_transport import FakeTransport
from virtual.kit import block

pytestmark = pytest.mark.anyio


class DeafTransport(FakeTransport):
    """Its reports are not answered, and are not broken off either for a while."""

    async def report(self, task_id, fields):
        with anyio.CancelScope(shield=True):
            await anyio.sleep(100)
        return await super().report(task_id, fields)


async def lost_by(opened, task_id, **options):
    """Track a task in vain; return why and when that was told."""
    with pytest.raises(LeaseLost) as caught:
        async with opened.track(task_id, **options):
            pytest.fail("the body must not begin")
    return caught.value.reason, anyio.current_time()


async def test_the_time_limit_does_not_wait_for_an_attempt(service, reporter):
    """A task that may be held for 5 s is lost after 5 s, though an attempt may take 10."""
    service.faults.add(Fault(kind=FaultKind.HANG))
    async with reporter(max_lease=5) as opened:
        reason, at = await lost_by(opened, *service.assign())
    assert reason is LostReason.TIME_LIMIT
    assert at == pytest.approx(5, abs=0.01)


async def test_nor_does_the_end_of_the_time_for_an_acknowledgement(service, reporter):
    """A call that cannot be broken off holds up nobody."""
    [task_id] = service.assign()
    async with reporter(transport=DeafTransport(service)) as opened:
        await anyio.sleep(30)
        reason, at = await lost_by(opened, task_id, assigned_at=anyio.current_time() - 30)
        assert opened.statistics().tracked == 0
    assert reason is LostReason.EXPIRED
    assert at == pytest.approx(120, abs=0.01)


@pytest.mark.parametrize("kind", [FaultKind.SERVER_ERROR, FaultKind.THROTTLE])
async def test_no_report_is_sent_after_the_time_for_it(service, reporter, kind):
    """The event loop was blocked for longer; the service may take the task for held by that."""
    [task_id] = service.assign()
    service.faults.add(Fault(kind=kind))
    sent = []
    async with reporter() as opened, anyio.create_task_group() as group:

        async def block_for_long():
            await anyio.sleep(99)
            sent.append(opened.statistics().sent)
            block(60)

        group.start_soon(block_for_long)
        assert await lost_by(opened, task_id) == (LostReason.EXPIRED, 159)
        assert sent == [opened.statistics().sent]


async def test_nor_one_whose_turn_had_come(service, reporter):
    """The event loop was blocked between the decision to report and the call."""
    [task_id] = service.assign()
    service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, duration=100))
    async with reporter() as opened:
        schedule = opened._engine.schedule
        next_lease = schedule.next_lease

        def next_lease_and_block(now):
            registration = next_lease(now)
            if now > 90 and registration is not None:
                block(60)
            return registration

        schedule.next_lease = next_lease_and_block
        reason, at = await lost_by(opened, task_id)
        assert reason is LostReason.EXPIRED
        assert 150 < at < 180
        await anyio.sleep(100)
    assert service.calls["ReportTaskProgress", "ok"] == 0
    calls = service.calls.total()
    assert calls == opened.statistics().sent - 1
