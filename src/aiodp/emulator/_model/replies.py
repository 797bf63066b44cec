"""What the service does with a request: answer it, hold it, or let it down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aiodp.emulator._model.polls import Pending

CONTENT_TYPE: Final = "application/x-amz-json-1.1"
_NAMESPACE: Final = "com.amazon.setl.webservice#"
_STATUS: Final = {
    "InternalServiceError": 500,
    "ServiceUnavailable": 503,
    "AccessDeniedException": 403,
    "ExpiredTokenException": 403,
}


class ServiceError(Exception):
    """A refusal by the service, under its name in the API.

    Everything but the service's own failures and access refusals is HTTP 400, even "not found"
    (the API reference of SetTaskStatus).
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def status(self) -> int:
        """The HTTP status it travels with."""
        return _STATUS.get(self.code, 400)


def invalid(message: str) -> ServiceError:
    """Return the error for a malformed request or one beyond a limit."""
    return ServiceError("InvalidRequestException", message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An HTTP answer; `truncated`: the connection ends before the length which it promises.

    `outcome` is its name in the counters and the log: "ok", an error's code, or a fault's name.
    """

    status: int
    body: bytes
    headers: dict[str, str]
    outcome: str = "ok"
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Hang:
    """The request is accepted and never answered."""

    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reset:
    """The connection is dropped without an answer."""

    outcome: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """`reply` comes `delay` service seconds late; the request itself is applied already."""

    delay: float
    reply: Answer | Pending


def json_answer(result: dict[str, Any] | None, request_id: str) -> Answer:
    """Return a success; `None` is the empty body which some operations answer."""
    body = b"" if result is None else json.dumps(result, separators=(",", ":")).encode()
    return raw_answer(200, body, request_id)


def error_answer(error: ServiceError, request_id: str) -> Answer:
    """Return a refusal in the service's own form."""
    body = json.dumps({"__type": _NAMESPACE + error.code, "message": error.message}).encode()
    return raw_answer(error.status, body, request_id, outcome=error.code)


def raw_answer(
    status: int,
    body: bytes,
    request_id: str | None,
    content_type: str = CONTENT_TYPE,
    *,
    outcome: str = "ok",
) -> Answer:
    """Return an answer of exactly this body; one without a request id is not the service's."""
    headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
    if request_id is not None:
        headers["x-amzn-RequestId"] = request_id
    return Answer(status=status, body=body, headers=headers, outcome=outcome)
