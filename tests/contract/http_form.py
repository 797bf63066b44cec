"""The service as an HTTP server, on a clock which the test moves."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.lowlevel

from aiodp.emulator import EmulatorServer, ManualClock
from contract.forms import CONFIG, answer_check, checked

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

    from aiobotocore.session import AioSession

    from aiodp.emulator import Settings

_HOLD_TIMEOUT: Final = 60.0
"""Real seconds after which it is an error that the service does not hold a request."""


class HoldingClock(ManualClock):
    """Tells when the service begins to hold a request, and at which time of this clock.

    The service asks its clock how long a request has to wait right before it waits. It holds its
    lock from then on until it waits, so whatever takes that lock afterwards finds it waiting.
    """

    def __init__(self, on_hold: Callable[[float], None]) -> None:
        super().__init__()
        self._on_hold = on_hold

    def real(self, seconds: float) -> float:
        if threading.current_thread().name == "aiodp-emulator-connection":
            self._on_hold(self())
        return super().real(seconds)


class HttpForm:
    """Over sockets; a service second passes when the test says so, and takes no time."""

    def __init__(self, session: AioSession, settings: Settings) -> None:
        self._session = session
        self._loop = asyncio.get_running_loop()
        self._hold = anyio.Event()
        self._clock = HoldingClock(self._on_hold)
        self._server = EmulatorServer(clock=self._clock, settings=settings)
        self._server.start()
        self.model = self._server.service()
        self.answers = answer_check(self.model)

    def client(self) -> AbstractAsyncContextManager[Any]:
        made = self._session.create_client(
            "datapipeline",
            config=CONFIG,
            endpoint_url=self._server.endpoint,
            region_name="us-east-1",
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
        )
        return checked(made, self.answers)

    def close(self) -> None:
        self._server.stop()

    def now(self) -> float:
        return self.model.now

    async def sleep(self, seconds: float) -> None:
        with self.model.read():  # whoever is about to wait does so before the time moves
            self._clock.advance(seconds)
        await anyio.lowlevel.checkpoint()

    def next_hold(self) -> Callable[[], Awaitable[None]]:
        hold = self._hold = anyio.Event()

        async def wait() -> None:
            with anyio.fail_after(_HOLD_TIMEOUT):
                await hold.wait()

        return wait

    def _on_hold(self, now: float) -> None:
        self._loop.call_soon_threadsafe(self._note_hold, now)

    def _note_hold(self, now: float) -> None:
        if now == self._clock():  # else it was about to wait before the time moved
            self._hold.set()
