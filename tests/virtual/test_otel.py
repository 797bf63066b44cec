"""Metrics for OpenTelemetry."""

from __future__ import annotations

import anyio
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from aiodp import otel
from aiodp.testing import Fault, FaultKind
from virtual.runner_kit import running

pytestmark = pytest.mark.anyio


def values(reader):
    """Each metric's value by name and attributes."""
    data = reader.get_metrics_data()
    return {
        (metric.name, *point.attributes.values()): point.value
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    }


async def test_metrics(service, reporter):
    """Gauges tell the present, counters count each report once."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("test")
    async with (
        reporter() as opened,
        opened.track(*service.assign()),
        anyio.create_task_group() as group,
    ):

        async def run_record():
            await otel.record(opened, every=5, meter=meter)

        group.start_soon(run_record)
        service.faults.add(Fault(kind=FaultKind.RESET, count=2))
        service.faults.add(Fault(kind=FaultKind.THROTTLE, count=1))
        await anyio.sleep(201)
        seen = values(reader)
        assert seen["aiodp.tasks", "tracked"] == 1
        assert seen["aiodp.tasks", "acknowledged"] == 1
        assert seen["aiodp.reports", "ok"] == opened.statistics().succeeded == 4
        assert seen["aiodp.reports", "connection"] == 2
        assert seen["aiodp.reports", "throttled"] == 1
        assert seen["aiodp.rate",] < 10
        assert 230 < seen["aiodp.smallest_remaining_lease",] < 290
        assert seen["aiodp.lag",] >= 0
        group.cancel_scope.cancel()


async def test_metrics_of_a_runner(kit, runner):
    """Polls and ends are counted, beside what its reporter does."""
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader]).get_meter("test")
    pipeline = kit.activity()

    async def work(task):
        await anyio.sleep(100)

    one = runner(work, max_concurrency=1)
    async with running(one), anyio.create_task_group() as group:

        async def run_record():
            await otel.record(one, every=5, meter=meter)

        group.start_soon(run_record)
        kit.faults.add(
            Fault(kind=FaultKind.SERVER_ERROR, actions=frozenset({"PollForTask"}), count=1)
        )
        await kit.finished(pipeline)
        await anyio.sleep(10)
        group.cancel_scope.cancel()
    seen = values(reader)
    assert seen["aiodp.polls", "failed"] == 1
    assert seen["aiodp.polls", "ok"] == 1
    assert seen["aiodp.ended", "FINISHED"] == 1
    assert seen["aiodp.reports", "ok"] == 2


async def test_an_impossible_period(reporter):
    """Zero seconds would be a busy loop."""
    async with reporter() as opened:
        with pytest.raises(ValueError, match="every"):
            await otel.record(opened, every=0)
