"""Runs with `own_thread=True`, in real time and over HTTP, while the event loop is blocked.

Each has a service and an event loop of its own, in a thread of its own. The network is not seen
here, so what is judged is what the service has recorded. A time here is the service's.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import anyio
from aiobotocore.config import AioConfig
from aiobotocore.httpxsession import HttpxSession
from aiobotocore.session import get_session

from aiodp import AiodpError, ProgressReporter, TaskRunner, TaskStatus
from aiodp.testing import AuditKind, ServerKit, Settings
from campaign.journal import Violation
from campaign.own_thread_disturbances import RealDisturbances
from campaign.own_thread_judge import LEASE, LIMIT, RealJournal, RealOracle, RealPlan
from campaign.plan import RETRIES, WORKER_GROUP
from campaign.simulation import Result, _faults_logged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiobotocore.session import AioSession

    from aiodp import Task, TrackedTask

ACKNOWLEDGE: Final = 20.0
_LOADER: Final = get_session().get_component("data_loader")


class RealRun:
    """One run: processes one after the other, in one event loop that is blocked time and again."""

    def __init__(self, plan: RealPlan, kit: ServerKit) -> None:
        self.plan = plan
        self.journal = RealJournal(kit)
        self.kit = kit
        common = {
            "type": "ShellCommandActivity",
            "command": "true",
            "workerGroup": WORKER_GROUP,
            "scheduleType": "ondemand",
            "maximumRetries": str(RETRIES),
        }
        count = range(plan.activities)
        self.pipeline = kit.pipeline({"objects": [common | {"id": f"W{n}"} for n in count]})
        self._process = 0
        self.over = False
        self._draining = False
        self._scope = anyio.CancelScope()
        self._runner: TaskRunner | None = None

    async def run(self) -> None:
        """Run until all work has ended; judge."""
        offset = self.kit.now - anyio.current_time()
        try:
            with anyio.fail_after(LIMIT):
                async with anyio.create_task_group() as group:
                    group.start_soon(RealDisturbances(self).run)
                    while not self.over:
                        await self._run_process()
        except TimeoutError:
            self.journal.violate("ends", "the run is not over in time")
        if len(tasks := anyio.get_running_tasks()) > 1 and self.plan.backend == "asyncio":
            self.journal.violate("nothing left", tasks)
        counts = self.journal.counts
        counts["processes"] = self._process
        counts["calls"] = self.kit.calls.total()
        counts["tasks"] = sum(event.kind is AuditKind.ASSIGNED for event in self.kit.audit)
        network: Any = SimpleNamespace(suspended=offset)
        RealOracle(self.plan, self.journal, network).judge_run(self.kit)

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
            "region_name": self.kit.region_name,
            "endpoint_url": self.kit.endpoint,
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
            check_access=False,  # some begin while credentials fail
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
            with self.kit.service as service:
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

    # How it ends

    def drain(self) -> None:
        """Let the present process end when its tasks have ended."""
        self._draining = True
        if self._runner is not None:
            self._runner.stop()

    def cancel_process(self) -> None:
        """Cancel the present process."""
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
