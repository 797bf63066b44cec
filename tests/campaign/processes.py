"""The processes of a run: task runners, and own loops of polls around a reporter."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel
from aiobotocore.config import AioConfig
from aiobotocore.httpxsession import HttpxSession
from aiobotocore.session import get_session
from botocore import UNSIGNED

from aiodp import AiodpError, ProgressReporter, TaskRunner, current_task
from aiodp._reporter.clock import LeaseClock
from aiodp._types import Outcome
from campaign.plan import WORKER_GROUP
from campaign.worker import Worker
from virtual.fake_transport import FakeReporter, FakeRunner, FakeRunnerTransport
from virtual.kit import set_jitter

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiobotocore.session import AioSession

    from aiodp import Task, TrackedTask
    from campaign.journal import Journal
    from campaign.network import Link
    from campaign.plan import Plan

_CHEAP: Final = AioConfig(signature_version=UNSIGNED, user_agent="aiodp-campaign")
_LOADER: Final = get_session().get_component("data_loader")


class Process:
    """One process, whose end leaves nothing behind."""

    def __init__(self, name: str, plan: Plan, journal: Journal, link: Link) -> None:
        self.name = name
        self.over = anyio.Event()
        self.ending = False
        self.link = link
        self._scope = anyio.CancelScope()
        self._plan = plan
        self._journal = journal
        self._worker = Worker(name, plan, journal)

    async def run(self) -> None:
        """Work until told to end."""
        try:
            with self._scope:
                await self._run()
        except Exception as error:  # noqa: BLE001 - what it is, the journal tells
            self._journal.violate("no crash", f"{self.name} ended by {error!r}")
        finally:
            self.over.set()
        if self.link.open_calls:
            self._journal.violate("nothing left", f"{self.name} has calls under way")
        for problem in self._left_behind():
            self._journal.violate("nothing left", f"{self.name}: {problem}")

    def drain(self) -> None:
        """End when the tasks in hand have ended."""
        self.ending = True

    def cancel(self) -> None:
        """End at once; the work may clean up."""
        self.ending = True
        self._journal.stopped.setdefault(self.name, self._journal.now())

    def kill(self) -> None:
        """End as by SIGKILL: from now on nothing of this process counts."""
        self.ending = True
        self._journal.stopped.setdefault(self.name, self._journal.now())
        self._journal.killed.add(self.name)
        self.link.dead = True
        self._scope.cancel()

    async def _run(self) -> None:
        raise NotImplementedError

    def _left_behind(self) -> list[str]:
        raise NotImplementedError

    @property
    def _options(self) -> dict[str, Any]:
        plan = self._plan
        return {
            "lease_timeout": plan.lease,
            "safety_margin": plan.margin,
            "interval": plan.interval,
            "attempt_timeout": plan.attempt_timeout,
            "quota": plan.quota,
        }

    def _suspended(self) -> float:
        return self.link.network.suspended

    def _make_repeatable(self, reporter: ProgressReporter) -> None:
        """Let no real time and no numbers but those of the plan have a part in what it does."""

        def new_clock() -> LeaseClock:
            if self._plan.suspends:
                return LeaseClock(suspended=self._suspended, system_time=anyio.current_time)
            return LeaseClock(suspended=float, system_time=float)  # which always return 0

        vars(reporter)["_new_clock"] = new_clock
        set_jitter(reporter, self._plan.dice("jitter", self.name).random)

    def _session(self) -> AioSession:
        session = get_session()
        session.register_component("data_loader", _LOADER)
        config = _CHEAP
        if self._plan.backend == "trio":
            config = config.merge(AioConfig(http_session_cls=HttpxSession))
            session.set_config_variable("ca_bundle", False)  # nothing is sent
        session.set_default_client_config(config)
        return self.link.attach(session)


class RunnerProcess(Process):
    """A task runner."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        options: dict[str, Any] = {
            "worker_group": WORKER_GROUP,
            "handler": self._handle,
            "max_concurrency": self._plan.concurrency,
            "hostname": self.name,
            "taskrunner_id": self.name,
            "handle_signals": False,
            "check_access": False,  # some begin while credentials fail
            **self._options,
        }
        if self._plan.clients:
            self._runner = TaskRunner(self._session(), **options)
        else:
            self._runner = FakeRunner(self.link, **options)
        self._make_repeatable(self._runner._reporter)

    def drain(self) -> None:
        super().drain()
        self._runner.stop()

    def cancel(self) -> None:
        super().cancel()
        self._runner.cancel()

    async def _run(self) -> None:
        await self._runner.run()

    async def _handle(self, task: Task) -> bool | None:
        instance = task.pipeline_id, task.attempt_id.rpartition("_Attempt=")[0]
        return await self._worker.perform(task, instance, owns_status=False)

    def _left_behind(self) -> list[str]:
        statistics, dispatcher = self._runner.statistics(), self._runner._dispatcher
        problems = [f"{task} is left" for task in self._runner.tasks]
        if dispatcher is not None:
            problems += left_in(self._runner._reporter._engine)
            limits = dispatcher._shared.limits
            # a drain may leave one with the loop that polls: nobody waits for permits after that
            if limits._tasks.value < self._plan.concurrency - 1:
                problems.append(f"{limits._tasks.value} permits are left")
            if dispatcher._unacknowledged or dispatcher._polls:
                problems.append("polls are left")
            received, ended = statistics.received, sum(statistics.ended.values())
            if received != ended and self.name not in self._journal.stopped:
                problems.append(f"{received} tasks received, {ended} ended")
        return problems


class ReporterProcess(Process):
    """Loops of polls, each with a task at a time, around one reporter."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._stopping = anyio.Event()
        self._polls = FakeRunnerTransport(self.link)
        self._reporter: ProgressReporter
        if self._plan.clients:
            self._reporter = ProgressReporter(self._session(), **self._options)
        else:
            self._reporter = FakeReporter(self.link, **self._options)
        self._make_repeatable(self._reporter)

    def drain(self) -> None:
        super().drain()
        self._stopping.set()

    def cancel(self) -> None:
        super().cancel()
        self._scope.cancel()

    async def _run(self) -> None:
        async with self._reporter, anyio.create_task_group() as group:
            for number in range(self._plan.concurrency):
                group.start_soon(self._work, self._plan.dice(self.name, number).random)

    async def _work(self, random: Callable[[], float]) -> None:
        while not self._stopping.is_set():
            answer = await self._poll()
            if isinstance(answer, Outcome):
                await anyio.sleep(1 + 10 * random())
            elif answer is not None:
                await self._hold(answer, with_run=random() < 0.5)

    async def _poll(self) -> Mapping[str, Any] | Outcome | None:
        answer: Mapping[str, Any] | Outcome | None = None
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:

                async def wait_stopping() -> None:
                    await self._stopping.wait()
                    await anyio.sleep(2)
                    scope.cancel()

                group.start_soon(wait_stopping)
                answer = await self._polls.poll(WORKER_GROUP, self.name)
                group.cancel_scope.cancel()
        return answer

    async def _hold(self, answer: Mapping[str, Any], *, with_run: bool) -> None:
        task_id = answer["taskId"]
        instance = answer["pipelineId"], answer["attemptId"].rpartition("_Attempt=")[0]
        with suppress(AiodpError):
            if with_run:

                async def work() -> None:
                    await self._perform(current_task(), instance)

                await self._reporter.run(task_id, work)
            else:
                async with (
                    self._reporter.track(task_id) as task,
                    anyio.create_task_group() as group,
                ):

                    async def stop_work() -> None:
                        await task.ended.wait()
                        if not self._journal.tells_itself(task):
                            group.cancel_scope.cancel()

                    group.start_soon(stop_work)
                    if not task.ended.is_set():
                        await self._perform(task, instance)
                    group.cancel_scope.cancel()
        self._journal.leave(task_id)

    async def _perform(self, task: TrackedTask, instance: tuple[str, str]) -> None:
        with suppress(AiodpError):
            await self._worker.perform(task, instance, owns_status=True)

    def _left_behind(self) -> list[str]:
        return left_in(self._reporter._engine)


def left_in(engine: Any) -> list[str]:
    """Return what an engine still holds that has no task any more."""
    if engine is None:
        return []
    statistics, schedule = engine.statistics(), engine.schedule
    counts = {
        "tracked": statistics.tracked,
        "acknowledged": statistics.acknowledged,
        "in flight": statistics.in_flight,
        "in the expiry queue": len(schedule._expiry),
        "due": len(schedule._reports._due) + len(schedule._reports._ready),
    }
    return [f"{count} leases {where}" for where, count in counts.items() if count]
