"""The HTTP server of `--health`: in threads, so that it answers when the event loop does not."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, SHUT_RDWR, AddressFamily
from socketserver import TCPServer
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from aiodp.cli._params import ParamType

if TYPE_CHECKING:
    import click

    from aiodp.cli._run.health import Health

_TEXT: Final = "text/plain; charset=utf-8"
_METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
_PATHS: Final = "/live, /ready, /metrics"
_MAX_CONNECTIONS: Final = 64
"""Far below the usual limit of open files, which the runner's own connections and commands need."""


class Address(NamedTuple):
    """Where to listen."""

    host: str
    port: int


class AddressParam(ParamType[Address]):
    """`HOST:PORT`; the host is an address, and this machine alone if it is not given."""

    name = "address"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Address:
        """Return the address; raise `click.BadParameter`."""
        text = str(value)
        try:
            parts = urlsplit(f"//{f':{text}' if text.isdecimal() else text}")
            host, port = parts.hostname or "127.0.0.1", parts.port
            ip_address(host)
        except ValueError:
            port = None
        if port is None:
            self.fail(
                f"{text!r:.60} is not of the form [HOST:]PORT, with an IP address.", param, ctx
            )
        return Address(host, port)


def serve_health(address: Address, health: Health, worker_group: str) -> int:
    """Serve until the process ends; return the port. Raises `OSError` if it cannot be had."""
    server = _Server(address, partial(_Handler, health, worker_group))
    Thread(target=server.serve_forever, name="aiodp health", daemon=True).start()
    return int(server.server_address[1])


class _Server(ThreadingHTTPServer):
    """Closes the oldest of too many connections: who probes is answered at once, or is a nuisance.

    Clients that break their connections off are nothing to tell of.
    """

    daemon_threads = True
    request_queue_size = _MAX_CONNECTIONS

    def __init__(self, address: Address, handler: Any) -> None:
        self.address_family: AddressFamily = AF_INET6 if ":" in address.host else AF_INET
        self._last: deque[Any] = deque()
        self._closing = Lock()  # no number of a closed socket is shut down, for it may be used anew
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind, without asking the DNS for a name, as HTTPServer does: it may not answer."""
        TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread."""
        self._last.append(request)
        if len(self._last) > _MAX_CONNECTIONS:
            with self._closing, suppress(OSError):  # it is closed already
                self._last.popleft().shutdown(SHUT_RDWR)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Close a connection."""
        with self._closing:
            super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print what is wrong here."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    timeout = 10
    server_version = "aiodp"
    sys_version = ""

    def __init__(self, health: Health, worker_group: str, *request: Any) -> None:
        self._health = health
        self._worker_group = worker_group
        super().__init__(*request)

    def do_GET(self) -> None:
        """Answer a probe."""
        match self.path.partition("?")[0]:
            case "/live":
                self._tell(self._health.why_not_live())
            case "/ready":
                self._tell(self._health.why_not_ready())
            case "/metrics":
                from aiodp.cli._run.metrics import render  # noqa: PLC0415 - few need its library

                self._send(HTTPStatus.OK, render(self._health, self._worker_group), _METRICS)
            case _:
                self._send(HTTPStatus.NOT_FOUND, f"there are {_PATHS}\n".encode(), _TEXT)

    def do_HEAD(self) -> None:
        """Answer a probe without a body."""
        self.do_GET()

    def log_message(self, *_: object) -> None:
        """Log nothing: probes come all the time."""

    def _tell(self, why_not: str | None) -> None:
        status = HTTPStatus.OK if why_not is None else HTTPStatus.SERVICE_UNAVAILABLE
        self._send(status, f"{why_not or 'ok'}\n".encode(), _TEXT)

    def _send(self, status: HTTPStatus, body: bytes, content_type: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
