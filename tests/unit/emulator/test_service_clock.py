"""The clock of a service whose time passes faster or slower than real time."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from aiodp.emulator import ServiceClock


@pytest.fixture
def wall(monkeypatch):
    """The real time, moved by hand."""
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr("aiodp.emulator._clock.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def test_it_goes_at_its_scale_until_it_has_caught_up(wall):
    """59 minutes behind, at 60 it is there after a minute, and goes on in real time."""
    clock = ServiceClock(60, behind=59 * 60)
    for passed, shown in ((0, 0), (30, 1800), (60, 3600), (61, 3601), (3600, 7140)):
        wall.now = 100 + passed
        assert clock() == pytest.approx(shown)


def test_real_seconds_are_told_across_that_moment(wall):
    """What is due before it comes soon, what is due after it in real time."""
    clock = ServiceClock(60, behind=59 * 60)
    assert clock.real(1800) == pytest.approx(30)
    assert clock.real(3600) == pytest.approx(60)
    assert clock.real(3700) == pytest.approx(160)
    for start in (0, 17, 59, 60, 100):
        wall.now = 100 + start
        for seconds in (1, 60, 4000):
            wall.now = 100 + start
            before, real = clock(), clock.real(seconds)
            wall.now += real
            assert clock() - before == pytest.approx(seconds)


def test_it_jumps_no_further_than_to_the_time_of_day(wall):
    """A jump catches up; one that would be ahead is refused, and changes nothing."""
    clock = ServiceClock(2, behind=100)
    clock.jump(90)
    assert clock() == 90
    with pytest.raises(ValueError, match="only 10 s behind the time of day"):
        clock.jump(11)
    clock.jump(10)
    wall.now += 50
    assert clock() == 150
    assert clock.real(7) == 7


def test_a_slow_clock_never_catches_up(wall):
    """At half the speed it falls back further."""
    clock = ServiceClock(0.5, behind=10)
    wall.now += 1000
    assert clock() == 500
    assert clock.real(7) == 14
    clock.jump(510)
    assert clock() == 1010


def test_without_a_start_in_the_past_nothing_holds_it(wall):
    """As of old, it runs ahead, and jumps wherever it is told."""
    clock = ServiceClock(60)
    wall.now += 10
    clock.jump(1000)
    assert clock() == 1600
    assert clock.real(60) == 1


@pytest.mark.parametrize("behind", [-1, float("inf"), float("nan")])
def test_it_starts_in_the_past(behind):
    """A start in the future, or at no time, is refused."""
    with pytest.raises(ValueError, match="0 or more seconds behind"):
        ServiceClock(behind=behind)
