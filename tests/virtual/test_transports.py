"""One conformance suite for both transports: the client's, and the one that tests of policy use."""

from __future__ import annotations

import anyio
import pytest

from aiodp import ReportKind
from aiodp._aws.errors import TIMED_OUT
from aiodp._aws.runner_transport import open_runner_transport
from aiodp._aws.transport import open_transport
from aiodp._types import Outcome
from aiodp.testing import Fault, FaultKind
from virtual.fake_transport import FakeRunnerTransport, FakeTransport, given

pytestmark = pytest.mark.anyio

KINDS = {
    FaultKind.THROTTLE: ReportKind.THROTTLED,
    FaultKind.SERVER_ERROR: ReportKind.SERVER_ERROR,
    FaultKind.UNAVAILABLE: ReportKind.SERVER_ERROR,
    FaultKind.HANG: ReportKind.TIMEOUT,
    FaultKind.RESET: ReportKind.CONNECTION,
    FaultKind.SLOW: ReportKind.OK,
    FaultKind.GARBAGE: ReportKind.MALFORMED,
    FaultKind.EMPTY: ReportKind.MALFORMED,
    FaultKind.HTML: ReportKind.MALFORMED,
    FaultKind.HTML_ERROR: ReportKind.SERVER_ERROR,
    FaultKind.TYPE_IN_OK: ReportKind.MALFORMED,
    FaultKind.ACCESS_DENIED: ReportKind.CONFIGURATION,
    FaultKind.EXPIRED_TOKEN: ReportKind.CONFIGURATION,
    FaultKind.INVALID_REQUEST: ReportKind.INVALID,
    FaultKind.HANG_AFTER: ReportKind.TIMEOUT,
    FaultKind.RESET_AFTER: ReportKind.CONNECTION,
    FaultKind.TRUNCATED: ReportKind.CONNECTION,
    FaultKind.WRONG_TYPE: ReportKind.OK,
    FaultKind.CLOCK_JUMP: ReportKind.OK,
}
CALLS = ("report", "set_status")
RUNNER_KINDS = {
    fault: kind
    for fault, kind in KINDS.items()
    if kind is not ReportKind.OK  # what is slow brings a task like any other
}


@pytest.fixture(params=["client", "fake"])
def transport(request, service):
    """Opens each of the two."""
    if request.param == "fake":
        return given(FakeTransport(service))
    return open_transport(
        request.getfixturevalue("session"),
        region_name=None,
        endpoint_url=None,
        config=None,
        attempt_timeout=10.0,
        interval=60.0,
        max_in_flight=10,
    )


async def outcome_of(transport, call, task_id):
    """Make a call as the reporter does; nothing but a cancellation may be raised."""
    outcome = TIMED_OUT
    with anyio.move_on_after(10):
        if call == "report":
            outcome = await transport.report(task_id, [{"key": "step", "stringValue": "one"}])
        else:
            outcome = await transport.set_status(task_id, "FAILED", {"errorId": "E1"})
    return outcome


@pytest.mark.parametrize("call", CALLS)
async def test_a_call_that_succeeds(transport, service, call):
    """It is applied, and the answer says no more than that."""
    [task_id] = service.assign()
    async with transport as opened:
        assert await outcome_of(opened, call, task_id) == Outcome(kind=ReportKind.OK)
    task = service.task(task_id)
    assert task.status == ("FAILED" if call == "set_status" else "RUNNING")
    assert task.fields.get("step") == ("one" if call == "report" else None)


async def test_a_report_without_fields(transport, service):
    """No empty list is sent for them."""
    [task_id] = service.assign()
    async with transport as opened:
        assert await opened.report(task_id, []) == Outcome(kind=ReportKind.OK)
    assert service.task(task_id).fields == {}


async def test_a_report_of_a_canceled_task(transport, service):
    """The answer carries the cancellation."""
    [task_id] = service.assign()
    async with transport as opened:
        await outcome_of(opened, "report", task_id)
        service.cancel(task_id)
        outcome = await outcome_of(opened, "report", task_id)
    assert outcome == Outcome(kind=ReportKind.OK, canceled=True)


@pytest.mark.parametrize("call", CALLS)
async def test_a_task_that_the_service_does_not_know(transport, call):
    """TaskNotFound is a refusal, whose error names it."""
    async with transport as opened:
        outcome = await outcome_of(opened, call, "nobody:has:1")
    assert outcome.kind is ReportKind.REFUSED
    assert "TaskNotFound" in repr(outcome.error)


@pytest.mark.parametrize("call", CALLS)
async def test_whatever_goes_wrong_is_one_kind_of_outcome(transport, service, call):
    """Each fault of the local service means the same over both, and has an error."""
    outcomes = {}
    async with transport as opened:
        for fault in FaultKind:
            [task_id] = service.assign()
            jump = 1.0 if fault is FaultKind.CLOCK_JUMP else 0.0
            service.faults.add(Fault(kind=fault, delay=5.0, jump=jump, count=1))
            outcomes[fault] = await outcome_of(opened, call, task_id)
    assert {fault: outcome.kind for fault, outcome in outcomes.items()} == KINDS
    for outcome in outcomes.values():
        assert (outcome.error is None) == (outcome.kind is ReportKind.OK)


@pytest.mark.parametrize("call", CALLS)
async def test_latency_is_there_and_back(transport, service, call):
    """Both ways take time."""
    service.latency = 2.0
    [task_id] = service.assign()
    async with transport as opened:
        await outcome_of(opened, call, task_id)
        assert anyio.current_time() == pytest.approx(4.0)


@pytest.fixture(params=["client", "fake"])
def runner_transport(request, kit, new_session):
    """Opens each of the two that carry a task runner's own calls."""
    if request.param == "fake":
        return given((FakeRunnerTransport(kit), None))
    return open_runner_transport(
        kit.attach(new_session()),
        region_name=None,
        endpoint_url=None,
        config=None,
        polls_at_once=2,
    )


async def test_a_poll_brings_a_task_or_none(runner_transport, kit):
    """A taskObject with its objects, or None after the 90 s that the service holds a poll."""
    pipeline = kit.activity()
    async with runner_transport as (transport, _):
        task = await transport.poll("workers", "here")
        assert (task["pipelineId"], kit.now) == (pipeline.id, 0)
        assert task["objects"][task["attemptId"]]["id"] == task["attemptId"]
        assert await transport.poll("workers", "here") is None
        assert kit.now == pytest.approx(90)


async def test_a_heartbeat_says_whether_to_terminate(runner_transport, kit):
    """False, and True once the runner is told to."""
    async with runner_transport as (transport, _):
        assert await transport.heartbeat("mine", "workers", "here") is False
        kit.terminate("mine")
        assert await transport.heartbeat("mine", "workers", "here") is True


async def test_polls_and_heartbeats_that_fail(runner_transport, kit):
    """Each fault that lasts means the same over both; the client's repetitions do not mend it."""
    outcomes = {}
    async with runner_transport as (transport, _):
        for fault in RUNNER_KINDS:
            kit.activity()
            kit.faults.add(Fault(kind=fault, delay=5.0))
            outcomes[fault] = [
                await transport.poll("workers", "here"),
                await transport.heartbeat("mine", "workers", "here"),
            ]
            kit.faults.clear()
    for fault, kind in RUNNER_KINDS.items():
        assert [outcome.kind for outcome in outcomes[fault]] == [kind, kind], fault
