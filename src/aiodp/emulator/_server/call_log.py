"""One line in the log for each call over HTTP.

The records of the logger `aiodp.emulator.calls` are of level INFO and have what `about` returns
as attributes, for formatters of one's own.
"""

from __future__ import annotations

import json
import logging
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from aiodp._core.text import printable, shorten
from aiodp._log import logger_of
from aiodp.emulator._server.waiting import DroppedConnectionError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.emulator._model.replies import Answer
    from aiodp.emulator._server.call import Call

logger = logger_of("aiodp.emulator.calls")

_NAMED_BY_ANSWER: Final = frozenset({"CreatePipeline", "PollForTask"})
"""Operations whose answer names the pipeline or the task, which the request cannot name yet."""
_MAX_LENGTH: Final = 60  # characters of a value
_SHOWN: Final = ("worker_group", "pipeline_id", "attempt_id", "task_id")


class Entry:
    """What the log says of one call."""

    answer: Answer | None = None


@contextmanager
def timed(call: Call) -> Iterator[Entry]:
    """Log how a call went, and how long it took, when the block ends.

    The block puts the answer into the entry, or raises `DroppedConnectionError`.
    """
    entry = Entry()
    began = time.monotonic()
    try:
        yield entry
    except DroppedConnectionError as dropped:
        _log(call, None, dropped.outcome, time.monotonic() - began)
        raise
    if entry.answer is not None:
        _log(call, entry.answer, entry.answer.outcome, time.monotonic() - began)


def about(call: Call, answer: Answer | None) -> dict[str, str | None]:
    """Return what a call was about.

    The keys are `operation`, `region`, `account`, `worker_group`, `pipeline_id`, `attempt_id` and
    `task_id`; those which have no meaning for the call are `None`. Long values are shortened, and
    characters which cannot be printed are escaped, so that each call is one line.
    """
    members = _object(call.body)
    if answer is not None and call.operation in _NAMED_BY_ANSWER:
        result = _object(answer.body)
        members |= result | (result.get("taskObject") or {})
    return {
        "operation": _plain(call.operation),
        "region": _plain(call.region),
        "account": _plain(call.account),
        "worker_group": _plain(members.get("workerGroup")),
        "pipeline_id": _plain(members.get("pipelineId")),
        "attempt_id": _plain(members.get("attemptId")),
        "task_id": _plain(members.get("taskId")),
    }


def _log(call: Call, answer: Answer | None, outcome: str, seconds: float) -> None:
    if not logger.isEnabledFor(logging.INFO):
        return
    extra: dict[str, Any] = about(call, answer)
    shown = "".join(f" {extra[key]}" for key in _SHOWN if extra[key])
    extra |= {"outcome": outcome, "seconds": seconds}
    text = "%s %s in %.3f s%s"
    logger.info(text, extra["operation"], outcome, seconds, shown, extra=extra)


def _object(body: bytes) -> dict[str, Any]:
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _plain(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    text = shorten(value) if len(value) > _MAX_LENGTH else value
    return printable(text)
