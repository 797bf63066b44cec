"""What happens in the demo, from the first call to the last: read `Scenario.play` first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import anyio
from aiobotocore.config import AioConfig

from aiodp import ProgressReporter, Quota
from aiodp.cli._demo.board import OVER, Stage
from aiodp.cli._demo.pipelines import (
    HELLO_GROUP,
    LONG_GROUP,
    LONG_TASKS,
    RUNAWAYS,
    Pipeline,
    component,
    hello_world,
    long_tasks,
)
from aiodp.cli._demo.promises import Evidence
from aiodp.cli._demo.worker import Worker, take_one_and_go_silent
from aiodp.emulator import Fault, FaultKind

if TYPE_CHECKING:
    from aiobotocore.session import AioSession
    from types_aiobotocore_datapipeline import DataPipelineClient

    from aiodp.cli._demo.board import Board
    from aiodp.emulator import EmulatorServer, LockedService

TIME_SCALE: Final = 30.0
"""Two minutes of the service last four seconds; a lease of five minutes lasts ten."""
LONGEST: Final = 24.0
"""Real seconds after which the demo gives up and says what is missing."""
REGION: Final = "us-east-1"
_LEASE: Final = 300.0 / TIME_SCALE
_CALLS_ABOUT_TASKS: Final = frozenset({"ReportTaskProgress", "SetTaskStatus"})

_CANCELED_IN_THE_CALM: Final = [component(number) for number in (7, 14, 21, 28)]
_CANCELED_IN_THE_STORM: Final = [component(number) for number in RUNAWAYS]


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """A kind of trouble, and for how many seconds of the service."""

    kind: FaultKind
    seconds: float
    text: str


# The first is as long as the reports' interval, so that it meets every task; the others meet those
# that try again.
STORMS: Final = (
    Storm(kind=FaultKind.SERVER_ERROR, seconds=60, text="answers 500 InternalServiceError"),
    Storm(kind=FaultKind.RESET, seconds=24, text="resets connections"),
    Storm(kind=FaultKind.HANG, seconds=36, text="does not answer"),
    Storm(kind=FaultKind.THROTTLE, seconds=24, text="throttles every call"),
)


async def play(server: EmulatorServer, session: AioSession, board: Board) -> Evidence:
    """Play the whole scenario against the server; return what shows how it went."""
    async with (
        session.create_client(
            "datapipeline",
            region_name=REGION,
            endpoint_url=server.endpoint,
            # A poll that botocore repeats would leave its first task unacknowledged.
            config=AioConfig(read_timeout=100, retries={"total_max_attempts": 1}),
        ) as client,
        ProgressReporter(
            session,
            region_name=REGION,
            endpoint_url=server.endpoint,
            # The defaults, on a service whose clock runs faster.
            interval=60 / TIME_SCALE,
            ack_timeout=120 / TIME_SCALE,
            lease_timeout=_LEASE,
            safety_margin=10 / TIME_SCALE,
            attempt_timeout=30 / TIME_SCALE,
            quota=Quota(rate=10 * TIME_SCALE, burst=100),
        ) as reporter,
    ):
        board.statistics = reporter.statistics
        scenario = Scenario(server.service(REGION), client, reporter, board)
        with anyio.move_on_after(LONGEST - board.elapsed) as limit:
            await scenario.play()
        if limit.cancelled_caught:
            board.say(f"given up: this takes longer than {LONGEST:g} s")
        return await scenario.evidence()


class Scenario:
    """Forty-one tasks, one reporter, one worker that dies, cancellations and bad weather."""

    def __init__(
        self,
        service: LockedService,
        client: DataPipelineClient,
        reporter: ProgressReporter,
        board: Board,
    ) -> None:
        self._service = service
        self._client = client
        self._reporter = reporter
        self._board = board
        self._worker = Worker(client, reporter, board)
        self._pipelines: list[Pipeline] = []

    async def play(self) -> None:
        """Do everything that the demo shows, in its order."""
        board = self._board
        longer = await self._activate()
        await self._lose_a_worker()
        async with anyio.create_task_group() as workers:
            workers.start_soon(self._worker.run, LONG_GROUP, name="worker for the longer tasks")
            await board.until(lambda: board.count(Stage.HELD) == LONG_TASKS - 1)
            workers.start_soon(self._worker.run, HELLO_GROUP, name="worker for helloworld")
            await board.until(lambda: board.count(Stage.FINISHED) == 1)
            await self._cancel(longer, _CANCELED_IN_THE_CALM)
            await board.until(self._canceled_are_told)
            await self._weather_the_storms(longer)
            await board.until(self._canceled_are_told)
            await board.until(self._all_over)
            workers.cancel_scope.cancel()

    async def _activate(self) -> Pipeline:
        hello = await Pipeline.activated(self._client, "helloworld", hello_world())
        longer = await Pipeline.activated(self._client, "longer-tasks", long_tasks())
        self._pipelines = [hello, longer]
        self._board.say(
            f"two pipelines are active: helloworld.json of AWS, and {LONG_TASKS} longer tasks"
        )
        return longer

    async def _lose_a_worker(self) -> None:
        """Let a worker die which holds a task: nobody but the service can know."""
        await take_one_and_go_silent(self._client, self._board, LONG_GROUP, lease_timeout=_LEASE)

    async def _cancel(self, pipeline: Pipeline, components: list[str]) -> None:
        """Cancel tasks in the service, whose workers hear of it from their next heartbeats."""
        instances = await pipeline.cancel(components)
        self._board.to_be_canceled.update(instances)
        numbers = " ".join(name.removeprefix("Task") for name in components)
        self._board.say(f"canceled in the service: {numbers}")

    async def _weather_the_storms(self, pipeline: Pipeline) -> None:
        for storm in STORMS:
            self._board.say(f"for {storm.seconds:g} s of its time the service {storm.text}")
            self._service.faults.add(
                Fault(kind=storm.kind, actions=_CALLS_ABOUT_TASKS, duration=storm.seconds)
            )
            if storm.kind is FaultKind.HANG:
                await self._cancel(pipeline, _CANCELED_IN_THE_STORM)
            await anyio.sleep(storm.seconds / TIME_SCALE)
        self._board.say("the service is well again")

    def _canceled_are_told(self) -> bool:
        return self._board.count(Stage.CANCELED) == len(self._board.to_be_canceled)

    def _all_over(self) -> bool:
        """Whether each task has come to its end, one of them in its second attempt."""
        ended = self._board.count(Stage.FINISHED, Stage.CANCELED, Stage.BROKEN)
        return ended >= LONG_TASKS + 1 and self._board.count(*OVER) == len(self._board.entries)

    async def evidence(self) -> Evidence:
        """Return what there is to judge by: the workers' notes and the service's own."""
        statuses: dict[str, str] = {}
        progress: dict[str, str] = {}
        for pipeline in self._pipelines:
            statuses |= await pipeline.statuses()
            progress |= await pipeline.progress()
        return Evidence(
            entries=tuple(self._board.entries),
            to_be_canceled=frozenset(self._board.to_be_canceled),
            most_held=self._board.most_held,
            events=self._service.audit,
            statuses=statuses,
            progress=progress,
            statistics=self._reporter.statistics(),
            elapsed=self._board.elapsed,
        )
