"""A coroutine that is closed if it goes on although it is canceled again and again."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Self, cast

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

_MAX_SWALLOWED: Final = 1000
"""Cancellations after which no clean-up is believed in; a canceled scope repeats them at once."""


class Closable:
    """Awaits a coroutine, for as long as it may go on.

    Once `is_stopped`, it and the tasks that it awaits may swallow so many cancellations; the next
    one closes it, as `coroutine.close` does, and is raised here. One that even swallows that is
    never resumed, and a task that it awaits goes on without it.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], is_stopped: Callable[[], bool]
    ) -> None:
        self.closed = False
        self._coroutine: Any = coroutine
        self._is_stopped = is_stopped
        self._swallowed = 0

    def __await__(self) -> Generator[Any, Any, None]:
        return cast("Generator[Any, Any, None]", self)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> object:
        return self.send(None)

    def send(self, value: object) -> object:
        """Resume the coroutine."""
        self._close_at_last(_error_in(value))
        return self._leavable(self._coroutine.send(value))

    def throw(self, error: BaseException) -> object:
        """Resume the coroutine by an exception."""
        self._close_at_last(error)
        return self._leavable(self._coroutine.throw(error))

    def close(self) -> None:
        """Close the coroutine."""
        with suppress(BaseException):  # whatever it raises, nobody waits for it
            self._coroutine.close()

    def count_cancellation(self) -> bool:
        """Count one that the coroutine, or what it awaits, gets; return whether it closes it."""
        if self._is_stopped():
            self._swallowed += 1
            self.closed = self._swallowed > _MAX_SWALLOWED
        return self.closed

    # As those of the coroutine: where it waits shows whether it has heard an interruption.

    @property
    def cr_frame(self) -> object:
        """Its frame."""
        return self._coroutine.cr_frame

    @property
    def cr_await(self) -> object:
        """What the coroutine waits for."""
        return self._coroutine.cr_await

    def _leavable(self, awaited: object) -> object:
        """Return what the event loop is to wait for instead of what the coroutine awaits.

        A future that is more than that, such as a task, may be canceled and yet not be done.
        """
        if isinstance(awaited, asyncio.Future) and type(awaited) is not asyncio.Future:
            return next(_Wait(awaited, self).__await__())
        return awaited

    def _close_at_last(self, error: BaseException | None) -> None:
        if error is not None and self._is_final(error):
            self.close()
            raise error

    def _is_final(self, error: BaseException) -> bool:
        if isinstance(error, anyio.get_cancelled_exc_class()) and not self.closed:
            self.count_cancellation()
        return self.closed or isinstance(error, GeneratorExit)


class _Wait(asyncio.Future[None]):
    """Waits for a future of asyncio, which gets the cancellations, but for the one too many."""

    def __init__(self, awaited: asyncio.Future[Any], closable: Closable) -> None:
        super().__init__(loop=awaited.get_loop())
        self._awaited = awaited
        self._closable = closable
        awaited.add_done_callback(self._end)

    def cancel(self, msg: Any = None) -> bool:
        if self._closable.count_cancellation():
            return super().cancel(msg)
        return self._awaited.cancel(msg)

    def _end(self, _: object) -> None:
        if not self.done():
            self.set_result(None)


def _error_in(value: object) -> BaseException | None:
    """Return what trio has raised where it is awaited; it sends it in an `outcome.Error`."""
    error = getattr(value, "error", None)
    return error if isinstance(error, BaseException) else None
