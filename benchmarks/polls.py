"""Whether long polls delay heartbeats, over HTTP: without polls, beside them, and on one client.

`python benchmarks/polls.py` starts an `EmulatorServer` in a process of its own, on which time runs
faster, and holds tasks in four layouts, by turns, in several rounds: with a ProgressReporter alone;
with one while another process polls the service, which costs the service time as well; with one and
a TaskRunner in the same event loop, whose polls of an empty worker group are open; and the way one
writes it first: loops of reports, and as many polls, over one aiobotocore client with botocore's
pool of ten connections. The exit code is 1 if a reporter lost a lease, or if one of its
reports took half as long as a poll.
"""

from __future__ import annotations

import argparse
import json
import logging
import subprocess
import sys
import time
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Any, Final
from urllib.request import Request, urlopen

import anyio
import anyio.to_thread
from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.exceptions import ClientError
from rich import box
from rich.console import Console
from rich.table import Table

from aiodp import ProgressReporter, ReporterClosed, TaskRunner
from aiodp.testing import scaled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from aiodp import Task
    from aiodp.testing import ScaledOptions

ALONE: Final = "reporter alone"
ELSEWHERE: Final = "polls elsewhere"
BESIDE: Final = "beside the polls"
ONE_CLIENT: Final = "all on one client"
LAYOUTS: Final = (ALONE, ELSEWHERE, BESIDE, ONE_CLIENT)
POLL: Final = 90.0
"""Seconds of the service for which it holds a poll. What waits for a connection waits as long."""
_NOBODY: Final = "nobody"
"""A worker group without work."""
_INTERVAL: Final = 60.0
_OPEN_TIMEOUT: Final = 60.0
_READ_TIMEOUT: Final = 100.0
_REPORTS: Final = "data-pipeline.ReportTaskProgress"
_LOSSES: Final = frozenset({"reassigned", "lapsed"})
_SERVE: Final = """\
import sys
from aiodp.emulator import EmulatorServer, Settings
with EmulatorServer(time_scale=float(sys.argv[1]), settings=Settings(quotas=None)) as server:
    print(server.endpoint, flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one round of a layout measured, in ms; the latencies are sorted."""

    layout: str
    latencies: list[float]
    worst_lag: float | None
    """The longest that a report was sent behind its schedule; loops have none."""
    polling: int
    """Polls open when the round ended."""
    lost: int

    def latency(self, share: float) -> float:
        """Return the latency below which this share of the reports were."""
        return self.latencies[min(len(self.latencies) - 1, int(share * len(self.latencies)))]


@dataclass(slots=True)
class Meter:
    """How long each report of a session's clients takes, the wait for a connection included."""

    done: list[float] = field(default_factory=list)
    open: dict[int, float] = field(default_factory=dict)

    def watch(self, session: AioSession) -> None:
        """Measure the reports of the clients that the session makes from now on."""
        session.register(f"before-call.{_REPORTS}", self._begin)
        session.register(f"after-call.{_REPORTS}", self._end)
        session.register(f"after-call-error.{_REPORTS}", self._end)

    def restart(self) -> None:
        """Forget what is done; what is under way counts from its own beginning."""
        self.done.clear()

    def latencies(self) -> list[float]:
        """Return the latencies in ms, sorted; reports that nobody has answered count so far."""
        now = time.perf_counter()
        return sorted(
            1000 * seconds for seconds in [*self.done, *(now - at for at in self.open.values())]
        )

    def _begin(self, context: dict[str, Any], **_: Any) -> None:
        self.open[id(context)] = time.perf_counter()

    def _end(self, context: dict[str, Any], **_: Any) -> None:
        self.done.append(time.perf_counter() - self.open.pop(id(context)))


class Bench:
    """One service, and what is asked of it."""

    def __init__(self, endpoint: str, arguments: argparse.Namespace) -> None:
        self._endpoint = endpoint
        self._arguments = arguments

    async def measure(self, layout: str) -> Figures:
        """Hold the tasks for one round."""
        meter = Meter()
        session = self._session()
        meter.watch(session)
        ids: list[str] = self._control("assign", {"count": self._arguments.tasks})["taskIds"]
        hold = self._on_one_client if layout == ONE_CLIENT else self._by_reporter
        async with hold(session, ids, layout) as look:
            meter.restart()
            await anyio.sleep(self._arguments.seconds)
            latencies = meter.latencies()
            worst_lag, polling = look()
            lost = self._lost_leases() & set(ids)
        return Figures(
            layout=layout,
            latencies=latencies,
            worst_lag=worst_lag,
            polling=polling,
            lost=len(lost),
        )

    @asynccontextmanager
    async def _by_reporter(
        self, session: AioSession, ids: Sequence[str], layout: str
    ) -> AsyncIterator[Callable[[], tuple[float, int]]]:
        """Track all tasks with one reporter, one after the other, so that none is late at first."""
        runner = self._runner(session)
        async with AsyncExitStack() as stack:
            reporter = ProgressReporter(session, endpoint_url=self._endpoint, **self._options)
            await stack.enter_async_context(reporter)
            for task_id in ids:
                await stack.enter_async_context(reporter.track(task_id))
            if layout == BESIDE:
                await stack.enter_async_context(self.polling(runner))
            elif layout == ELSEWHERE:
                await stack.enter_async_context(self._polling_elsewhere())
            elsewhere = self._arguments.polls if layout == ELSEWHERE else 0
            yield lambda: (1000 * reporter.statistics().worst_lag, elsewhere or _polls_of(runner))

    @asynccontextmanager
    async def _polling_elsewhere(self) -> AsyncIterator[None]:
        """Run a runner in another process; begins when all its polls are open."""
        polls, scale = str(self._arguments.polls), str(self._arguments.time_scale)
        options = ["--elsewhere", self._endpoint, "--polls", polls, "--time-scale", scale]
        async with await anyio.open_process([sys.executable, __file__, *options]) as process:
            assert process.stdout is not None
            assert process.stdin is not None
            await process.stdout.receive()
            yield
            await process.stdin.aclose()
            await process.wait()

    async def poll(self) -> None:
        """Have polls open, say so, and end when the standard input does."""
        async with self.polling(self._runner(self._session())):
            print("open", flush=True)
            await anyio.to_thread.run_sync(sys.stdin.read)

    @asynccontextmanager
    async def polling(self, runner: TaskRunner) -> AsyncIterator[None]:
        """Run the runner; begins when all its polls are open."""
        async with anyio.create_task_group() as group:
            group.start_soon(runner.run)
            with anyio.fail_after(_OPEN_TIMEOUT):
                while _polls_of(runner) < self._arguments.polls:  # noqa: ASYNC110 - no event
                    await anyio.sleep(0.01)
            yield
            runner.cancel()

    @asynccontextmanager
    async def _on_one_client(
        self, session: AioSession, ids: Sequence[str], _layout: str
    ) -> AsyncIterator[Callable[[], tuple[None, int]]]:
        """Acknowledge the tasks, then poll and report in loops."""
        config = AioConfig(read_timeout=_READ_TIMEOUT)
        async with (
            session.create_client(
                "datapipeline", endpoint_url=self._endpoint, config=config
            ) as client,
            anyio.create_task_group() as group,
        ):
            for task_id in ids:
                await client.report_task_progress(taskId=task_id)
            for _ in range(self._arguments.polls):
                group.start_soon(_poll, client)
            for number, task_id in enumerate(ids):
                group.start_soon(self._beat, client, task_id, (number + 1) / len(ids))
            yield lambda: (None, self._arguments.polls)
            group.cancel_scope.cancel()

    async def _beat(self, client: Any, task_id: str, phase: float) -> None:
        """Report once an interval, from a part of one on, so that not all reports come at once."""
        interval = _INTERVAL / self._arguments.time_scale
        await anyio.sleep(interval * phase)
        with suppress(ClientError):  # the service has given the task to somebody else
            while True:
                await client.report_task_progress(taskId=task_id)
                await anyio.sleep(interval)

    def _runner(self, session: AioSession) -> TaskRunner:
        return TaskRunner(
            session,
            worker_group=_NOBODY,
            handler=_unexpected,
            max_concurrency=self._arguments.polls,
            handle_signals=False,
            endpoint_url=self._endpoint,
            **self._options,
        )

    @property
    def _options(self) -> ScaledOptions:
        return scaled(self._arguments.time_scale)

    def _session(self) -> AioSession:
        session = get_session()
        session.set_credentials("none", "none")
        session.set_config_variable("region", "us-east-1")
        return session

    def _lost_leases(self) -> set[str]:
        """Return the ids of the tasks which the service took from their owner."""
        lost: set[str] = set()
        since = 0
        while (page := self._control(f"audit?since={since}"))["events"]:
            since = page["next"]
            lost |= {event["taskId"] for event in page["events"] if event["kind"] in _LOSSES}
        return lost

    def _control(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(f"{self._endpoint}/aiodp-api/{path}", data, headers)
        with urlopen(request, timeout=60) as answer:
            return json.load(answer)


async def _poll(client: Any) -> None:
    while True:
        await client.poll_for_task(workerGroup=_NOBODY)


async def _unexpected(task: Task) -> None:
    raise AssertionError(f"{task} came from an empty worker group")


def _polls_of(runner: TaskRunner) -> int:
    try:
        return runner.statistics().polling
    except ReporterClosed:  # it does not run (yet)
        return 0


@contextmanager
def service(time_scale: float) -> Iterator[str]:
    """Serve in another process; gives its endpoint."""
    command = [sys.executable, "-c", _SERVE, str(time_scale)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield (process.stdout.readline() if process.stdout else "").strip()
        process.communicate("stop")


def ratios(rounds: Sequence[Figures], base: str, figure: Callable[[Figures], float]) -> list[float]:
    """Return, for each round, the figure beside the polls divided by that of a base, sorted."""
    bases = [figure(figures) for figures in rounds if figures.layout == base]
    beside = [figure(figures) for figures in rounds if figures.layout == BESIDE]
    return sorted(with_polls / alone for alone, with_polls in zip(bases, beside, strict=True))


def table(rounds: Sequence[Figures]) -> Table:
    """Return a row for each layout: the medians of its rounds, in ms, and the worst of all."""
    shown = Table(box=box.MARKDOWN)
    for name in ("", "reports", "median", "99 %", "worst", "worst lag", "polls", "leases lost"):
        shown.add_column(name, justify="right", no_wrap=True)
    for layout in LAYOUTS:
        own = [figures for figures in rounds if figures.layout == layout]
        lags = [figures.worst_lag for figures in own if figures.worst_lag is not None]
        shown.add_row(
            layout,
            f"{sum(len(figures.latencies) for figures in own):,}",
            *(f"{median(figures.latency(share) for figures in own):,.1f}" for share in (0.5, 0.99)),
            f"{max(figures.latency(1) for figures in own):,.1f}",
            f"{max(lags):,.1f}" if lags else "-",
            f"{min(figures.polling for figures in own)}",
            f"{sum(figures.lost for figures in own)}",
        )
    return shown


FIGURES: Final[dict[str, Callable[[Figures], float]]] = {
    "median latency": lambda figures: figures.latency(0.5),
    "worst latency": lambda figures: figures.latency(1),
    "worst lag": lambda figures: figures.worst_lag or 0.0,
}


def report(rounds: Sequence[Figures], longest: float, console: Console) -> bool:
    """Print what was measured; return whether reports wait for no poll. `longest` is in ms."""
    console.print(table(rounds))
    for base in (ALONE, ELSEWHERE):
        for name, figure in FIGURES.items():
            quotients = ratios(rounds, base, figure)
            console.print(
                f"{name}, {BESIDE} / {base}: {median(quotients):.2f} "
                f"(rounds from {quotients[0]:.2f} to {quotients[-1]:.2f})"
            )
    own = [figures for figures in rounds if figures.layout != ONE_CLIENT]
    holds = (
        not any(figures.lost for figures in own)
        and max(figures.latency(1) for figures in own) < longest
    )
    console.print("holds" if holds else "BROKEN")
    return holds


async def play(endpoint: str, arguments: argparse.Namespace) -> list[Figures]:
    """Measure all layouts, by turns."""
    bench = Bench(endpoint, arguments)
    return [await bench.measure(layout) for _ in range(arguments.rounds) for layout in LAYOUTS]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tasks", type=int, default=200, help="held (%(default)s)")
    parser.add_argument("--polls", type=int, default=50, help="open (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="of each layout (%(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="of each round (%(default)s)")
    parser.add_argument("--time-scale", type=float, default=20, help="(%(default)s)")
    parser.add_argument("--elsewhere", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.seconds * arguments.time_scale <= _INTERVAL:
        parser.error(f"a round must be longer than {_INTERVAL:g} s of the service")
    logging.getLogger().addHandler(logging.NullHandler())  # what is measured needs no words
    if arguments.elsewhere:
        anyio.run(Bench(arguments.elsewhere, arguments).poll)
        return 0
    with service(arguments.time_scale) as endpoint:
        rounds = anyio.run(play, endpoint, arguments)
    longest = 1000 * POLL / arguments.time_scale / 2
    return 0 if report(rounds, longest, Console(width=100, highlight=False)) else 1


if __name__ == "__main__":
    sys.exit(main())
