"""One line in the log for each call over HTTP.

The records of the logger `aiodp.emulator.calls` are of level INFO and have what `about` returns
as attributes, for formatters of one's own.
"""

from __future__ import annotations

import json
import logging
import time
from typing import TYPE_CHECKING, Any, Final

from aiodp._core.text import shorten
from aiodp.emulator._server.locked import DroppedConnectionError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._model.replies import Answer
    from aiodp.emulator._server.call import Call

logger = logging.getLogger("aiodp.emulator.calls")

_TELLING: Final = frozenset({"CreatePipeline", "PollForTask"})
"""Operations of which the answer tells more about the call than the request does."""
_LONGEST: Final = 60
_SHOWN: Final = ("worker_group", "pipeline_id", "attempt_id", "task_id")


def is_on() -> bool:
    """Return whether anybody reads the log; if not, it costs nothing else."""
    return logger.isEnabledFor(logging.INFO)


def logged(call: Call, answer: Callable[[], Answer]) -> Answer:
    """Return the answer of a call, and log how it went."""
    began = time.monotonic()
    try:
        given = answer()
    except DroppedConnectionError as dropped:
        _log(call, None, dropped.outcome, time.monotonic() - began)
        raise
    _log(call, given, given.outcome, time.monotonic() - began)
    return given


def about(call: Call, answer: Answer | None) -> dict[str, str | None]:
    """Return what a call was about: of these keys the ones without a meaning for it are `None`.

    `operation`, `region`, `account`, `worker_group`, `pipeline_id`, `attempt_id` and
    `task_id`. Long values are shortened, and what cannot be printed is replaced: a line stays
    one line.
    """
    told = _object(call.body)
    if answer is not None and call.operation in _TELLING:
        result = _object(answer.body)
        told |= result | (result.get("taskObject") or {})
    return {
        "operation": _plain(call.operation),
        "region": _plain(call.region),
        "account": _plain(call.account),
        "worker_group": _plain(told.get("workerGroup")),
        "pipeline_id": _plain(told.get("pipelineId")),
        "attempt_id": _plain(told.get("attemptId")),
        "task_id": _plain(told.get("taskId")),
    }


def _log(call: Call, answer: Answer | None, outcome: str, seconds: float) -> None:
    extra: dict[str, Any] = about(call, answer)
    shown = "".join(f" {extra[key]}" for key in _SHOWN if extra[key])
    extra |= {"outcome": outcome, "seconds": seconds}
    text = "%s %s in %.3f s%s"
    logger.info(text, extra["operation"], outcome, seconds, shown, extra=extra)


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _plain(value: Any) -> str | None:
    if not isinstance(value, str) or not value:
        return None
    text = shorten(value) if len(value) > _LONGEST else value
    return "".join(one if one.isprintable() else "?" for one in text)
