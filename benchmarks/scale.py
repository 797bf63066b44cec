"""What a day of work leaves behind in memory, and what a report costs among 100,000 leases.

`python benchmarks/scale.py` runs both in virtual time, over calls that are answered at once; its
exit code is 1 if memory grows, or if a report among many leases costs more than it may. The day is
one of a TaskRunner: tasks arrive all the time, last for twenty minutes, and are finished, fail, are
canceled or taken away. The cost is the processor's time of a ProgressReporter's event loop for
each report, measured by turns with few and with many leases, so that a busy machine slows both.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import logging
import sys
import time
import tracemalloc
from pathlib import Path
from statistics import linear_regression, median
from typing import TYPE_CHECKING, Any, Final

import anyio
from rich.console import Console

from aiodp import ReportKind
from aiodp._types import Outcome
from aiodp.emulator._errors import ServiceError
from aiodp.emulator._model.replies import Answer, error_answer, json_answer
from aiodp.testing import VirtualTimeLoop

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from virtual.fake_transport import FakeReporter, FakeRunner

if TYPE_CHECKING:
    from aiodp import Task

ARRIVAL: Final = 30.0  # seconds from one task to the next
DURATION: Final = 1200.0  # seconds that each task lasts
POLL: Final = 60.0  # seconds for which a poll is held
SAMPLE: Final = 1800.0
SETTLING: Final = 7200.0  # seconds until there are as many tasks as there will be
MOST_LEFT: Final = 200.0
"""Bytes for each task that has come and gone; one that is tracked costs four times as many."""
FEW: Final = 100
MANY: Final = 100_000
MOST_RATIO: Final = 1.3
_OK: Final = Outcome(kind=ReportKind.OK, canceled=False)


# A day


class Arrivals:
    """The service's part: a task every half a minute, of which some are canceled or taken away."""

    def __init__(self) -> None:
        self.reports = 0
        self.tasks = 0
        self._numbers = itertools.count()
        self._next_at = 0.0
        self._ends: dict[str, float] = {}

    async def _call(self, operation: str, members: dict[str, Any], _: str) -> Answer:
        if operation == "PollForTask":
            return json_answer(await self._next_task(), "id")
        if operation == "ReportTaskRunnerHeartbeat":
            return json_answer({"terminate": False}, "id")
        if operation == "SetTaskStatus":
            return json_answer(None, "id")
        return self._report(members["taskId"])

    async def _next_task(self) -> dict[str, Any]:
        now = anyio.current_time()
        if self._next_at > now + POLL:
            await anyio.sleep(POLL)
            return {}
        at = self._next_at = max(self._next_at, now) + ARRIVAL
        await anyio.sleep(at - now)
        number = next(self._numbers)
        self.tasks += 1
        if number % 4 > 1:
            self._ends[f"task {number}"] = at + DURATION / 2
        attempt = {
            "id": f"@Work{number}_Attempt=1",
            "name": "Work",
            "fields": [{"key": "type", "stringValue": "ShellCommandActivity"}],
        }
        members = {"taskId": f"task {number}", "pipelineId": "df-1", "attemptId": attempt["id"]}
        return {"taskObject": {**members, "objects": {attempt["id"]: attempt}}}

    def _report(self, task_id: str) -> Answer:
        self.reports += 1
        if anyio.current_time() < self._ends.get(task_id, anyio.current_time() + 1):
            return json_answer({"canceled": False}, "id")
        del self._ends[task_id]
        if int(task_id.split()[1]) % 4 == 2:
            return json_answer({"canceled": True}, "id")
        return error_answer(ServiceError("TaskNotFoundException", "gone"), "id")


async def perform(task: Task) -> None:
    """Work as most do: with progress, and now and then without success."""
    for step in range(10):
        task.update(step=step)
        await anyio.sleep(DURATION / 10)
    if task.task_id.endswith("0"):
        raise ValueError("bad luck")


async def measure_day(hours: float) -> tuple[Arrivals, list[tuple[float, int]]]:
    """Return what there was to do, and the bytes in use after each half hour."""
    arrivals = Arrivals()
    runner = FakeRunner(
        arrivals,  # type: ignore[arg-type]  # it answers as a service does
        worker_group="workers",
        handler=perform,
        max_concurrency=60,
        handle_signals=False,
    )
    samples = []
    tracemalloc.start()
    async with anyio.create_task_group() as group:
        group.start_soon(runner.run)
        while anyio.current_time() < hours * 3600:
            await anyio.sleep(SAMPLE)
            gc.collect()
            samples.append((anyio.current_time() / 3600, tracemalloc.get_traced_memory()[0]))
        runner.cancel()
    tracemalloc.stop()
    return arrivals, samples


def show_day(console: Console, hours: float) -> bool:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        arrivals, samples = runner.run(measure_day(hours))
    settled = [sample for sample in samples if sample[0] * 3600 > SETTLING]
    growth, _ = linear_regression(*zip(*settled, strict=True))
    left = growth * ARRIVAL / 3600
    console.print(
        f"{hours:g} virtual hours, {arrivals.tasks:,} tasks, {arrivals.reports:,} reports: "
        f"{settled[0][1]:,} bytes in use after {settled[0][0]:g} h, {settled[-1][1]:,} at the end; "
        f"{growth:+,.0f} bytes an hour, {left:+.1f} for each task (at most {MOST_LEFT:.0f})"
    )
    return left <= MOST_LEFT


# The cost of a report


class Yes:
    """A transport that answers every report at once."""

    def __init__(self) -> None:
        self.reports = 0

    async def report(self, *_: Any) -> Outcome:
        self.reports += 1
        return _OK

    async def set_status(self, *_: Any) -> Outcome:
        return _OK


class Leases:
    """A reporter with as many leases, in an event loop of its own."""

    def __init__(self, count: int) -> None:
        self._transport = Yes()
        self._count = count
        self._loop = VirtualTimeLoop()
        self._held = asyncio.Event()
        self._task = self._loop.create_task(self._hold())
        self._loop.run_until_complete(self._held.wait())

    async def _hold(self) -> None:
        reporter = FakeReporter(None, transport=self._transport, quota=None)  # type: ignore[arg-type]
        async with reporter:
            blocks = [reporter.track(f"task {number}") for number in range(self._count)]
            for block in blocks:
                await block.__aenter__()
            await asyncio.sleep(60)  # the second report of each is not an interval after the first
            self._held.set()
            try:
                await asyncio.sleep(1e9)
            finally:
                for block in blocks:
                    await block.__aexit__(None, None, None)

    def cost(self, reports: int) -> float:
        """Return the seconds of the processor for each report, of about so many."""
        before, started = self._transport.reports, time.process_time()
        minutes = max(1, reports // self._count)
        self._loop.run_until_complete(asyncio.sleep(60.0 * minutes))
        return (time.process_time() - started) / (self._transport.reports - before)

    def close(self) -> None:
        self._task.cancel()
        self._loop.run_until_complete(asyncio.wait([self._task]))
        self._loop.close()


def show_cost(console: Console, many: int, rounds: int) -> bool:
    """Measure by turns; print the median of each round's ratio."""
    few_leases, many_leases = Leases(FEW), Leases(many)
    ratios, costs = [], []
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        few_cost = few_leases.cost(many)
        many_cost = many_leases.cost(many)
        ratios.append(many_cost / few_cost)
        costs.append((few_cost, many_cost))
    few_us, many_us = (1e6 * median(column) for column in zip(*costs, strict=True))
    console.print(
        f"a report among {FEW:,} leases {few_us:.0f} microseconds, among {many:,} {many_us:.0f}: "
        f"{median(ratios):.2f} times as much ({min(ratios):.2f} to {max(ratios):.2f}; "
        f"at most {MOST_RATIO})"
    )
    few_leases.close()
    many_leases.close()
    return median(ratios) <= MOST_RATIO


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--hours", type=float, default=24.0, metavar="N")
    parser.add_argument("--leases", type=int, default=MANY, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    options = parser.parse_args()
    shortest = (SETTLING + 2 * SAMPLE) / 3600
    if options.hours < shortest:
        parser.error(f"--hours must be at least {shortest:g}, not {options.hours:g}")
    logging.disable(logging.CRITICAL)  # what the day is made of is no news
    console = Console(width=200)
    flat = show_day(console, options.hours)
    cheap = options.rounds == 0 or show_cost(console, options.leases, options.rounds)
    console.print("holds" if flat and cheap else "BROKEN")
    return 0 if flat and cheap else 1


if __name__ == "__main__":
    sys.exit(main())
