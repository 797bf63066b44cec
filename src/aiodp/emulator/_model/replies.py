"""What the service does with a request: answer it, hold it, or leave it unanswered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiodp.emulator._errors import ServiceError

CONTENT_TYPE: Final = "application/x-amz-json-1.1"
NO_REQUEST_ID: Final = "00000000-0000-0000-0000-000000000000"
"""Of a request which does not reach the service of an account."""
_NAMESPACE: Final = "com.amazon.setl.webservice#"


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


class Pending:
    """A held long poll.

    Nothing is assigned before `resume()` returns an answer, so an abandoned poll loses no task.
    """

    def __init__(
        self,
        *,
        deadline: float,
        answer: Callable[[], Answer | None],
        abandoned: Callable[[], None],
    ) -> None:
        self.deadline = deadline
        self._answer = answer
        self._abandoned = abandoned
        self._open = True

    def resume(self) -> Answer | None:
        """Return the answer if there is one now: a task, or none because the deadline passed.

        Call it at the deadline, at each `Service.next_event()` and after each notification of
        a subscriber. Raises `RuntimeError` when the poll was answered or abandoned already.
        """
        if not self._open:
            raise RuntimeError("this poll has been answered or abandoned")
        answer = self._answer()
        self._open = answer is None
        return answer

    def abandon(self) -> None:
        """Forget the poll, because its client has gone; without effect after the answer."""
        if self._open:
            self._open = False
            self._abandoned()


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """`reply` comes `delay` service seconds late; the request itself is applied already."""

    delay: float
    reply: Answer | Pending


Reply = Answer | Pending | Hang | Reset | Slow


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
    """Return an answer of exactly this body; one of a proxy has no request id."""
    headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
    if request_id is not None:
        headers["x-amzn-RequestId"] = request_id
    return Answer(status=status, body=body, headers=headers, outcome=outcome)


def when_answered(reply: Answer | Pending, change: Callable[[Answer], Answer]) -> Answer | Pending:
    """Return a reply whose answer is changed, now or when a held poll gets one."""
    if isinstance(reply, Answer):
        return change(reply)
    poll = reply

    def resume() -> Answer | None:
        answer = poll.resume()
        return None if answer is None else change(answer)

    return Pending(deadline=poll.deadline, answer=resume, abandoned=poll.abandon)


def counted(reply: Answer | Pending, count: Callable[[str], None]) -> Answer | Pending:
    """Return the reply, whose outcome is counted when it is answered."""

    def count_answer(answer: Answer) -> Answer:
        count(answer.outcome)
        return answer

    return when_answered(reply, count_answer)
