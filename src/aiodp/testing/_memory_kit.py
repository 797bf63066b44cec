"""The service in process, as tests hold it."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Final, TypeVar

import anyio

from aiodp.testing._isolation import isolate
from aiodp.testing._kit import WAIT_TIMEOUT, Kit
from aiodp.testing._memory import MIN_WAIT, MemoryService
from aiodp.testing._virtual import LoopClock

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from aiobotocore.session import AioSession

    from aiodp.emulator._model.audit import Audit
    from aiodp.emulator._model.replies import Answer
    from aiodp.emulator._model.service import Service
    from aiodp.emulator._settings import Settings
    from aiodp.testing._goals import Goal

    Session = TypeVar("Session", bound=AioSession)

T = TypeVar("T")

_MAX_WAIT: Final = 1.0
"""Seconds between two checks; what was changed by a call which hangs wakes nobody."""


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
        Clients for other services raise `OtherServiceError` if they call AWS. Returns the session.
        """
        isolate(session, self._region_name)
        return super().attach(session)

    @property
    def service(self) -> Service:
        """The model behind it."""
        is_new = self._service is None
        service = super().service
        if is_new:
            self._refuse_polls_in_vain(service)
        return service

    @property
    def audit(self) -> Audit:
        """The record of who was given which task when."""
        return self.service.audit

    def _model(self) -> AbstractContextManager[Service]:
        return nullcontext(self.service)

    async def _call(self, operation: str, members: dict[str, Any], url: str) -> Answer:
        try:
            return await super()._call(operation, members, url)
        finally:
            self._on_change()

    def _on_change(self) -> None:
        for event in self._waiting:
            event.set()
        self._waiting.clear()

    async def _reach(self, goal: Goal[T], timeout: float | None) -> T:  # noqa: ASYNC109 - service time
        __tracebackhide__ = True
        deadline = self._deadline(timeout)
        give_up = math.inf if timeout is not None else time.monotonic() + WAIT_TIMEOUT
        while (reached := self._check(goal, deadline)) is None:
            await self._wait_for_change(deadline)
            if time.monotonic() >= give_up:  # an hour of real time is too long
                deadline = self.now
        return reached

    async def _wait_for_change(self, deadline: float) -> None:
        """Wait for a call, for what happens by itself, or for the deadline."""
        changed = anyio.Event()
        self._waiting.add(changed)
        event = self.service.next_event()
        until = min(deadline, deadline if event is None else event)
        seconds = min(max(until - self.now, MIN_WAIT), _MAX_WAIT)
        with anyio.move_on_after(seconds):
            await changed.wait()
        self._waiting.discard(changed)
