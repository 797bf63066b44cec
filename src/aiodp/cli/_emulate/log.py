"""How `aiodp emulate` writes its log: a line on stderr for each call that was answered."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

_CALLS: Final = "aiodp.emulator.calls"
_WHAT: Final = ("worker_group", "pipeline_id", "attempt_id", "task_id")
_KEYS: Final = ("operation", "outcome", "seconds", "region", "account", *_WHAT)
_LONGEST_OPERATION: Final = len("ValidatePipelineDefinition")


class LogFormat(StrEnum):
    """The forms of a line."""

    TEXT = "text"
    JSON = "json"
    OFF = "off"
    """No line at all."""


class TextFormatter(logging.Formatter):
    """Columns for people: the local time, the operation, how long it took, and how it went."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        call = record.__dict__
        operation = (call["operation"] or "-").ljust(_LONGEST_OPERATION)
        what = [call[key] for key in _WHAT if call[key]]
        if call["attempt_id"]:
            what.remove(call["task_id"])  # an attempt says more than an opaque id
        parts = [f"{at:%H:%M:%S}", operation, f"{call['seconds']:8.3f}s", call["outcome"], *what]
        return " ".join(parts)


class JsonFormatter(logging.Formatter):
    """An object for programs, always with the same keys; what has no meaning is null."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, UTC)
        call = {key: record.__dict__[key] for key in _KEYS}
        return json.dumps({"time": at.isoformat(timespec="milliseconds")} | call)


_FORMATTERS: Final = {LogFormat.TEXT: TextFormatter, LogFormat.JSON: JsonFormatter}


def start_log(log_format: LogFormat) -> None:
    """Write the calls to stderr from now on; when it is off, they are not even put together."""
    if log_format is LogFormat.OFF:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(_FORMATTERS[log_format]())
    calls = logging.getLogger(_CALLS)
    calls.addHandler(handler)
    calls.setLevel(logging.INFO)
    calls.propagate = False
