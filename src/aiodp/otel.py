"""OpenTelemetry metrics of a reporter or a task runner.

Needs the extra: `pip install "aiodp[otel]"`. The names are `aiodp.tasks`, `aiodp.reports` and
so on; see `record`.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final, NoReturn

import anyio

try:
    from opentelemetry import metrics
except ModuleNotFoundError as error:
    raise ModuleNotFoundError('aiodp.otel needs its extra: pip install "aiodp[otel]"') from error

from aiodp._log import OncePer, error_text
from aiodp._types import ReportKind, RunnerStatistics

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import Counter, Meter

    from aiodp._reporter.reporter import ProgressReporter
    from aiodp._runner.runner import TaskRunner
    from aiodp._types import Statistics

_LOG_INTERVAL: Final = 60.0
"""Seconds without failure, beyond a period, after which the next failure is logged again."""


async def record(
    source: ProgressReporter | TaskRunner, *, every: float = 15.0, meter: Meter | None = None
) -> NoReturn:
    """Record the statistics of a reporter or a runner every so many seconds, until canceled.

    Start it in a task group beside the work. Gauges: `aiodp.tasks` (by `state`: tracked,
    acknowledged), `aiodp.lag` (s), `aiodp.smallest_remaining_lease` (s), `aiodp.rate`
    (calls/s, as learned). Counter: `aiodp.reports` (by `outcome`: a value of `ReportKind`). Of
    a runner, too: `aiodp.polls` (by `outcome`: ok, failed) and `aiodp.ended` (tasks, by
    `end`: a value of `RunEnd`).

    An instrument that raises is logged as a warning and used again the next time: metrics end no
    task. Raises `ValueError` for a period that is not positive.
    """
    if every <= 0:
        raise ValueError(f"every must be longer than 0 s, not {every:g} s")
    log = OncePer(_LOG_INTERVAL + every)
    instruments: _Instruments | None = None
    while True:
        statistics = source.statistics()
        try:
            instruments = instruments or _Instruments(meter or metrics.get_meter("aiodp"))
            instruments.record(statistics)
        except Exception as error:  # noqa: BLE001 - tasks run beside this; it is tried again
            what = f"{type(error).__name__}: {error_text(error)}"
            log.log(logging.WARNING, "record", "metrics were not recorded: %s", what, error=what)
        await anyio.sleep(every)


class _Instruments:
    def __init__(self, meter: Meter) -> None:
        self._tasks = meter.create_gauge("aiodp.tasks", "{task}", "Tasks kept alive")
        self._lag = meter.create_gauge("aiodp.lag", "s", "The latest that a report was, ever")
        self._lease = meter.create_gauge(
            "aiodp.smallest_remaining_lease", "s", "Until the first task would be lost"
        )
        self._rate = meter.create_gauge("aiodp.rate", "{call}/s", "Calls that the service grants")
        self._reports = meter.create_counter("aiodp.reports", "{report}", "Reports, by outcome")
        self._polls = meter.create_counter("aiodp.polls", "{poll}", "Polls, by outcome")
        self._ended = meter.create_counter("aiodp.ended", "{task}", "Tasks, by how they ended")
        self._counted: dict[tuple[Counter, str], int] = {}

    def record(self, statistics: Statistics | RunnerStatistics) -> None:
        if not isinstance(statistics, RunnerStatistics):
            self._record_reports(statistics)
            return
        answered = statistics.polls - statistics.polls_failed - statistics.polling
        self._count(self._polls, "outcome", {"ok": answered, "failed": statistics.polls_failed})
        self._count(self._ended, "end", statistics.ended)
        if statistics.reports is not None:
            self._record_reports(statistics.reports)

    def _record_reports(self, statistics: Statistics) -> None:
        self._tasks.set(statistics.tracked, {"state": "tracked"})
        self._tasks.set(statistics.acknowledged, {"state": "acknowledged"})
        self._lag.set(statistics.worst_lag)
        if statistics.smallest_remaining_lease is not None:
            self._lease.set(statistics.smallest_remaining_lease)
        if statistics.effective_rate is not None:
            self._rate.set(statistics.effective_rate)
        counts = dict(statistics.failed)
        counts[ReportKind.OK.value] = statistics.succeeded
        counts[ReportKind.THROTTLED.value] = statistics.throttled
        self._count(self._reports, "outcome", counts)

    def _count(self, counter: Counter, attribute: str, counts: Mapping[str, int]) -> None:
        for value, count in counts.items():
            key = (counter, value)
            if increase := count - self._counted.get(key, 0):
                counter.add(increase, {attribute: value})
                self._counted[key] = count
