"""What the conformance suite knows of a form of the service: its client, its clock, its model."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

import anyio
from aiobotocore.config import AioConfig

from aiodp.testing import FaultKind, MemoryService
from shapes import AnswerCheck

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from aiobotocore.session import AioSession

    from aiodp.testing import Settings

CONFIG = AioConfig(read_timeout=100, retries={"total_max_attempts": 1})


class PipelineService(Protocol):
    """A running local service with the quotas and timings that a test asked for."""

    model: Any
    """The service's model, for reading and for faults; of HTTP the one which locks."""
    answers: AnswerCheck
    """Checks every answer to every client against botocore's model of the API."""

    def client(self) -> AbstractAsyncContextManager[Any]:
        """Return an aiobotocore client of the service."""
        ...

    def now(self) -> float:
        """Return the service time."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Let service seconds pass."""
        ...

    def next_hold(self) -> Callable[[], Awaitable[None]]:
        """Return what waits until the service holds a request, from now on and at its time then.

        It returns as well if the service in process has answered instead.
        """
        ...


def answer_check(model: Any) -> AnswerCheck:
    """Return a check which only the faults of this model's script excuse."""
    return AnswerCheck(lambda operation: any(model.calls[operation, kind] for kind in FaultKind))


@asynccontextmanager
async def checked(
    made: AbstractAsyncContextManager[Any], answers: AnswerCheck
) -> AsyncIterator[Any]:
    """Give the client that was made, with its answers checked."""
    async with made as client:
        answers.watch(client)
        yield client


class MemoryForm:
    """In process, in virtual time: a service second is a second of the loop."""

    def __init__(self, session: AioSession, settings: Settings) -> None:
        self._session = session
        self._memory = MemoryService(settings=settings)
        self._memory.attach(session)
        self.model = self._memory.service
        self.answers = answer_check(self.model)

    def client(self) -> AbstractAsyncContextManager[Any]:
        return checked(self._session.create_client("datapipeline", config=CONFIG), self.answers)

    def close(self) -> None:
        self._memory.detach(self._session)

    def now(self) -> float:
        return anyio.current_time()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)

    def next_hold(self) -> Callable[[], Awaitable[None]]:
        return self._let_others_run

    async def _let_others_run(self) -> None:
        await anyio.sleep(0.001)  # virtual time does not move before every call is held or answered
