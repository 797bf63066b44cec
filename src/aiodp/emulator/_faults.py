"""Faults on demand: what goes wrong, in which calls, from when and how often."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from aiodp.emulator._replies import Answer, ServiceError, error_answer, raw_answer

if TYPE_CHECKING:
    from collections.abc import Callable


class FaultKind(StrEnum):
    """What a call gets instead of its answer."""

    THROTTLE = "throttle"
    SERVER_ERROR = "server_error"
    """500 InternalServiceError."""
    UNAVAILABLE = "unavailable"
    """503 ServiceUnavailable."""
    HANG = "hang"
    """Never applied, never answered."""
    RESET = "reset"
    """Never applied; the connection is dropped."""
    SLOW = "slow"
    """Applied at once, answered after ``Fault.delay``."""
    GARBAGE = "garbage"
    """200 with broken JSON."""
    EMPTY = "empty"
    """200 without a body, though nothing was applied."""
    HTML = "html"
    """200 with the page of a proxy."""
    HTML_ERROR = "html_error"
    """502 with the page of a proxy."""
    TYPE_IN_OK = "type_in_ok"
    """200 whose body names an error; botocore raises nothing for it."""
    ACCESS_DENIED = "access_denied"
    EXPIRED_TOKEN = "expired_token"  # noqa: S105  # a name, not a secret
    INVALID_REQUEST = "invalid_request"
    HANG_AFTER = "hang_after"
    """Applied, but never answered."""
    RESET_AFTER = "reset_after"
    """Applied, but the connection is dropped instead of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule of the script.

    ``actions``: operations it befalls, ``None`` for all. ``start``: service time, ``None`` for when
    it is added. ``duration``: service seconds, ``None`` for no end. ``count``: calls it befalls at
    most. ``every``: only each n-th matching call. ``delay``: for ``FaultKind.SLOW``, in seconds.
    """

    kind: FaultKind
    actions: frozenset[str] | None = None
    start: float | None = None
    duration: float | None = None
    count: int | None = None
    every: int = 1
    delay: float = 0.0

    def __post_init__(self) -> None:
        if self.every < 1:
            raise ValueError(f"every must be at least 1, not {self.every}")
        if self.delay < 0:
            raise ValueError(f"delay must not be negative, but is {self.delay}")


class _Rule:
    def __init__(self, fault: Fault, now: float) -> None:
        self.fault = fault
        self.start = now if fault.start is None else fault.start
        self.end = None if fault.duration is None else self.start + fault.duration
        self.matched = 0
        self.left = fault.count

    def over(self, now: float) -> bool:
        return self.left == 0 or (self.end is not None and now >= self.end)

    def befalls(self, action: str, now: float) -> bool:
        actions = self.fault.actions
        if now < self.start or (actions is not None and action not in actions):
            return False
        self.matched += 1
        if self.matched % self.fault.every:
            return False
        if self.left is not None:
            self.left -= 1
        return True


class Faults:
    """The script. Of several faults that fit a call, the one added first befalls it."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rules: list[_Rule] = []

    def add(self, fault: Fault) -> None:
        """Put a fault into the script."""
        self._rules.append(_Rule(fault, self._clock()))

    def clear(self) -> None:
        """End every fault. Calls which hang already go on hanging until their client gives up."""
        self._rules.clear()

    def take(self, action: str, now: float) -> Fault | None:
        """Return the fault that befalls this call, and count it."""
        if not self._rules:
            return None
        self._rules = [rule for rule in self._rules if not rule.over(now)]
        return next((rule.fault for rule in self._rules if rule.befalls(action, now)), None)


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
    FaultKind.GARBAGE: (200, b'{"canceled": fal', "application/x-amz-json-1.1"),
    FaultKind.EMPTY: (200, b"", "application/x-amz-json-1.1"),
    FaultKind.HTML: (200, _PAGE, "text/html"),
    FaultKind.HTML_ERROR: (502, _PAGE, "text/html"),
    FaultKind.TYPE_IN_OK: (
        200,
        b'{"__type":"com.amazon.setl.webservice#InternalServiceError","message":"An error"}',
        "application/x-amz-json-1.1",
    ),
}


def faulty_answer(kind: FaultKind, request_id: str) -> tuple[str, Answer] | None:
    """Return the outcome's name and the answer of a fault which has one of its own."""
    if kind in _ERRORS:
        return _ERRORS[kind].code, error_answer(_ERRORS[kind], request_id)
    if kind in _BODIES:
        status, body, content_type = _BODIES[kind]
        return kind.value, raw_answer(status, body, None, content_type)
    return None
