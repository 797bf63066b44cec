"""Work for which many wait, and which goes on although one of them, or all, are canceled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import anyio

from aiodp._aws.errors import CredentialsFailed
from aiodp._aws.processes import no_process_left

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from anyio.abc import TaskGroup

_MAX_RENEWAL: Final = 300.0
"""Seconds for one renewal; a process that asks a person may take minutes."""
_MIN_DELAY: Final = 1.0  # seconds after a first failure
_MAX_DELAY: Final = 30.0


class SharedWork:
    """Work for which any number of tasks wait; only `stop` cuts it off.

    Heartbeats go on when all around them is canceled, and so must what they wait for. Work that
    fails, or that returns False for "to no avail", is begun again after a growing delay only; until
    then, its result stands. `fail` makes of an error what those who wait raise.
    """

    def __init__(
        self,
        group: TaskGroup,
        work: Callable[[], Awaitable[bool]],
        fail: Callable[[Exception], Exception],
    ) -> None:
        self.began_at: float | None = None
        self._group = group
        self._work = work
        self._fail = fail
        self._done = anyio.Event()
        self._scope = anyio.CancelScope()
        self._error: Exception | None = None
        self._delay = 0.0
        self._next_at = -1.0

    def begin(self) -> None:
        """Begin it, unless it is under way or is not to be begun again yet."""
        if self.began_at is None and anyio.current_time() >= self._next_at:
            self.began_at = anyio.current_time()
            self._done = anyio.Event()
            self._scope = anyio.CancelScope(shield=True)
            self._group.start_soon(self._run, name="aiodp credentials")

    async def wait(self) -> None:
        """Begin it if it may be, and wait for its end; raise what it raised."""
        self.begin()
        await self._done.wait()
        if self._error is not None:
            raise self._error

    def forgive(self) -> None:
        """Let it begin at once the next time."""
        self._delay, self._next_at = 0.0, -1.0

    def stop(self) -> None:
        """Break it off if it is under way."""
        self._scope.cancel()

    async def _run(self) -> None:
        canceled = RuntimeError("their renewal was canceled")
        self._error = CredentialsFailed(canceled)
        avail = False
        try:
            with self._scope, anyio.fail_after(_MAX_RENEWAL):
                async with no_process_left():
                    avail = await self._work()
                self._error = None
        except Exception as error:  # noqa: BLE001 - of a provider
            self._error = self._fail(error)
        except anyio.get_cancelled_exc_class():
            # Not by us: asyncio ends all tasks, or what a provider awaited was canceled elsewhere.
            # If this task ended so, its group would cancel the block, in which the work runs.
            self._error = self._fail(canceled)
        finally:
            self._delay = 0.0 if avail else min(_MAX_DELAY, max(_MIN_DELAY, 2 * self._delay))
            self._next_at = anyio.current_time() + self._delay
            self.began_at = None
            self._done.set()
