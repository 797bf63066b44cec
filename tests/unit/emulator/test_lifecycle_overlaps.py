"""Dependencies between slots, of the same schedule and of different ones."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from aiodp.emulator._model import dependencies
from unit.emulator.lifecycle_objects import Ref, activity, at, on_demand, schedule, stamp

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"


def test_a_dependency_with_the_same_schedule_is_that_of_the_same_slot(kit):
    """What is late in one slot does not hold up the next slot."""
    kit.launch(
        {
            "Hourly": schedule("1 hour"),
            "A": activity(schedule=Ref("Hourly")),
            "B": activity(schedule=Ref("Hourly"), dependsOn=Ref("A")),
        },
    )
    kit.move(hours=1)
    kit.finish(at("A", hours=1))
    assert kit.status(at("B", hours=1)) == READY
    assert kit.status(at("B")) == WAITING


def quarters(of: str = "00:00:00", **fields):
    return schedule("15 minutes", startDateTime=f"2026-01-01T{of}", **fields)


def test_a_dependency_with_a_shorter_schedule_must_finish_all_its_slots(kit):
    """All slots of the dependency which overlap the dependant's must exist and be FINISHED."""
    kit.launch(
        {
            "Hourly": schedule("1 hour"),
            "Quarters": quarters(),
            "Part": activity(schedule=Ref("Quarters")),
            "Whole": activity(schedule=Ref("Hourly"), dependsOn=Ref("Part")),
        },
    )
    for minutes in (0, 15, 30):
        kit.finish(at("Part", minutes=minutes))
        assert kit.status("Whole") == WAITING
        kit.move(minutes=15)
    assert kit.status("Whole") == WAITING
    kit.finish(at("Part", minutes=45))
    assert kit.status("Whole") == READY


def test_what_was_finished_before_a_later_slot_counts_too(kit):
    """Each of the overlapping slots counts by itself: the last made need not be the last done."""
    kit.launch(
        {
            "Hourly": schedule("1 hour"),
            "Quarters": quarters(),
            "Part": activity(schedule=Ref("Quarters")),
            "Whole": activity(schedule=Ref("Hourly"), dependsOn=Ref("Part")),
        },
    )
    kit.move(minutes=45)
    for minutes in (45, 30, 15):
        kit.finish(at("Part", minutes=minutes))
    assert kit.refs(at("Whole"), "@waitingOn") == [at("Part")]
    kit.finish("Part")
    assert kit.status("Whole") == READY


def test_a_dependency_with_a_longer_schedule_is_that_around_the_slot(kit):
    """Short slots wait for the one long slot in which they lie, and for no other."""
    kit.launch(
        {
            "Hourly": schedule("1 hour"),
            "Quarters": quarters(),
            "Whole": activity(schedule=Ref("Hourly")),
            "Part": activity(schedule=Ref("Quarters"), dependsOn=Ref("Whole")),
        },
    )
    kit.move(minutes=15)
    assert set(kit.runs("Part").values()) == {WAITING}
    kit.finish("Whole")
    assert set(kit.runs("Part").values()) == {READY}
    kit.move(minutes=45)
    assert kit.status(at("Part", minutes=45)) == READY
    assert kit.status(at("Part", minutes=60)) == WAITING


def test_a_slot_which_is_overlapped_only_in_part_is_needed_as_well(kit):
    """A dependency's slot that reaches into the dependant's must exist first, then finish."""
    kit.launch(
        {
            "Hourly": schedule("1 hour"),
            "Half": schedule("1 hour", startDateTime=stamp(minutes=30)),
            "A": activity(schedule=Ref("Hourly")),
            "B": activity(schedule=Ref("Half"), dependsOn=Ref("A")),
        },
    )
    kit.finish("A")
    kit.move(minutes=30)
    b = at("B", minutes=30)
    assert kit.status(b) == WAITING
    kit.move(minutes=30)
    assert kit.refs(b, "@waitingOn") == [at("A", hours=1)]
    kit.finish(at("A", hours=1))
    assert kit.status(b) == READY


def test_slots_which_only_touch_do_not_overlap(kit):
    """A slot does not contain its end: what begins then belongs to the next one."""
    kit.launch(
        {
            "Hourly": schedule("1 hour"),
            "Once": schedule("1 hour", occurrences="1"),
            "A": activity(schedule=Ref("Hourly")),
            "B": activity(schedule=Ref("Once"), dependsOn=Ref("A")),
        },
    )
    kit.finish("A")
    assert kit.status("B") == READY


def test_where_a_dependency_has_no_slot_nothing_is_waited_for(kit):
    """After the last slot of a dependency's schedule its dependants are free."""
    kit.launch(
        {
            "Hourly": schedule("1 hour"),
            "Once": schedule("1 hour", occurrences="1"),
            "A": activity(schedule=Ref("Once")),
            "B": activity(schedule=Ref("Hourly"), dependsOn=Ref("A")),
        },
    )
    kit.move(hours=1)
    assert kit.statuses(at("B"), at("B", hours=1)) == [WAITING, READY]


def test_a_timeseries_dependant_waits_for_its_time_as_well_as_for_its_dependency(kit):
    """Both must come: the end of the slot, and the dependency's end."""
    kit.launch(
        {
            "Hourly": schedule("1 hour"),
            "A": activity(schedule=Ref("Hourly")),
            "B": activity(schedule=Ref("Hourly"), dependsOn=Ref("A"), scheduleType="timeseries"),
        },
    )
    kit.finish("A")
    kit.move(3599)
    assert kit.status("B") == WAITING
    kit.move(1)
    assert kit.status("B") == READY


def test_skipped_counts_as_finished(kit):
    """A required instance which was SKIPPED by the activation holds nobody up."""
    kit.launch(
        {
            "Hourly": schedule("1 hour"),
            "Late": quarters("00:30:00"),
            "A": activity(schedule=Ref("Hourly")),
            "B": activity(schedule=Ref("Late"), dependsOn=Ref("A")),
        },
        start=1800,
    )
    kit.move(minutes=30)
    assert kit.status("A") == "SKIPPED"
    assert kit.status(at("B", minutes=30)) == READY


def test_runs_on_demand_depend_on_their_own_run_only(kit):
    """Two runs at once of an on-demand pipeline do not release each other's activities."""
    kit.launch(
        on_demand(
            A=activity(maxActiveInstances=2),
            B=activity(dependsOn=Ref("A"), maxActiveInstances=2),
        ),
    )
    kit.move(10)
    assert kit.activate() == {}
    kit.finish(at("A", seconds=10))
    assert kit.status(at("B", seconds=10)) == READY
    assert kit.statuses("A", "B") == ["RUNNING", WAITING]


@pytest.mark.parametrize("after", [0.0, 0.5, 1.0, 1800.0, 3599.5, 3600.0, 3600.5])
def test_what_has_no_schedule_waits_for_the_slot_it_falls_into(kit, after):
    """A single run has no length, but it needs the slot amid which it is activated."""
    kit.prepare(
        {"Hourly": schedule("1 hour"), "A": activity(schedule=Ref("Hourly")), "B": single()}
    )
    kit.move(after)
    kit.activate()
    kit.move(300)  # by then past slots have been made as well
    [b] = kit.runs("B")
    current = at("A", hours=after // 3600)
    assert kit.refs(b, "@waitingOn") == [current]
    kit.finish(current)
    assert kit.status(b) == READY


@pytest.mark.parametrize("after", [0.0, 0.5])
def test_what_has_no_schedule_waits_for_the_first_slot_to_come(kit, after):
    """Before the first slot of its dependency a single run waits for that."""
    first = {"minutes": 30}
    kit.prepare(
        {
            "Late": schedule("1 hour", startDateTime=stamp(**first)),
            "A": activity(schedule=Ref("Late")),
            "B": single(),
        },
    )
    kit.move(after)
    kit.activate()
    assert list(kit.runs("B").values()) == [WAITING]
    kit.move(minutes=30)
    assert list(kit.runs("B").values()) == [WAITING]
    kit.finish(at("A", **first))
    assert list(kit.runs("B").values()) == [READY]


def single():
    return activity(schedule=None, dependsOn=Ref("A"))


def test_slots_depend_on_the_newest_run_on_demand(kit):
    """What is activated has no slots, so its newest run counts; an older one is no matter."""
    kit.launch(
        {
            "Hourly": schedule("1 hour", startDateTime=stamp(minutes=30)),
            "X": activity(schedule=None, scheduleType="ondemand", maxActiveInstances=2),
            "A": activity(schedule=Ref("Hourly"), dependsOn=Ref("X")),
        }
    )
    kit.move(minutes=10)
    assert kit.activate() == {}
    newest = at("X", minutes=10)
    kit.move(minutes=20)
    a = at("A", minutes=30)
    assert kit.refs(a, "@waitingOn") == [newest]
    kit.finish("X")
    assert kit.status(a) == WAITING
    kit.finish(newest)
    assert kit.status(a) == READY


def test_an_end_concerns_only_slots_which_overlap_it(kit):
    """Of many slots that have begun only the one around it is released."""
    kit.launch(
        {
            "Hourly": schedule("1 hour"),
            "Daily": schedule(occurrences="1"),
            "A": activity(schedule=Ref("Daily")),
            "B": activity(schedule=Ref("Hourly"), dependsOn=Ref("C")),
            "Thirds": schedule("20 minutes"),
            "C": activity(schedule=Ref("Thirds")),
        }
    )
    kit.move(hours=1, minutes=40)
    kit.finish(*(at("C", minutes=n) for n in (60, 80, 100)))
    assert kit.statuses("B", at("B", hours=1)) == [WAITING, READY]


def test_what_was_made_before_its_schedule_was_cut_is_released(kit):
    """A slot which the newest definition does not have any more is still waited for."""
    definition = {
        "Thirds": schedule("20 minutes"),
        "Hourly": schedule("1 hour", occurrences="2"),
        "A": activity(schedule=Ref("Thirds")),
        "B": activity(schedule=Ref("Hourly"), dependsOn=Ref("A")),
    }
    kit.launch(definition)
    kit.move(hours=1, minutes=40)
    definition["Hourly"] = schedule("1 hour", occurrences="1")
    assert kit.put(definition)["errored"] is False
    assert kit.activate() == {}
    kit.finish(*(at("A", minutes=n) for n in (60, 80, 100)))
    assert kit.status(at("B", hours=1)) == READY


@pytest.mark.settings(instance_interval=0.0, max_active_instances=1000)
def test_the_cost_of_an_end_does_not_grow_with_the_past(kit, monkeypatch):
    """Only slots around the one that ended are looked at, however many have begun."""
    check = Mock(wraps=dependencies._is_counterpart)
    monkeypatch.setattr(dependencies, "_is_counterpart", check)
    kit.launch(
        {
            "Thirds": schedule("20 minutes"),
            "Hourly": schedule("1 hour"),
            "A": activity(schedule=Ref("Thirds")),
            "B": activity(schedule=Ref("Hourly"), dependsOn=Ref("A")),
        }
    )
    kit.move(hours=100)
    kit.begin(at("A", hours=50))
    check.reset_mock()
    kit.finish(at("A", hours=50))
    assert check.call_count == 1
