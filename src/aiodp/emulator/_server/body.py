"""The body of a request: read to its end, in chunks or by its length, and never beyond a limit."""

from __future__ import annotations

import re
import time
from contextlib import suppress
from io import BytesIO
from socket import SHUT_WR
from typing import TYPE_CHECKING, Final

from aiodp.emulator._errors import ServiceError
from aiodp.emulator._model.replies import NO_REQUEST_ID, error_answer

if TYPE_CHECKING:
    from io import BufferedIOBase
    from socket import socket

    from _typeshed.wsgi import WSGIEnvironment

    from aiodp.emulator._model.replies import Answer

MAX_CALL_BYTES: Final = 4 * 1024**2
"""Of a call to the service: a definition at every limit of dp-limits has half of it."""
MAX_LONG_CALL_BYTES: Final = 24 * 1024**2
"""Of the calls which have a longString, of up to 20,971,520 characters (the service's model)."""
MAX_OTHER_BYTES: Final = 100 * 1024**2
"""Of a request to another service of moto: S3 asks for parts above it, SDKs make them far below."""
_LONG_CALLS: Final = (".EvaluateExpression", ".SetTaskStatus")
_PIECE_BYTES: Final = 64 * 1024  # a length which is claimed reserves no memory
_DISCARD_TIMEOUT: Final = 2.0  # real seconds
_MAX_LINE_BYTES: Final = 1024
_LENGTH: Final = re.compile(r"[0-9]{1,18}")  # int() refuses thousands of digits
_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\n]*)?\r?\n")


class BodyError(Exception):
    """The end of a request's body cannot be found: broken chunks, or an impossible length."""


class BodyTooLargeError(Exception):
    """A body has more than `most` bytes."""

    def __init__(self, most: int) -> None:
        super().__init__(f"The request entity is too large: it may have {most} bytes")
        self.most = most


def max_bytes(environ: WSGIEnvironment) -> int:
    """Return how many bytes the body of a request may have."""
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    if not target.startswith("DataPipeline"):
        return MAX_OTHER_BYTES
    return MAX_LONG_CALL_BYTES if target.endswith(_LONG_CALLS) else MAX_CALL_BYTES


def read_body(stream: BufferedIOBase, length: str | None, most: int) -> BytesIO:
    """Return the whole body, so that what follows is the next request; `length`: `None` if chunked.

    Raises `BodyTooLargeError` as soon as more is announced than `most`, `BodyError` for a body
    which cannot be read, `ConnectionError` if the client has gone before its end.
    """
    body = BytesIO()
    if length is not None:
        if not _LENGTH.fullmatch(length):
            raise BodyError
        _copy(stream, body, int(length), most)
    else:
        while size_of_chunk := _chunk_size(stream):
            _copy(stream, body, size_of_chunk, most)
            _end_chunk(stream)
        _end_chunk(stream)
    body.seek(0)
    return body


def too_large(error: BodyTooLargeError) -> Answer:
    """Return the refusal of a body, as the front of every JSON service of AWS gives it."""
    return error_answer(ServiceError("RequestEntityTooLargeException", str(error)), NO_REQUEST_ID)


def discard(connection: socket) -> None:
    """Read what a refused client still sends, for a while: a close at once would reset it."""
    deadline = time.monotonic() + _DISCARD_TIMEOUT
    with suppress(OSError):
        connection.shutdown(SHUT_WR)
        while (left := deadline - time.monotonic()) > 0:
            connection.settimeout(left)
            if not connection.recv(_PIECE_BYTES):
                return


def _copy(stream: BufferedIOBase, body: BytesIO, size: int, most: int) -> None:
    if body.tell() + size > most:
        raise BodyTooLargeError(most)
    while size > 0:
        piece = stream.read(min(size, _PIECE_BYTES))
        if not piece:
            raise ConnectionAbortedError("the client has gone before the end of its request")
        body.write(piece)
        size -= len(piece)


def _chunk_size(stream: BufferedIOBase) -> int:
    match = _SIZE.fullmatch(stream.readline(_MAX_LINE_BYTES))
    if match is None:
        raise BodyError
    return int(match[1], 16)


def _end_chunk(stream: BufferedIOBase) -> None:
    if stream.readline(2) not in (b"\r\n", b"\n"):
        raise BodyError
