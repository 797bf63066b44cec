"""What a command writes, kept in files up to a limit.

A thread reads the pipes, so that a busy event loop does not delay the command, nor a slow disk the
event loop. What exceeds the limit is read as well, so that the command is not blocked.
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

from aiodp._files import open_private

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from typing import BinaryIO

_TICK_INTERVAL: Final = 0.2
"""Seconds between two calls of `Recorder.tick`."""
_CHUNK_BYTES: Final = 65_536
_MAX_PIPE_BYTES: Final = 1_048_576
"""What a pipe holds at most, unless the administrator of the system allows more."""
_TAIL_BYTES: Final = 1024
"""How much of a stream's end is remembered, whether the file has it or not."""
_FINISH_TIMEOUT: Final = 10.0
"""Seconds that writing the last bytes may take, for a disk may hang."""


class Stream:
    """One stream of a command, of which a file keeps the first `limit` bytes.

    If writing fails, on a full disk for instance, `error` is set, and reading goes on.
    """

    def __init__(self, path: Path, limit: int) -> None:
        self.path = path
        self.error: OSError | None = None
        self.tail = b""
        self._room = limit
        self._limit = limit
        self._dropped = 0
        self._read_end, self.write_end = os.pipe()
        try:
            self._file: BinaryIO = open_private(path, "wb", buffering=0)
        except BaseException:
            os.close(self._read_end)
            os.close(self.write_end)
            raise
        os.set_blocking(self._read_end, False)

    def fileno(self) -> int:
        """Return the descriptor that the thread waits for."""
        return self._read_end

    def close_writing(self) -> None:
        """Close this process's copy of the end that the command writes to."""
        if self.write_end >= 0:
            os.close(self.write_end)
            self.write_end = -1

    def read(self) -> int:
        """Read what was written; return the number of bytes, 0 at the end.

        Raises `BlockingIOError` if nothing is there yet.
        """
        chunk = os.read(self._read_end, _CHUNK_BYTES)
        self.tail = (self.tail + chunk)[-_TAIL_BYTES:]
        kept = chunk[: self._room]
        self._room -= len(kept)
        self._dropped += len(chunk) - len(kept)
        self._write(kept)
        return len(chunk)

    def drain(self) -> None:
        """Read what was written so far, which is no more than a pipe holds."""
        total = 0
        with suppress(BlockingIOError):
            while total < _MAX_PIPE_BYTES and (count := self.read()):
                total += count

    def close(self) -> None:
        """Write into the last line how much is missing, and close all."""
        self.close_writing()
        os.close(self._read_end)
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
    """Reads both streams of a command. Its thread calls `tick` five times a second."""

    def __init__(self, paths: Sequence[Path], limit: int) -> None:
        """Open the files; raise `OSError`."""
        self.streams: list[Stream] = []
        self.tick: Callable[[], None] = _noop
        self._wakeup_read, self._wakeup_write = os.pipe()
        self._thread = threading.Thread(target=self._record, name="aiodp output", daemon=True)
        try:
            self.streams.extend(Stream(path, limit) for path in paths)
            self._thread.start()
        except BaseException:
            self._close()
            os.close(self._wakeup_write)
            raise

    def close_writing(self) -> None:
        """Close this process's write ends: the command has its own now, or will never have any."""
        for stream in self.streams:
            stream.close_writing()

    async def finish(self) -> bool:
        """Keep what was written so far, and end; return whether all of it is in the files.

        It does not wait for what a process writes that has left the command's session.
        """
        with suppress(BrokenPipeError):  # the thread has failed
            os.write(self._wakeup_write, b"\0")
        join = partial(self._thread.join, _FINISH_TIMEOUT)
        with anyio.move_on_after(2 * _FINISH_TIMEOUT, shield=True):
            await anyio.to_thread.run_sync(join, abandon_on_cancel=True)
        os.close(self._wakeup_write)
        return not self._thread.is_alive()

    def _record(self) -> None:
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._wakeup_read, selectors.EVENT_READ)
                for stream in self.streams:
                    selector.register(stream, selectors.EVENT_READ, stream)
                self._read(selector)
            for stream in self.streams:
                stream.drain()
        finally:
            self._close()

    def _read(self, selector: selectors.BaseSelector) -> None:
        """Read until `finish` wakes the thread; a stream that has ended is not waited for."""
        while True:
            self.tick()
            for key, _ in selector.select(_TICK_INTERVAL):
                if key.data is None:
                    return
                with suppress(BlockingIOError):
                    if not key.data.read():
                        selector.unregister(key.fileobj)

    def _close(self) -> None:
        for stream in self.streams:
            stream.close()
        os.close(self._wakeup_read)


def _noop() -> None:
    """Do nothing at a tick."""
