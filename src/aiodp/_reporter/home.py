"""Where a reporter was opened: nowhere else can anything of it be waited for."""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from aiodp._concurrency import running_loop
from aiodp._errors import ReporterClosed

if TYPE_CHECKING:
    from types import TracebackType

_T = TypeVar("_T")

_FORKED: Final = (
    "the %s belongs to process %d, of which this one was forked, and does nothing for it: use it "
    "there, or open one here"
)
_OTHER_LOOP: Final = (
    "the reporter was opened in another event loop, and can be used only there: open it in this "
    "one; in tests, give the fixture and the test the same loop (pytest-asyncio: `loop_scope`)"
)
_OTHER_TASK: Final = (
    "the %s is left in another task than it was entered in, as pytest-asyncio does with a "
    "fixture that yields within `async with`: enter it in the test, or let anyio's plugin run both"
)


class Home:
    """The process and the event loop in which this was made."""

    def __init__(self, what: str = "reporter") -> None:
        self._what = what
        self._process = os.getpid()
        self._loop = running_loop()

    @property
    def is_forked(self) -> bool:
        """Whether this is a forked child of that process."""
        return os.getpid() != self._process

    def check_process(self) -> None:
        """Raise `ReporterClosed` in a forked child; callable from any thread."""
        if self.is_forked:
            raise ReporterClosed(_FORKED % (self._what, self._process))

    def check(self) -> None:
        """Raise `ReporterClosed` in a forked child, or in another event loop."""
        self.check_process()
        if running_loop() is not self._loop:
            raise ReporterClosed(_OTHER_LOOP)


class OneTaskBlock(AbstractAsyncContextManager[_T, bool | None]):
    """A block that is left in the task in which it was entered; otherwise it says what is wrong.

    In a forked child leaving it does nothing, for all there is to end belongs to the parent.
    """

    def __init__(
        self, opened: AbstractAsyncContextManager[_T, bool | None], what: str = "reporter"
    ) -> None:
        self._opened = opened
        self._what = what
        self._home: Home
        self._task: int

    async def __aenter__(self) -> _T:
        self._home, self._task = Home(), anyio.get_current_task().id
        return await self._opened.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if self._home.is_forked:
            return None
        try:
            return await self._opened.__aexit__(kind, error, traceback)
        except RuntimeError as failure:  # of anyio's or trio's task groups
            if anyio.get_current_task().id == self._task:
                raise
            raise RuntimeError(_OTHER_TASK % self._what) from failure
