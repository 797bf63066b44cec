"""Log formats: text, JSON, and that of AWS's Task Runner."""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from aiodp._core.text import printable
from aiodp._redaction import HIDDEN, MIN_SECRET_LENGTH, redact

if TYPE_CHECKING:
    from collections.abc import Iterable

EXTRAS: Final = (
    *("task", "task_digest", "pipeline", "attempt", "type"),
    *("status", "seconds", "kind", "error"),
)
"""Attributes of records that JSON lines have beside the message."""
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"  # strftime's %b depends on the locale
_NO_VALUE: Final = "-"
MORE: Final = "    "
"""Stands before the further lines of a message, so that none is taken for a record of its own."""


class _Formatter(logging.Formatter, ABC):
    """Hides secrets wherever they occur in a line."""

    _breaks = ""
    """The line break, if a message may have any."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = [secret for secret in secrets if len(secret) >= MIN_SECRET_LENGTH]

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return self._hide(self._line(record))

    @abstractmethod
    def _line(self, record: logging.LogRecord) -> str:
        """Return the line with its secrets."""

    def _hide(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return redact(text)

    def _message(self, record: logging.LogRecord) -> str:
        return printable(f"{record.getMessage()}{self._traceback(record)}", keep=self._breaks)

    def _traceback(self, record: logging.LogRecord) -> str:
        if not record.exc_info:
            return ""
        return f"\n{record.exc_text or self.formatException(record.exc_info)}"


class TextLines(_Formatter):
    """For people: the local time, the level, the message.

    On a terminal, a message of several lines has them; all but the first are indented.
    """

    def __init__(self, secrets: Iterable[str] = (), *, terminal: bool = False) -> None:
        super().__init__(secrets)
        self._breaks = "\n" if terminal else ""

    def _line(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        line = f"{at:%Y-%m-%d %H:%M:%S} {record.levelname:<8} {self._message(record)}"
        return line.replace("\n", f"\n{MORE}")


class JsonLines(_Formatter):
    """For programs: an object with always the same keys; a missing attribute is null."""

    def _line(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        extras = {key: record.__dict__.get(key) for key in EXTRAS}
        line = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": self._hide(f"{record.getMessage()}{self._traceback(record)}"),
        }
        try:
            return json.dumps(line | extras, default=str, allow_nan=False)
        except Exception:  # noqa: BLE001 - a handler's own extras may be of any type
            return json.dumps(line | dict.fromkeys(EXTRAS))


class TaskRunnerLines(_Formatter):
    """For files: `13 Aug 2017 14:43:36,891 [INFO] (thread) pipeline class: text`.

    That is Task Runner's format. Times are in UTC; a hyphen stands for a missing pipeline.
    """

    def _line(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        date = f"{at.day:02} {_MONTHS[3 * at.month - 3 : 3 * at.month]} {at.year} {at:%H:%M:%S}"
        pipeline = printable(str(record.__dict__.get("pipeline") or _NO_VALUE))
        where = f"{record.name}.{record.module.lstrip('_')}"
        return (
            f"{date},{at.microsecond // 1000:03} [{record.levelname}] "
            f"({printable(record.threadName or _NO_VALUE)}) {pipeline} {where}: "
            f"{self._message(record)}"
        )
