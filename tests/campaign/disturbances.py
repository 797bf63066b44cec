"""What goes wrong in a run, and when."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import anyio

from aiodp.emulator._errors import ServiceError
from aiodp.testing import Fault, FaultKind, TaskState
from campaign.plan import WORKER_GROUP
from virtual.kit import block

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._model.service import Service
    from campaign.simulation import Simulation

FAULTS: Final = tuple(kind for kind in FaultKind if kind is not FaultKind.CLOCK_JUMP)
CREDENTIALS: Final = (FaultKind.EXPIRED_TOKEN, FaultKind.ACCESS_DENIED)
_REPORT_EVERY: Final = 20.0


class Disturbances:
    """Disturbs one run, one thing after the other."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._journal = simulation.journal
        self._kit = simulation.kit
        self._network = simulation.network
        self._plan = simulation.plan
        self._rng = simulation.plan.dice("disturbances")
        self._stranger = Stranger(simulation.kit.service)
        self._kinds: dict[str, tuple[int, Callable[[], None]]] = {
            "fault": (8, self._fault),
            "outage": (2, self._outage),
            "credentials expired": (1, self._expire_credentials),
            "service restarted": (1, self._restart_service),
            "slow network": (1, self._slow_down),
            "blocked loop": (2, self._block),
            "paused process": (2, self._pause),
            "suspended machine": (3 if self._plan.suspends else 0, self._suspend),
            "killed process": (1, self._kill),
            "drained process": (1, self._drain),
            "canceled process": (1, self._cancel_process),
            "canceled task": (5, self._cancel_task),
            "deactivated pipeline": (1, self._deactivate),
            "all well": (3, self._network.clear),
        }

    async def run(self) -> None:
        """Disturb as often as the plan says, then let all be well."""
        names = list(self._kinds)
        weights = [weight for weight, _ in self._kinds.values()]
        for _ in range(self._plan.disturbances):
            await anyio.sleep(self._rng.uniform(0, self._rng.choice([20, 100, 200])))
            [name] = self._rng.choices(names, weights)
            self._kinds[name][1]()
            self._journal.counts[name] += 1
            self._journal.log.append(f"{self._journal.now():.6f} {name}")
        await anyio.sleep(self._rng.uniform(0, 100))
        self._network.clear()

    async def work_as_stranger(self) -> None:
        """Keep what a worker elsewhere has got, until the run is over."""
        while True:
            await anyio.sleep(_REPORT_EVERY)
            self._stranger.report()

    # The service and the network

    def _fault(self) -> None:
        self._network.add(
            Fault(
                kind=self._rng.choice(FAULTS),
                duration=self._rng.uniform(0, 80),
                every=self._rng.choice([1, 2, 3]),
                delay=self._rng.uniform(0, 15),
            )
        )

    def _outage(self) -> None:
        kind = self._rng.choice(FAULTS)
        self._network.add(Fault(kind=kind, duration=self._rng.uniform(0.3, 1.5) * self._plan.lease))

    def _expire_credentials(self) -> None:
        kind = self._rng.choice(CREDENTIALS)
        self._network.add(Fault(kind=kind, duration=self._rng.uniform(30, 600)))

    def _restart_service(self) -> None:
        self._network.restart_service(self._rng.uniform(5, 120))

    def _slow_down(self) -> None:
        self._network.slow_down(self._rng.uniform(10, 120))

    # The processes

    def _block(self) -> None:
        """Block the event loop while no other process gets anything."""
        seconds = self._rng.uniform(0, 1.2 * self._plan.lease)
        self._journal.add_trouble(seconds, self._network.pad)
        block(seconds)
        self._journal.woke_at = self._journal.now()

    def _pause(self) -> None:
        """Stop all processes, as by SIGSTOP."""
        self._stop(block)

    def _suspend(self) -> None:
        """Suspend the machine of all processes."""
        self._stop(self._network.suspend)

    def _stop(self, let_pass: Callable[[float], None]) -> None:
        """Let time pass for a worker elsewhere alone, which gets what the processes lose."""
        seconds = self._rng.uniform(0.5, 2) * self._plan.service_lease
        self._journal.add_trouble(seconds, self._network.pad)
        while seconds > 0:
            let_pass(min(seconds, _REPORT_EVERY))
            seconds -= _REPORT_EVERY
            self._stranger.report()
            self._stranger.poll()
        self._journal.woke_at = self._journal.now()

    def _kill(self) -> None:
        if process := self._simulation.any_process(self._rng):
            process.kill()
            self._simulation.start_process()

    def _drain(self) -> None:
        if process := self._simulation.any_process(self._rng):
            process.drain()
            self._simulation.start_process()

    def _cancel_process(self) -> None:
        if process := self._simulation.any_process(self._rng):
            process.cancel()
            self._simulation.start_process()

    # The work

    def _cancel_task(self) -> None:
        held = [
            work.task.task_id
            for work in self._journal.works
            if work.over_at is None and self._kit.task(work.task.task_id).state is TaskState.HELD
        ]
        if held:
            self._kit.cancel(self._rng.choice(held))

    def _deactivate(self) -> None:
        with suppress(ValueError):  # it has ended
            self._simulation.pipelines[-1].deactivate()


class Stranger:
    """A worker in another place, on whom nothing of this run has an effect."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._tasks: dict[str, int] = {}

    def poll(self) -> None:
        """Take one task, if there is one and not enough is in hand."""
        if len(self._tasks) < 2:
            answer: Any = self._service.perform(
                "PollForTask", workerGroup=WORKER_GROUP, hostname="elsewhere"
            )
            if isinstance(answer, dict) and answer.get("taskObject"):
                self._tasks[answer["taskObject"]["taskId"]] = 5

    def report(self) -> None:
        """Report what is in hand, and finish what has been for long enough."""
        for task_id, left in list(self._tasks.items()):
            del self._tasks[task_id]
            with suppress(ServiceError):  # it was canceled, or this was blocked for too long
                if left:
                    self._service.perform("ReportTaskProgress", taskId=task_id)
                    self._tasks[task_id] = left - 1
                else:
                    self._service.perform("SetTaskStatus", taskId=task_id, taskStatus="FINISHED")
