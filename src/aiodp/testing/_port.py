"""A port of this process, at which its tests have their servers one after the other."""

from __future__ import annotations

import os
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


class ReservedPort:
    """A free port which no other process gets, and at which nobody listens unless it is lent."""

    def __init__(self) -> None:
        self._socket = _bound(0)
        self.number: int = self._socket.getsockname()[1]

    @property
    def endpoint(self) -> str:
        """The URL of whatever listens at the port."""
        return f"http://127.0.0.1:{self.number}"

    @contextmanager
    def lent(self) -> Iterator[int]:
        """Let a server have the port until the block ends."""
        self._socket.close()
        try:
            yield self.number
        finally:
            with suppress(OSError):  # a process which was forked meanwhile may still have it
                self._socket = _bound(self.number)

    def close(self) -> None:
        """Let others have it."""
        self._socket.close()


def _bound(port: int) -> socket.socket:
    made = socket.socket()
    try:
        if os.name == "posix":  # elsewhere it would let two listen
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(("127.0.0.1", port))
    except OSError:
        made.close()
        raise
    return made
