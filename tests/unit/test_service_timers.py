"""The service's timers against a plain dictionary of due times."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aiodp.emulator._timers import Timer, Timers

MOVES = st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(1, 50)), max_size=40)


@given(moves=MOVES, step=st.integers(1, 20))
def test_timers_fire_in_order_at_their_last_due_time(moves, step):
    """However timers are moved or stopped, each fires once, when it was last said to be due."""
    fired: list[tuple[float, int]] = []
    timers = Timers(lambda: None)

    def make(number: int) -> Timer:
        return Timer(lambda when: fired.append((when, number)))

    each = [make(number) for number in range(5)]
    due: dict[int, float] = {}
    for number, when in moves:
        if when is None:
            each[number].due = None
            due.pop(number, None)
        else:
            timers.move(each[number], when)
            due[number] = when
        assert timers.next() == min(due.values(), default=None)
    for now in range(0, 50 + step, step):
        timers.run(now)
        assert sorted(fired) == sorted((when, n) for n, when in due.items() if when <= now)
    assert [when for when, _ in fired] == sorted(when for when, _ in fired)


def test_an_earlier_timer_is_announced():
    """Who waits for the next timer is told when there is an earlier one, and only then."""
    told: list[str] = []
    timers = Timers(lambda: told.append("earlier"))
    first, second = Timer(lambda _: None), Timer(lambda _: None)
    timers.move(first, 10.0)
    assert len(told) == 1
    timers.move(second, 20.0)
    assert len(told) == 1
    timers.move(second, 5.0)
    assert len(told) == 2
    timers.move(second, 30.0)
    assert len(told) == 2


def test_what_a_timer_starts_is_run_too():
    """A timer moved while others fire fires in the same run if it is due."""
    fired: list[float] = []
    timers = Timers(lambda: None)
    chained = Timer(fired.append)
    timers.move(Timer(lambda when: timers.move(chained, when + 1)), 1.0)
    timers.run(5.0)
    assert fired == [2.0]
