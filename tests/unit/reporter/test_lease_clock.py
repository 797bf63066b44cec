"""The clock by which leases are judged, and the watch that looks at it; by clocks made by hand."""

from __future__ import annotations

import math
from types import SimpleNamespace

import anyio
import pytest

from aiodp._reporter import clock, leaps
from aiodp._reporter.clock import LeaseClock, time_suspended
from aiodp._reporter.leaps import LeapWatch

pytestmark = pytest.mark.anyio


async def test_what_was_suspended_before_the_clock_was_made_does_not_count():
    """Nor does what two clocks differ by because one is read after the other."""
    total = iter([1000.0, 1000.05, 1000.0, 1007.0, 1007.05, 1007.5])
    lease_clock = LeaseClock(suspended=lambda: next(total))
    assert [lease_clock.gained for _ in range(5)] == [0.0, 0.0, 7.0, 7.0, 7.5]


def test_a_system_that_does_not_tell_of_suspensions_had_none(monkeypatch):
    """As macOS and Windows."""
    monkeypatch.setattr(clock, "_BOOTTIME", None)
    assert time_suspended() == 0.0


class ReplacedTime(LeaseClock):
    """A clock whose event loop has another time, as freezegun makes it."""

    is_virtual = False
    loop_is_ahead = True

    def now(self):
        """Return a time that stands still."""
        return 0.0


async def test_heartbeats_go_on_while_the_time_of_the_loop_is_replaced(monkeypatch, caplog):
    """By short pauses in a thread, however far the next heartbeat is; that is said once."""
    pauses: list[float] = []
    monkeypatch.setattr(leaps, "time", SimpleNamespace(sleep=pauses.append))
    watch = LeapWatch(ReplacedTime(suspended=float, system_time=float))
    for delay in (math.inf, 60.0, 0.01):
        assert await watch.sleep(anyio.Event(), delay, 0.0) is None
    assert pauses == [0.1, 0.1, 0.01]
    [message] = caplog.messages
    assert message.startswith("time.monotonic was replaced")
