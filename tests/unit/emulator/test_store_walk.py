"""Whatever is done to a service, its state file has all of it."""

from __future__ import annotations

import pytest

from aiodp.emulator import AuditKind
from aiodp.emulator._model.changes import _Noting
from aiodp.emulator._store import Store
from aiodp.emulator._store.unsaved import Unsaved
from unit.emulator.store_dump import dump
from unit.emulator.store_kit import Walk

STEPS = 150
HOOKS = {
    "assignments": (_Noting, "__setattr__", object.__setattr__),
    "timers": (_Noting, "touch", lambda _: None),
    "definitions": (Unsaved, "_new_definitions", lambda *_: iter(())),
    "events": (Unsaved, "_new_events", lambda _: iter(())),
    "calls": (Unsaved, "_new_calls", lambda _: []),
    "runners": (Unsaved, "_new_runners", lambda _: iter(())),
}
"""What tells the store of changes, each with what would not."""


def seeds(quick, slow):
    """Return seeds for a test, the last of them for a thorough run only."""
    more = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(quick, quick + slow)]
    return [*range(quick), *more]


@pytest.fixture
def store(tmp_path):
    """A state file."""
    store = Store(tmp_path / "state")
    yield store
    store.close()


def walk(store, seed):
    """Do things at random; after each of them the restored service must be the one that runs."""
    walking = Walk(store, seed)
    for number in range(STEPS):
        step = walking.step()
        shown = number % 10 == 9
        check(walking.restored(), walking.service, f"step {number}, {step}", shown=shown)


def check(kept, live, when, *, shown=True):
    found = dump(kept, shown=shown)
    for part, known in dump(live, shown=shown).items():
        assert found[part] == known, f"{when}: {part} is not as it was"


@pytest.mark.parametrize("seed", seeds(1, 5))
def test_the_file_has_all_that_the_service_knows_after_each_step(store, seed):
    """After every step the file has all that the service knows."""
    walk(store, seed)


@pytest.mark.parametrize("hook", HOOKS)
def test_a_missing_notification_of_the_store_is_found(store, hook, monkeypatch):
    """The test above fails if the store is not told of one kind of change."""
    monkeypatch.setattr(*HOOKS[hook])
    with pytest.raises((AssertionError, ValueError)):  # the latter: what is there has gaps
        walk(store, 0)


@pytest.mark.parametrize("seed", seeds(1, 2))
def test_a_restored_service_goes_on(store, seed):
    """Restored again and again, it gives no id twice, and a task to one worker at a time."""
    walking = Walk(store, seed)
    for number in range(STEPS):
        walking.step()
        if number % 7 == 0:
            before = walking.service
            walking.restart()
            check(walking.service, before, f"step {number}")
    audit = walking.service.audit
    given = [event.task_id for event in audit if event.kind is AuditKind.ASSIGNED]
    assert len(set(given)) == len(given) > 5
    audit.assert_single_owner()
