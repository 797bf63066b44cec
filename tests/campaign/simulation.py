"""One run of the campaign: everything in it follows from its seed."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
import random
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio
import trio
from trio.testing import MockClock

from aiodp.testing import AuditKind, MemoryKit, Settings, Status, VirtualTimeLoop
from campaign.disturbances import Disturbances
from campaign.journal import Journal
from campaign.network import Link, Network
from campaign.oracle import Oracle
from campaign.plan import RETRIES, WORKER_GROUP, Plan
from campaign.processes import Process, ReporterProcess, RunnerProcess

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Coroutine, Iterator

    from anyio.abc import TaskGroup

    from campaign.journal import Violation

_DAY: Final = 86_400.0
_LOOK_EVERY: Final = 20.0
_ENDS: Final = {Status.FINISHED, Status.FAILED, Status.CANCELED, Status.CASCADE_FAILED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one run."""

    plan: Plan
    violations: list[Violation]
    seconds: float
    """Virtual time."""
    counts: Counter[str]
    """Disturbances, faults, processes, tasks, calls and the like."""
    log: list[str]
    fingerprint: str
    """Equal for equal runs."""


class Simulation:
    """The processes, the service, and what disturbs them."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        quotas = Settings().quotas if plan.service_quotas else None
        settings = Settings(lease_timeout=plan.service_lease, quotas=quotas, seed=plan.seed)
        self.kit = MemoryKit(settings)
        self.journal = Journal(self.kit.audit, lambda: self.kit.service.now)
        self.network = Network(self.kit, self.journal, pad=plan.attempt_timeout + 1)
        self.pipelines = [self._make_pipeline() for _ in range(2)]
        self._processes: list[Process] = []
        self._numbers = itertools.count()
        self._group: TaskGroup

    async def run(self) -> None:
        """Run until all work has ended, then end the processes, and judge."""
        try:
            with anyio.fail_after(_DAY):
                await self._run()
        except TimeoutError:
            running = [process.name for process in self._processes if not process.over.is_set()]
            self.journal.violate("ends", f"still running: {running}")
        self.network.count()
        self.journal.counts["processes"] = len(self._processes)
        self.journal.counts["tasks"] = sum(
            event.kind is AuditKind.ASSIGNED for event in self.kit.audit
        )
        self.journal.counts["calls"] = self.kit.calls.total()
        Oracle(self.plan, self.journal, self.network).judge()

    async def _run(self) -> None:
        disturbances = Disturbances(self)
        async with anyio.create_task_group() as around:
            around.start_soon(disturbances.work_as_stranger)
            async with anyio.create_task_group() as self._group:
                for _ in range(self.plan.processes):
                    self.start_process()
                await disturbances.run()
                if self.any_process(random.Random(0)) is None:
                    self.start_process()
                await self._wait_ended()
                for process in self._processes:
                    process.drain()
            around.cancel_scope.cancel()
        if self.plan.backend == "asyncio" and (
            others := asyncio.all_tasks() - {asyncio.current_task()}
        ):
            self.journal.violate("nothing left", f"tasks of the event loop: {others}")
        if subscribers := self.kit.service._subscribers:
            self.journal.violate("nothing left", f"{len(subscribers)} polls are held")

    async def _wait_ended(self) -> None:
        """Wait until there is nothing to do any more, or for half a day."""
        end = anyio.current_time() + _DAY / 2
        while left := self._left_to_do():
            if anyio.current_time() > end:
                self.journal.violate("ends", f"left to do: {left}")
                for process in self._processes:
                    process.kill()
                return
            await anyio.sleep(_LOOK_EVERY)

    def _left_to_do(self) -> list[str]:
        """Return what is not over; a pipeline that is deactivated keeps what waits."""
        held = [str(work) for work in self.journal.works if work.over_at is None]
        waiting = [
            str(run)
            for pipeline in self.pipelines
            if pipeline.state is not Status.INACTIVE
            for run in pipeline.runs
            if run.status not in _ENDS
        ]
        return held + waiting

    def start_process(self) -> None:
        """Start one more process."""
        name = f"process{next(self._numbers)}"
        rng = self.plan.dice("latency", name)
        latency = partial(self.network.latency, rng, self.plan.latency)
        link = Link(self.kit, self.journal, name, latency, self.network)
        self.network.links.append(link)
        kind = RunnerProcess if self.plan.form == "runner" else ReporterProcess
        process = kind(name, self.plan, self.journal, link)
        self._processes.append(process)
        self._group.start_soon(process.run, name=name)

    def any_process(self, rng: random.Random) -> Process | None:
        """Return a process that nobody has told to end."""
        running = [process for process in self._processes if not process.ending]
        return rng.choice(running) if running else None

    def _make_pipeline(self) -> Any:
        common = {
            "type": "ShellCommandActivity",
            "command": "true",
            "workerGroup": WORKER_GROUP,
            "scheduleType": "ondemand",
            "maximumRetries": str(RETRIES),
        }
        count = self.plan.activities // 2
        return self.kit.pipeline(
            {"objects": [common | {"id": f"Work{number}"} for number in range(count)]}
        )


def simulate(seed: int) -> Result:
    """Run one seed."""
    plan = Plan.of(seed)
    made: list[Simulation] = []

    async def main() -> None:
        made.append(Simulation(plan))
        await made[0].run()

    options: dict[str, Any] = {"loop_factory": _NumberedLoop}
    if plan.backend == "trio":
        options = {"clock": MockClock(autojump_threshold=0)}
    with _one_order(seed), _faults_logged() as faults:
        anyio.run(main, backend=plan.backend, backend_options=options)
    journal = made[0].journal
    for fault in faults:
        journal.violate("no crash", fault)
    events = [f"{event.at:.6f} {event.kind} {event.task_id[-20:]}" for event in journal.audit]
    digest = hashlib.sha256("\n".join([*journal.log, *events]).encode())
    return Result(
        plan=plan,
        violations=journal.violations,
        seconds=journal.now(),
        counts=journal.counts,
        log=journal.log,
        fingerprint=digest.hexdigest()[:16],
    )


class _NumberedTask(asyncio.Task[Any]):
    """A task whose place in a set depends on its number, and not on its address."""

    _numbers = itertools.count()

    def __init__(self, *args: Any, **options: Any) -> None:
        self._number = next(self._numbers)
        super().__init__(*args, **options)

    def __hash__(self) -> int:
        return self._number


class _NumberedLoop(VirtualTimeLoop):
    """Makes its tasks so that runs of one seed are equal."""

    def __init__(self) -> None:
        super().__init__()
        _NumberedTask._numbers = itertools.count()
        self.set_task_factory(_make_task)  # type: ignore[arg-type]  # the stubs want generators


def _make_task(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **options: Any
) -> asyncio.Task[Any]:
    return _NumberedTask(coroutine, loop=loop, **options)


@contextmanager
def _one_order(seed: int) -> Iterator[None]:
    """Let trio, which runs tasks in a random order on purpose, do so by the seed."""
    run: Any = trio._core._run
    before = run._r, run._ALLOW_DETERMINISTIC_SCHEDULING
    run._r, run._ALLOW_DETERMINISTIC_SCHEDULING = random.Random(seed), True
    try:
        yield
    finally:
        run._r, run._ALLOW_DETERMINISTIC_SCHEDULING = before


@contextmanager
def _faults_logged() -> Iterator[list[str]]:
    """Collect what the library logs as a fault of its own; the rest is not shown."""
    faults: list[str] = []

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            faults.append(f"{record.getMessage()}: {record.exc_info}")

    logger = logging.getLogger("aiodp")
    handler = Handler(logging.CRITICAL)
    propagate = logger.propagate
    logger.addHandler(handler)
    logger.propagate = False
    try:
        yield faults
    finally:
        logger.removeHandler(handler)
        logger.propagate = propagate
