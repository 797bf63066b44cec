"""The watch for time that passes unseen: how long it sleeps, and what it has seen then."""

from __future__ import annotations

import math

import anyio
import pytest

from aiodp._reporter.clock import LeaseClock
from aiodp._reporter.leaps import Leap, LeapWatch
from aiodp.testing import VIRTUAL_TIME
from virtual.kit import block

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    """Asyncio on a clock that jumps."""
    return VIRTUAL_TIME


class Machine:
    """A machine that is suspended when the test says so."""

    def __init__(self):
        self.suspended = self.ahead = 0.0  # seconds; the latter of the event loop
        self.clock = LeaseClock(
            suspended=lambda: self.suspended,
            system_time=lambda: anyio.current_time() - self.ahead,
        )
        self.watch = LeapWatch(self.clock)

    async def sleep(self, delay, *, wake=None):
        """Sleep as the reporter does; return what is seen, and how long it took."""
        began = anyio.current_time()
        _, leap = await self.watch.sleep(wake or anyio.Event(), delay, self.clock.now())
        return leap, anyio.current_time() - began


@pytest.fixture
async def machine():
    """One whose event loop has the system's time."""
    await anyio.sleep(1000)
    return Machine()


@pytest.fixture
async def virtual():
    """One whose event loop runs ahead of the system's time."""
    machine = Machine()
    machine.ahead = 1.0
    return machine


@pytest.mark.parametrize(("ahead", "is_virtual"), [(0.0, False), (0.5, False), (0.75, True)])
async def test_a_loop_that_has_jumped_ahead_of_the_system_has_virtual_time(
    machine, ahead, is_virtual
):
    """Half a second is what it may take to read two clocks."""
    await anyio.sleep(3)
    machine.ahead = ahead
    assert machine.clock.is_virtual is is_virtual


async def test_while_there_are_leases_it_looks_at_the_clock_ten_times_a_second(machine, virtual):
    """In virtual time it does not, for that would take long for nothing."""
    assert await machine.sleep(60.0) == (None, pytest.approx(0.1))
    assert await machine.sleep(0.05) == (None, pytest.approx(0.05))
    assert await virtual.sleep(60.0) == (None, pytest.approx(60.0))


async def test_without_a_lease_it_sleeps_until_it_is_woken_up(machine):
    """A program that waits for tasks takes no time of the processor."""
    wake = anyio.Event()
    async with anyio.create_task_group() as group:

        async def wake_up():
            await anyio.sleep(500)
            wake.set()

        group.start_soon(wake_up)
        _, took = await machine.sleep(math.inf, wake=wake)
    assert took == pytest.approx(500)


async def test_it_is_woken_up_at_once(machine):
    """However far the next report is."""
    wake = anyio.Event()
    wake.set()
    assert await machine.sleep(60.0, wake=wake) == (None, 0.0)


@pytest.mark.parametrize(("seconds", "is_seen"), [(0.875, False), (1.0, False), (1.125, True)])
async def test_more_than_a_second_of_suspension_is_a_leap(machine, seconds, is_seen):
    """Which blocked nothing."""
    before = machine.clock.now()
    machine.suspended += seconds
    now, leap = await machine.watch.sleep(anyio.Event(), 0.0, before)
    assert now == machine.clock.now()
    assert leap == (Leap(suspended=seconds, blocked=0.0) if is_seen else None)
    assert machine.watch.longest_block == 0.0
    assert await machine.sleep(0.0) == (None, 0.0)


async def blocked(machine, delay, seconds):
    """Sleep while something blocks the event loop."""
    async with anyio.create_task_group() as group:

        async def do():
            block(seconds)

        group.start_soon(do)
        leap, _ = await machine.sleep(delay)
    return leap


async def test_a_block_is_as_long_as_nothing_could_run(machine, virtual):
    """In virtual time without what was slept by plan."""
    for seconds in (3.0, 2.0):
        leap = await blocked(machine, 60.0, seconds)
        assert (leap.suspended, leap.blocked) == (0.0, pytest.approx(seconds))
    assert machine.watch.longest_block == pytest.approx(3.0)
    leap = await blocked(virtual, 60.0, 100.0)
    assert (leap.suspended, leap.blocked) == (0.0, pytest.approx(40.0))
    assert await blocked(virtual, 60.0, 61.0) is None
    assert await blocked(machine, 60.0, 0.9) is None


async def test_a_suspension_and_a_block_at_once_are_told_apart(machine):
    """Each has its own seconds."""
    before = machine.clock.now()
    machine.suspended += 200.0
    block(3.0)
    now, leap = await machine.watch.sleep(anyio.Event(), 0.0, before)
    assert now == machine.clock.now()
    assert leap == Leap(suspended=200.0, blocked=3.0)
