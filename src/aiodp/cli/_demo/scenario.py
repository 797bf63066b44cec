"""The demo's scenario; its order is that of `Scenario.play`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
from aiobotocore.config import AioConfig

from aiodp import ProgressReporter
from aiodp._reporter.options import scaled
from aiodp.cli._demo.pipelines import (
    CANCELED_DURING_OUTAGES,
    HELLO_GROUP,
    LONG_GROUP,
    LONG_TASKS,
    Pipeline,
    component,
    hello_world,
    long_tasks,
)
from aiodp.cli._demo.promises import Evidence
from aiodp.cli._demo.task_log import ENDED, Stage
from aiodp.cli._demo.worker import Worker, poll_and_go_silent
from aiodp.emulator import Fault, FaultKind

if TYPE_CHECKING:
    from aiobotocore.session import AioSession
    from types_aiobotocore_datapipeline import DataPipelineClient

    from aiodp.cli._demo.task_log import TaskLog
    from aiodp.emulator import EmulatorServer, LockedService

TIME_SCALE: Final = 30.0
"""Two minutes of the service last four seconds; a lease of five minutes lasts ten."""
TIME_LIMIT: Final = 24.0
"""Real seconds after which the demo is given up."""
REGION: Final = "us-east-1"
_OPTIONS: Final = scaled(TIME_SCALE)
_CALLS_ABOUT_TASKS: Final = frozenset({"ReportTaskProgress", "SetTaskStatus"})

_CANCELED_BEFORE_OUTAGES: Final = [component(number) for number in (7, 14, 21, 28)]
_CANCELED_DURING_OUTAGES: Final = [component(number) for number in CANCELED_DURING_OUTAGES]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A fault of the service. Its duration is in seconds of the service."""

    kind: FaultKind
    seconds: float
    text: str


# The first one lasts for a whole interval of reports, so it meets every task. The others meet the
# retries.
OUTAGES: Final = (
    Outage(kind=FaultKind.SERVER_ERROR, seconds=60, text="answers 500 InternalServiceError"),
    Outage(kind=FaultKind.RESET, seconds=24, text="resets connections"),
    Outage(kind=FaultKind.HANG, seconds=36, text="does not answer"),
    Outage(kind=FaultKind.THROTTLE, seconds=24, text="throttles every call"),
)


async def play(server: EmulatorServer, session: AioSession, log: TaskLog) -> Evidence:
    """Play the whole scenario against the server; return the evidence of what happened."""
    async with (
        session.create_client(
            "datapipeline",
            region_name=REGION,
            endpoint_url=server.endpoint,
            # If botocore repeated a poll, the first answer's task would not be acknowledged.
            config=AioConfig(read_timeout=100, retries={"total_max_attempts": 1}),
        ) as client,
        ProgressReporter(
            session, region_name=REGION, endpoint_url=server.endpoint, **_OPTIONS
        ) as reporter,
    ):
        log.statistics = reporter.statistics
        scenario = Scenario(server.service(REGION), client, reporter, log)
        with anyio.move_on_after(TIME_LIMIT - log.elapsed) as limit:
            await scenario.play()
        if limit.cancelled_caught:
            log.add_text(f"given up: this takes longer than {TIME_LIMIT:g} s")
        return await scenario.evidence()


class Scenario:
    """Forty-one tasks, one reporter, one worker that goes silent, cancellations and outages."""

    def __init__(
        self,
        service: LockedService,
        client: DataPipelineClient,
        reporter: ProgressReporter,
        log: TaskLog,
    ) -> None:
        self._service = service
        self._client = client
        self._reporter = reporter
        self._log = log
        self._worker = Worker(client, reporter, log)
        self._pipelines: list[Pipeline] = []

    async def play(self) -> None:
        """Play the steps in their order."""
        log = self._log
        longer = await self._activate()
        await self._silence_a_worker()
        async with anyio.create_task_group() as workers:
            workers.start_soon(self._worker.run, LONG_GROUP, name="worker for the longer tasks")
            await log.wait_until(lambda: log.count(Stage.HELD) == LONG_TASKS - 1)
            workers.start_soon(self._worker.run, HELLO_GROUP, name="worker for helloworld")
            await log.wait_until(lambda: log.count(Stage.FINISHED) == 1)
            await self._cancel(longer, _CANCELED_BEFORE_OUTAGES)
            await log.wait_until(self._canceled_have_ended)
            await self._inject_outages(longer)
            await log.wait_until(self._canceled_have_ended)
            await log.wait_until(self._all_ended)
            workers.cancel_scope.cancel()

    async def _activate(self) -> Pipeline:
        hello = await Pipeline.activate(self._client, "helloworld", hello_world())
        longer = await Pipeline.activate(self._client, "longer-tasks", long_tasks())
        self._pipelines = [hello, longer]
        self._log.add_text(
            f"two pipelines are active: helloworld.json of AWS, and {LONG_TASKS} longer tasks"
        )
        return longer

    async def _silence_a_worker(self) -> None:
        """Let a worker acknowledge a task and report no more, as if its machine had crashed."""
        await poll_and_go_silent(
            self._client, self._log, LONG_GROUP, lease_timeout=_OPTIONS["lease_timeout"]
        )

    async def _cancel(self, pipeline: Pipeline, components: list[str]) -> None:
        """Cancel tasks in the service; the answer to the next report tells their worker."""
        instances = await pipeline.cancel(components)
        self._log.cancel_requested.update(instances)
        numbers = " ".join(name.removeprefix("Task") for name in components)
        self._log.add_text(f"canceled in the service: {numbers}")

    async def _inject_outages(self, pipeline: Pipeline) -> None:
        for outage in OUTAGES:
            self._log.add_text(f"for {outage.seconds:g} s of its time the service {outage.text}")
            self._service.faults.add(
                Fault(kind=outage.kind, actions=_CALLS_ABOUT_TASKS, duration=outage.seconds)
            )
            if outage.kind is FaultKind.HANG:
                await self._cancel(pipeline, _CANCELED_DURING_OUTAGES)
            await anyio.sleep(outage.seconds / TIME_SCALE)
        self._log.add_text("the outages are over")

    def _canceled_have_ended(self) -> bool:
        return self._log.count(Stage.CANCELED) == len(self._log.cancel_requested)

    def _all_ended(self) -> bool:
        """Whether each task has ended, one of them in its second attempt."""
        ended = self._log.count(Stage.FINISHED, Stage.CANCELED, Stage.FAILED)
        return ended >= LONG_TASKS + 1 and self._log.count(*ENDED) == len(self._log.entries)

    async def evidence(self) -> Evidence:
        """Return the entries of the workers and the records of the service."""
        statuses: dict[str, str] = {}
        progress: dict[str, str] = {}
        for pipeline in self._pipelines:
            statuses |= await pipeline.statuses()
            progress |= await pipeline.progress()
        return Evidence(
            entries=tuple(self._log.entries),
            cancel_requested=frozenset(self._log.cancel_requested),
            max_held=self._log.max_held,
            events=self._service.audit,
            statuses=statuses,
            progress=progress,
            statistics=self._reporter.statistics(),
            elapsed=self._log.elapsed,
        )
