"""The local service over HTTP, with the rest of moto beside it."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from aiodp.emulator._call import DEFAULT_REGION, SERVICE, Call
from aiodp.emulator._clock import ServiceClock
from aiodp.emulator._http import Server, is_gone
from aiodp.emulator._moto import install
from aiodp.emulator._settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from aiodp.emulator._locked import LockedService
    from aiodp.emulator._moto import Emulation

STOP_TIMEOUT: Final = 1.5
"""Real seconds which ``EmulatorServer.stop`` waits for connections to end."""
_EVERY_ADDRESS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # recognised, not bound


class EmulatorServer:
    """AWS Data Pipeline on a port of this machine, in threads of its own.

    ``with EmulatorServer() as server:`` serves until the block ends. ``port`` 0 takes any free one.
    ``time_scale`` is how many seconds of the service pass in a second: at 60 the two minutes in
    which a task must be acknowledged last two seconds. Without ``settings`` the service keeps the
    published rules and has today's date.

    Requests for any other service go to moto, whose state is one for the whole process.

    Raises ``ValueError`` for an impossible time scale or port.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        time_scale: float = 1.0,
        settings: Settings | None = None,
    ) -> None:
        if not 0 <= port <= 65535:  # noqa: PLR2004
            raise ValueError(f"the port must be between 0 and 65535, not {port}")
        self._host = host
        self._port = port
        self._time_scale = ServiceClock(time_scale).scale
        self._settings = settings
        self._server: Server | None = None
        self._emulation: Emulation | None = None
        self._running: ExitStack | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "stopped" if self._running is None else self.endpoint
        return f"<EmulatorServer {state}>"

    def start(self) -> None:
        """Listen and serve a service which is as new, at its time zero.

        Raises ``OSError``, whose ``strerror`` says what to do, if the port cannot be had, and
        ``RuntimeError`` if the server runs already.
        """
        if self._running is not None:
            raise RuntimeError("the server runs already")
        settings = self._settings or Settings(epoch=datetime.now(UTC))
        with ExitStack() as stack:
            emulation = stack.enter_context(install(ServiceClock(self._time_scale), settings))
            server = Server(self._host, self._port, _Front(emulation))
            server.start()
            stack.callback(server.stop, STOP_TIMEOUT)
            stack.callback(emulation.close)  # first of all, so that no request is held any more
            self._server, self._emulation = server, emulation
            self._running = stack.pop_all()

    def stop(self) -> None:
        """Drop what is held, close every connection and the port; at once, and more than once."""
        if self._running is None:
            return
        self._running.close()
        self._running = None

    @property
    def port(self) -> int:
        """The port it listens on; raises ``RuntimeError`` if it was never started."""
        if self._server is None:
            raise RuntimeError("start the server first")
        return int(self._server.port)

    @property
    def endpoint(self) -> str:
        """The URL for ``endpoint_url`` and ``AWS_ENDPOINT_URL``, as seen from this machine."""
        host = "127.0.0.1" if self._host in _EVERY_ADDRESS else self._host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def service(
        self, region: str = DEFAULT_REGION, account: str = DEFAULT_ACCOUNT_ID
    ) -> LockedService:
        """Return the model of one account in one region, behind its lock.

        Raises ``RuntimeError`` if the server was never started, ``KeyError`` for a region which AWS
        does not have.
        """
        if self._emulation is None:
            raise RuntimeError("start the server first")
        return self._emulation.service(account, region)


class _Front:
    """Takes the service's own requests; the way through moto's dispatch is a longer one."""

    def __init__(self, emulation: Emulation) -> None:
        self._emulation = emulation
        self._moto = DomainDispatcherApplication(create_backend_app)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if not environ.get("HTTP_X_AMZ_TARGET", "").startswith(SERVICE):
            chunks: Iterable[bytes] = self._moto(environ, start_response)
            return chunks
        body = environ["wsgi.input"].read()
        call = Call.of(environ["REQUEST_METHOD"], _headers(environ), body)
        connection = environ["werkzeug.socket"]
        answer = call.answer(self._emulation.backends, lambda: is_gone(connection))
        status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
        start_response(status, list(answer.headers.items()))
        return [answer.body]


def _headers(environ: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the headers which say what the request is."""
    for name in ("Authorization", "X-Amz-Target", "X-Moto-Account-Id"):
        value = environ.get("HTTP_" + name.upper().replace("-", "_"))
        if value is not None:
            yield name, value
