"""Leases kept at the published quota, in virtual time: plain asyncio loops beside ProgressReporter.

`python benchmarks/hold.py --help` says what can be run, README.md what came of it. Everything is
seeded, so a run gives the same figures on any machine; only how long it takes differs.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import math
import random
import sys
from collections import Counter
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore import UNSIGNED
from botocore.exceptions import ClientError
from rich import box
from rich.console import Console
from rich.table import Table

from aiodp import LeaseLost, ProgressReporter
from aiodp.testing import AuditKind, MemoryService, Settings, TaskState, VirtualTimeLoop

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Sequence

    from anyio.abc import TaskGroup

    Holder = Callable[[str], Coroutine[Any, Any, None]]

TASKS: Final = (300, 600, 1200, 2400, 2842, 6000, 9000)
PLAIN: Final = "plain loops"
REPORTER: Final = "ProgressReporter"
HOLDERS: Final = (PLAIN, REPORTER)
LEASES: Final = (300, 900)
FIRST: Final = 100
"""Tasks that are there at once: what a burst of the quota can acknowledge."""
ARRIVALS: Final = 0.5
"""Tasks per second after these. PollForTask allows four times as many."""
HOUR: Final = 3600
"""Seconds that are measured after the last arrival."""
ONE_WAY: Final = (0.010, 0.040)
"""Seconds that a request takes to the service, and its answer back, at least and at most."""
RESULTS: Final = Path(__file__).with_name("hold.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of the tasks of one run."""

    holder: str
    tasks: int
    lease: int
    kept: int
    """Held by the service's own record from their arrival to the end, and never given up."""
    given_away: int
    """Lost in the service."""
    unaware: int
    """Given away by the service before their holder knew."""
    calls: int
    throttled: int
    capacity: int | None = None

    @property
    def throttled_share(self) -> float:
        return self.throttled / self.calls


class Run:
    """One account with its tasks, and when each holder knew that its task was lost."""

    def __init__(self, lease: int) -> None:
        latency = random.Random(0)
        self.lease = lease
        self.service = MemoryService(
            settings=Settings(lease_timeout=lease), latency=lambda: latency.uniform(*ONE_WAY)
        )
        self.ids: list[str] = []
        self.known_lost: dict[str, float] = {}
        self.capacity: int | None = None

    @asynccontextmanager
    async def plain(self) -> AsyncIterator[Holder]:
        """Report in a loop of each task's own, and leave retries to botocore's defaults."""
        session = self._session()
        async with session.create_client("datapipeline") as client:

            async def hold(task_id: str) -> None:
                while await self._report(client, task_id):  # noqa: ASYNC110 - a heartbeat
                    await asyncio.sleep(60)  # what the API reference recommends

            yield hold

    def _session(self) -> AioSession:
        """Return a session whose calls need less time to count; retries are as they are."""
        session = self.service.attach(get_session())
        config = AioConfig(signature_version=UNSIGNED, user_agent="aiodp-benchmark")
        session.set_default_client_config(config)
        return session

    async def _report(self, client: Any, task_id: str) -> bool:
        """Return whether to go on: a throttled loop does, one whose task is unknown ends."""
        try:
            await client.report_task_progress(taskId=task_id)
        except ClientError as error:
            if error.response["Error"]["Code"] == "TaskNotFoundException":
                self.known_lost[task_id] = anyio.current_time()
                return False
        return True

    @asynccontextmanager
    async def reporter(self) -> AsyncIterator[Holder]:
        """Track each task, until it is lost, with one ProgressReporter."""
        session = self._session()
        async with ProgressReporter(session, lease_timeout=self.lease) as reporter:
            self.capacity = reporter.capacity

            async def hold(task_id: str) -> None:
                try:
                    async with reporter.track(task_id) as task:
                        await task.ended.wait()
                        self.known_lost[task_id] = anyio.current_time()
                except LeaseLost:
                    self.known_lost[task_id] = anyio.current_time()

            yield hold

    async def arrive(self, holder: Holder, tasks: int, group: TaskGroup) -> None:
        """Hand out tasks to a holder: the first ones at once, then one after the other."""
        for _ in range(min(tasks, FIRST)):
            self._hand_out(holder, group)
        for _ in range(tasks - FIRST):
            await anyio.sleep(1 / ARRIVALS)
            self._hand_out(holder, group)

    def _hand_out(self, holder: Holder, group: TaskGroup) -> None:
        task_id = self.service.assign()[0]
        self.ids.append(task_id)
        group.start_soon(holder, task_id)

    def result(self, name: str) -> Result:
        """Return what the service's own record says now."""
        ends = {AuditKind.LAPSED, AuditKind.REASSIGNED}
        given_away = {event.task_id: event.at for event in self.service.audit if event.kind in ends}
        held = {
            task_id
            for task_id in self.ids
            if self.service.service.task(task_id).state is TaskState.HELD
        }
        calls: Counter[str] = Counter()
        for (action, outcome), count in self.service.calls.items():
            if action == "ReportTaskProgress":
                calls[outcome] += count
        return Result(
            holder=name,
            tasks=len(self.ids),
            lease=self.lease,
            kept=len(held - self.known_lost.keys()),
            given_away=len(given_away),
            unaware=sum(
                self.known_lost.get(task_id, math.inf) >= at for task_id, at in given_away.items()
            ),
            calls=calls.total(),
            throttled=calls["ThrottlingException"],
            capacity=self.capacity,
        )


async def simulate(name: str, tasks: int, lease: int, fleets: int = 1) -> Result:
    """Hold as many tasks in each of several fleets on one account; return what came of them."""
    random.seed(0)
    run = Run(lease)
    async with AsyncExitStack() as stack:
        contender = {PLAIN: run.plain, REPORTER: run.reporter}[name]
        holders = [await stack.enter_async_context(contender()) for _ in range(fleets)]
        async with anyio.create_task_group() as group:
            async with anyio.create_task_group() as arriving:
                for holder in holders:
                    arriving.start_soon(run.arrive, holder, tasks, group)
            await anyio.sleep(HOUR)
            result = run.result(name)
            group.cancel_scope.cancel()
    return result


def in_virtual_time(name: str, tasks: int, lease: int, fleets: int = 1) -> Result:
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(simulate(name, tasks, lease, fleets))


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A scenario, and what must come of it."""

    text: str
    holder: str
    tasks: int
    fleets: int = 1
    holds: Callable[[Result], bool]


PROMISES: Final = {
    "a": Promise(
        text="2,842 tasks on a 300 s lease: none lost, less than 0.1 % of calls throttled",
        holder=REPORTER,
        tasks=2842,
        holds=lambda result: result.kept == result.tasks and result.throttled_share < 0.001,
    ),
    "b": Promise(
        text="2,400 tasks in plain loops: two thirds lost",
        holder=PLAIN,
        tasks=2400,
        holds=lambda result: result.kept < result.tasks * 0.35,
    ),
    "c": Promise(
        text="6,000 tasks, twice what the quota can hold: at least 2,550 kept, none lost unawares",
        holder=REPORTER,
        tasks=6000,
        holds=lambda result: result.kept >= 2550 and not result.unaware,
    ),
    "d": Promise(
        text="three reporters with 900 tasks each on one quota, each as if alone: none lost",
        holder=REPORTER,
        tasks=900,
        fleets=3,
        holds=lambda result: result.kept == result.tasks,
    ),
}


def check_promises(names: Sequence[str], console: Console) -> bool:
    """Run scenarios and print what came of each; return whether all promises hold."""
    kept = True
    for name in names or PROMISES:
        promise = PROMISES[name]
        result = in_virtual_time(promise.holder, promise.tasks, 300, promise.fleets)
        verdict = "holds" if promise.holds(result) else "BROKEN"
        kept = kept and promise.holds(result)
        console.print(f"({name}) {promise.text}: {verdict}")
        console.print(
            f"    kept {result.kept:,} of {result.tasks:,}, lost unawares {result.unaware:,}, "
            f"throttled {result.throttled:,} of {result.calls:,} calls"
        )
    return kept


def measure(options: argparse.Namespace, console: Console) -> None:
    """Run what is asked for, keep the results in a file, and print the tables of these."""
    path = options.results
    for lease in options.lease:
        for count in () if options.show else options.tasks:
            for holder in options.holder:
                _store(in_virtual_time(holder, count, lease), path)
        console.print(_table(lease, [result for result in _load(path) if result.lease == lease]))


def _load(path: Path) -> list[Result]:
    return [Result(**members) for members in json.loads(path.read_text())] if path.exists() else []


def _store(result: Result, path: Path) -> None:
    def key(stored: Result) -> tuple[int, int, str]:
        return stored.lease, stored.tasks, stored.holder

    results = [stored for stored in _load(path) if key(stored) != key(result)] + [result]
    lines = [json.dumps(asdict(stored)) for stored in sorted(results, key=key)]
    path.write_text("[\n" + ",\n".join(lines) + "\n]\n")


def _table(lease: int, results: Sequence[Result]) -> Table:
    table = Table(title=f"lease of {lease} s", box=box.MARKDOWN)
    for name in ("tasks", "plain loops", "throttled", "ProgressReporter", "throttled", "unaware"):
        table.add_column(name, justify="right", no_wrap=True)
    for count in sorted({result.tasks for result in results}):
        both = {result.holder: result for result in results if result.tasks == count}
        row = [cell for name in HOLDERS for cell in _cells(both.get(name))]
        unaware = f"{both[REPORTER].unaware:,}" if REPORTER in both else "-"
        table.add_row(f"{count:,}", *row, unaware)
    return table


def _cells(result: Result | None) -> tuple[str, str]:
    if result is None:
        return "-", "-"
    kept = f"{result.kept:,} ({result.kept / result.tasks:.0%})"
    return kept, f"{result.throttled_share:.1%}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, nargs="+", default=TASKS, metavar="N")
    parser.add_argument("--lease", type=int, nargs="+", default=LEASES, metavar="SECONDS")
    parser.add_argument("--holder", nargs="+", default=HOLDERS, choices=HOLDERS)
    parser.add_argument(
        "--results", type=Path, default=RESULTS, help="kept from run to run; default: hold.json"
    )
    parser.add_argument("--show", action="store_true", help="measure nothing, print the tables")
    parser.add_argument(
        "--promises",
        nargs="*",
        choices=PROMISES,
        help="instead, check what the reporter promises, all of it or these scenarios",
    )
    options = parser.parse_args()
    logging.getLogger().addHandler(logging.NullHandler())  # losses are counted, not logged
    console = Console(width=100)
    if options.promises is not None:
        return 0 if check_promises(options.promises, console) else 1
    measure(options, console)
    return 0


if __name__ == "__main__":
    sys.exit(main())
