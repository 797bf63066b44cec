"""Where a reporter was opened: nowhere else can anything of it be waited for."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio

from aiodp._concurrency import running_loop
from aiodp._errors import ReporterClosed

if TYPE_CHECKING:
    from collections.abc import Iterator

_FORKED: Final = (
    "the %s belongs to process %d, of which this one was forked, and does nothing for it: use it "
    "there, or open one here"
)
_OTHER_LOOP: Final = (
    "the reporter was opened in another event loop, and can be used only there: open it in this "
    "one; in tests, give the fixture and the test the same loop (pytest-asyncio: `loop_scope`)"
)
_OTHER_TASK: Final = (
    "the {what} is left in another task than it was entered in, as pytest-asyncio does with a "
    "fixture that yields within `async with`: enter it in the test, or let anyio's plugin run both"
)


class Home:
    """The process and the event loop in which this was made."""

    def __init__(self, what: str = "reporter") -> None:
        self._what = what
        self._process = os.getpid()
        self._loop = running_loop()

    def check_process(self) -> None:
        """Raise `ReporterClosed` in a forked child; callable from any thread."""
        if os.getpid() != self._process:
            raise ReporterClosed(_FORKED % (self._what, self._process))

    def check(self) -> None:
        """Raise `ReporterClosed` in a forked child, or in another event loop."""
        self.check_process()
        if running_loop() is not self._loop:
            raise ReporterClosed(_OTHER_LOOP)


@contextmanager
def entered_and_left_in_one_task(what: str) -> Iterator[None]:
    """Say so if the block is left in another task than it was entered in."""
    task = anyio.get_current_task().id
    try:
        yield
    except RuntimeError as error:  # of anyio's or trio's task groups
        if anyio.get_current_task().id == task:
            raise
        raise RuntimeError(_OTHER_TASK.format(what=what)) from error
