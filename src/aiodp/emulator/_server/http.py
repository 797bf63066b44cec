"""Werkzeug's threaded server with keep-alive, connections that can be dropped, and a quick stop.

Werkzeug closes each connection after its answer and reads ahead on it, so the part of its request
handler which runs the application is replaced. Parsing and the WSGI environment are moto's.
"""

from __future__ import annotations

import errno
import select
import selectors
import socket
import struct
import sys
import time
from http import HTTPStatus
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, cast

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import ThreadedWSGIServer, select_address_family

from aiodp._log import logger_of
from aiodp.emulator._server.body import (
    BodyError,
    BodyTooLargeError,
    discard,
    max_bytes,
    read_body,
    too_large,
)
from aiodp.emulator._server.waiting import DroppedConnectionError

if TYPE_CHECKING:
    from io import BytesIO

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

logger = logger_of("aiodp.emulator")

_NO_LINGER: Final = struct.pack("ii", 1, 0)  # closing the socket sends a reset, not a FIN
_LENGTH: Final = "content-length"
_BODILESS: Final = frozenset({HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED})


class Handler(MotoRequestHandler):
    """The requests of one connection, one after the other."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def run_wsgi(self) -> None:
        """Answer one request, or drop the connection."""
        try:
            environ = self.make_environ()
            environ["wsgi.input"] = self._body(environ)
            status, headers, body = self._call(environ)
        except ConnectionError as error:
            self._drop(error)
            return
        except BodyError:
            self.send_error(HTTPStatus.BAD_REQUEST)  # and close: its end is unknown
            return
        except BodyTooLargeError as error:
            self._refuse(error)
            return
        except Exception:
            logger.exception("request failed")
            status, headers, body = "500 INTERNAL SERVER ERROR", [], b"internal server error\n"
        self._respond(status, headers, body)

    def _body(self, environ: WSGIEnvironment) -> BytesIO:
        chunked = "wsgi.input_terminated" in environ
        length = None if chunked else self.headers.get("Content-Length", "0")
        try:
            return read_body(self.rfile, length, max_bytes(environ))
        except ConnectionError:
            raise
        except OSError as error:
            raise BodyError from error

    def _refuse(self, error: BodyTooLargeError) -> None:
        """Answer that a body is too large, and let its client read this before it ends."""
        answer = too_large(error)
        self.close_connection = True
        phrase = HTTPStatus(answer.status).phrase
        self._respond(f"{answer.status} {phrase}", list(answer.headers.items()), answer.body)
        discard(self.connection)

    def _call(self, environ: WSGIEnvironment) -> tuple[str, list[tuple[str, str]], bytes]:
        started: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_: Any) -> Any:
            started.append((status, headers))

        chunks = self.server.app(environ, cast("Any", start_response))
        try:
            body = b"".join(chunks)
        finally:
            if hasattr(chunks, "close"):
                chunks.close()
        return *started[-1], body

    def _respond(self, status: str, headers: list[tuple[str, str]], body: bytes) -> None:
        code, _, reason = status.partition(" ")
        self.send_response(int(code), reason)
        for name, value in headers:
            self.send_header(name, value)
        promised = next((value for name, value in headers if name.lower() == _LENGTH), None)
        bodiless = self.command == "HEAD" or int(code) in _BODILESS
        if promised is None and not bodiless:
            self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if bodiless:
            return
        self.wfile.write(body)
        if promised is not None and int(promised) > len(body):
            self.close_connection = True  # the rest of a truncated answer never comes

    def _drop(self, error: ConnectionError) -> None:
        self.close_connection = True
        if isinstance(error, DroppedConnectionError) and error.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
            self.connection.close()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Log the request line and the status, at level DEBUG."""
        extra = {"request_line": self.requestline, "status": code, "size": size}
        logger.debug("request", extra=extra)

    def log_error(self, format: str, *args: Any) -> None:  # noqa: A002 - the overridden name
        """Log that a client sent something that is not HTTP."""
        logger.debug("bad request", extra={"reason": format % args})


class Server(ThreadedWSGIServer):
    """A thread for each connection, all of which end when the server does."""

    block_on_close = False  # stop() ends the threads
    timeout = 0  # handle_request() is called when there is one

    def __init__(self, host: str, port: int, app: WSGIApplication) -> None:
        self._open: dict[Thread, socket.socket] = {}  # the accepting thread's, until it has ended
        with _bound(host, port) as listener:
            super().__init__(host, port, app, Handler, fd=listener.fileno())
        self._stop_read, self._stop_write = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self, selectors.EVENT_READ)
        self._selector.register(self._stop_read, selectors.EVENT_READ)
        self._accepting = Thread(target=self._accept, name="aiodp-emulator", daemon=True)

    def start(self) -> None:
        """Accept connections from now on."""
        self._accepting.start()

    def stop(self, timeout: float) -> None:
        """Close the port and every connection, and wait at most that long for their threads."""
        with self._stop_write:
            self._stop_write.send(b".")  # a forked child may keep it open, so no close
            self._accepting.join()
        deadline = time.monotonic() + timeout
        self._shut_down(socket.SHUT_RD)  # an answer which is being sent may still arrive
        self._join(time.monotonic() + timeout / 2)
        self._shut_down(socket.SHUT_RDWR)
        self._join(deadline)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Give a new connection a thread."""
        thread = Thread(
            target=self.process_request_thread,
            args=(request, client_address),
            name="aiodp-emulator-connection",
            daemon=True,
        )
        thread.start()
        self._open = {t: c for t, c in self._open.items() if t.is_alive()} | {thread: request}

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Log the exception which ended a connection's thread."""
        logger.exception("connection failed")  # noqa: LOG004 - called from an except clause

    def _accept(self) -> None:
        with self, self._stop_read, self._selector:
            while self._stop_read not in [key.fileobj for key, _ in self._selector.select()]:
                self.handle_request()

    def _shut_down(self, how: int) -> None:
        for connection in self._open.values():
            try:
                connection.shutdown(how)
            except OSError:
                continue  # the client has closed it already

    def _join(self, deadline: float) -> None:
        for thread in self._open:
            thread.join(max(0.0, deadline - time.monotonic()))


def is_gone(connection: socket.socket) -> bool:
    """Return whether the other side has closed the connection."""
    try:
        if sys.platform == "win32":
            readable, _, _ = select.select([connection], [], [], 0)
            return bool(readable) and not connection.recv(1, socket.MSG_PEEK)
        return not connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except BlockingIOError:
        return False
    except OSError:
        return True


def _bound(host: str, port: int) -> socket.socket:
    """Return a listening socket; werkzeug would print and exit if the port is in use."""
    try:
        family = select_address_family(host, port)
        address = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
    except socket.gaierror as error:
        raise OSError(error.errno, f"no such host: {host}") from error
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(ThreadedWSGIServer.request_queue_size)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, _why(error, host, port)) from error
    return listener


def _why(error: OSError, host: str, port: int) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} of {host} is in use; take another, or 0 for any free one"
    if error.errno == errno.EACCES:
        return f"port {port} of {host} needs more rights; take one above 1023"
    return f"cannot listen on {host} port {port}: {error.strerror}"
