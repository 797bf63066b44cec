"""Log files, one for each hour, as AWS's Task Runner writes them.

`<output>/logs/Task Runner.log.YYYY-MM-DD-HH`, hours in UTC, gzipped when they are eight hours old
(Developer Guide, "Task Runner Logs and Logging").
"""

from __future__ import annotations

import gzip
import logging
import os
import re
import shutil
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final, TextIO

from aiodp._files import make_directory, open_private

if TYPE_CHECKING:
    from collections.abc import Iterable

_PREFIX: Final = "Task Runner.log."
_HOUR_FORMAT: Final = "%Y-%m-%d-%H"
_PLAIN_FILE: Final = re.compile(rf"{re.escape(_PREFIX)}(\d{{4}}-\d\d-\d\d-\d\d)")
HOUR: Final = 3600
_GZIP_AGE: Final = 8
"""Hours after which a file is gzipped."""


class HourlyLog(logging.Handler):
    """Appends each record to the file of its hour. Several processes may share the files."""

    def __init__(self, output: Path) -> None:
        """Make the directory and the file of this hour, for this user alone; raise `OSError`."""
        super().__init__()
        self._directory = output.absolute() / "logs"  # a handler may change the current directory
        make_directory(self._directory)
        self._changed: set[str] = set()
        self._changed_lock = threading.Lock()
        self._hour = _hour(time.time())
        self._file: TextIO | None = self._open()

    @property
    def path(self) -> Path:
        """The file of the hour of the last record."""
        return self._directory / f"{_PREFIX}{self._hour}"

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. An `OSError` is dropped, as there is nowhere else to log it."""
        with suppress(OSError):
            self.rotate(record.created)
            if self._file is not None and not os.fstat(self._file.fileno()).st_nlink:
                self._close_file()  # somebody has removed it: open it anew
            file = self._file = self._file or self._open()
            file.write(f"{self.format(record)}\n")
            file.flush()
            with self._changed_lock:
                self._changed.add(self.path.name)

    def rotate(self, now: float) -> None:
        """Close the file if its hour is over, and gzip the files that are old enough."""
        if _hour(now) == self._hour:
            return
        self._close_file()
        self._hour = _hour(now)
        self._gzip_old(now)

    def close(self) -> None:
        """Close the file."""
        self._close_file()
        super().close()

    def take_changed(self) -> list[str]:
        """Return the names of the files that have changed since the last call."""
        with self._changed_lock:
            changed, self._changed = self._changed, set()
        return sorted(changed)

    def add_changed(self, names: Iterable[str]) -> None:
        """Let the next `take_changed` return these names again."""
        with self._changed_lock:
            self._changed.update(names)

    def find(self, name: str) -> Path | None:
        """Return the file of this name, gzipped or not; None if there is neither."""
        path = self._directory / name
        return next((file for file in (path, _gzipped(path)) if file.exists()), None)

    def _open(self) -> TextIO:
        file: TextIO = open_private(self.path, "a", encoding="utf-8", errors="backslashreplace")
        return file

    def _close_file(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _gzip_old(self, now: float) -> None:
        newest = _hour(now - _GZIP_AGE * HOUR)
        for path in list(self._directory.iterdir()):
            match = _PLAIN_FILE.fullmatch(path.name)
            if match and match[1] <= newest:
                with suppress(OSError):  # another process has gzipped it
                    _gzip(path)


def _hour(now: float) -> str:
    return time.strftime(_HOUR_FORMAT, time.gmtime(now))


def _gzipped(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")


def _gzip(path: Path) -> None:
    """Replace a file by a gzipped one; at any time there is at least one of them.

    If there is a gzipped file already, as after a jump of the clock, it is appended to.
    """
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with path.open("rb") as plain, os.fdopen(descriptor, "wb") as raw:
            with suppress(FileNotFoundError), _gzipped(path).open("rb") as before:
                shutil.copyfileobj(before, raw)
            with gzip.open(raw, "wb") as packed:
                shutil.copyfileobj(plain, packed)
        shutil.copymode(path, temporary)
        Path(temporary).replace(_gzipped(path))
        path.unlink()
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise
