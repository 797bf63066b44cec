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
    total = iter([0.0, 0.1, 0.0, 7.0, 7.05, 7.5])
    lease_clock = LeaseClock(suspended=lambda: next(total))
    assert [lease_clock.gained for _ in range(5)] == [0.0, 0.0, 7.0, 7.0, 7.5]


def test_a_system_was_suspended_while_the_time_since_its_start_ran_ahead(monkeypatch):
    """Of the one that stands still meanwhile."""
    times = {"since the start": 500.0}
    monkeypatch.setattr(clock, "_BOOTTIME", "since the start")
    monkeypatch.setattr(clock, "time", SimpleNamespace(clock_gettime=times.get))
    monkeypatch.setattr(clock, "system_time", lambda: 380.0)
    monkeypatch.setattr("sys.platform", "linux")
    assert time_suspended() == 120.0


def test_a_system_that_does_not_tell_of_suspensions_had_none(monkeypatch):
    """As macOS and Windows."""
    monkeypatch.setattr(clock, "_BOOTTIME", None)
    assert time_suspended() == 0.0


async def test_moments_are_converted_so_that_their_distance_from_now_is_the_true_one():
    """The user's scale stands still while the machine is suspended."""
    suspended = 5.0
    lease_clock = LeaseClock(suspended=lambda: suspended, system_time=float)
    lease_clock.loop_time = lambda: 40.0
    suspended += 100.0
    assert lease_clock.now() == 140.0
    assert lease_clock.to_user(150.0) == 50.0
    assert lease_clock.from_user(50.0) == 150.0


@pytest.mark.parametrize(("ahead", "replaced"), [(0.5, False), (0.75, True), (-9.0, False)])
async def test_a_loop_that_has_another_time_than_the_system_is_ahead(monkeypatch, ahead, replaced):
    """As freezegun makes it."""
    lease_clock = LeaseClock(suspended=float, system_time=float)
    lease_clock.loop_time = lambda: 1000.0
    monkeypatch.setattr("aiodp._reporter.clock.anyio.current_time", lambda: 1000.0 + ahead)
    assert lease_clock.loop_is_ahead is replaced


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
        assert await watch.sleep(anyio.Event(), delay, 0.0) == (0.0, None)
    assert pauses == [0.1, 0.1, 0.01]
    [message] = caplog.messages
    assert message.startswith("time.monotonic was replaced")
