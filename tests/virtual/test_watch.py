"""The watch that a reporter in its own thread keeps over the event loop of the work."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
import pytest

from aiodp._reporter.own_thread import _watch_home
from virtual.kit import block

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import TaskGroup

pytestmark = pytest.mark.anyio


class Home:
    """A way to a loop that calls after a while what it is told, unless it is blocked."""

    def __init__(self, group: TaskGroup) -> None:
        self._group = group
        self.is_blocked = False

    def tell(self, function: Callable[[], object]) -> None:
        """Call it after less than half an interval, or never."""
        if not self.is_blocked:
            self._group.start_soon(self._call, function)

    async def _call(self, function: Callable[[], object]) -> None:
        await anyio.sleep(25)
        function()


async def test_a_loop_that_is_blocked_is_named_once(caplog):
    """After two intervals, and one that runs is not; when it has run, that is said anew."""
    async with anyio.create_task_group() as group:
        home = Home(group)
        group.start_soon(_watch_home, home, 60.0)  # type: ignore[arg-type]
        await anyio.sleep(630)
        assert caplog.messages == []
        home.is_blocked = True  # it has heard 5 seconds ago
        await anyio.sleep(120)
        assert caplog.messages == []
        await anyio.sleep(600)
        message = "the event loop has been blocked for 155 s; tasks are kept alive from a thread"
        assert caplog.messages == [message]
        home.is_blocked = False
        await anyio.sleep(600)
        home.is_blocked = True
        await anyio.sleep(240)
        assert caplog.messages == [message] * 2
        group.cancel_scope.cancel()


async def test_it_is_named_once_on_a_machine_that_is_busy(caplog):
    """Where each look at it comes a little late."""
    async with anyio.create_task_group() as group:
        home = Home(group)
        home.is_blocked = True
        group.start_soon(_watch_home, home, 60.0)  # type: ignore[arg-type]
        for _ in range(600):
            await anyio.sleep(0.7)
            block(0.6)
        assert len(caplog.messages) == 1
        group.cancel_scope.cancel()
