"""What a call waits for, so that one which is not answered in time can say it."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from aiodp._aws.errors import TIMED_OUT
from aiodp._types import Outcome, ReportKind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterator

_T = TypeVar("_T")

AN_ANSWER: Final = "an answer"


class _Call:
    """A call under way; the tasks that it starts see the same one."""

    __slots__ = ("waits_for",)

    def __init__(self) -> None:
        self.waits_for: str | None = None


_call: ContextVar[_Call | None] = ContextVar("aiodp_call", default=None)


async def answer_within(limit: float, call: Awaitable[_T]) -> _T | Outcome:
    """Return what a call returns; after so many seconds, a timeout that says what it waited for."""
    state = _Call()
    token = _call.set(state)
    try:
        with anyio.move_on_after(limit):
            return await call
    finally:
        _call.reset(token)
    if state.waits_for is None:
        return TIMED_OUT
    words = f"a call was not answered in time: after {limit:.1f} s it waited for {state.waits_for}"
    return Outcome(kind=ReportKind.TIMEOUT, error=TimeoutError(words))


def now_waiting_for(what: str) -> None:
    """Note what the call under way waits for from now on."""
    if (call := _call.get()) is not None:
        call.waits_for = what


@contextmanager
def waiting_for(what: str) -> Iterator[None]:
    """Note what the call under way waits for inside the block; if it is cut off there, for good."""
    call = _call.get()
    before = None if call is None else call.waits_for
    now_waiting_for(what)
    yield
    if call is not None:
        call.waits_for = before
