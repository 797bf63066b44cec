"""What a command writes, kept in files up to a limit.

A thread reads the pipes, so that a command is held up neither by a busy event loop nor by what is
thrown away, and so that no slow disk holds up the event loop.
"""

from __future__ import annotations

import os
import selectors
import threading
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
import anyio.to_thread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import BinaryIO

_TICK: Final = 0.2
_CHUNK: Final = 65_536
_PIPE: Final = 1_048_576
"""Bytes that a pipe can hold at most, unless the system's administrator says otherwise."""
_TAIL: Final = 1024
"""Bytes of a stream's end that are remembered, kept or not."""
_END_TIMEOUT: Final = 10.0
"""Seconds that writing the last bytes may take; a disk that hangs takes for ever."""


class Stream:
    """One stream of a command, of which a file keeps the first `limit` bytes.

    A disk that is full, say, ends the keeping, and `error` tells of it; the reading goes on.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.error: OSError | None = None
        self.tail = b""
        self._left = limit
        self._limit = limit
        self._dropped = 0
        self._reading, self.writing = os.pipe()
        try:
            self._file: BinaryIO = path.open("wb", buffering=0)
        except BaseException:
            os.close(self._reading)
            os.close(self.writing)
            raise
        os.set_blocking(self._reading, False)

    def fileno(self) -> int:
        """Return what the thread waits for."""
        return self._reading

    def close_writing(self) -> None:
        """Close our copy of what the command writes to."""
        if self.writing >= 0:
            os.close(self.writing)
            self.writing = -1

    def take(self) -> int:
        """Read what is there; return the number of bytes, 0 at the end.

        Raises `BlockingIOError` if nothing is there, but more may come.
        """
        chunk = os.read(self._reading, _CHUNK)
        self.tail = (self.tail + chunk)[-_TAIL:]
        kept = chunk[: self._left]
        self._left -= len(kept)
        self._dropped += len(chunk) - len(kept)
        self._write(kept)
        return len(chunk)

    def drain(self) -> None:
        """Read what was written so far, which is no more than a pipe holds."""
        taken = 0
        with suppress(BlockingIOError):
            while taken < _PIPE and (count := self.take()):
                taken += count

    def close(self) -> None:
        """Say what is missing, in the last line, and close all."""
        self.close_writing()
        os.close(self._reading)
        if self._dropped:
            self._write(
                f"\n[aiodp: {self._dropped:,} bytes more were dropped, for the limit is "
                f"{self._limit:,} bytes]\n".encode()
            )
        try:
            self._file.close()
        except OSError as error:
            self.error = self.error or error

    def _write(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest and self.error is None:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                self.error = error


class Recorder:
    """Both streams of a command. `tick` is called in its thread, five times a second."""

    def __init__(self, paths: Sequence[Path], limit: int) -> None:
        """Open the files; raise `OSError`."""
        self.streams: list[Stream] = []
        self.tick: Callable[[], None] = _nothing
        self._waking, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._record, name="aiodp output", daemon=True)
        try:
            self.streams.extend(Stream(path, limit) for path in paths)
            self._thread.start()
        except BaseException:
            self._close()
            os.close(self._wake)
            raise

    def started(self) -> None:
        """Leave the writing to the command, which has been started or never will be."""
        for stream in self.streams:
            stream.close_writing()

    async def finish(self) -> bool:
        """Keep what was written so far, and end; return whether that worked.

        What a process writes that lives on outside the command's session is not waited for.
        """
        with suppress(BrokenPipeError):  # the thread has failed
            os.write(self._wake, b"\0")
        join = partial(self._thread.join, _END_TIMEOUT)
        with anyio.move_on_after(2 * _END_TIMEOUT, shield=True):
            await anyio.to_thread.run_sync(join, abandon_on_cancel=True)
        os.close(self._wake)
        return not self._thread.is_alive()

    def _record(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._waking, selectors.EVENT_READ)
                for stream in self.streams:
                    selector.register(stream, selectors.EVENT_READ, stream)
                self._read(selector)
            for stream in self.streams:
                stream.drain()
        finally:
            self._close()

    def _read(self, selector: selectors.BaseSelector) -> None:
        """Read until woken; nobody needs to be asked about a stream that has ended."""
        while True:
            self.tick()
            for key, _ in selector.select(_TICK):
                if key.data is None:
                    return
                with suppress(BlockingIOError):
                    if not key.data.take():
                        selector.unregister(key.fileobj)

    def _close(self) -> None:
        for stream in self.streams:
            stream.close()
        os.close(self._waking)


def _nothing() -> None:
    """Do nothing at a tick."""
