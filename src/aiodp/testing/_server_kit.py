"""The service over HTTP, as tests hold it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import anyio

from aiodp.emulator._clock import ManualClock
from aiodp.testing import _goals as goals
from aiodp.testing._kit import WAIT_TIMEOUT, Kit
from aiodp.testing._vain_polls import Patience

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from aiodp.emulator._model.audit import Audit
    from aiodp.emulator._model.service import Service
    from aiodp.emulator._model.views import TaskView
    from aiodp.emulator._server.locked import LockedFaults, LockedService
    from aiodp.emulator._settings import Settings
    from aiodp.testing._goals import Goal
    from aiodp.testing._local_pipeline import Work
    from aiodp.testing._pipelines import Run

T = TypeVar("T")

_CHECK_INTERVAL: Final = 0.01
"""Real seconds between two checks of what other threads and processes do."""


class ServerKit(Kit):
    """A Data Pipeline on a port of this machine, with S3 and the rest of moto beside it.

    `with ServerKit() as server:` serves until the block ends. Its methods are for one region, and
    for moto's default account. Those whose name starts with `wait` block their thread. At a
    `time_scale` of 0 its time stands still, but for `jump`, and timeouts are in real seconds.
    `port` is for clients which exist before the server; 0 takes any free one.

    Raises `ModuleNotFoundError`, which says what to install, without the extra `emulator`.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        time_scale: float = 1.0,
        region_name: str = "us-east-1",
        port: int = 0,
    ) -> None:
        from aiodp.emulator import EmulatorServer  # noqa: PLC0415 - an extra, and slow to import

        super().__init__(settings)
        speed: dict[str, Any] = (
            {"time_scale": time_scale} if time_scale else {"clock": ManualClock()}
        )
        self.server = EmulatorServer(port=port, settings=settings, **speed)
        """The server itself."""
        self.region_name = region_name
        self.default_timeout = WAIT_TIMEOUT * time_scale
        self._time_scale = time_scale

    def __enter__(self) -> Self:
        """Forget what moto knows in this process, and serve; the service's time begins."""
        from moto.moto_api._internal.models import moto_api_backend  # noqa: PLC0415 - as above

        moto_api_backend.reset()
        self.server.start()
        with self.service as service:  # made now: the first call may come while the server stops
            self._refuse_polls_in_vain(service)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop at once, even amid a long poll."""
        self.server.stop()

    @property
    def endpoint(self) -> str:
        """The URL for `endpoint_url` and `AWS_ENDPOINT_URL`."""
        return self.server.endpoint

    @property
    def service(self) -> LockedService:
        """The model behind its lock."""
        return self.server.service(self.region_name)

    @property
    def faults(self) -> LockedFaults:
        """The script of what goes wrong."""
        return self.service.faults

    @property
    def audit(self) -> Audit:
        """A copy of the record of who was given which task when."""
        return self.service.audit

    @property
    def calls(self) -> Counter[tuple[str, str]]:
        """A copy of the counters of calls by operation and outcome."""
        return self.service.calls

    def assign(self, count: int = 1, **options: Any) -> list[str]:
        """Make tasks which are handed out already, and return their ids.

        Options are those of `MemoryService.assign`.
        """
        return self.service.assign(count, **options)

    def wait_finished(self, work: Work, *, timeout: float | None = None) -> tuple[Run, ...]:
        """Block until all of this work is FINISHED; as `finished`."""
        __tracebackhide__ = True
        return self._block(goals.finished(work), timeout)

    def wait_ended(self, work: Work, *, timeout: float | None = None) -> tuple[Run, ...]:
        """Block until nothing of this work goes on; as `ended`."""
        __tracebackhide__ = True
        return self._block(goals.ended(work), timeout)

    def wait_held(self, work: Work, *, timeout: float | None = None) -> TaskView:
        """Block until a worker has acknowledged a task of this work; as `held`."""
        __tracebackhide__ = True
        return self._block(goals.held(work), timeout)

    def wait_until(self, condition: Callable[[], object], *, timeout: float | None = None) -> None:
        """Block until the condition holds; as `until`."""
        __tracebackhide__ = True
        self._block(goals.holds(condition), timeout)

    def _model(self) -> AbstractContextManager[Service]:
        return self.service

    def _model_to_read(self) -> AbstractContextManager[Service]:
        return self.service.read()

    def _on_change(self) -> None:
        """Do nothing, because those who wait check all the time."""

    def _limit(self, timeout: float | None) -> Callable[[], float]:
        """Return what gives the deadline, as a service time.

        Where the service's time stands still, the timeout is in real seconds: until they are over
        there is no deadline, and then it has passed. So it has for work that nobody polls for,
        while others poll in vain.
        """
        patience = Patience(time.monotonic)
        deadline = self._deadline(timeout) if self._time_scale else math.inf
        seconds = WAIT_TIMEOUT if timeout is None else timeout
        end = math.inf if self._time_scale else time.monotonic() + seconds

        def limit() -> float:
            with self._model_to_read() as service:
                in_vain = patience.is_over(service) and not self.idle_polls
            return -math.inf if in_vain or time.monotonic() >= end else deadline

        return limit

    def _block(self, goal: Goal[T], timeout: float | None) -> T:
        __tracebackhide__ = True
        deadline = self._limit(timeout)
        while (reached := self._check(goal, deadline())) is None:
            time.sleep(_CHECK_INTERVAL)
        return reached

    async def _reach(self, goal: Goal[T], timeout: float | None) -> T:  # noqa: ASYNC109 - service time
        __tracebackhide__ = True
        deadline = self._limit(timeout)
        while (reached := self._check(goal, deadline())) is None:  # noqa: ASYNC110 - other threads change it
            await anyio.sleep(_CHECK_INTERVAL)
        return reached
