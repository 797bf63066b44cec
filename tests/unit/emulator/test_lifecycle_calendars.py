"""Periods of the calendar: months and years are as long as they are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from unit.emulator.lifecycle_kit import DAY, Lifecycle
from unit.emulator.lifecycle_objects import at, schedule, slots

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"


def dated(year, month, day):
    return Lifecycle(epoch=datetime(year, month, day, tzinfo=UTC))


def ids_of(kit, count):
    """Let time pass until there are so many slots; return the dates of their starts."""
    while len(kit.runs()) < count:
        kit.move(days=27)
    return [instance_id.partition("_")[2][:10] for instance_id in sorted(kit.runs())][:count]


def test_months_are_counted_from_the_start():
    """Jan 31 + n months is the last day of a short month, and the 31st again after it."""
    kit = dated(2026, 1, 31)
    kit.launch(slots(schedule("1 month", startDateTime="2026-01-31T00:00:00")))
    assert ids_of(kit, 4) == ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30"]
    assert kit.fields("@A_2026-02-28T00:00:00")["@scheduledEndTime"] == "2026-03-31T00:00:00"


def test_in_a_leap_year_february_has_29_days():
    """Jan 31 + 1 month is Feb 29 in a leap year."""
    kit = dated(2028, 1, 31)
    kit.launch(slots(schedule("1 months", startDateTime="2028-01-31T00:00:00")))
    assert ids_of(kit, 3) == ["2028-01-31", "2028-02-29", "2028-03-31"]


def test_a_leap_day_returns_after_four_years():
    """Feb 29 + n years is Feb 28, and Feb 29 again in the next leap year."""
    kit = dated(2028, 2, 29)
    kit.launch(slots(schedule("1 year", startDateTime="2028-02-29T00:00:00")))
    starts = ids_of(kit, 5)
    assert starts == ["2028-02-29", "2029-02-28", "2030-02-28", "2031-02-28", "2032-02-29"]


def test_a_slot_ends_where_the_next_begins():
    """A slot of a month is as long as the month, and runs at its end under timeseries."""
    kit = dated(2026, 2, 1)
    kit.launch(
        slots(schedule("1 Month", startDateTime="2026-02-01T00:00:00"), scheduleType="timeseries")
    )
    kit.move(28 * DAY - 1)
    assert kit.runs() == {"@A_2026-02-01T00:00:00": WAITING}
    kit.move(1)
    assert kit.runs()["@A_2026-02-01T00:00:00"] == READY


@pytest.mark.parametrize(
    ("period", "seconds"), [("15 Minutes", 900), ("2 days", 2 * DAY), ("1 week", 7 * DAY)]
)
def test_other_periods_are_of_fixed_length(kit, period, seconds):
    """Minutes, hours, days and weeks are what they are, in any case and number."""
    kit.launch(slots(schedule(period)))
    kit.move(seconds - 1)
    assert len(kit.runs()) == 1
    kit.move(1)
    assert sorted(kit.runs()) == [at("A"), at("A", seconds=seconds)]
