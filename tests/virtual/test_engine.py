"""The reporter as a whole: fields on the wire, statistics, a blocked loop, a crash, the quota."""

from __future__ import annotations

import json
import pickle
from copy import copy
from dataclasses import asdict

import anyio
import pytest
from aiobotocore.config import AioConfig

from aiodp import (
    LeaseLost,
    LeaseState,
    LostReason,
    Quota,
    ReporterClosed,
    ReportRejected,
    TaskStatus,
    TrackedTask,
)
from aiodp._reporter.task import record_of
from aiodp.testing import Fault, FaultKind, MemoryService, Settings
from virtual.fake_transport import FakeReporter, FakeTransport
from virtual.kit import block, trio_slow

pytestmark = pytest.mark.anyio

REPORT = frozenset({"ReportTaskProgress"})


def fields(service, task_id):
    return service.task(task_id).fields


async def test_fields_go_with_the_next_heartbeat(service, reporter):
    """Set now, sent with the next report; the newest value wins; sent once."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id, fields={"step": "start"}) as task:
        assert fields(service, task_id)["step"] == "start"
        task.update(percentComplete=10, step="one")
        task.update({"percentComplete": 20})
        assert "percentComplete" not in fields(service, task_id)
        await anyio.sleep(61)
        assert fields(service, task_id)["percentComplete"] == "20"
        assert fields(service, task_id)["step"] == "one"
        assert record_of(task).pending().snapshot()[1] == []


async def test_fields_are_sent_until_a_report_succeeds(service, reporter):
    """What a failed report carried goes with the next one."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await anyio.sleep(30)
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, duration=100))
        task.update(a="kept")
        await anyio.sleep(90)
        task.update(b="newer")
        await anyio.sleep(60)
        assert fields(service, task_id)["a"] == "kept"
        assert fields(service, task_id)["b"] == "newer"


async def test_fields_that_the_service_refuses_cost_no_lease(service, reporter, caplog):
    """InvalidRequest with fields: dropped with a warning, the report repeated without."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.INVALID_REQUEST, actions=REPORT, count=1))
        task.update(odd="value")
        await anyio.sleep(61)
        assert task.reports == 2
        assert "odd" not in fields(service, task_id)
        assert opened.statistics().failed == {"invalid": 1}
        task.update(fine="value")
        await anyio.sleep(61)
        assert fields(service, task_id)["fine"] == "value"
    assert "fields were refused and dropped" in caplog.text


async def test_a_bad_field_raises_at_update_and_nothing_is_lost(service, reporter):
    """ValueError where the mistake is; the lease and the other fields go on."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        task.update(good=1)
        for bad in ({"k" * 257: 1}, {"k": "v" * 10_241}, {"k": "\x00"}, {"k": None}):
            with pytest.raises(ValueError, match=r"bytes|character|must be"):
                task.update(bad)
        with pytest.raises(ValueError, match="51 fields"):
            task.update({f"k{i}": i for i in range(50)})
        await anyio.sleep(200)
        assert fields(service, task_id)["good"] == "1"
        assert task.reports == 4


async def test_report_now(service, reporter):
    """`report` sends what was set before, and answers whether the task is canceled."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        task.update(a=1)
        assert await task.report() is False
        assert fields(service, task_id)["a"] == "1"
        assert task.reports == 2
        service.cancel(task_id)
        assert await task.report() is True
        assert await task.report() is True  # without a call
        assert service.calls.total() == 3


async def test_report_now_is_a_new_report(service, reporter):
    """One that is in flight already does not carry what was set since."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await anyio.sleep(59)
        service.latency = 2.0
        await anyio.sleep(2)
        task.update(a=1)
        await task.report()
        assert fields(service, task_id)["a"] == "1"
        assert task.reports == 3


async def test_report_now_waits_for_a_success_or_the_end(service, reporter):
    """Failures are retried; a lease that is lost meanwhile raises."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.RESET, duration=50))
        assert await task.report() is False
        assert 50 <= anyio.current_time() <= 66
        assert service.calls.total() < 20
        service.faults.add(Fault(kind=FaultKind.RESET))
        with pytest.raises(LeaseLost):
            await task.report()
        with pytest.raises(LeaseLost):
            await task.report()


async def test_a_loss_is_logged_before_those_who_wait_for_it_know(service, reporter, caplog):
    """So that what they log of it comes after its reason."""
    async with reporter() as opened, opened.track(*service.assign()) as task:
        service.give_away(task.task_id)
        await task.lost.wait()
        assert "ended: refused" in caplog.text


async def test_statistics(service, reporter):
    """A frozen snapshot whose numbers add up."""
    ids = service.assign(3)
    async with reporter() as opened:
        empty = opened.statistics()
        assert (empty.tracked, empty.next_due, empty.smallest_remaining_lease) == (0, None, None)
        assert empty.effective_rate == 10
        async with opened.track(ids[0]), opened.track(ids[1]), opened.track(ids[2]) as last:
            service.cancel(ids[2])
            await last.canceled.wait()
            service.faults.add(Fault(kind=FaultKind.THROTTLE, count=2))
            service.faults.add(Fault(kind=FaultKind.RESET, count=1))
            await anyio.sleep(200)
            seen = opened.statistics()
            assert seen.tracked == 3
            assert seen.acknowledged == 2
            assert seen.throttled == 2
            assert dict(seen.failed) == {"connection": 1}
            assert seen.sent == seen.succeeded + 3 == service.calls.total()
            assert seen.next_due is not None
            assert anyio.current_time() < seen.next_due <= anyio.current_time() + 60
            assert seen.smallest_remaining_lease == pytest.approx(260, abs=30)
            assert seen.effective_rate is not None
            assert seen.effective_rate < 10
            with pytest.raises(AttributeError):
                seen.sent = 0
            with pytest.raises(TypeError):
                seen.failed["timeout"] = 1
            assert json.loads(json.dumps(asdict(seen), allow_nan=False)) == {
                name: getattr(seen, name) for name in seen.__slots__
            }
            assert pickle.loads(pickle.dumps(seen)) == copy(seen) == seen
            assert "failed={'connection': 1}, throttled=2" in repr(seen)


async def test_a_blocked_loop_cannot_hide_a_lapse(service, reporter, caplog):
    """After the block the events read as set before anything else has run."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await anyio.sleep(30)
        block(289)
        assert task.lost.is_set()
        assert "LOST (expired)" in repr(task)
        assert task.ended.is_set()
        assert task.state is LeaseState.LOST
        with pytest.raises(LeaseLost):
            task.raise_if_ended()
        await anyio.sleep(1)
        assert task.lost_reason is LostReason.EXPIRED
    assert "the event loop was blocked for" in caplog.text


async def test_a_short_block_is_made_up_for(service, reporter, caplog):
    """Blocked for four minutes: late, said, and not lost."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await anyio.sleep(30)
        block(240)
        assert not task.ended.is_set()
        await anyio.sleep(300)
        assert task.state is LeaseState.HELD
        assert opened.statistics().worst_lag == pytest.approx(210)
    assert "the event loop was blocked for" in caplog.text


class CrashingTransport(FakeTransport):
    """One that breaks its promise to raise nothing."""

    def __init__(self, service, error):
        super().__init__(service)
        self.crashes = False
        self.error = error

    async def report(self, task_id, fields):
        if self.crashes:
            raise self.error
        return await super().report(task_id, fields)


async def test_a_crash_of_the_reporter_ends_every_lease_with_its_cause(service, reporter, caplog):
    """Each task is lost, `run` raises, new tasks are refused."""
    first, second, third = service.assign(3)
    error = RuntimeError("a bug")
    transport = CrashingTransport(service, error)
    async with reporter(transport=transport) as opened, opened.track(first) as task:
        transport.crashes = True
        with pytest.raises(LeaseLost, match="reporter failed") as caught:
            await opened.run(second, anyio.sleep_forever)
        assert caught.value.reason is LostReason.REPORTER_FAILED
        assert caught.value.__cause__ is error
        assert task.lost.is_set()
        assert task.lost_reason is LostReason.REPORTER_FAILED
        with pytest.raises(LeaseLost):
            await task.set_status(TaskStatus.FINISHED)
        with pytest.raises(ReporterClosed, match="crashed") as closed:
            async with opened.track(third):
                pytest.fail("the body must not begin")
        assert closed.value.__cause__ is error
    assert "the reporter crashed" in caplog.text


class Exit(BaseException):
    """More than an exception, such as the wish to end the program."""


async def test_what_is_more_than_an_exception_comes_out_of_the_block(service, reporter):
    """It ends every lease as well, and nobody takes it for a mere fault of the reporter."""
    [task_id] = service.assign()
    error = Exit()
    transport = CrashingTransport(service, error)
    reasons = []

    async def hold():
        async with reporter(transport=transport) as opened, opened.track(task_id) as task:
            transport.crashes = True
            await task.lost.wait()
            reasons.append(task.lost_reason)

    with pytest.raises(Exit) as caught:
        await hold()
    assert caught.value is error
    assert reasons == [LostReason.REPORTER_FAILED]


async def test_closing_waits_until_no_task_is_tracked(service, reporter, caplog):
    """They are kept meanwhile, and it is said what is waited for."""

    async def hold(task_id, seconds):
        async with opened.track(task_id) as task:
            await anyio.sleep(seconds)
            held.append(task.state)

    held: list[LeaseState] = []
    async with anyio.create_task_group() as group:
        async with reporter() as opened:
            for number, task_id in enumerate(service.assign(3), 1):
                group.start_soon(hold, task_id, 1000.0 * number)
            await anyio.sleep(500)
            assert opened.statistics().tracked == 3
        assert anyio.current_time() == pytest.approx(3000, abs=1)
    assert held == [LeaseState.HELD] * 3
    assert caplog.messages == ["closing: waiting until 3 tasks are not tracked any more"]


class CrashingLate(FakeTransport):
    """One whose second report breaks that promise, after some time."""

    sent = 0

    async def report(self, task_id, fields):
        self.sent += 1
        if self.sent == 1:
            return await super().report(task_id, fields)
        await anyio.sleep(5)
        raise RuntimeError("a bug")


async def test_a_crash_wakes_the_status_of_a_lease_that_was_lost_before(service, reporter):
    """It waits for the end of the report in flight, which now has none."""
    [task_id] = service.assign()
    transport = CrashingLate(service)
    async with reporter(transport=transport) as opened, opened.track(task_id) as task:
        await anyio.sleep(59)
        block(300)
        await task.lost.wait()
        await anyio.sleep(1)
        assert opened.statistics().in_flight == 1
        with anyio.fail_after(60), pytest.raises(LeaseLost):
            await task.set_status(TaskStatus.FINISHED)
        assert transport.sent == 2


async def test_no_region(client_reporter, session):
    """A session that knows no region is refused on entering, by an error of ours."""
    session.set_config_variable("region", None)
    with pytest.raises(ReportRejected, match="You must specify a region"):
        async with client_reporter():
            pytest.fail("the body must not begin")


async def test_an_endpoint_that_is_no_address(client_reporter):
    """Whether it comes from an argument or the environment: an error of ours that names it."""
    with pytest.raises(ReportRejected, match="nowhere"):
        async with client_reporter(endpoint_url="nowhere"):
            pytest.fail("the body must not begin")


async def test_the_users_config_is_under_the_reporters_needs(session, client_reporter, monkeypatch):
    """What the user sets stays, what the leases need wins; reports have a client of their own."""
    configs: list[AioConfig] = []
    create_client = session.create_client

    def create(*args, config, **options):
        configs.append(config)
        return create_client(*args, config=config, **options)

    monkeypatch.setattr(session, "create_client", create)
    mine = AioConfig(user_agent_extra="mine", retries={"total_max_attempts": 9}, read_timeout=1000)
    async with client_reporter(config=mine, attempt_timeout=5):
        for config in configs:
            assert config.retries["total_max_attempts"] == 1
            assert config.read_timeout == config.connect_timeout == 5
            assert config.user_agent_extra == "mine"
        assert [config.max_pool_connections for config in configs] == [150, 50]
    async with client_reporter(quota=None):
        assert [config.max_pool_connections for config in configs[2:]] == [256, 50]


TENTH = Settings(quotas={"ReportTaskProgress": (1.0, 10), "SetTaskStatus": (1.0, 10)})


@pytest.fixture
def tenth():
    """The service with a tenth of the published quota."""
    return MemoryService(clock=anyio.current_time, settings=TENTH, latency=0.02)


async def fleet(service, count, gap, reporters=1, hold=1500.0):
    """Track tasks that arrive one after another, an hour in all; return what became of them."""
    tasks: dict[str, TrackedTask] = {}
    lost_at: dict[str, float] = {}

    async def hold_one(opened, task_id):
        try:
            async with opened.track(task_id) as task:
                tasks[task_id] = task
                with anyio.move_on_after(end - anyio.current_time()):
                    await task.ended.wait()
                    lost_at[task_id] = anyio.current_time()
        except LeaseLost:
            lost_at[task_id] = anyio.current_time()

    async with anyio.create_task_group() as group:
        opened = [
            await group.start(open_one, FakeReporter(service, quota=Quota(rate=1, burst=10)))
            for _ in range(reporters)
        ]
        end = anyio.current_time() + count * gap + hold
        for number in range(count):
            [task_id] = service.assign()
            group.start_soon(hold_one, opened[number % reporters], task_id)
            await anyio.sleep(gap)
        await anyio.sleep_until(end)
        group.cancel_scope.cancel()
    return tasks, lost_at


async def open_one(reporter, *, task_status):
    async with reporter as opened:
        task_status.started(opened)
        await anyio.sleep_forever()


@trio_slow
async def test_at_capacity_none_is_lost_and_hardly_a_call_is_throttled(tenth):
    """284 leases at a tenth of the quota: intervals stretch by themselves."""
    tasks, lost_at = await fleet(tenth, 284, gap=2.0)
    assert len(tasks) == 284
    assert not lost_at
    throttled = tenth.calls["ReportTaskProgress", "ThrottlingException"]
    assert throttled < 0.001 * tenth.calls.total()


@trio_slow
async def test_overload_is_shed(tenth):
    """Twice as many: the first 284 survive, the others are lost before the service acts."""
    _, lost_at = await fleet(tenth, 568, gap=2.0, hold=900.0)
    assert len(lost_at) == 568 - 284


@pytest.mark.slow
async def test_three_processes_share_the_quota_without_talking(tenth):
    """Ninety tasks each: throttled now and then, none lost."""
    tasks, lost_at = await fleet(tenth, 270, gap=7.0, reporters=3)
    assert len(tasks) == 270
    assert not lost_at
