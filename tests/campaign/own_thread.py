"""Runs with `own_thread=True`, in real time and over HTTP, while the event loop is blocked.

Each has a service and an event loop of its own, in a thread of its own. The network is not seen
here, so what is judged is what the service has recorded. A time here is the service's.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import anyio
from aiobotocore.config import AioConfig
from aiobotocore.httpxsession import HttpxSession
from aiobotocore.session import get_session

from aiodp import AiodpError, LeaseState, LostReason, ProgressReporter, TaskRunner, TaskStatus
from aiodp.testing import AuditKind, Fault, FaultKind, ServerKit, Settings
from campaign.journal import Journal, TaskCalls, Violation
from campaign.oracle import Oracle
from campaign.plan import RETRIES, WORKER_GROUP, Plan
from campaign.simulation import Result, _faults_logged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiobotocore.session import AioSession

    from aiodp import Task, TrackedTask
    from aiodp.emulator._model.faults import _Rule
    from campaign.journal import Work

LEASE: Final = 4.0
MARGIN: Final = 0.4
SLACK: Final = 0.7
"""Seconds that a thread or a call may take longer than it should, on a busy machine."""
ACKNOWLEDGE: Final = 20.0
LIMIT: Final = 120.0
"""Seconds after which a run should be over."""
ACTIONS: Final = frozenset({"ReportTaskProgress", "SetTaskStatus"})
FAULTS: Final = tuple(set(FaultKind) - {FaultKind.CLOCK_JUMP, FaultKind.INVALID_REQUEST})
_LOADER: Final = get_session().get_component("data_loader")
_CALLS: Final = (AuditKind.PROGRESS, AuditKind.REFUSED, AuditKind.STATUS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RealPlan(Plan):
    """A plan whose leases are short enough for real time."""

    @classmethod
    def of(cls, seed: int) -> RealPlan:
        """Return the plan of a seed."""
        return cls(
            seed=seed,
            backend="trio" if seed % 4 == 0 else "asyncio",
            form="runner" if seed % 2 else "reporter",
            clients=True,
            lease=LEASE,
            service_lease=LEASE,
            margin=MARGIN,
            interval=LEASE / 4,
            service_quotas=False,
            quota=None,
            latency=0.0,
            processes=1,
            concurrency=4,
            activities=12,
            disturbances=12,
            suspends=False,
        )


class RealJournal(Journal):
    """Looks at tasks as their work does, and leaves the machine some time."""

    def __init__(self, kit: ServerKit) -> None:
        super().__init__(kit.audit, lambda: kit.now)
        self.calls = defaultdict(lambda: TaskCalls(""))
        self.blocks: list[tuple[float, float]] = []
        self.left: dict[str, float] = {}
        """Tasks whose blocks were left, and processes that were over, and when."""

    def look(self, work: Work) -> None:
        """Note whether the task of this work has ended."""
        if work.told_at is None and work.task.state in (LeaseState.CANCELED, LeaseState.LOST):
            work.told_at = self.now()
            work.lost_reason = work.task.lost_reason or LostReason.EXPIRED

    def step(self, work: Work) -> None:
        """Check that work may be done now."""
        now, told_at = self.now(), work.told_at
        self.look(work)
        if work.process in self.stopped:
            return
        self.counts["steps of work"] += 1
        if told_at is not None and now > max(told_at, self.woke_at) + SLACK:
            self.violate("interrupted", f"{work} goes on, though it ended at {told_at:.3f}")
        elif work.told_at is None and (other := self._later_owner(work, now)):
            self.violate("one owner", f"{work} goes on, though given away at {other:.3f}")


class RealOracle(Oracle):
    """Judges a run in which calls were seen by the service alone."""

    def judge_run(self, kit: ServerKit) -> None:
        """Check all that is promised; only a status has to wait for the event loop."""
        journal: Any = self._journal
        journal.audit = kit.audit
        for work in journal.works:
            self._check_cancellation(work)
        for work in journal.lost_works():
            self._check_loss(work)
        for start, end in journal.blocks:
            journal.troubles.append(SimpleNamespace(start=start, end=end + SLACK))
        for work in journal.works:
            self._check_status(work)
        self._check_instances()
        try:
            kit.assert_single_owner()
        except AssertionError as error:
            journal.violate("one owner", error)
        for event in journal.audit:
            for name in (event.task_id, event.hostname):
                late = event.at > journal.left.get(name, event.at) + SLACK
                if late and event.kind in _CALLS:
                    journal.violate("silent end", f"{event.kind} after the end of {name}")


class RealRun:
    """One run: processes one after the other, in one event loop that is blocked time and again."""

    def __init__(self, plan: RealPlan, kit: ServerKit) -> None:
        self.plan = plan
        self.journal = RealJournal(kit)
        self._kit = kit
        self._rng = plan.dice("disturbances")
        common = {
            "type": "ShellCommandActivity",
            "command": "true",
            "workerGroup": WORKER_GROUP,
            "scheduleType": "ondemand",
            "maximumRetries": str(RETRIES),
        }
        count = range(plan.activities)
        self._pipeline = kit.pipeline({"objects": [common | {"id": f"W{n}"} for n in count]})
        self._process = 0
        self._rules: list[_Rule] = []
        self._over = False
        self._draining = False
        self._scope = anyio.CancelScope()
        self._runner: TaskRunner | None = None

    async def run(self) -> None:
        """Run until all work has ended; judge."""
        offset = self._kit.now - anyio.current_time()
        try:
            with anyio.fail_after(LIMIT):
                async with anyio.create_task_group() as group:
                    group.start_soon(self._disturb)
                    while not self._over:
                        await self._run_process()
        except TimeoutError:
            self.journal.violate("ends", "the run is not over in time")
        if len(tasks := anyio.get_running_tasks()) > 1 and self.plan.backend == "asyncio":
            self.journal.violate("nothing left", tasks)
        counts = self.journal.counts
        counts["processes"] = self._process
        for rule in self._rules:
            counts[rule.fault.kind.value] += rule.hits
        counts["calls"] = self._kit.calls.total()
        counts["tasks"] = sum(event.kind is AuditKind.ASSIGNED for event in self._kit.audit)
        network: Any = SimpleNamespace(suspended=offset)
        RealOracle(self.plan, self.journal, network).judge_run(self._kit)

    # The processes

    @property
    def _name(self) -> str:
        return f"process{self._process}"

    async def _run_process(self) -> None:
        self._process += 1
        name, self._scope, self._draining = self._name, anyio.CancelScope(), False
        try:
            with self._scope:
                await (self._run_runner if self.plan.form == "runner" else self._run_reporter)(name)
        except Exception as error:  # noqa: BLE001 - what it is, the journal tells
            self.journal.violate("no crash", f"{name} ended by {error!r}")
        self._runner = None
        self.journal.left[name] = self.journal.now()

    @property
    def _options(self) -> dict[str, Any]:
        return {
            "region_name": self._kit.region_name,
            "endpoint_url": self._kit.endpoint,
            "own_thread": True,
            "lease_timeout": self.plan.lease,
            "ack_timeout": ACKNOWLEDGE,
            "safety_margin": self.plan.margin,
            "interval": self.plan.interval,
            "attempt_timeout": self.plan.attempt_timeout,
            "quota": None,
        }

    def _session(self) -> AioSession:
        session = get_session()
        session.register_component("data_loader", _LOADER)
        session.set_credentials("key", "secret")
        if self.plan.backend == "trio":
            session.set_default_client_config(AioConfig(http_session_cls=HttpxSession))
        return session

    async def _run_runner(self, name: str) -> None:
        async def handle(task: Task) -> None:
            await self._perform(task, name, _instance(task.pipeline_id, task.attempt_id))

        self._runner = TaskRunner(
            self._session(),
            worker_group=WORKER_GROUP,
            handler=handle,
            max_concurrency=self.plan.concurrency,
            hostname=name,
            handle_signals=False,
            **self._options,
        )
        await self._runner.run()
        if self._runner.tasks:
            self.journal.violate("nothing left", f"{name} has {self._runner.tasks}")

    async def _run_reporter(self, name: str) -> None:
        async with ProgressReporter(self._session(), **self._options) as reporter:
            async with anyio.create_task_group() as group:
                for _ in range(self.plan.concurrency):
                    group.start_soon(self._poll_and_hold, reporter, name)
            if tracked := reporter.statistics().tracked:
                self.journal.violate("nothing left", f"{name} tracks {tracked}")

    async def _poll_and_hold(self, reporter: ProgressReporter, name: str) -> None:
        while not self._draining:
            with self._kit.service as service:
                answer: Any = service.perform(
                    "PollForTask", workerGroup=WORKER_GROUP, hostname=name
                )
            found = answer.get("taskObject") if isinstance(answer, dict) else None
            if not found:
                await anyio.sleep(0.1)
                continue
            instance = _instance(found["pipelineId"], found["attemptId"])
            try:
                with suppress(AiodpError):
                    async with reporter.track(found["taskId"]) as task:
                        with anyio.CancelScope() as scope:
                            async with anyio.create_task_group() as group:
                                group.start_soon(_cancel_at_end, task, scope)
                                await self._perform(task, name, instance)
                                group.cancel_scope.cancel()
                        if not task.ended.is_set():
                            await task.set_status(TaskStatus.FINISHED)
            finally:
                self.journal.left[found["taskId"]] = self.journal.now()

    async def _perform(
        self, task: Task | TrackedTask, name: str, instance: tuple[str, str]
    ) -> None:
        """Take steps until the work has ended, or is interrupted."""
        rng = self.plan.dice(task.task_id)
        work = self.journal.begin_work(task, name, instance)
        try:
            until = anyio.current_time() + rng.uniform(0, 2 * LEASE)
            while anyio.current_time() < until:
                self.journal.step(work)
                await anyio.sleep(rng.uniform(0.02, 0.3))
            self.journal.look(work)
            work.wanted, work.wanted_at = TaskStatus.FINISHED.value, self.journal.now()
        finally:
            work.over_at = self.journal.now()
            self.journal.look(work)

    # What goes wrong

    async def _disturb(self) -> None:
        kinds = {
            "fault of a kind": (5, self._add_fault),
            "outage": (1, self._add_outage),
            "blocked loop": (5, self._block),
            "canceled task": (3, self._cancel_task),
            "drained process": (1, self._drain),
            "canceled process": (1, self._cancel_process),
        }
        weights = [weight for weight, _ in kinds.values()]
        for _ in range(self.plan.disturbances):
            await anyio.sleep(self._rng.uniform(0.1, 1.5))
            [name] = self._rng.choices(list(kinds), weights)
            kinds[name][1]()
            self.journal.counts[name] += 1
        self._kit.faults.clear()
        self.journal.end_troubles(self.plan.attempt_timeout + SLACK)
        try:
            await self._kit.ended(self._pipeline, timeout=LIMIT / 2)
        except AssertionError as error:
            self.journal.violate("ends", error)
        self._over = True
        self._drain()

    def _add_fault(self) -> None:
        self._fault(self._rng.uniform(0.1, 1.5), self._rng.choice([1, 2, 3]))

    def _add_outage(self) -> None:
        self._fault(self._rng.uniform(0.3, 1.3) * LEASE, 1)

    def _fault(self, seconds: float, every: int) -> None:
        kind, delay = self._rng.choice(sorted(FAULTS)), self._rng.uniform(0, 1)
        fault = Fault(kind=kind, actions=ACTIONS, duration=seconds, every=every, delay=delay)
        with self._kit.service as service:
            service.faults.add(fault)
            self._rules.append(service.faults._rules[-1])
        self.journal.add_trouble(seconds + delay, self.plan.attempt_timeout + SLACK)

    def _block(self) -> None:
        """Block the event loop for up to two leases; meanwhile, cancel and fail."""
        seconds = self._rng.uniform(0.2, 2) * LEASE
        start, until = self.journal.now(), time.monotonic() + seconds
        events = sorted(self._rng.uniform(0, seconds) for _ in range(self._rng.choice([0, 1, 2])))
        while (left := until - time.monotonic()) > 0:
            if events and events[0] <= seconds - left:
                events.pop(0)
                self._rng.choice([self._cancel_task, self._add_fault])()
            time.sleep(min(left, 0.05))
            for work in self._works():
                self.journal.look(work)
        self.journal.woke_at = self.journal.now()
        self.journal.blocks.append((start, self.journal.woke_at))
        self.journal.counts["blocked milliseconds"] += round(1000 * seconds)
        if seconds > LEASE:
            held = sum(work.task.state is LeaseState.HELD for work in self._works())
            self.journal.counts["held through a block of more than a lease"] += held

    def _works(self) -> Iterator[Work]:
        return (work for work in self.journal.works if work.over_at is None)

    def _cancel_task(self) -> None:
        if held := [work.task.task_id for work in self._works() if work.told_at is None]:
            with suppress(ValueError):  # nobody holds it any more
                self._kit.cancel(self._rng.choice(held))

    def _drain(self) -> None:
        self._draining = True
        if self._runner is not None:
            self._runner.stop()

    def _cancel_process(self) -> None:
        self.journal.stopped.setdefault(self._name, self.journal.now())
        self._scope.cancel()


def _instance(pipeline_id: str, attempt_id: str) -> tuple[str, str]:
    return pipeline_id, attempt_id.rpartition("_Attempt=")[0]


async def _cancel_at_end(task: TrackedTask, scope: anyio.CancelScope) -> None:
    await task.ended.wait()
    scope.cancel()


def run_seed(seed: int, kit: ServerKit) -> Result:
    """Run one seed in this thread."""

    async def main() -> RealRun:
        run = RealRun(plan, kit)
        await run.run()
        return run

    plan = RealPlan.of(seed)
    journal = anyio.run(main, backend=plan.backend).journal
    return Result(
        plan=plan,
        violations=journal.violations,
        seconds=journal.now(),
        counts=journal.counts,
        log=[],
        fingerprint="",
    )


def run_seeds(seeds: range, at_once: int) -> Iterator[Result]:
    """Run so many seeds side by side; judge what all of them have left behind."""
    for first in range(0, len(seeds), at_once):
        yield from _run_batch(seeds[first : first + at_once])


def _run_batch(seeds: range) -> list[Result]:
    settings = Settings(
        lease_timeout=LEASE, acknowledge_timeout=ACKNOWLEDGE, retry_delay=0.3, quotas=None
    )
    with _faults_logged() as faults, ExitStack() as stack:
        # All services first: each that is made resets what the others hold.
        kits = [stack.enter_context(ServerKit(settings)) for _ in seeds]
        with ThreadPoolExecutor(len(seeds), "campaign") as pool:
            results = list(pool.map(run_seed, seeds, kits))
    last = results[-1].violations
    last += [Violation("no crash", fault) for fault in faults]
    last += [
        Violation("nothing left", str(thread))
        for thread in threading.enumerate()
        if thread.name == "aiodp reporter"
    ]
    return results
