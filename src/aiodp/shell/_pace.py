"""The time that S3 may take, for a connection may stay open on which nothing moves any more.

A client's own timeouts do not end that: after `100 Continue`, or when a byte comes now and then.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from aiodp._concurrency import clock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_T = TypeVar("_T")

ANSWER_TIMEOUT: Final = 60.0
"""Seconds in which S3 must answer, or send the next bytes."""
MIN_RATE: Final = 16 * 1024
"""Bytes per second that one file, or part of a file, must make beyond that."""
_TRIES: Final = 2
"""How often a call is made that is not answered in time."""


class StalledError(Exception):
    """S3 did not answer in time."""


class StalledBodyError(StalledError):
    """A body did not go on, or too slowly."""


async def in_time(call: Callable[[], Awaitable[_T]], *, size: int = 0) -> _T:
    """Return the answer of a call that moves `size` bytes; raise `StalledError` without one."""
    limit = ANSWER_TIMEOUT + size / MIN_RATE
    for _ in range(_TRIES):
        with anyio.move_on_after(limit):
            return await call()
    raise StalledError(f"S3 did not answer in {limit:.0f} s, {_TRIES} times")


class Pace:
    """The pace at which a body comes, from now on: only the time that is spent waiting counts."""

    def __init__(self) -> None:
        self._now = clock()
        self._waited = 0.0
        self._moved = 0

    async def next_chunk(self, read: Callable[[], Awaitable[bytes]]) -> bytes:
        """Read the next bytes; raise `StalledBodyError` if none come, or all too slowly."""
        began_at = self._now()
        chunk = None
        with anyio.move_on_after(ANSWER_TIMEOUT):
            chunk = await read()
        self._waited += self._now() - began_at
        if chunk is not None:
            self._moved += len(chunk)
            if self._waited <= ANSWER_TIMEOUT + self._moved / MIN_RATE:
                return chunk
        raise StalledBodyError(f"S3 sent only {self._moved:,} bytes in {self._waited:.0f} s")
