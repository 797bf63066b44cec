"""What stands in for parts of AWS, over HTTP."""

from __future__ import annotations

import http.client
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import urlsplit

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

_TIMEOUT: Final = 60.0
_Server = TypeVar("_Server", bound=ThreadingHTTPServer)


class Metadata(BaseHTTPRequestHandler):
    """The credentials of a machine's role."""

    ROLE: Final = "/latest/meta-data/iam/security-credentials/"
    KEYS: Final = {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "AccessKeyId": "testing",
        "SecretAccessKey": "testing",
        "Token": "token",
        "LastUpdated": "2020-01-01T00:00:00Z",
        "Expiration": "2099-01-01T00:00:00Z",
    }

    def answer(self) -> None:
        documents = {
            "/latest/api/token": "token",
            self.ROLE: "role",
            f"{self.ROLE}role": json.dumps(self.KEYS),
        }
        path = urlsplit(self.path).path  # over httpx it is a whole URL
        content = documents.get(path, "").encode()
        _answer(self, 200 if content else 404, {}, content)

    do_GET = do_PUT = answer  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Gate(ThreadingHTTPServer):
    """Stands before the service, and refuses what is not signed with a key that it knows."""

    daemon_threads = True

    def __init__(self, endpoint: str) -> None:
        super().__init__(("127.0.0.1", 0), _GateHandler)
        self.behind = urlsplit(endpoint).netloc
        self.endpoint = f"http://127.0.0.1:{self.server_port}"
        self.known: set[str] = set()
        self.refused: set[str] = set()
        self.taken: set[str] = set()


class _GateHandler(BaseHTTPRequestHandler):
    server: Gate

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        key = self.headers["Authorization"].partition("Credential=")[2].partition("/")[0]
        if key in self.server.known:
            self.server.taken.add(key)
            _answer(self, *self.forward(body))
        else:
            self.server.refused.add(key)
            error = {"__type": "UnrecognizedClientException", "message": "The token is invalid."}
            _answer(self, 400, {}, json.dumps(error).encode())

    def forward(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self.server.behind, timeout=_TIMEOUT)
        try:
            connection.request("POST", self.path, body, dict(self.headers))
            answer = connection.getresponse()
            return answer.status, dict(answer.headers), answer.read()
        finally:
            connection.close()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def running(server: _Server) -> Iterator[_Server]:
    """Serve until the end of the block."""
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


@contextmanager
def metadata_at(bound: socket.socket) -> Iterator[None]:
    """Give the credentials of a role where a socket is bound, which did not listen so far."""
    server = ThreadingHTTPServer(bound.getsockname(), Metadata, bind_and_activate=False)
    server.socket.close()
    server.socket = bound
    server.server_activate()
    with running(server):
        yield


def _answer(
    handler: BaseHTTPRequestHandler, status: int, headers: dict[str, str], content: bytes
) -> None:
    handler.send_response(status)
    for name, value in (headers | {"Content-Length": str(len(content))}).items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(content)
