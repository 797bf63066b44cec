"""Slots which are past at the activation, and what startTimestamp makes of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from aiodp.emulator._definition.slots import Slots
from aiodp.emulator._model.runs import scheduler
from unit.emulator.lifecycle_kit import HOUR, INVALID
from unit.emulator.lifecycle_objects import EPOCH, Ref, activity, at, hourly, schedule, slots, stamp

READY = "WAITING_FOR_RUNNER"


# Slots which are past at the activation


def past(hours, **fields):
    return slots(hourly(startDateTime=stamp(hours=-hours)), **fields)


def test_past_slots_are_made_one_every_five_minutes(kit):
    """Backfill: a component's past slots are made in order, at most one each 300 s (dp-limits)."""
    kit.launch(past(2))
    assert sorted(kit.runs()) == [at("A", hours=-2)]
    kit.move(299)
    assert len(kit.runs()) == 1
    kit.move(1)
    assert sorted(kit.runs()) == [at("A", hours=-2), at("A", hours=-1)]
    kit.move(300)
    assert sorted(kit.runs()) == [at("A", hours=-2), at("A", hours=-1), at("A")]
    assert kit.fields(at("A", hours=-1))["@actualStartTime"] == stamp(minutes=5)


def test_backfill_leads_over_to_the_schedule(kit):
    """Once the past is made up for, each slot is made as it starts."""
    kit.launch(past(2))
    kit.move(3599)
    assert len(kit.runs()) == 3
    kit.move(1)
    assert kit.fields(at("A", hours=1))["@actualStartTime"] == stamp(hours=1)


def test_each_component_is_filled_up_by_itself(kit):
    """The rate of instance creation holds for each object, not for the pipeline."""
    kit.launch(past(1) | {"B": activity(schedule=Ref("S"))})
    assert sorted(kit.runs()) == [at("A", hours=-1), at("B", hours=-1)]


def test_past_slots_of_a_timeseries_run_at_once(kit):
    """A slot which has ended when its instance is made has nothing to wait for."""
    kit.launch(past(2, scheduleType="timeseries"))
    assert kit.runs() == {at("A", hours=-2): READY}


@pytest.mark.settings(instance_interval=0.0)
def test_the_backfill_interval_is_a_setting(kit):
    """instance_interval=0 makes all past slots at once."""
    kit.launch(past(3))
    assert len(kit.runs()) == 4


@pytest.mark.settings(max_backfill=None, instance_interval=0.0)
def test_ten_years_are_made_up_for_in_parts(kit, monkeypatch):
    """An activation makes a limited number of instances; the others follow second by second."""
    monkeypatch.setattr(scheduler, "_MAX_AT_ONCE", 40)
    monkeypatch.setattr(scheduler, "_MAX_IN_A_SECOND", 10)
    quarters = schedule("15 minutes", startDateTime="2016-01-01T00:00:00")
    kit.launch({"S": quarters, "A": activity(schedule=Ref("S")), "B": activity(schedule=Ref("S"))})
    for seconds in range(3):
        assert len(kit.query("INSTANCE")) == 40 + 10 * seconds
        kit.move(1)
    assert kit.take() is not None


def test_an_accidental_backfill_is_refused(kit):
    """An activation more than a day after the first slot is refused (dp-concepts-schedules)."""
    kit.prepare(slots(schedule("1 day", startDateTime=stamp(days=-1, seconds=-1))))
    assert kit.activate()["error"] == INVALID
    assert kit.runs() == {}
    assert kit.state() == "PENDING"


def test_a_backfill_of_a_day_is_done(kit):
    """Exactly one day is not more than a day."""
    kit.launch(slots(schedule("1 day", startDateTime=stamp(days=-1))))
    assert kit.runs() == {at("A", days=-1): READY}


@pytest.mark.settings(max_backfill=None)
def test_the_guard_against_backfill_can_be_lifted(kit):
    """max_backfill=None lets an activation fill up any past."""
    kit.launch(slots(schedule("1 day", startDateTime=stamp(days=-9))))
    assert kit.runs() == {at("A", days=-9): READY}


# startTimestamp


def test_slots_before_the_start_timestamp_are_skipped(kit):
    """Slots that start before startTimestamp become SKIPPED instances, all made at once."""
    kit.prepare(past(3))
    assert kit.activate(start=0) == {}
    assert kit.runs() == {at("A", hours=-n): "SKIPPED" for n in (1, 2, 3)} | {at("A"): READY}


def test_a_slot_around_the_start_timestamp_is_skipped(kit):
    """What counts is where the slot starts, so one that contains startTimestamp is skipped."""
    kit.prepare(past(1))
    kit.activate(start=-1800)
    assert kit.runs() == {at("A", hours=-1): "SKIPPED", at("A"): READY}


def test_slots_from_the_start_timestamp_on_are_filled_up(kit):
    """A startTimestamp in the past skips what is before it, and fills up the rest."""
    kit.prepare(past(3))
    kit.activate(start=-2 * HOUR)
    assert kit.runs() == {at("A", hours=-3): "SKIPPED", at("A", hours=-2): READY}
    kit.move(300)
    assert kit.status(at("A", hours=-1)) == READY


def test_a_start_timestamp_in_the_future_skips_what_comes_before_it(kit):
    """Coming slots that start before startTimestamp are SKIPPED as well, at the activation."""
    kit.prepare(slots(hourly()))
    kit.activate(start=2.5 * HOUR)
    skipped = {at("A", hours=n): "SKIPPED" for n in (0, 1, 2)}
    assert kit.runs() == skipped
    kit.move(hours=3)
    assert kit.runs() == skipped | {at("A", hours=3): READY}


def test_a_start_timestamp_lifts_the_guard_against_backfill(kit):
    """Whoever says where to start may activate a schedule of long ago."""
    kit.prepare(slots(schedule("1 day", startDateTime=stamp(days=-30))))
    assert kit.activate(start=0) == {}
    assert kit.status("A") == READY
    assert list(kit.runs().values()).count("SKIPPED") == 30


def test_no_more_than_a_hundred_slots_become_skipped_instances(kit):
    """Of many skipped slots the last 100 have an instance."""
    kit.prepare(slots(hourly(startDateTime=stamp(hours=-150))))
    kit.activate(start=0)
    skipped = sorted(
        instance_id for instance_id, status in kit.runs().items() if status == "SKIPPED"
    )
    assert len(skipped) == 100
    assert skipped[0] == at("A", hours=-100)


def test_skipped_slots_have_no_attempts(kit):
    """A SKIPPED instance is never handed out."""
    kit.prepare(past(2))
    kit.activate(start=0)
    assert kit.take_all() == [at("A")]
    assert kit.query("ATTEMPT") == [f"{at('A')}_Attempt=1"]


def test_a_later_start_timestamp_does_not_touch_what_was_made(kit):
    """Slots which have an instance are neither skipped nor made again."""
    kit.launch(slots(hourly()))
    kit.begin("A")
    assert kit.activate(start=600) == {}
    assert kit.runs() == {at("A"): "RUNNING"}
    kit.move(hours=1)
    assert kit.status(at("A", hours=1)) == READY


@pytest.mark.parametrize(
    ("start", "skipped_from"),
    [
        (datetime(9999, 12, 31, tzinfo=UTC), "9999-12-29T23:00:00"),
        (datetime.max.replace(tzinfo=UTC), "9999-12-30T23:00:00"),
    ],
    ids=["far", "last"],
)
def test_a_start_in_the_farthest_future(kit, boundaries, start, skipped_from):
    """Slots are counted, not walked through, up to the end of the calendar."""
    kit.prepare(slots(schedule("15 minutes")))
    assert kit.activate(start=(start - EPOCH).total_seconds()) == {}
    check_only_skipped(kit, skipped_from)
    assert len(boundaries) < 1000


def test_a_start_in_milliseconds(kit, boundaries):
    """A startTimestamp which was meant in another unit is answered as the end of all time."""
    kit.prepare(slots(schedule("15 minutes")))
    milliseconds = EPOCH.timestamp() * 1000
    assert kit.activate(start=milliseconds - EPOCH.timestamp()) == {}
    check_only_skipped(kit, "9999-12-30T23:00:00")
    assert len(boundaries) < 1000


def check_only_skipped(kit, first):
    runs = kit.runs()
    assert set(runs.values()) == {"SKIPPED"}
    assert len(runs) == 100
    assert min(runs) == f"@A_{first}"
    assert kit.take() is None


@pytest.fixture
def boundaries(monkeypatch):
    """Each computing of where a slot starts, of which there may be a hundred thousand."""
    found: list[int] = []
    original = Slots._boundary

    def counted(slots, n):
        found.append(n)
        assert len(found) < 100_000, "it walks through all slots"
        return original(slots, n)

    monkeypatch.setattr(Slots, "_boundary", counted)
    return found
