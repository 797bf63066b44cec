"""A status is tried until the service takes or refuses it: a finished job is never thrown away."""

from __future__ import annotations

import anyio
import pytest

from aiodp import (
    LeaseLost,
    LeaseState,
    ReporterClosed,
    ReportKind,
    StatusNotSet,
    TaskStatus,
    current_task,
)
from aiodp._types import Outcome
from aiodp.emulator import Settings
from aiodp.testing import AuditKind, Fault, FaultKind, MemoryKit, MemoryService
from virtual.fake_transport import FakeReporter, FakeTransport
from virtual.kit import block, trio_slow
from virtual.runner_kit import running

pytestmark = pytest.mark.anyio

STATUS = frozenset({"SetTaskStatus"})
REPORT = frozenset({"ReportTaskProgress"})
OUTAGES = [FaultKind.SERVER_ERROR, FaultKind.HANG, FaultKind.RESET, FaultKind.EXPIRED_TOKEN]


@pytest.fixture
def service():
    """A service that gives a silent task away after 15 minutes, the longer of its two windows."""
    return MemoryService(clock=anyio.current_time, settings=Settings(lease_timeout=900))


@pytest.fixture
def kit():
    """The same, with pipelines."""
    return MemoryKit(Settings(lease_timeout=900))


@trio_slow
@pytest.mark.parametrize("fault", OUTAGES)
async def test_a_job_that_ends_while_the_service_cannot_be_reached_is_told(kit, runner, fault):
    """Six minutes are longer than the lease here and shorter than there: done once, told once."""
    pipeline = kit.activity()

    async def work(task):
        await anyio.sleep(36_000)
        kit.faults.add(Fault(kind=fault, duration=360))

    one = runner(work)
    await one.run(max_tasks=1)
    kit.assert_finished(pipeline)
    [run] = pipeline.runs
    assert run.attempts == 1
    assert one.statistics().ended == {"FINISHED": 1}
    kit.assert_single_owner()


@pytest.mark.parametrize(
    ("outcome", "status"), [(ValueError("bad luck"), "FAILED"), (False, "FALSE")]
)
async def test_failures_and_false_preconditions_are_told_as_late(kit, runner, outcome, status):
    """It is the same call, and as harmless."""
    if status == "FALSE":
        kit.pipeline(
            {
                "objects": [
                    {"id": "Default", "scheduleType": "ondemand", "workerGroup": "workers"},
                    {
                        "id": "Ready",
                        "type": "ShellCommandPrecondition",
                        "command": "false",
                    },
                    {
                        "id": "Work",
                        "type": "ShellCommandActivity",
                        "command": "true",
                        "precondition": {"ref": "Ready"},
                    },
                ]
            }
        )
    else:
        kit.activity()

    async def work(task):
        await anyio.sleep(100)
        kit.faults.add(Fault(kind=FaultKind.RESET, duration=360))
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    one = runner(work)
    await one.run(max_tasks=1)
    assert one.statistics().ended == {status: 1}
    assert [event.detail for event in kit.audit if event.kind is AuditKind.STATUS] == [status]


async def test_a_drain_waits_for_it(kit, runner):
    """The process that runs a job of ten hours is told to end while the service is away."""
    pipeline = kit.activity()

    async def work(task):
        await anyio.sleep(1000)
        kit.faults.add(Fault(kind=FaultKind.HANG, duration=600))
        one.stop()

    one = runner(work)
    await one.run()
    kit.assert_finished(pipeline)
    assert one.statistics().ended == {"FINISHED": 1}


@pytest.mark.parametrize("how", ["drain_timeout", "cancel"])
async def test_a_stop_at_once_does_not_wait_for_it(kit, runner, how):
    """Ten seconds are left for the status then, as ever."""
    kit.activity()
    ended = anyio.Event()

    async def work(task):
        await anyio.sleep(100)
        kit.faults.add(Fault(kind=FaultKind.RESET))
        ended.set()

    one = runner(work, drain_timeout=500)
    async with running(one):
        await ended.wait()
        await anyio.sleep(400)
        assert one.statistics().running == 1
        began = kit.now
        if how == "cancel":
            one.cancel()
    limit = 0 if how == "cancel" else 500
    assert limit + 9 < kit.now - began < limit + 12
    assert one.statistics().ended == {"no status": 1}


async def test_a_task_that_was_given_away_meanwhile_is_lost(kit, runner):
    """Twenty minutes are too long for the service: it refuses the status of the old attempt."""
    pipeline = kit.activity()
    done: list[tuple[float, float]] = []

    async def work(task):
        began = kit.now
        await anyio.sleep(100)
        if not done:
            kit.faults.add(Fault(kind=FaultKind.SERVER_ERROR, duration=1200))
        done.append((began, kit.now))

    one = runner(work)
    async with running(one):
        await kit.finished(pipeline)
    assert one.statistics().ended == {"lost": 1, "FINISHED": 1}
    [(_, first_ended), (second_began, _)] = done
    assert first_ended < second_began
    assert [event.kind for event in kit.audit].count(AuditKind.STATUS) == 1


async def test_a_handler_is_not_interrupted_in_its_status_by_a_lapse(kit, runner):
    """A status on its way may still be taken; only the service's word breaks it off."""
    pipeline = kit.activity()
    lines = []

    async def work(task):
        kit.faults.add(Fault(kind=FaultKind.RESET, duration=360))
        await task.set_status(TaskStatus.FINISHED)
        lines.append(task.state)

    one = runner(work)
    await one.run(max_tasks=1)
    kit.assert_finished(pipeline)
    assert lines == [LeaseState.LOST]
    assert one.statistics().ended == {"FINISHED": 1}


async def test_work_whose_status_was_taken_late_has_its_result(service, reporter):
    """It has nothing to stop for: the service has the task as finished."""
    [task_id] = service.assign()

    async def work(task_id):
        service.faults.add(Fault(kind=FaultKind.RESET, duration=360))
        task = current_task()
        await task.set_status(TaskStatus.FINISHED)
        task.raise_if_ended()
        with pytest.raises(ReporterClosed, match="has its status"):
            await task.report()
        return "done"

    async with reporter() as opened:
        assert await opened.run(task_id, work, task_id) == "done"
    assert service.task(task_id).status == "FINISHED"


@trio_slow
async def test_work_is_interrupted_once_its_status_is_given_up(service, reporter):
    """The interruption that the lapse held back comes when no status is on its way any more."""
    [task_id] = service.assign()
    seen = []

    async def work():
        service.faults.add(Fault(kind=FaultKind.RESET))
        try:
            await current_task().set_status(TaskStatus.FINISHED)
        except StatusNotSet:
            seen.append(anyio.current_time())
        await anyio.sleep_forever()

    async with reporter() as opened:
        began = anyio.current_time()
        with pytest.raises(LeaseLost):
            await opened.run(task_id, work)
    [given_up_at] = seen
    assert given_up_at - began == pytest.approx(12 * 3600, rel=0.01)


@trio_slow
async def test_it_ends_after_twelve_hours(service, reporter, caplog):
    """Nothing waits for ever; the log has said that it is being tried, once."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.RESET))
        began = anyio.current_time()
        with pytest.raises(StatusNotSet, match="12 hours") as caught:
            await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() - began == pytest.approx(12 * 3600, rel=0.01)
    assert caught.value.__cause__ is not None
    lines = [record for record in caplog.records if "is tried" in record.getMessage()]
    assert len(lines) == 1


async def test_reports_go_on_for_as_long(service, reporter):
    """One that is in time keeps the task from others, though nobody here counts on that."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.RESET, duration=400))
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=STATUS, duration=5000))
        await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() == pytest.approx(5000, abs=70)
    assert service.task(task_id).status == "FINISHED"


async def test_throttled_statuses_are_tried_at_growing_gaps(service, reporter):
    """Three hours of throttling: two statuses are tried some hundred times, not 32,373."""
    ids = service.assign(2)
    service.faults.add(Fault(kind=FaultKind.THROTTLE, actions=STATUS, duration=10_800))
    async with reporter() as opened, anyio.create_task_group() as group:

        async def finish(task_id):
            async with opened.track(task_id) as task:
                await task.set_status(TaskStatus.FINISHED)

        for task_id in ids:
            group.start_soon(finish, task_id)
    throttled = service.calls["SetTaskStatus", "ThrottlingException"]
    assert throttled < 1000
    assert service.calls["SetTaskStatus", "ok"] == 2
    assert anyio.current_time() < 10_800 + 65


async def test_a_short_throttling_costs_seconds(service, reporter):
    """What has not lasted for long is asked about often."""
    async with reporter() as opened, opened.track(*service.assign()) as task:
        service.faults.add(Fault(kind=FaultKind.THROTTLE, actions=STATUS, duration=10))
        await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() < 10 + 15 + 1


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.SERVER_ERROR])
async def test_reports_of_a_lapsed_lease_are_tried_at_growing_gaps(service, reporter, kind):
    """Nothing is at stake that more of them could save: one an interval, in the end."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=kind, duration=10_800))
        await task.lost.wait()
        calls_before = service.calls.total()
        with pytest.raises(LeaseLost):
            await task.set_status(TaskStatus.FINISHED)
        assert service.calls.total() - calls_before < 1000


class DeniedOnce(FakeTransport):
    """Denies the first status, and the event loop is blocked for longer than a lease meanwhile."""

    denied = False

    async def set_status(self, task_id, status, error):
        if self.denied:
            return await super().set_status(task_id, status, error)
        self.denied = True
        await anyio.sleep(1)
        block(350)
        denied = RuntimeError("AccessDeniedException")
        return Outcome(kind=ReportKind.CONFIGURATION, error=denied)


async def test_a_denial_that_is_heard_after_the_lease_is_not_the_last_word(service):
    """No report has succeeded for longer than a lease: credentials may be at fault, for a time."""
    [task_id] = service.assign()
    reporter = FakeReporter(service, transport=DeniedOnce(service))
    async with reporter, reporter.track(task_id) as task:
        await task.set_status(TaskStatus.FINISHED)
    assert service.task(task_id).status == "FINISHED"
