"""What the reporter of a task runner knows beside what users see."""

from __future__ import annotations

import anyio
import pytest

from aiodp import Quota
from aiodp._core.objects import parse_object
from aiodp.testing import scaled
from virtual.fake_transport import FakeRunnerReporter

pytestmark = pytest.mark.anyio


def attempt(period=None):
    fields = [] if period is None else [{"key": "reportProgressTimeout", "stringValue": period}]
    return parse_object({"id": "A", "fields": fields})


async def test_there_is_room_for_what_the_quota_keeps_alive(service):
    """A tenth of a call a second keeps 28 leases; before it is opened, nothing is known."""
    reporter = FakeRunnerReporter(service, quota=Quota(rate=0.1, burst=10))
    assert reporter.has_room(10_000)
    async with reporter:
        assert reporter.has_room(28)
        assert not reporter.has_room(29)
        async with reporter.track(*service.assign()):
            assert reporter.has_room(27)
            assert not reporter.has_room(28)


async def test_the_lease_of_a_task_is_what_its_attempt_says(service):
    """In the service's seconds, of which as many pass in one of ours as `scaled` said."""
    usual = FakeRunnerReporter(service)
    assert usual.scale == 1.0
    assert usual.timing_of(attempt()).lease_timeout == 300.0
    assert usual.timing_of(attempt("10 minutes")).lease_timeout == 600.0
    fast = FakeRunnerReporter(service, **scaled(60))
    assert fast.scale == 60.0
    assert fast.timing_of(attempt("10 minutes")).lease_timeout == 10.0
    with pytest.raises(ValueError, match="is no period"):
        usual.timing_of(attempt("soon"))


@pytest.mark.parametrize("scale", [1, 60, 0.5])
def test_scaled_options_are_the_services_timings_in_our_seconds(scale):
    """Half a minute of the service is left for an attempt, for the machine is no faster."""
    assert scaled(scale) == {
        "interval": 60 / scale,
        "ack_timeout": 120 / scale,
        "lease_timeout": 300 / scale,
        "safety_margin": 30 / scale,
        "attempt_timeout": 30 / scale,
        "quota": Quota(rate=10 * scale, burst=100),
    }


@pytest.mark.parametrize("scale", [0, -0.5])
def test_time_goes_forward(scale):
    """`ValueError` for a scale at which it would stand still, or go back."""
    with pytest.raises(ValueError, match=f"time_scale must be positive, not {scale}"):
        scaled(scale)


async def test_waiting_for_what_has_happened_lets_others_run(service):
    """And can be canceled, as any other wait."""
    async with FakeRunnerReporter(service) as reporter, reporter.track(*service.assign()) as task:
        service.cancel(task.task_id)
        await task.report()
        with anyio.CancelScope() as scope:
            scope.cancel()
            await task.canceled.wait()
        assert scope.cancelled_caught
        await task.canceled.wait()


async def test_a_report_that_is_asked_for_is_sent_now(service):
    """Not when the next one would have been due."""
    async with FakeRunnerReporter(service) as reporter, reporter.track(*service.assign()) as task:
        await anyio.sleep(5)
        before = anyio.current_time()
        assert not await task.report()
        assert anyio.current_time() == before
        assert task.last_reported_at == before
        assert task.reports == 2
