"""The service as an HTTP server, in scaled real time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import anyio

from aiodp.emulator import EmulatorServer
from contract.forms import CONFIG, answer_check, checked

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from aiobotocore.session import AioSession

    from aiodp.emulator import Settings

TIME_SCALE: Final = 60.0
"""A minute of the service in a second: quick, and slow enough for a busy machine."""


class HttpForm:
    """Over sockets, in real time: a service second is a sixtieth of a second."""

    def __init__(self, session: AioSession, settings: Settings) -> None:
        self._session = session
        self._server = EmulatorServer(time_scale=TIME_SCALE, settings=settings)
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
        until = self.model.now + seconds
        while self.model.now < until:  # a timer may end a hair too early
            await anyio.sleep((until - self.model.now) / TIME_SCALE)
