"""SetTaskStatus: once acknowledged, never beside a report, tried until it is taken or refused."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import Any

import anyio
import pytest

from aiodp import (
    LeaseLost,
    LeaseState,
    LostReason,
    Quota,
    ReporterClosed,
    ReportKind,
    StatusInDoubt,
    StatusNotSet,
    TaskCanceled,
    TaskStatus,
)
from aiodp._core.timing import Timing
from aiodp._reporter.record import TaskRecord
from aiodp._reporter.status import _report_can_wait
from aiodp._reporter.task import record_of
from aiodp._types import Outcome
from aiodp.testing import AuditKind, Fault, FaultKind
from virtual.fake_transport import FakeTransport
from virtual.kit import set_jitter, trio_slow

pytestmark = pytest.mark.anyio

STATUS = frozenset({"SetTaskStatus"})
REPORT = frozenset({"ReportTaskProgress"})


def attempt_fields(service, task_id):
    """The attempt as DescribeObjects shows it."""
    task = service.task(task_id)
    answer = service.service.request(
        "DescribeObjects", {"pipelineId": task.pipeline_id, "objectIds": [task.attempt_id]}
    )
    [described] = json.loads(answer.body)["pipelineObjects"]
    return {field["key"]: field.get("stringValue") for field in described["fields"]}


async def test_after_an_acknowledged_status_no_report_is_sent(service, reporter):
    """FINISHED is the last call about a task, however long the block goes on."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await task.set_status(TaskStatus.FINISHED)
        calls = service.calls.total()
        await anyio.sleep(3600)
        assert service.calls.total() == calls
        assert task.state is LeaseState.RELEASED
        assert not task.ended.is_set()
        await task.set_status(TaskStatus.FINISHED)  # said already
        with pytest.raises(StatusNotSet, match="was set already"):
            await task.set_status(TaskStatus.FAILED)
        assert service.calls.total() == calls
    assert service.task(task_id).status == "FINISHED"


async def test_failed_with_its_error(service, reporter):
    """Id, message and stack trace reach the attempt."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await task.set_status(
            TaskStatus.FAILED, error_id="E1", error_message="broken", error_stack_trace="at x"
        )
    fields = attempt_fields(service, task_id)
    assert fields["errorId"] == "E1"
    assert fields["errorMessage"] == "broken"
    assert fields["errorStackTrace"] == "at x"


async def test_errors_are_cut_and_cleaned_not_lost(service, reporter):
    """A message of a megabyte with lone surrogates is a valid status all the same."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await task.set_status(
            TaskStatus.FAILED,
            error_message="\ud800\x00" + "é" * 1_000_000,
            error_stack_trace="\x1b" + "x" * 100_000 + "the end",
        )
    fields = attempt_fields(service, task_id)
    assert len(fields["errorMessage"].encode()) <= 10_240
    assert fields["errorMessage"].startswith("\ufffd\ufffdé")
    assert len(fields["errorStackTrace"]) == 1024
    assert fields["errorStackTrace"].endswith("the end")


@pytest.mark.parametrize(
    ("status", "options"),
    [
        ("DONE", {}),
        (None, {}),
        (TaskStatus.FAILED, {"error_id": "Service_x"}),
        (TaskStatus.FAILED, {"error_id": ""}),
        (TaskStatus.FAILED, {"error_id": "x" * 1025}),
        (TaskStatus.FAILED, {"error_id": "\x00"}),
        (TaskStatus.FAILED, {"error_id": 7}),
    ],
)
async def test_impossible_statuses(service, reporter, status, options):
    """Refused before anything is sent; the lease goes on, and a better one can be set."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        with pytest.raises(ValueError, match=r"error_id|TaskStatus: FINISHED, FAILED, FALSE"):
            await task.set_status(status, **options)
        assert ("SetTaskStatus", "ok") not in service.calls
        await task.set_status(TaskStatus.FAILED)


async def test_refused_locally_when_canceled_or_refused(service, reporter):
    """No status of a task that the service has ended is sent."""
    canceled, gone = service.assign(2)
    async with reporter() as opened, opened.track(canceled) as first, opened.track(gone) as second:
        service.cancel(canceled)
        service.service.request("SetTaskStatus", {"taskId": gone, "taskStatus": "FINISHED"})
        await first.canceled.wait()
        await second.lost.wait()
        calls = service.calls.total()
        with pytest.raises(TaskCanceled):
            await first.set_status(TaskStatus.FINISHED)
        with pytest.raises(LeaseLost):
            await second.set_status(TaskStatus.FINISHED)
        assert service.calls.total() == calls
    with pytest.raises(TaskCanceled):
        await first.set_status(TaskStatus.FINISHED)


@pytest.mark.parametrize(
    "kind",
    [
        FaultKind.SERVER_ERROR,
        FaultKind.HANG,
        FaultKind.RESET,
        FaultKind.GARBAGE,
        FaultKind.HTML,
        FaultKind.EMPTY,
        FaultKind.TYPE_IN_OK,
        FaultKind.THROTTLE,
        FaultKind.ACCESS_DENIED,
    ],
)
async def test_four_minutes_of_failures_and_then_it_arrives_once(service, reporter, kind):
    """Reports go on between the tries, so the lease is held; the status is applied once."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=kind, actions=STATUS, duration=240))
        await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() == pytest.approx(240, abs=30)
        assert task.reports >= 4
    assert service.task(task_id).status == "FINISHED"
    assert service.calls["SetTaskStatus", "ok"] == 1


class WatchedTransport(FakeTransport):
    """Notes which calls are in flight together whenever one begins."""

    def __init__(self, service):
        super().__init__(service)
        self.in_flight: list[str] = []
        self.seen: list[list[str]] = []

    async def report(self, task_id, fields):
        with self.noted("report"):
            return await super().report(task_id, fields)

    async def set_status(self, task_id, status, error):
        with self.noted("status"):
            return await super().set_status(task_id, status, error)

    @contextmanager
    def noted(self, name):
        self.in_flight.append(name)
        self.seen.append(list(self.in_flight))
        try:
            yield
        finally:
            self.in_flight.remove(name)


async def test_a_report_and_a_status_are_never_in_flight_together(service, reporter):
    """Even when both take long and fail by turns."""
    service.latency = 2.0
    transport = WatchedTransport(service)
    [task_id] = service.assign()
    service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=STATUS, duration=300))
    async with reporter(transport=transport) as opened, opened.track(task_id) as task:
        await anyio.sleep(59)
        await task.set_status(TaskStatus.FINISHED)
    assert transport.seen.count(["report"]) > 4
    assert transport.seen.count(["status"]) > 4
    assert all(len(together) == 1 for together in transport.seen)


async def test_a_status_waits_for_the_report_in_flight(service, reporter):
    """Stop, await the report in flight, then complete."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await anyio.sleep(59)
        service.latency = 3.0
        await anyio.sleep(2)
        assert opened.statistics().in_flight == 1
        await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() == pytest.approx(66 + 6)
    kinds = [event.kind for event in service.audit.of(task_id)]
    assert kinds[-2:] == [AuditKind.PROGRESS, AuditKind.STATUS]


async def test_the_service_refuses_a_status(service, reporter):
    """The task was given away meanwhile: LeaseLost, and no report follows."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.service.request("SetTaskStatus", {"taskId": task_id, "taskStatus": "FINISHED"})
        with pytest.raises(LeaseLost) as caught:
            await task.set_status(TaskStatus.FINISHED)
        assert caught.value.reason is LostReason.REFUSED
        assert task.lost.is_set()
        sent = opened.statistics().sent
        await anyio.sleep(1000)
        assert opened.statistics().sent == sent


async def test_a_cancel_that_was_not_heard_yet_is_told_by_its_name(service, reporter):
    """The service refuses the status of a canceled task; one report tells why."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await anyio.sleep(10)
        service.cancel(task_id)
        with pytest.raises(TaskCanceled):
            await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() < 11
        assert task.canceled.is_set()


async def test_a_refused_status_while_reports_hang(service, reporter):
    """Nobody says that the task is still ours: refused, within the time of one attempt."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.service.request("SetTaskStatus", {"taskId": task_id, "taskStatus": "FINISHED"})
        service.faults.add(Fault(kind=FaultKind.HANG, actions=REPORT))
        with pytest.raises(LeaseLost) as caught:
            await task.set_status(TaskStatus.FINISHED)
        assert caught.value.reason is LostReason.REFUSED
        assert anyio.current_time() <= 10.01


@pytest.mark.parametrize("kind", [FaultKind.HANG_AFTER, FaultKind.RESET_AFTER])
async def test_a_status_that_was_applied_though_its_answer_was_lost(service, reporter, kind):
    """The next try is refused, and the error says that the status may be set all the same."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=kind, actions=STATUS, count=1))
        with pytest.raises(LeaseLost, match="the status may be set") as caught:
            await task.set_status(TaskStatus.FINISHED)
        assert caught.value.reason is LostReason.REFUSED
        assert isinstance(caught.value, StatusInDoubt)
    assert service.task(task_id).status == "FINISHED"


async def test_canceled_while_a_status_is_tried(service, reporter):
    """A report between two tries hears it: TaskCanceled."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=STATUS))
        await anyio.sleep(30)
        service.cancel(task_id)
        with pytest.raises(TaskCanceled):
            await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() < 80


@trio_slow
async def test_a_status_that_cannot_be_set_outlasts_the_lease(service, reporter):
    """Nothing answers at all: `lost` is set in time; StatusNotSet with the last error, in hours."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR))
        deadline = task.deadline
        lost_at = []

        async def wait_lost():
            await task.lost.wait()
            lost_at.append(anyio.current_time())

        async with anyio.create_task_group() as group:
            group.start_soon(wait_lost)
            with pytest.raises(StatusNotSet, match="tried for 12 hours") as caught:
                await task.set_status(TaskStatus.FINISHED)
        assert caught.value.__cause__ is not None
        assert lost_at[0] <= deadline - 10
        assert 12 * 3600 <= anyio.current_time() <= 12 * 3600 + 70


async def test_a_status_without_permission_gives_up_after_a_lease(service, reporter):
    """A held lease could be held for ever; a worker must not hang on a missing permission."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.ACCESS_DENIED, actions=STATUS))
        with pytest.raises(StatusNotSet, match="configuration"):
            await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() == pytest.approx(310, abs=20)
        assert task.state is LeaseState.HELD
        service.faults.clear()
        await task.set_status(TaskStatus.FINISHED)


async def test_details_that_the_service_does_not_accept_are_dropped(service, reporter, caplog):
    """The status matters more than its stack trace."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.INVALID_REQUEST, actions=STATUS, count=1))
        await task.set_status(TaskStatus.FAILED, error_id="E", error_message="m")
    assert service.task(task_id).status == "FAILED"
    assert "errorMessage" not in attempt_fields(service, task_id)
    assert "refused and dropped" in caplog.text


async def test_a_status_that_is_invalid_without_details_is_not_repeated(service, reporter):
    """InvalidRequest does not mend itself."""
    async with reporter() as opened, opened.track(*service.assign()) as task:
        service.faults.add(Fault(kind=FaultKind.INVALID_REQUEST, actions=STATUS))
        with pytest.raises(StatusNotSet, match="does not accept"):
            await task.set_status(TaskStatus.FINISHED)
        assert service.calls.total() == 2


async def test_two_statuses_at_once(service, reporter):
    """The second raises; the first goes on."""
    async with reporter() as opened, opened.track(*service.assign()) as task:
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=STATUS, duration=100))
        async with anyio.create_task_group() as group:
            group.start_soon(task.set_status, TaskStatus.FINISHED)
            await anyio.sleep(1)
            with pytest.raises(StatusNotSet, match="is on the way"):
                await task.set_status(TaskStatus.FAILED)
        assert task.state is LeaseState.RELEASED


async def test_a_report_that_waits_while_the_status_is_set(service, reporter):
    """It raises and does not wait for ever: after an acknowledged status no report is sent."""
    async with reporter() as opened, opened.track(*service.assign()) as task:
        service.latency = 2.0
        async with anyio.create_task_group() as group:
            group.start_soon(task.set_status, TaskStatus.FINISHED)
            await anyio.sleep(1)
            with pytest.raises(ReporterClosed, match="has its status"):
                await task.report()


async def test_a_status_after_the_block(service, reporter):
    """Outside `track` there is no lease to hold while it is tried."""
    async with reporter() as opened:
        async with opened.track(*service.assign()) as task:
            pass
        with pytest.raises(ReporterClosed, match="inside track"):
            await task.set_status(TaskStatus.FINISHED)


async def test_a_status_after_a_local_lapse_is_tried(service, reporter):
    """LOST(expired) is our own belief; the service may still take the status."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=REPORT))
        await task.lost.wait()
        await task.set_status(TaskStatus.FINISHED)
        assert task.state is LeaseState.LOST
    assert service.task(task_id).status == "FINISHED"


@trio_slow
async def test_statuses_respect_their_own_quota(service, reporter):
    """Four hundred statuses at once: none is throttled, and reports have their own bucket."""
    ids = service.assign(400)
    async with reporter() as opened, anyio.create_task_group() as group:

        async def finish(task_id):
            async with opened.track(task_id) as task:
                await anyio.sleep(100)
                await task.set_status(TaskStatus.FINISHED)

        for task_id in ids:
            group.start_soon(finish, task_id)
    assert service.calls["SetTaskStatus", "ok"] == 400
    assert service.calls["SetTaskStatus", "ThrottlingException"] == 0
    assert service.calls["ReportTaskProgress", "ThrottlingException"] == 0


async def test_statuses_that_are_throttled_together_are_one_piece_of_news(service, reporter):
    """Ninety workers that finish together while the service throttles wait less than one."""
    ids = service.assign(90)
    async with reporter() as opened, anyio.create_task_group() as group:

        async def finish(task_id):
            async with opened.track(task_id) as task:
                await anyio.sleep_until(100)
                await task.set_status(TaskStatus.FINISHED)
                assert anyio.current_time() < 150

        for task_id in ids:
            group.start_soon(finish, task_id)
        await anyio.sleep_until(99)
        service.faults.add(Fault(kind=FaultKind.THROTTLE, actions=STATUS, duration=2))
    assert service.calls["SetTaskStatus", "ok"] == 90


@pytest.mark.parametrize("cancel_too", [False, True])
async def test_no_status_of_a_lapsed_task_that_the_service_has_ended(service, reporter, cancel_too):
    """A late report has shown it; nothing more is sent."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, duration=295 if cancel_too else 400))
        await task.lost.wait()
        if cancel_too:
            service.cancel(task_id)
        await anyio.sleep(300)
        calls = service.calls.total()
        with pytest.raises(LeaseLost):
            await task.set_status(TaskStatus.FINISHED)
        assert service.calls.total() == calls


async def test_without_a_quota_throttled_statuses_back_off(service, reporter):
    """`quota=None` lifts the limit, and makes no busy loop of a service that throttles."""
    async with reporter(quota=None) as opened, opened.track(*service.assign()) as task:
        service.faults.add(Fault(kind=FaultKind.THROTTLE, duration=100))
        await task.set_status(TaskStatus.FINISHED)
    assert service.calls["SetTaskStatus", "ThrottlingException"] < 30
    assert service.calls["ReportTaskProgress", "ThrottlingException"] < 30
    assert Quota().rate == 10


class ThrottledStatuses(FakeTransport):
    """Answers each status after two seconds: throttled, as long as it was sent before `until`."""

    until = 0.0

    async def set_status(self, task_id, status, error):
        sent_at = anyio.current_time()
        await anyio.sleep(2)
        if sent_at < self.until:
            return Outcome(kind=ReportKind.THROTTLED)
        return await super().set_status(task_id, status, error)


async def test_only_a_status_sent_after_the_news_slows_the_others_down_again(service, reporter):
    """Two on the way together lower the rate once; one sent later does so again."""
    transport = ThrottledStatuses(service)
    async with reporter(transport=transport) as opened, anyio.create_task_group() as group:
        started = anyio.current_time()
        transport.until = started + 2.05

        async def finish(task_id, delay):
            async with opened.track(task_id) as task:
                await anyio.sleep_until(started + delay)
                await task.set_status(TaskStatus.FINISHED)

        for task_id, delay in zip(service.assign(3), (0.0, 1.0, 60.0), strict=True):
            group.start_soon(finish, task_id, delay)
        await anyio.sleep_until(started + 3.5)
        assert opened._statuses._bucket.rate == pytest.approx(7.0)
        await anyio.sleep_until(started + 50)
        assert opened._statuses._bucket.rate == pytest.approx(7.0 + 2 * 0.01)
        transport.until = started + 61
        await anyio.sleep_until(started + 62.5)
        assert opened._statuses._bucket.rate == pytest.approx(7.02 * 0.7)
    assert service.calls["SetTaskStatus", "ok"] == 3


async def test_a_status_that_is_not_sent_gives_its_call_back(service, reporter):
    """Whoever stops waiting for the quota makes nobody else wait for the call."""
    ids = service.assign(2)
    async with (
        reporter(quota=Quota(rate=0.1, burst=1)) as opened,
        opened.track(ids[0]) as first,
        opened.track(ids[1]) as second,
    ):
        await first.set_status(TaskStatus.FINISHED)
        with anyio.move_on_after(3) as waiting:
            await second.set_status(TaskStatus.FINISHED)
        assert waiting.cancelled_caught
        now = anyio.current_time()
        await second.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() - now == pytest.approx(7.0)


async def test_throttling_leaves_statuses_three_tenths_of_the_quota(service, reporter):
    """Statuses come in bursts, and a task waits for each."""
    async with reporter() as opened, opened.track(*service.assign()) as task:
        service.faults.add(Fault(kind=FaultKind.THROTTLE, actions=STATUS, duration=30))
        await task.set_status(TaskStatus.FINISHED)
        assert opened._statuses._bucket.rate == pytest.approx(3.0 + 0.01)


@pytest.mark.parametrize(
    ("left", "due_in", "can_wait"), [(30, 0, False), (30.5, 0, True), (5, 0, False), (5, 1, True)]
)
async def test_a_report_that_is_due_goes_before_a_status_when_little_is_left(
    left, due_in, can_wait
):
    """When no more than three attempts fit into the lease; what is not due can wait."""
    timing = Timing.checked(
        interval=60, ack_timeout=120, lease_timeout=300, safety_margin=10, attempt_timeout=10
    )
    now = anyio.current_time()
    record = TaskRecord("task", timing, now + left - 120)
    record.due_at = now + due_in
    assert _report_can_wait(record, now) is can_wait
    record.lose(LostReason.EXPIRED)
    assert _report_can_wait(record, now)


async def test_the_second_try_comes_a_second_after_the_first(service, reporter):
    """As the first retry of a report does, were it not for jitter."""
    made = reporter()
    set_jitter(made, lambda: 0.0)
    async with made as opened, opened.track(*service.assign()) as task:
        before = anyio.current_time()
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=STATUS, duration=0.5))
        await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() - before == pytest.approx(1.0, abs=0.01)


class BusyTransport(FakeTransport):
    """No report succeeds after the first; statuses are throttled, and others use up the quota."""

    record: TaskRecord | None = None
    bucket: Any

    def __init__(self, service):
        super().__init__(service)
        self.could_wait = []

    async def report(self, task_id, fields):
        if self.record is not None:
            return Outcome(kind=ReportKind.CONNECTION)
        return await super().report(task_id, fields)

    async def set_status(self, *_call):
        assert self.record is not None
        self.could_wait.append(_report_can_wait(self.record, anyio.current_time()))
        await anyio.sleep(5)
        for _ in range(130):
            self.bucket.spend(anyio.current_time())
        return Outcome(kind=ReportKind.THROTTLED)


async def test_between_tries_of_a_status_a_report_that_is_due_goes_first(service, reporter):
    """When little is left of the lease: it would be lost while the status is tried."""
    transport = BusyTransport(service)
    async with reporter(transport=transport) as opened, opened.track(*service.assign()) as task:
        transport.bucket = opened._engine.schedule.bucket
        transport.record = record_of(task)
        await anyio.sleep_until(task.deadline - 39)
        with anyio.move_on_after(27):
            await task.set_status(TaskStatus.FINISHED)
    assert len(transport.could_wait) >= 2
    assert all(transport.could_wait[1:])


class SlowStatuses(FakeTransport):
    """Each status takes eight seconds; what is sent meanwhile is noted."""

    sending = False

    def __init__(self, service):
        super().__init__(service)
        self.beside = 0

    async def report(self, task_id, fields):
        self.beside += self.sending
        return await super().report(task_id, fields)

    async def set_status(self, task_id, status, error):
        self.sending = True
        await anyio.sleep(8)
        self.sending = False
        return await super().set_status(task_id, status, error)


async def test_a_report_that_falls_due_while_the_status_is_on_the_way_is_not_sent(
    service, reporter
):
    """Not before the status is answered, and none after that."""
    transport = SlowStatuses(service)
    async with (
        reporter(transport=transport, interval=2) as opened,
        opened.track(*service.assign()) as task,
    ):
        await task.set_status(TaskStatus.FINISHED)
        reports = task.reports
        await anyio.sleep(60)
        assert task.reports == reports
    assert transport.beside == 0


async def test_after_a_lapse_the_tries_come_sooner_the_less_time_is_left(service, reporter):
    """None waits for more than a quarter of it: of seven seconds, not the usual four."""
    made = reporter()
    set_jitter(made, lambda: 0.0)
    async with made as opened, opened.track(*service.assign()) as task:
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=REPORT))
        await task.lost.wait()
        lost_at = anyio.current_time()
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=STATUS, duration=4.5))
        await task.set_status(TaskStatus.FINISHED)
        assert anyio.current_time() - lost_at == pytest.approx(1 + 2 + 7 / 4, abs=0.01)
