"""How a call is answered when a fault applies to it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from aiodp.emulator._errors import ServiceError
from aiodp.emulator._model.faults import FaultKind
from aiodp.emulator._model.replies import (
    CONTENT_TYPE,
    Answer,
    Hang,
    Reset,
    Slow,
    counted,
    error_answer,
    raw_answer,
    when_answered,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._model.faults import Fault
    from aiodp.emulator._model.replies import Pending, Reply

_UNANSWERED: Final = frozenset(
    {FaultKind.HANG, FaultKind.HANG_AFTER, FaultKind.RESET, FaultKind.RESET_AFTER}
)
_HANGING: Final = frozenset({FaultKind.HANG, FaultKind.HANG_AFTER})
_APPLIED: Final = frozenset({FaultKind.HANG_AFTER, FaultKind.RESET_AFTER})
"""Those without an answer which are applied nevertheless."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A call of the API at the time `now`, and what a fault may do with it.

    `serve` does it at a time and returns the reply, `apply` does it without a reply.
    `jump` moves the service's time and returns it, `count` counts the call under its outcome.
    """

    now: float
    serve: Callable[[float], Answer | Pending]
    apply: Callable[[], object]
    jump: Callable[[float], float]
    request_id: Callable[[], str]
    count: Callable[[str], None]


def apply_fault(fault: Fault, call: Call) -> Reply:
    """Reply to a call as the fault has it."""
    kind, now = fault.kind, call.now
    if kind in _UNANSWERED:
        return _drop(kind, call)
    if kind is FaultKind.CLOCK_JUMP:
        now = call.jump(fault.jump)
    reply = _own_answer(kind, call.request_id()) or call.serve(now)
    corrupted = counted(_corrupt(kind, reply), call.count)
    return Slow(delay=fault.delay, reply=corrupted) if kind is FaultKind.SLOW else corrupted


def _drop(kind: FaultKind, call: Call) -> Reply:
    call.count(kind.value)
    if kind in _APPLIED:
        call.apply()  # a poll which would be held just ends
    return Hang(outcome=kind.value) if kind in _HANGING else Reset(outcome=kind.value)


def _own_answer(kind: FaultKind, request_id: str) -> Answer | None:
    """Return the answer of a fault which has one of its own, so that nothing is applied."""
    if kind in _ERRORS:
        return error_answer(_ERRORS[kind], request_id)
    if kind in _BODIES:
        status, body, content_type = _BODIES[kind]
        return raw_answer(status, body, None, content_type, outcome=kind.value)
    return None


def _corrupt(kind: FaultKind, reply: Answer | Pending) -> Answer | Pending:
    """Return the service's own reply as it arrives at the client, damaged by some faults."""
    if kind is FaultKind.TRUNCATED:
        return when_answered(reply, _cut)
    if kind is FaultKind.WRONG_TYPE:
        return when_answered(reply, _mislabel)
    return reply


def _cut(answer: Answer) -> Answer:
    whole = answer.body or b"{}"  # of an empty body nothing can be cut off
    headers = answer.headers | {"Content-Length": str(len(whole))}
    body = whole[: len(whole) // 2]
    outcome = FaultKind.TRUNCATED.value
    return replace(answer, body=body, headers=headers, outcome=outcome, truncated=True)


def _mislabel(answer: Answer) -> Answer:
    headers = answer.headers | {"Content-Type": "text/plain; charset=utf-8"}
    return replace(answer, headers=headers, outcome=FaultKind.WRONG_TYPE.value)
