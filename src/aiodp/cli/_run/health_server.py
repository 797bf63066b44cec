"""The HTTP server of `--health`: in threads, so that it answers when the event loop does not."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, AddressFamily
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from aiodp.cli._params import ParamType

if TYPE_CHECKING:
    import click

    from aiodp.cli._run.health import Health

_TEXT: Final = "text/plain; charset=utf-8"
_METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
_PATHS: Final = "/live, /ready, /metrics"


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
    daemon_threads = True

    def __init__(self, address: Address, handler: Any) -> None:
        self.address_family: AddressFamily = AF_INET6 if ":" in address.host else AF_INET
        super().__init__(address, handler)


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
