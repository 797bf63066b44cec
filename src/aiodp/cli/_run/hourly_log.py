"""The log in files, one for each hour, as AWS's Task Runner keeps it.

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

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAME: Final = "Task Runner.log."
_FORM: Final = "%Y-%m-%d-%H"
_LOGS: Final = re.compile(rf"{re.escape(_NAME)}(\d{{4}}-\d\d-\d\d-\d\d)")
HOUR: Final = 3600
_KEPT_PLAIN: Final = 8
"""Hours."""


class HourlyLog(logging.Handler):
    """Appends each record to the file of its hour. Several processes may share the files."""

    def __init__(self, output: Path) -> None:
        """Make the directory and the file of this hour; raise `OSError`."""
        super().__init__()
        self._directory = output.absolute() / "logs"  # a handler may change the current directory
        self._directory.mkdir(parents=True, exist_ok=True)
        self._changed: set[str] = set()
        self._noting = threading.Lock()
        self._hour = _hour(time.time())
        self._file: TextIO | None = self._open()

    @property
    def path(self) -> Path:
        """The file of the hour of the last record."""
        return self._directory / f"{_NAME}{self._hour}"

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record. If that fails, nobody is told: where should it be."""
        with suppress(OSError):
            self.turn(record.created)
            if self._file is not None and not os.fstat(self._file.fileno()).st_nlink:
                self._end_file()  # somebody removed it
            file = self._file = self._file or self._open()
            file.write(f"{self.format(record)}\n")
            file.flush()
            with self._noting:
                self._changed.add(self.path.name)

    def turn(self, now: float) -> None:
        """Leave the file of an hour that is over, and gzip those which are old enough."""
        if _hour(now) == self._hour:
            return
        self._end_file()
        self._hour = _hour(now)
        self._gzip_old(now)

    def close(self) -> None:
        """Close the file."""
        self._end_file()
        super().close()

    def take_changed(self) -> list[str]:
        """Return the names of the files to which something was added since the last time."""
        with self._noting:
            changed, self._changed = self._changed, set()
        return sorted(changed)

    def give_back(self, names: Iterable[str]) -> None:
        """Take note of names that `take_changed` has to return again."""
        with self._noting:
            self._changed.update(names)

    def find(self, name: str) -> Path | None:
        """Return the file of this name as it is now, gzipped perhaps; None if it is gone."""
        path = self._directory / name
        return next((one for one in (path, _gzipped(path)) if one.exists()), None)

    def _open(self) -> TextIO:
        return self.path.open("a", encoding="utf-8", errors="backslashreplace")

    def _end_file(self) -> None:
        if self._file is not None:
            with suppress(OSError):
                self._file.close()
            self._file = None

    def _gzip_old(self, now: float) -> None:
        newest = _hour(now - _KEPT_PLAIN * HOUR)
        for path in list(self._directory.iterdir()):
            found = _LOGS.fullmatch(path.name)
            if found and found[1] <= newest:
                with suppress(OSError):  # another process may be faster
                    _gzip(path)


def _hour(now: float) -> str:
    return time.strftime(_FORM, time.gmtime(now))


def _gzipped(path: Path) -> Path:
    return path.with_name(f"{path.name}.gz")


def _gzip(path: Path) -> None:
    """Put a gzipped file in the place of a plain one, at no time without either.

    It is added to one that is there already: a clock may leap ahead, and back.
    """
    descriptor, made = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with path.open("rb") as plain, os.fdopen(descriptor, "wb") as raw:
            with suppress(FileNotFoundError), _gzipped(path).open("rb") as before:
                shutil.copyfileobj(before, raw)
            with gzip.open(raw, "wb") as packed:
                shutil.copyfileobj(plain, packed)
        shutil.copymode(path, made)
        Path(made).replace(_gzipped(path))
        path.unlink()
    except BaseException:
        with suppress(OSError):
            Path(made).unlink()
        raise
