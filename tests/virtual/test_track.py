"""Tracking: acknowledgement, heartbeats, cancellation, leaving."""

from __future__ import annotations

import math

import anyio
import pytest

from aiodp import (
    AiodpError,
    LeaseLost,
    LeaseState,
    LostReason,
    ReporterClosed,
    ReportRejected,
    TaskStatus,
)
from aiodp.emulator import TaskState
from aiodp.testing import Fault, FaultKind
from virtual.kit import trio_slow

pytestmark = pytest.mark.anyio

REPORT = frozenset({"ReportTaskProgress"})


def reports(service, outcome="ok"):
    return service.calls["ReportTaskProgress", outcome]


async def test_an_hour_of_heartbeats(service, client_reporter):
    """One report at once, then one a minute."""
    [task_id] = service.assign()
    async with client_reporter() as opened, opened.track(task_id) as task:
        assert (task.state, task.reports) == (LeaseState.HELD, 1)
        assert task.deadline == task.last_reported_at + 300
        await anyio.sleep(3600 - 1)
        assert task.reports == reports(service) == 60
        assert not task.ended.is_set()


async def test_track_returns_once_the_service_has_acknowledged(service, reporter):
    """The body does not begin before the answer is there."""
    service.latency = 3.0
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        assert anyio.current_time() == pytest.approx(6.0)
        assert task.deadline == pytest.approx(300.0)  # from the send time


async def test_cancel_is_heard_at_the_next_heartbeat(service, client_reporter):
    """Canceled in the service, the event is set within an interval, and no call follows."""
    [task_id] = service.assign()
    async with client_reporter() as opened, opened.track(task_id) as task:
        await anyio.sleep(70)
        service.cancel(task_id)
        with anyio.fail_after(60):
            await task.canceled.wait()
        assert task.ended.is_set()
        assert not task.lost.is_set()
        assert task.state is LeaseState.CANCELED
        calls = service.calls.total()
        await anyio.sleep(3600)
    assert service.calls.total() == calls


async def test_a_task_that_is_canceled_from_the_start(service, reporter):
    """If the first answer is `canceled`, the body starts with the event set."""
    [task_id] = service.assign()
    service.cancel(task_id)
    async with reporter() as opened, opened.track(task_id) as task:
        assert task.canceled.is_set()
        await task.canceled.wait()
        await task.ended.wait()
    assert reports(service) == 1


async def test_a_task_that_the_service_does_not_know(client_reporter):
    """TaskNotFound to the first report is a refusal, whose message says where to look."""
    words = (
        r"is lost \(refused\): unknown to the service in us-east-1; is this the region and account "
        r"that PollForTask used, and has it ended\?"
    )
    async with client_reporter() as opened:
        with pytest.raises(LeaseLost, match=words) as caught:
            async with opened.track("nobody:has:1"):
                pytest.fail("the body must not begin")
        assert caught.value.reason is LostReason.REFUSED
        assert caught.value.last_reported_at is None
        assert "TaskNotFound" in repr(caught.value.__cause__)


@pytest.mark.parametrize("kind", [FaultKind.HANG, FaultKind.SERVER_ERROR, FaultKind.THROTTLE])
async def test_acknowledgement_that_does_not_come(service, reporter, kind):
    """After 120 s without an acknowledgement somebody else has the task."""
    [task_id] = service.assign()
    service.faults.add(Fault(kind=kind))
    async with reporter() as opened:
        with pytest.raises(LeaseLost) as caught:
            async with opened.track(task_id):
                pytest.fail("the body must not begin")
        assert caught.value.reason is LostReason.EXPIRED
        assert "did not acknowledge it in time" in str(caught.value)
        assert anyio.current_time() == pytest.approx(120, abs=0.01)


async def test_time_since_the_assignment_counts(service, reporter):
    """A task that waited in a queue for 100 s has 20 s left; after 120 s nothing is sent."""
    [late, too_late] = service.assign(2)
    handed_out = anyio.current_time()
    await anyio.sleep(100)
    service.faults.add(Fault(kind=FaultKind.HANG))
    async with reporter() as opened:
        with pytest.raises(LeaseLost):
            async with opened.track(late, assigned_at=handed_out):
                pytest.fail("the body must not begin")
        assert anyio.current_time() == pytest.approx(120, abs=0.01)
        sent = opened.statistics().sent
        with pytest.raises(LeaseLost):
            async with opened.track(too_late, assigned_at=handed_out):
                pytest.fail("the body must not begin")
        assert opened.statistics().sent == sent
        with pytest.raises(ValueError, match="later than now"):
            async with opened.track(too_late, assigned_at=anyio.current_time() + 60):
                pytest.fail("the body must not begin")


@pytest.mark.parametrize("kind", [FaultKind.ACCESS_DENIED, FaultKind.EXPIRED_TOKEN])
async def test_configuration_errors_reject_the_first_report_at_once(service, client_reporter, kind):
    """Nobody waits two minutes for a typo in the credentials."""
    [task_id] = service.assign()
    service.faults.add(Fault(kind=kind))
    async with client_reporter() as opened:
        before = anyio.current_time()
        with pytest.raises(ReportRejected, match="credentials, permission") as caught:
            async with opened.track(task_id):
                pytest.fail("the body must not begin")
        assert anyio.current_time() == before
        assert caught.value.__cause__ is not None
        assert opened.statistics().failed == {"configuration": 1}


async def test_missing_credentials_reject_too(service, client_reporter, session):
    """No botocore exception comes out, not even the ones raised on this side."""
    session._credentials = None
    session.get_component("credential_provider").providers.clear()
    async with client_reporter() as opened:
        with pytest.raises(ReportRejected, match="Unable to locate credentials"):
            async with opened.track(*service.assign()):
                pytest.fail("the body must not begin")


async def test_configuration_errors_later_are_retried_and_logged_once(service, reporter, caplog):
    """Credentials that expire and are renewed within the lease cost nothing."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.EXPIRED_TOKEN, duration=250))
        await anyio.sleep(300)
        assert task.state is LeaseState.HELD
        assert opened.statistics().failed["configuration"] > 5
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert len(errors) == 1
    assert errors[0].getMessage().startswith("reports fail (configuration): ")


KINDS = {
    FaultKind.SERVER_ERROR: "server_error",
    FaultKind.UNAVAILABLE: "server_error",
    FaultKind.HTML_ERROR: "server_error",
    FaultKind.RESET: "connection",
    FaultKind.RESET_AFTER: "connection",
    FaultKind.HANG: "timeout",
    FaultKind.HANG_AFTER: "timeout",
    FaultKind.GARBAGE: "malformed",
    FaultKind.EMPTY: "malformed",
    FaultKind.HTML: "malformed",
    FaultKind.TYPE_IN_OK: "malformed",
    FaultKind.EXPIRED_TOKEN: "configuration",
    FaultKind.ACCESS_DENIED: "configuration",
    FaultKind.INVALID_REQUEST: "invalid",
}


@pytest.mark.parametrize(("kind", "counted"), KINDS.items())
async def test_whatever_goes_wrong_is_survived_and_counted(service, reporter, kind, counted):
    """Four minutes of it, on a lease of five, cost nothing."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=kind, actions=REPORT, duration=240))
        await anyio.sleep(400)
        assert task.state is LeaseState.HELD
        statistics = opened.statistics()
        assert set(statistics.failed) == {counted}
        assert statistics.sent == (
            statistics.succeeded + statistics.failed[counted] + statistics.in_flight
        )


@pytest.mark.parametrize("kind", [*KINDS, FaultKind.THROTTLE])
async def test_whatever_goes_wrong_for_ever_ends_in_lost(service, reporter, kind):
    """`lost` is set ten seconds before the service gives the task to somebody else."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        await anyio.sleep(1000)
        service.faults.add(Fault(kind=kind, actions=REPORT))
        deadline = task.deadline
        await task.lost.wait()
        assert deadline - 10.01 <= anyio.current_time() <= deadline - 10
        assert task.lost_reason is LostReason.EXPIRED
        with pytest.raises(LeaseLost, match=r"lost \(expired\)") as caught:
            task.raise_if_ended()
        assert caught.value.last_reported_at == deadline - 300
        if kind is not FaultKind.THROTTLE:
            assert caught.value.__cause__ is not None


async def test_a_lapsed_lease_is_still_reported_while_its_body_winds_down(service, reporter):
    """The late report may land first; `lost` stays set all the same."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, duration=292))
        await task.lost.wait()
        sent = opened.statistics().sent
        await anyio.sleep(600)
        assert opened.statistics().sent > sent
        assert service.service.lease_deadline(task_id) > anyio.current_time()  # never given away
        assert task.state is LeaseState.LOST
        assert task.lost.is_set()


@pytest.mark.parametrize("cancel_too", [False, True])
async def test_a_lapsed_lease_that_the_service_ends_is_not_reported_again(
    service, reporter, cancel_too
):
    """Neither a refusal nor a cancellation is answered by another report."""
    [task_id] = service.assign()
    async with reporter() as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, duration=295 if cancel_too else 400))
        await task.lost.wait()
        if cancel_too:
            service.cancel(task_id)
        await anyio.sleep(300)
        assert (task.state, task.lost_reason) == (LeaseState.LOST, LostReason.EXPIRED)
        sent = opened.statistics().sent
        await anyio.sleep(3600)
        assert opened.statistics().sent == sent


async def test_a_task_that_was_given_away_is_lost_at_once(service, client_reporter):
    """TaskNotFound in the middle: refused, noticed within one heartbeat, never reported again."""
    [task_id] = service.assign()
    async with client_reporter() as opened, opened.track(task_id) as task:
        await anyio.sleep(30)
        service.service.request(
            "SetTaskStatus", {"taskId": task_id, "taskStatus": "FINISHED"}
        )  # somebody else ended it
        await task.lost.wait()
        assert anyio.current_time() <= 60.01
        assert task.lost_reason is LostReason.REFUSED
        sent = opened.statistics().sent
        await anyio.sleep(3600)
        assert opened.statistics().sent == sent


@trio_slow
async def test_the_server_that_stops_answering(service, reporter):
    """A hundred tasks held: every `lost` is set, and wakes its waiter, before the deadline."""
    woken: dict[str, float] = {}
    given_away: dict[str, float] = {}

    async def hold(task_id, opened):
        async with opened.track(task_id) as task:
            await task.ended.wait()
            woken[task_id] = anyio.current_time()
            given_away[task_id] = service.service.lease_deadline(task_id)

    async with reporter() as opened, anyio.create_task_group() as group:
        for task_id in service.assign(100):
            group.start_soon(hold, task_id, opened)
        await anyio.sleep(500)
        service.faults.add(Fault(kind=FaultKind.HANG))
    assert len(woken) == 100
    for task_id, at in woken.items():
        assert given_away[task_id] - 10.01 <= at <= given_away[task_id] - 10


@trio_slow
async def test_the_server_that_comes_back_within_the_lease(service, reporter):
    """It hangs for three minutes; nobody is lost."""
    async with reporter() as opened, anyio.create_task_group() as group:
        tasks = []

        async def hold(task_id):
            async with opened.track(task_id) as task:
                tasks.append(task)
                await anyio.sleep(1500)

        for task_id in service.assign(100):
            group.start_soon(hold, task_id)
        await anyio.sleep(500)
        service.faults.add(Fault(kind=FaultKind.HANG, duration=180))
        await anyio.sleep(900)
        assert [task.state for task in tasks] == [LeaseState.HELD] * 100


async def test_the_same_task_twice_has_two_leases(service, reporter):
    """Everything is keyed by registration: the end of one says nothing about the other."""
    [task_id] = service.assign()
    async with reporter() as opened:
        async with opened.track(task_id) as first, opened.track(task_id) as second:
            assert first is not second
            await anyio.sleep(100)
            assert first.reports == second.reports == 2
        async with opened.track(task_id) as again:
            assert again.state is LeaseState.HELD
        service.cancel(task_id)
        async with opened.track(task_id) as canceled:
            assert canceled.canceled.is_set()
        assert first.state is LeaseState.RELEASED


async def test_a_shorter_lease_for_one_task(service, reporter):
    """`lease_timeout` for one task brings its own interval, and wakes a sleeping scheduler."""
    [usual] = service.assign()
    [short] = service.assign(report_progress_timeout="1 minute")
    async with reporter() as opened, opened.track(usual):
        await anyio.sleep(10)
        async with opened.track(short, lease_timeout=60) as task:
            await anyio.sleep(600)
            assert task.state is LeaseState.HELD
            assert task.reports == pytest.approx(600 / (50 / 3), abs=2)


async def test_leaving_waits_for_the_report_in_flight(service, reporter):
    """After the block, nothing of the task is on the way."""
    [task_id] = service.assign()
    async with reporter() as opened:
        async with opened.track(task_id):
            await anyio.sleep(59)
            service.latency = 4.0
            await anyio.sleep(3)
            assert opened.statistics().in_flight == 1
        assert opened.statistics().in_flight == 0
        assert opened.statistics().tracked == 0
        assert anyio.current_time() == pytest.approx(68.0)
        calls = service.calls.total()
        await anyio.sleep(1000)
        assert service.calls.total() == calls


async def test_leaving_is_bounded_when_the_server_hangs(service, client_reporter):
    """A half-open connection cannot make leaving hang: an attempt ends after ten seconds."""
    [task_id] = service.assign()
    async with client_reporter() as opened:
        async with opened.track(task_id):
            await anyio.sleep(59)
            service.faults.add(Fault(kind=FaultKind.HANG))
            await anyio.sleep(2)
        assert anyio.current_time() == pytest.approx(70.0)


async def test_an_exception_of_the_body_comes_out_bare(service, reporter):
    """No exception group is wrapped around it, by the reporter or by the task."""
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        async with reporter() as opened, opened.track(*service.assign()):
            raise error
    assert caught.value is error
    group = ExceptionGroup("mine", [KeyError("a")])
    with pytest.raises(ExceptionGroup) as caught_group:
        async with reporter():
            raise group
    assert caught_group.value is group


@pytest.mark.parametrize("task_id", ["", "x" * 2049, "a\x00b", "\ud800", None, 7, b"bytes"])
async def test_impossible_task_ids(reporter, service, task_id):
    """Refused before anything is sent."""
    async with reporter() as opened:
        with pytest.raises(ValueError, match="task_id"):
            opened.track(task_id)
        with pytest.raises(ValueError, match="task_id"):
            await opened.run(task_id, anyio.sleep, 1)
    assert service.calls.total() == 0


@pytest.mark.parametrize(
    "options",
    [
        {"interval": 400},
        {"interval": -1},
        {"lease_timeout": 0},
        {"ack_timeout": math.nan},
        {"assigned_at": "now"},
        {"fields": {"k" * 257: 1}},
        {"fields": {f"k{i}": i for i in range(51)}},
    ],
)
async def test_impossible_options(reporter, service, options):
    """Refused by `track` itself, before anything is sent, with the value and the limit."""
    [task_id] = service.assign()
    async with reporter() as opened:
        with pytest.raises(ValueError, match=r"must|limit"):
            opened.track(task_id, **options)
    assert service.calls.total() == 0


async def test_use_outside_the_block(reporter, service):
    """Before, after and twice: an error that says where to track."""
    [task_id] = service.assign()
    unopened = reporter()
    with pytest.raises(ReporterClosed, match="new"):
        async with unopened.track(task_id):
            pytest.fail("the body must not begin")
    with pytest.raises(ReporterClosed):
        unopened.statistics()
    async with unopened as opened, opened.track(task_id) as task:
        pass
    with pytest.raises(ReporterClosed, match="closed"):
        async with unopened.track(task_id):
            pytest.fail("the body must not begin")
    with pytest.raises(ReporterClosed, match="not tracked any more"):
        await task.report()
    with pytest.raises(ReporterClosed, match="once"):
        async with unopened:
            pytest.fail("the body must not begin")
    assert unopened.statistics().tracked == 0
    assert issubclass(ReporterClosed, AiodpError)


async def test_a_block_is_entered_once(reporter, service):
    """What `track` returns is for one block."""
    async with reporter() as opened:
        block = opened.track(*service.assign())
        async with block:
            pass
        with pytest.raises(ReporterClosed, match="call track again"):
            async with block:
                pytest.fail("the body must not begin")


async def test_representations_tell_the_live_state(reporter, service):
    """`repr` of a task and of a reporter say where they stand, and shorten the id."""
    [task_id] = service.assign()
    opened = reporter()
    assert repr(opened) == "<ProgressReporter new, 0 tracked>"
    async with opened, opened.track(task_id) as task:
        assert repr(opened) == "<ProgressReporter open, 1 tracked>"
        assert repr(task) == f"<TrackedTask '{task_id[:8]}…{task_id[-8:]}' HELD, 1 reports>"
        service.faults.add(Fault(kind=FaultKind.HANG))
        await task.lost.wait()
        assert "LOST (expired)" in repr(task)
    assert repr(opened) == "<ProgressReporter closed, 0 tracked>"


async def test_a_thread_of_its_own_is_refused_in_virtual_time(client_reporter):
    """No thread can follow a clock that jumps, so deadlines would be told on two scales."""
    with pytest.raises(RuntimeError, match="virtual time"):
        async with client_reporter(own_thread=True):
            pytest.fail("entered")


async def test_a_task_is_held_for_max_lease_in_all(service, reporter):
    """Then its work is interrupted, and no report keeps it any more: somebody else gets it."""
    [task_id] = service.assign()
    async with reporter(max_lease=600) as opened:
        with pytest.raises(LeaseLost, match=r"is lost \(time limit\): it was held for max_lease"):
            await opened.run(task_id, anyio.sleep, 10_000)
        assert anyio.current_time() == pytest.approx(600)
        sent = opened.statistics().sent
        await anyio.sleep(301)
        assert opened.statistics().sent == sent
    assert service.task(task_id).state is TaskState.LAPSED


async def test_work_that_cleans_up_after_max_lease_is_not_reported(service, reporter):
    """But what it has done may be told: a status harms nobody."""
    [task_id] = service.assign()
    async with reporter(max_lease=600) as opened, opened.track(task_id) as task:
        await task.lost.wait()
        assert task.lost_reason is LostReason.TIME_LIMIT
        sent = opened.statistics().sent
        await anyio.sleep(200)
        assert opened.statistics().sent == sent
        await task.set_status(TaskStatus.FINISHED)
    assert service.task(task_id).status == "FINISHED"


async def test_a_failing_service_loses_a_lease_before_its_max_lease(service, reporter):
    """The reason is the one that came first."""
    [task_id] = service.assign()
    async with reporter(max_lease=600) as opened, opened.track(task_id) as task:
        service.faults.add(Fault(kind=FaultKind.SERVER_ERROR, actions=REPORT))
        await task.lost.wait()
        assert task.lost_reason is LostReason.EXPIRED
        assert anyio.current_time() < 300


@pytest.mark.parametrize("given", [0, -1, math.nan, "1 hour"])
def test_a_max_lease_that_is_no_duration_is_refused(reporter, given):
    """Before anything is sent."""
    with pytest.raises(ValueError, match="max_lease must be"):
        reporter(max_lease=given)
