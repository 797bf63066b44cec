"""The service's timers against a plain dictionary of due times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from aiodp.emulator._model.timers import Due, Timed, Timers

if TYPE_CHECKING:
    from collections.abc import Callable

MOVES = st.lists(st.tuples(st.integers(0, 4), st.none() | st.integers(1, 50)), max_size=40)


@given(moves=MOVES, step=st.integers(1, 20))
def test_timers_fire_in_order_at_their_last_due_time(moves, step):
    """However timers are moved or stopped, each fires once, when it was last said to be due."""
    fired: list[tuple[float, int]] = []
    timers = Timers(lambda: None)
    owners = [Timed() for _ in range(5)]
    timers.handle(Due.RETRY, lambda owner, when: fired.append((when, owners.index(owner))))
    due: dict[int, float] = {}
    for number, when in moves:
        if when is None:
            timers.stop(owners[number], Due.RETRY)
            due.pop(number, None)
        else:
            timers.set(owners[number], Due.RETRY, when)
            due[number] = when
        assert owners[number].due(Due.RETRY) == due.get(number)
        assert timers.next() == min(due.values(), default=None)
    for now in range(0, 50 + step, step):
        timers.run(now)
        assert sorted(fired) == sorted((when, n) for n, when in due.items() if when <= now)
    assert [when for when, _ in fired] == sorted(when for when, _ in fired)


def test_an_owner_has_a_timer_of_each_kind():
    """What is due of one kind is apart from the others; all of it can be stopped at once."""
    fired: list[tuple[str, float]] = []
    timers, owner = Timers(lambda: None), Timed()

    def note(kind: Due) -> Callable[[Timed, float], None]:
        return lambda _, when: fired.append((kind, when))

    for kind in (Due.RETRY, Due.LATE, Due.EXPIRY):
        timers.handle(kind, note(kind))
    timers.set(owner, Due.LATE, 3.0)
    timers.set(owner, Due.RETRY, 2.0)
    timers.set(owner, Due.EXPIRY, 9.0)
    timers.run(5.0)
    assert fired == [(Due.RETRY, 2.0), (Due.LATE, 3.0)]
    timers.stop_all(owner)
    timers.run(50.0)
    assert len(fired) == 2


def test_an_earlier_timer_is_announced():
    """Who waits for the next timer is told when there is an earlier one, and only then."""
    told: list[str] = []
    timers = Timers(lambda: told.append("earlier"))
    first, second = Timed(), Timed()
    timers.set(first, Due.SILENCE, 10.0)
    assert len(told) == 1
    timers.set(second, Due.SILENCE, 20.0)
    assert len(told) == 1
    timers.set(second, Due.SILENCE, 5.0)
    assert len(told) == 2
    timers.set(second, Due.SILENCE, 30.0)
    assert len(told) == 2


def test_what_a_timer_starts_is_run_too():
    """What is set while others fire happens in the same run if it is due."""
    fired: list[float] = []
    timers, first, chained = Timers(lambda: None), Timed(), Timed()
    timers.handle(Due.TURN, lambda _, when: timers.set(chained, Due.RETRY, when + 1))
    timers.handle(Due.RETRY, lambda _, when: fired.append(when))
    timers.set(first, Due.TURN, 1.0)
    timers.run(5.0)
    assert fired == [2.0]
