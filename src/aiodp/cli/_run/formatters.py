"""How a log record is written: as text, as JSON, or as AWS's Task Runner writes it."""

from __future__ import annotations

import json
import logging
from abc import ABC, abstractmethod
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

EXTRAS: Final = ("task", "pipeline", "attempt", "type", "status", "seconds", "kind", "error")
"""What records tell beside their message."""
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"  # whatever the locale
_HIDDEN: Final = "***"
_SHORTEST_SECRET: Final = 8
"""AWS's have 40 characters; to hide a letter wherever it stands would tell which one it is."""
_NOTHING: Final = "-"


def printable(text: str) -> str:
    """Return the text in one line: what a command wrote may hold anything, escape codes too."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape", "surrogatepass").decode()


class _Formatter(logging.Formatter, ABC):
    """Hides secrets, wherever in a line they would stand."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = [one for one in secrets if len(one) >= _SHORTEST_SECRET]

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return self._hide(self._line(record))

    @abstractmethod
    def _line(self, record: logging.LogRecord) -> str:
        """Return the line with all that there is to say."""

    def _hide(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text

    def _message(self, record: logging.LogRecord) -> str:
        return printable(f"{record.getMessage()}{self._traceback(record)}")

    def _traceback(self, record: logging.LogRecord) -> str:
        return f"\n{self.formatException(record.exc_info)}" if record.exc_info else ""


class TextLines(_Formatter):
    """For people: the local time, the level, the message."""

    def _line(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        return f"{at:%Y-%m-%d %H:%M:%S} {record.levelname:<8} {self._message(record)}"


class JsonLines(_Formatter):
    """For programs: an object, always with the same keys; what a record does not tell is null."""

    def _line(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        told = {key: record.__dict__.get(key) for key in EXTRAS}
        line = {
            "time": at.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "message": self._hide(f"{record.getMessage()}{self._traceback(record)}"),
        }
        try:
            return json.dumps(line | told, default=str, allow_nan=False)
        except Exception:  # noqa: BLE001 - a handler's own extras may be anything
            return json.dumps(line | dict.fromkeys(EXTRAS))


class TaskRunnerLines(_Formatter):
    """As Task Runner has it: `13 Aug 2017 14:43:36,891 [INFO] (thread) pipeline class: text`.

    Times are UTC. Where a record is of no pipeline, a hyphen stands, so that columns stay columns.
    """

    def _line(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC)
        date = f"{at.day:02} {_MONTHS[3 * at.month - 3 : 3 * at.month]} {at.year} {at:%H:%M:%S}"
        pipeline = printable(str(record.__dict__.get("pipeline") or _NOTHING))
        where = f"{record.name}.{record.module.lstrip('_')}"
        return (
            f"{date},{at.microsecond // 1000:03} [{record.levelname}] "
            f"({printable(record.threadName or _NOTHING)}) {pipeline} {where}: "
            f"{self._message(record)}"
        )
