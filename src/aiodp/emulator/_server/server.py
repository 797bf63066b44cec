"""The local service over HTTP, with the rest of moto beside it."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final, Self

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app

from aiodp._core.text import printable
from aiodp.emulator._clock import ServiceClock
from aiodp.emulator._server import call_log
from aiodp.emulator._server.admin import Admin, is_control
from aiodp.emulator._server.call import DEFAULT_REGION, SERVICE, Call
from aiodp.emulator._server.guard import Guard, isolated
from aiodp.emulator._server.http import Server, is_gone
from aiodp.emulator._server.moto import install
from aiodp.emulator._server.waiting import DroppedConnectionError
from aiodp.emulator._settings import Settings
from aiodp.emulator._store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from os import PathLike

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from aiodp.emulator._clock import Clock
    from aiodp.emulator._server.locked import LockedService
    from aiodp.emulator._server.moto import Emulation

STOP_TIMEOUT: Final = 1.5
"""Real seconds which `EmulatorServer.stop` waits for connections to end."""
_ALL_ADDRESSES: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound


class EmulatorServer:
    """AWS Data Pipeline on a port of this machine, in threads of its own.

    `with EmulatorServer() as server:` serves until the block ends. `port` 0 takes any free one.
    `time_scale` is how many seconds of the service pass in a second: at 60 the two minutes in
    which a task must be acknowledged last two seconds. Instead, `clock` may be any `Clock`, such
    as a `ManualClock`, which goes on from where it is when the server starts. Without
    `settings` the service keeps the published rules and has today's date. `ui` serves a page
    about the service at `/aiodp-ui/`.

    `state` is a file in which the service is saved, so that it outlives this process: each call is
    written before it is answered. The time which passes until a server starts with this file again
    passes in the service as well, at the new server's scale; with a `ManualClock` none does. Only
    one server at a time can use a file. Faults, quotas and moto's other services are not saved.

    Requests for any other service go to moto, whose state is shared by the whole process.

    `allowed_hosts` are names by which clients reach it beside addresses, `host`, `localhost`, names
    without a dot and those in `.internal`. Under any other it answers 403, and so to web pages of
    another origin, lest they use it by their reader's browser.

    Raises `ValueError` for an impossible time scale, port or allowed host.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        time_scale: float = 1.0,
        clock: Clock | None = None,
        settings: Settings | None = None,
        ui: bool = False,
        state: str | PathLike[str] | None = None,
        allowed_hosts: Iterable[str] = (),
    ) -> None:
        if clock is not None and time_scale != 1.0:
            raise ValueError("give either a clock or a time scale")
        if not 0 <= port <= 65535:  # noqa: PLR2004
            raise ValueError(f"the port must be between 0 and 65535, not {port}")
        self._host = host
        self._port = port
        self._time_scale = ServiceClock(time_scale).scale
        self._clock = clock
        self._settings = settings
        self._ui = ui
        self._state = state
        self._guard = Guard(host, allowed_hosts)
        self._server: Server | None = None
        self._emulation: Emulation | None = None
        self._running: ExitStack | None = None
        self._process = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "stopped" if self._running is None else self.endpoint
        return f"<EmulatorServer {state}>"

    def start(self) -> None:
        """Listen, and serve a new service or the one in the `state` file.

        Raises `OSError`, whose `strerror` says what to do, if the port or the file cannot be
        had, `ValueError` if the file is no state file of this version, and `RuntimeError` if
        the server runs already.
        """
        if self._running is not None:
            raise RuntimeError("the server runs already")
        settings = self._settings or Settings(epoch=datetime.now(UTC))
        with ExitStack() as stack:
            clock = self._clock or ServiceClock(self._time_scale)
            store = None
            if self._state is not None:
                store = stack.enter_context(closing(Store(self._state)))
            emulation = stack.enter_context(install(clock, settings, store))
            admin = Admin(emulation, ui=self._ui)
            server = Server(self._host, self._port, _Front(emulation, admin, self._guard))
            server.start()
            stack.callback(server.stop, STOP_TIMEOUT)
            stack.callback(emulation.close)  # called first, so that no request is held any more
            self._server, self._emulation, self._process = server, emulation, os.getpid()
            self._running = stack.pop_all()

    def stop(self) -> None:
        """Drop what is held, and close every connection and the port; it may be called twice.

        It does nothing in a forked child: port, file and threads are its parent's.
        """
        if self._running is None or os.getpid() != self._process:
            return
        self._running.close()
        self._running = None

    @property
    def port(self) -> int:
        """The port it listens on; raises `RuntimeError` if it was never started."""
        if self._server is None:
            raise RuntimeError("start the server first")
        return int(self._server.port)

    @property
    def endpoint(self) -> str:
        """The URL for `endpoint_url` and `AWS_ENDPOINT_URL`, as seen from this machine."""
        host = "127.0.0.1" if self._host in _ALL_ADDRESSES else self._host
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def service(
        self, region: str = DEFAULT_REGION, account: str = DEFAULT_ACCOUNT_ID
    ) -> LockedService:
        """Return the model of one account in one region, behind its lock.

        Raises `RuntimeError` if the server was never started, `KeyError` for a region which AWS
        does not have.
        """
        return self._started.service(account, region)

    def jump(self, seconds: float) -> None:
        """Let the time jump ahead, in all accounts and regions; held polls wake for it.

        Raises `ValueError` if that would be back, or for ever, and `RuntimeError` if the server
        was never started.
        """
        self._started.clock.jump(seconds)

    @property
    def _started(self) -> Emulation:
        if self._emulation is None:
            raise RuntimeError("start the server first")
        return self._emulation


class _Front:
    """Takes the service's own requests without moto's dispatch, which would take longer."""

    def __init__(self, emulation: Emulation, admin: Admin, guard: Guard) -> None:
        self._emulation = emulation
        self._admin = admin
        self._guard = guard
        self._moto = _Moto(create_backend_app)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if refusal := self._guard.refusal(environ):
            return refusal(environ, start_response)
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        # Moto cannot read a target without a dot, which is no operation of any service.
        is_call = target.startswith(SERVICE) or "." not in (target or ".")
        if not is_call:
            return self._other(environ, start_response)
        body = environ["wsgi.input"].read()
        call = Call.of(environ["REQUEST_METHOD"], _headers(environ), body)
        connection = environ["werkzeug.socket"]
        with call_log.timed(call) as entry:
            answer = call.answer(self._emulation.service, lambda: is_gone(connection))
            entry.answer = answer
        status = f"{answer.status} {HTTPStatus(answer.status).phrase}"
        start_response(status, list(answer.headers.items()))
        return [answer.body]

    def _other(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer what is no call to the service; a closed server drops the connection."""
        self._check()
        chunks: Iterable[bytes]
        if is_control(environ):
            chunks = self._admin(environ, start_response)
        else:
            chunks = self._moto(environ, isolated(start_response))
        self._check()  # it may have been closed meanwhile
        return chunks

    def _check(self) -> None:
        if self._emulation.closed:
            raise DroppedConnectionError


class _Moto(DomainDispatcherApplication):
    """Moto's dispatch, which prints hosts that it does not know: parts of a request."""

    def get_backend_for_host(self, host: str | None) -> Any:
        """Return what moto does for a host, whose name is made printable."""
        return super().get_backend_for_host(host and printable(host))


def _headers(environ: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the headers which say what the request is."""
    for name in ("Authorization", "X-Amz-Target", "X-Moto-Account-Id"):
        value = environ.get("HTTP_" + name.upper().replace("-", "_"))
        if value is not None:
            yield name, value
