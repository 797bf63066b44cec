"""The log of `aiodp emulate`: a line on stderr for each call, and for each warning."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from aiodp.cli._formatters import TextLines

_CALLS_LOGGER: Final = "aiodp.emulator.calls"
_SUBJECT_KEYS: Final = ("worker_group", "pipeline_id", "attempt_id", "task_id")
_KEYS: Final = ("operation", "outcome", "seconds", "region", "account", *_SUBJECT_KEYS)
_LONGEST_OPERATION: Final = len("ValidatePipelineDefinition")


class LogFormat(StrEnum):
    """The formats of a line."""

    TEXT = "text"
    JSON = "json"
    OFF = "off"
    """No line at all."""


class TextFormatter(logging.Formatter):
    """Columns for people: local time, operation, duration, outcome, and what the call names."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, UTC).astimezone()
        call = record.__dict__
        operation = (call["operation"] or "-").ljust(_LONGEST_OPERATION)
        subjects = [call[key] for key in _SUBJECT_KEYS if call[key]]
        if call["attempt_id"]:
            subjects.remove(call["task_id"])  # the attempt's id is readable, the task's is not
        parts = [
            f"{at:%H:%M:%S}",
            operation,
            f"{call['seconds']:8.3f}s",
            call["outcome"],
            *subjects,
        ]
        return " ".join(parts)


class JsonFormatter(logging.Formatter):
    """An object for programs, with always the same keys; a missing value is null."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        at = datetime.fromtimestamp(record.created, UTC)
        call = {key: record.__dict__[key] for key in _KEYS}
        return json.dumps({"time": at.isoformat(timespec="milliseconds")} | call)


_FORMATTERS: Final = {LogFormat.TEXT: TextFormatter, LogFormat.JSON: JsonFormatter}


def start_log(log_format: LogFormat) -> None:
    """Write the calls to stderr from now on, and the warnings of everything else.

    If the log is off, no record of a call is created.
    """
    others = logging.StreamHandler()
    others.setFormatter(TextLines())
    others.setLevel(logging.WARNING)
    logging.getLogger().addHandler(others)
    if log_format is LogFormat.OFF:
        return
    handler = logging.StreamHandler()
    handler.setFormatter(_FORMATTERS[log_format]())
    calls = logging.getLogger(_CALLS_LOGGER)
    calls.addHandler(handler)
    calls.setLevel(logging.INFO)
    calls.propagate = False
