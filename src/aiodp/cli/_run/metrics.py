"""The runner's statistics as Prometheus reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from aiodp import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from prometheus_client.metrics_core import Metric

    from aiodp.cli._run.health import Health

COUNTERS: Final = {
    "polls": ("polls", "PollForTask calls made."),
    "polls_failed": ("polls_failed", "Of these, those that had no answer of the service."),
    "received": ("tasks_received", "Tasks that polls have brought."),
    "left": ("tasks_left", "Tasks of types without a handler, left to other runners."),
    "ended": ("tasks_ended", "Tasks that ended, by their end."),
}
"""By the fields of `RunnerStatistics`: a name, and what is counted."""
GAUGES: Final = {
    "polling": ("polling", "Polls that wait for an answer."),
    "running": ("tasks_running", "Tasks that are worked on."),
}
REPORT_COUNTERS: Final = {
    "sent": ("reports_sent", "ReportTaskProgress calls sent."),
    "succeeded": ("reports_succeeded", "Reports that the service has answered."),
    "failed": ("reports_failed", "Reports that failed, by the kind of failure."),
    "throttled": ("reports_throttled", "Reports that the service has throttled."),
}
"""By the fields of `Statistics`."""
REPORT_GAUGES: Final = {
    "tracked": ("tasks_tracked", "Tasks that are kept alive, or were until they ended."),
    "acknowledged": ("tasks_held", "Tasks that the service has acknowledged and that are held."),
    "in_flight": ("reports_in_flight", "Reports that wait for an answer."),
    "smallest_remaining_lease": (
        "smallest_remaining_lease_seconds",
        "Time until the first lease is lost, if no report succeeds.",
    ),
    "worst_lag": ("worst_lag_seconds", "The longest that a report was sent behind its schedule."),
    "effective_rate": ("effective_rate", "Calls per second that the service grants, as learned."),
}
LABELS: Final = {"ended": "end", "failed": "kind"}
"""What the keys are of the fields that are mappings."""


def render(health: Health, worker_group: str) -> bytes:
    """Return the text form of the metrics, of the last sample."""
    registry = CollectorRegistry()
    registry.register(_Runner(health, worker_group))
    return generate_latest(registry)


class _Runner(Collector):
    def __init__(self, health: Health, worker_group: str) -> None:
        self._health = health
        self._worker_group = worker_group

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics; those of the runner are missing until it has started."""
        info = GaugeMetricFamily(
            "aiodp_info", "The runner: always 1.", labels=["version", "worker_group"]
        )
        info.add_metric([__version__, self._worker_group], 1)
        yield info
        states = (self._health.why_not_live(), self._health.why_not_ready())
        for name, why_not in zip(("live", "ready"), states, strict=True):
            yield GaugeMetricFamily(f"aiodp_{name}", f"1 if it is {name}.", float(why_not is None))
        sample = self._health.sample
        if sample is not None and (reports := sample.statistics.reports) is not None:
            yield GaugeMetricFamily(
                "aiodp_report_overdue_seconds",
                "For how long a report has been due.",
                sample.overdue,
            )
            yield from _families(sample.statistics, COUNTERS, CounterMetricFamily)
            yield from _families(sample.statistics, GAUGES, GaugeMetricFamily)
            yield from _families(reports, REPORT_COUNTERS, CounterMetricFamily)
            yield from _families(reports, REPORT_GAUGES, GaugeMetricFamily)


def _families(
    statistics: object,
    names: Mapping[str, tuple[str, str]],
    family: type[CounterMetricFamily | GaugeMetricFamily],
) -> Iterator[Metric]:
    for field, (name, text) in names.items():
        value = getattr(statistics, field)
        label = LABELS.get(field)
        metric = family(f"aiodp_{name}", text, labels=[label] if label else [])
        by_label = value if label else {} if value is None else {"": value}
        for key, number in by_label.items():
            metric.add_metric([key] if label else [], number)
        yield metric
