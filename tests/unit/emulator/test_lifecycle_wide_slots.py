"""What depends on a schedule with very many slots costs what was made of them, not all of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aiodp.emulator._definition.slots import Period, Slots
from aiodp.emulator._model import dependencies
from unit.emulator.lifecycle_objects import Ref, activity, at, schedule

RARE, OFTEN = schedule("3 years"), schedule("15 minutes")
SLOTS = 105_120  # of 15 minutes in three years


@pytest.fixture
def looked_up(monkeypatch):
    """The ids of the instances that were looked for by their slots."""
    ids: list[str] = []

    def instance_id(component_id, stamp):
        ids.append(f"@{component_id}_{stamp}")
        return ids[-1]

    monkeypatch.setattr(dependencies, "instance_id", instance_id)
    return ids


@pytest.mark.parametrize("mode", ["none", "cascade"])
@pytest.mark.parametrize(
    ("first", "then"), [("Often", "Rare"), ("Rare", "Often")], ids=["needs many", "is needed"]
)
def test_slots_which_are_to_come_are_not_looked_at(kit, looked_up, mode, first, then):
    """Neither as it is activated, nor as one of them ends or is described."""
    kit.launch(
        {
            "Default": {"failureAndRerunMode": mode},
            "Rare": RARE,
            "Often": OFTEN,
            "First": activity(schedule=Ref(first)),
            "Then": activity(schedule=Ref(then), dependsOn=Ref("First")),
        }
    )
    kit.move(1000.0)
    kit.finish("First")
    kit.describe("Then")
    assert len(looked_up) < 50 < SLOTS


def test_what_is_unmet_is_found_from_the_newest(kit, looked_up):
    """The newest of the slots ends last, so one look tells that not all of them are finished."""
    kit.launch(
        {
            "Daily": schedule("1 day"),
            "Often": OFTEN,
            "First": activity(schedule=Ref("Often")),
            "Then": activity(schedule=Ref("Daily"), dependsOn=Ref("First")),
        }
    )
    for n in range(20):
        kit.finish(at("First", minutes=15 * n))
        kit.move(900.0)
    looked_up.clear()
    kit.finish(at("First", minutes=15 * 20))
    assert len(looked_up) <= 2


@pytest.mark.parametrize(
    ("period", "date"),
    [
        (Period(number=1, unit="months"), datetime(9000, 12, 31, tzinfo=UTC)),
        (Period(number=36, unit="months"), datetime(2026, 5, 31, tzinfo=UTC)),
        (Period(number=3, unit="years"), datetime(9999, 12, 31, tzinfo=UTC)),
        (Period(number=15, unit="minutes"), datetime(9999, 12, 31, tzinfo=UTC)),
        (Period(number=7, unit="weeks"), datetime(1, 1, 31, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("first", [datetime(1, 1, 31, tzinfo=UTC), datetime(4, 2, 29, tzinfo=UTC)])
def test_the_slot_of_a_date_is_found_at_once(period, date, first, monkeypatch):
    """However many slots there are before it, a few boundaries are computed."""
    boundary, computed = Slots._boundary, []

    def counted(self, n):
        computed.append(n)
        return boundary(self, n)

    monkeypatch.setattr(Slots, "_boundary", counted)
    slots = Slots(first=first, period=period)
    n = slots.count_before(date)
    assert len(computed) <= 6
    assert slots.start(n) is None or slots.start(n) >= date
    assert n == 0 or slots.start(n - 1) < date
