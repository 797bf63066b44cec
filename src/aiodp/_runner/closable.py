"""A coroutine that is closed if it goes on although it is canceled again and again."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator

_MAX_SWALLOWED: Final = 1000
"""Cancellations after which no clean-up is believed in; a canceled scope repeats them at once."""


class Closable:
    """Awaits a coroutine, for as long as it may go on.

    Once `is_stopped`, it may swallow so many cancellations; the next one closes it, as
    `coroutine.close` does, and is raised here. One that even swallows that is never resumed.
    """

    def __init__(
        self, coroutine: Coroutine[Any, Any, None], is_stopped: Callable[[], bool]
    ) -> None:
        self.closed = False
        self._coroutine = coroutine
        self._is_stopped = is_stopped
        self._swallowed = 0

    def __await__(self) -> Generator[Any, Any, None]:
        """Do as the coroutine does: yield what it yields, and pass on what comes."""
        resume: Callable[[], Any] = partial(self._coroutine.send, None)
        while True:
            try:
                awaited = resume()
            except StopIteration:
                return
            try:
                value = yield awaited
                resume, error = partial(self._coroutine.send, value), _error_in(value)
            except BaseException as raised:  # noqa: BLE001 - passed on, or raised below
                resume, error = partial(self._coroutine.throw, raised), raised
            if error is not None and self._is_final(error):
                self._close()
                raise error

    def _is_final(self, error: BaseException) -> bool:
        if isinstance(error, anyio.get_cancelled_exc_class()) and self._is_stopped():
            self._swallowed += 1
            self.closed = self._swallowed > _MAX_SWALLOWED
        return self.closed or isinstance(error, GeneratorExit)

    def _close(self) -> None:
        with suppress(BaseException):  # whatever it raises, nobody waits for it
            self._coroutine.close()


def _error_in(value: object) -> BaseException | None:
    """Return what trio has raised where it is awaited; it sends it in an `outcome.Error`."""
    error = getattr(value, "error", None)
    return error if isinstance(error, BaseException) else None
