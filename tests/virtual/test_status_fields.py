"""The last fields arrive: what no report has carried yet goes in one report before the status."""

from __future__ import annotations

import anyio
import pytest

from aiodp import LeaseLost, LostReason, Quota, TaskCanceled, TaskStatus
from aiodp.testing import AuditKind, Fault, FaultKind
from virtual.kit import block
from virtual.runner_kit import attempts

pytestmark = pytest.mark.anyio

STATUS = frozenset({"SetTaskStatus"})
REPORT = frozenset({"ReportTaskProgress"})


def reported(service, task_id):
    """The fields that the service has of a task."""
    fields = service.service.model.leases.tasks[task_id].attempt.reported
    return {key: field.value for key, [field] in fields.items()}


def kinds(service, task_id):
    return [event.kind for event in service.audit.of(task_id)]


async def test_what_was_set_last_is_reported_before_the_status(service, reporter):
    """At once and in one report, and no report follows the status."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await anyio.sleep(100)
        task.update(percentComplete=90)
        task.update(percentComplete=100, rows=7)
        reports = task.reports
        now = anyio.current_time()
        await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() - now < 0.1
        assert task.reports == reports + 1
        await anyio.sleep(1000)
    assert reported(service, task_id) == {"percentComplete": "100", "rows": "7"}
    assert kinds(service, task_id)[-2:] == [AuditKind.PROGRESS, AuditKind.STATUS]


async def test_without_such_fields_no_report_is_made(service, reporter):
    """One that was carried already is none, nor is one whose report is on its way."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id, fields={"first": 1}) as task:
        service.latency = 2.0
        task.update(second=2)
        async with anyio.create_task_group() as group:
            group.start_soon(task.report)
            await anyio.sleep(1)
            await task.set_status(TaskStatus.FINISHED)
        assert opened.statistics().sent == 2
    assert reported(service, task_id) == {"first": "1", "second": "2"}


async def test_what_is_set_while_a_report_is_on_its_way_goes_with_the_next(service, reporter):
    """That one carries what was set before it began."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.latency = 1.0
        async with anyio.create_task_group() as group:
            group.start_soon(task.report)
            await anyio.sleep(1)
            task.update(late="yes")
            await task.set_status(TaskStatus.FINISHED)
        assert opened.statistics().sent == 3
    assert reported(service, task_id) == {"late": "yes"}


@pytest.mark.parametrize(
    "kind", [FaultKind.SERVER_ERROR, FaultKind.HANG, FaultKind.THROTTLE, FaultKind.ACCESS_DENIED]
)
async def test_the_status_waits_five_seconds_for_them(service, reporter, kind):
    """Then it goes all the same: it matters more."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=kind, actions=REPORT))
        task.update(percentComplete=100)
        now = anyio.current_time()
        await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() - now <= 10.1  # a report that hangs is awaited
    assert service.task(task_id).status == "FINISHED"
    assert reported(service, task_id) == {}


async def test_a_failed_report_of_them_is_repeated_in_that_time(service, reporter):
    """As any report is: after growing delays."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=REPORT, duration=1.2))
        task.update(percentComplete=100)
        await task.set_status(TaskStatus.FINISHED)
        assert service.calls["ReportTaskProgress", "InternalServiceError"] < 5
    assert reported(service, task_id) == {"percentComplete": "100"}


async def test_the_quota_holds_for_this_report(service, reporter):
    """Three tasks that end together with a quota of one a second: the last waits for two."""
    ids = service.assign(3)
    async with (
        reporter(quota=Quota(rate=1, burst=1)) as opened,
        anyio.create_task_group() as group,
    ):

        async def finish(task_id):
            async with opened.track(task_id) as task:
                await anyio.sleep_until(30)
                task.update(percentComplete=100)
                await task.set_status(TaskStatus.FINISHED)

        for task_id in ids:
            group.start_soon(finish, task_id)
    assert service.calls["ReportTaskProgress", "ThrottlingException"] == 0
    assert [reported(service, task_id) for task_id in ids] == [{"percentComplete": "100"}] * 3


async def test_a_cancellation_that_this_report_hears_of_ends_it(service, reporter):
    """No status is sent."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.cancel(task_id)
        task.update(percentComplete=100)
        with pytest.raises(TaskCanceled):
            await task.set_status(TaskStatus.FINISHED)
    assert not any(action == "SetTaskStatus" for action, _ in service.calls)


async def test_a_refusal_that_this_report_hears_of_ends_it(service, reporter):
    """No status is sent."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.give_away(task_id)
        task.update(percentComplete=100)
        with pytest.raises(LeaseLost) as caught:
            await task.set_status(TaskStatus.FINISHED)
        assert caught.value.reason is LostReason.REFUSED
    assert not any(action == "SetTaskStatus" for action, _ in service.calls)


async def test_fields_that_are_refused_cost_no_status(service, reporter, caplog):
    """They are dropped, as ever."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.INVALID_REQUEST, actions=REPORT, count=1))
        task.update(percentComplete=100)
        await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() < 1
    assert service.task(task_id).status == "FINISHED"
    assert "fields were refused" in caplog.text


async def test_a_lease_that_has_run_out_here_reports_them_too(service, reporter):
    """The service may still have the task for us."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        block(292)
        assert task.lost.is_set()
        task.update(percentComplete=100)
        await task.set_status(TaskStatus.FINISHED)
    assert reported(service, task_id) == {"percentComplete": "100"}
    assert service.task(task_id).status == "FINISHED"


@pytest.mark.parametrize("returns", [True, False])
async def test_what_a_handler_sets_last_arrives(kit, runner, returns):
    """Whether it sets the status itself or returns."""
    pipeline = kit.activity()

    async def work(task):
        await anyio.sleep(1)
        task.update(percentComplete=100)
        if not returns:
            await task.set_status(TaskStatus.FINISHED)

    await runner(work).run(max_tasks=1)
    kit.assert_finished(pipeline)
    assert attempts(kit, pipeline)[0]["percentComplete"] == "100"


async def test_what_a_failing_handler_sets_last_arrives(kit, runner):
    """How far it came is worth most then."""
    pipeline = kit.activity()

    async def work(task):
        task.update(percentComplete=30)
        raise ValueError("bad luck")

    await runner(work).run(max_tasks=1)
    attempt = attempts(kit, pipeline)[0]
    assert (attempt["@status"], attempt["percentComplete"]) == ("FAILED", "30")


async def test_a_status_waits_for_fields_for_five_seconds_at_most(service, reporter):
    """Also where a call may take longer than twice that."""
    [task_id] = service.assign()
    async with reporter(attempt_timeout=20) as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.RESET, actions=REPORT))
        task.update(a=1)
        began = anyio.current_time()
        await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() - began == pytest.approx(5.0, abs=0.1)
