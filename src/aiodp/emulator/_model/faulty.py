"""What becomes of a call which a fault befalls."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from aiodp.emulator._model.faults import FaultKind
from aiodp.emulator._model.polls import Pending
from aiodp.emulator._model.replies import (
    CONTENT_TYPE,
    Answer,
    ServiceError,
    error_answer,
    raw_answer,
)

if TYPE_CHECKING:
    from collections.abc import Callable

UNANSWERED: Final = frozenset(
    {FaultKind.HANG, FaultKind.HANG_AFTER, FaultKind.RESET, FaultKind.RESET_AFTER}
)
HANGING: Final = frozenset({FaultKind.HANG, FaultKind.HANG_AFTER})
APPLIED: Final = frozenset({FaultKind.HANG_AFTER, FaultKind.RESET_AFTER})
"""Of those without an answer the ones which are applied all the same."""

_ERRORS: Final = {
    FaultKind.THROTTLE: ServiceError("ThrottlingException", "Rate exceeded"),
    FaultKind.SERVER_ERROR: ServiceError("InternalServiceError", "An internal error occurred"),
    FaultKind.UNAVAILABLE: ServiceError("ServiceUnavailable", "The service is unavailable"),
    FaultKind.ACCESS_DENIED: ServiceError(
        "AccessDeniedException", "User is not authorized to perform this action"
    ),
    FaultKind.EXPIRED_TOKEN: ServiceError(
        "ExpiredTokenException", "The security token included in the request is expired"
    ),
    FaultKind.INVALID_REQUEST: ServiceError("InvalidRequestException", "The request is invalid"),
}
_PAGE: Final = b"<html><head><title>Proxy</title></head><body>Try again later.</body></html>"
_BODIES: Final = {
    FaultKind.GARBAGE: (200, b'{"canceled": fal', CONTENT_TYPE),
    FaultKind.EMPTY: (200, b"", CONTENT_TYPE),
    FaultKind.HTML: (200, _PAGE, "text/html"),
    FaultKind.HTML_ERROR: (502, _PAGE, "text/html"),
    FaultKind.TYPE_IN_OK: (
        200,
        b'{"__type":"com.amazon.setl.webservice#InternalServiceError","message":"An error"}',
        CONTENT_TYPE,
    ),
}


def faulty_answer(kind: FaultKind, request_id: str) -> Answer | None:
    """Return the answer of a fault which has one of its own, so that nothing is applied."""
    if kind in _ERRORS:
        return error_answer(_ERRORS[kind], request_id)
    if kind in _BODIES:
        status, body, content_type = _BODIES[kind]
        return raw_answer(status, body, None, content_type, outcome=kind.value)
    return None


def spoil(kind: FaultKind, reply: Answer | Pending) -> Answer | Pending:
    """Return the service's own reply as it arrives at the client; most faults let it pass."""
    if kind is FaultKind.TRUNCATED:
        return when_answered(reply, _cut)
    if kind is FaultKind.WRONG_TYPE:
        return when_answered(reply, _mislabel)
    return reply


def when_answered(reply: Answer | Pending, change: Callable[[Answer], Answer]) -> Answer | Pending:
    """Return the reply, its answer changed; of a held poll once it comes."""
    if isinstance(reply, Answer):
        return change(reply)
    poll = reply

    def resume() -> Answer | None:
        answer = poll.resume()
        return None if answer is None else change(answer)

    return Pending(deadline=poll.deadline, answer=resume, abandoned=poll.abandon)


def _cut(answer: Answer) -> Answer:
    whole = answer.body or b"{}"  # an empty body has no end which could be missing
    headers = answer.headers | {"Content-Length": str(len(whole))}
    body = whole[: len(whole) // 2]
    outcome = FaultKind.TRUNCATED.value
    return replace(answer, body=body, headers=headers, outcome=outcome, truncated=True)


def _mislabel(answer: Answer) -> Answer:
    headers = answer.headers | {"Content-Type": "text/plain; charset=utf-8"}
    return replace(answer, headers=headers, outcome=FaultKind.WRONG_TYPE.value)
