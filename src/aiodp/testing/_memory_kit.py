"""The service in process, as tests hold it."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from aiodp.testing._isolation import isolate
from aiodp.testing._kit import PATIENCE, Kit
from aiodp.testing._memory import MemoryService
from aiodp.testing._virtual import LoopClock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from aiobotocore.awsrequest import AioAWSResponse
    from aiobotocore.session import AioSession
    from botocore.awsrequest import AWSPreparedRequest

    from aiodp.emulator._model.audit import Audit
    from aiodp.emulator._model.service import Service
    from aiodp.emulator._model.views import TaskView
    from aiodp.emulator._settings import Settings
    from aiodp.testing._goals import Goal

    Session = TypeVar("Session", bound=AioSession)

T = TypeVar("T")

_LEAST_WAIT: Final = 0.001  # below the clock's resolution a virtual clock would never move on
_LONGEST_WAIT: Final = 1.0  # what a call changed whose answer never comes, is seen a little later


class MemoryKit(Kit, MemoryService):
    """A Data Pipeline in process, with what tests need to put work in and to wait for it.

    Its time is zero when its event loop is first seen, and moves with the loop's. Outside of a loop
    it stands still, so work can be put in by plain fixtures.
    """

    default_timeout = 3600.0

    def __init__(self, settings: Settings | None = None, region_name: str = "us-east-1") -> None:
        Kit.__init__(self, settings)
        MemoryService.__init__(self, clock=LoopClock(), settings=settings, region_name=region_name)
        self._waiting: set[anyio.Event] = set()

    def attach(self, session: Session) -> Session:
        """Answer all Data Pipeline clients which this session creates from now on.

        Whatever the machine is configured for, they get made-up credentials and the kit's region.
        A client for another service raises `OtherServiceError` when it calls AWS. Returns the
        session.
        """
        isolate(session, self._region_name)
        return super().attach(session)

    def cancel(self, task_id: str) -> None:
        """Cancel a task in the service; its worker hears of it at its next report.

        Raises `ValueError` for an id which nobody was given, `TypeError` for what is no id.
        """
        super().cancel(self._known(task_id))

    def task(self, task_id: str) -> TaskView:
        """Return what the service knows of a task it handed out; raises as `cancel` does."""
        return super().task(self._known(task_id))

    @property
    def audit(self) -> Audit:
        """The record of who was given which task when."""
        return self.service.audit

    def jump(self, seconds: float) -> None:
        """Let the service's time leap ahead; held tasks may be lost by it, through no fault."""
        self._excuse_all()
        super().jump(seconds)
        self._wake()

    def give_away(self, task_id: str) -> None:
        """End a task's lease now, as if its worker had been silent for too long.

        Raises as `cancel` does, and `ValueError` for a task which nobody holds any more.
        """
        super().give_away(self._known(task_id))
        self._excused.add(task_id)
        self._wake()

    def _model(self) -> AbstractContextManager[Service]:
        return nullcontext(self.service)

    async def _on_send(self, request: AWSPreparedRequest, **options: Any) -> AioAWSResponse:
        try:
            return await super()._on_send(request, **options)
        finally:
            self._wake()

    def _wake(self) -> None:
        for event in self._waiting:
            event.set()
        self._waiting.clear()

    async def _reach(self, goal: Goal[T], timeout: float | None) -> T:  # noqa: ASYNC109 - service time
        __tracebackhide__ = True
        deadline = self._deadline(timeout)
        give_up = math.inf if timeout is not None else time.monotonic() + PATIENCE
        while (found := self._look(goal, deadline)) is None:
            await self._change(deadline)
            if time.monotonic() >= give_up:  # its time is real, and an hour of that is too long
                deadline = self.now
        return found

    async def _change(self, deadline: float) -> None:
        """Wait for a call, for what happens by itself, or for the deadline."""
        changed = anyio.Event()
        self._waiting.add(changed)
        event = self.service.next_event()
        until = min(deadline, deadline if event is None else event)
        seconds = min(max(until - self.now, _LEAST_WAIT), _LONGEST_WAIT)
        with anyio.move_on_after(seconds):
            await changed.wait()
        self._waiting.discard(changed)
