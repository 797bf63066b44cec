"""Slots: which there are, when an instance of each is made, and when it may run."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import HOUR, INVALID
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    hourly,
    node,
    on_resource,
    resource,
    schedule,
    slots,
    stamp,
)

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"


# cron, timeseries and ondemand


@pytest.mark.parametrize("kind", ["cron", "CRON", None])
def test_cron_runs_at_the_start_of_each_slot(kit, kind):
    """cron, which is also what an object with a schedule has by default, runs as a slot starts."""
    kit.launch(slots(hourly(), **({"scheduleType": kind} if kind else {})))
    assert kit.runs() == {at("A"): READY}
    kit.move(3599)
    assert len(kit.runs()) == 1
    kit.move(1)
    assert kit.runs() == {at("A"): READY, at("A", hours=1): READY}


@pytest.mark.parametrize("kind", ["timeseries", "TimeSeries"])
def test_timeseries_runs_at_the_end_of_each_slot(kit, kind):
    """A timeseries instance is made as its slot starts, and waits until the slot's end."""
    kit.launch(slots(hourly(), scheduleType=kind))
    assert kit.runs() == {at("A"): WAITING}
    kit.move(3599)
    assert kit.runs() == {at("A"): WAITING}
    kit.move(1)
    assert kit.runs() == {at("A"): READY, at("A", hours=1): WAITING}


def test_the_schedule_type_is_inherited(kit):
    """scheduleType of the object Default holds for all that have none of their own."""
    kit.launch(
        {"Default": {"scheduleType": "timeseries"}}
        | slots(hourly())
        | {"B": activity(schedule=Ref("S"), scheduleType="cron")}
    )
    assert kit.statuses("A", "B") == [WAITING, READY]


def test_a_resource_starts_with_its_slot_even_under_timeseries(kit):
    """Resources always start at the slot's start (the Developer Guide, dp-concepts-schedules)."""
    kit.launch(
        {
            "Default": {"scheduleType": "timeseries"},
            "S": hourly(),
            "Box": resource(schedule=Ref("S")),
            "A": on_resource(schedule=Ref("S"), scheduleType="cron"),
        }
    )
    assert kit.statuses("Box", "A") == ["CREATING", READY]


def test_a_slot_has_its_start_and_end(kit):
    """An instance's id names the start of its slot; its fields have start and end."""
    kit.launch(slots(hourly()))
    kit.move(hours=1)
    fields = kit.fields(at("A", hours=1))
    assert fields["@scheduledStartTime"] == stamp(hours=1)
    assert fields["@scheduledEndTime"] == stamp(hours=2)


def test_nothing_is_made_before_the_first_slot(kit):
    """A startDateTime in the future makes nothing until then."""
    kit.launch(slots(hourly(startDateTime=stamp(minutes=90))))
    kit.move(90 * 60 - 1)
    assert kit.runs() == {}
    kit.move(1)
    assert kit.runs() == {at("A", minutes=90): READY}


def test_an_activity_without_a_schedule_runs_once(kit):
    """Neither scheduled nor on demand: one run at the first activation, and never another."""
    kit.launch(daily(A=activity(schedule=None), B=activity()))
    kit.move(minutes=10)
    assert kit.activate() == {}
    kit.move(days=2)
    assert kit.runs("A") == {at("A"): READY}


def test_a_pipeline_whose_only_run_has_ended_is_finished(kit):
    """Without schedules nothing can come after the one run."""
    kit.launch({"A": activity(schedule=None)})
    kit.finish("A")
    assert kit.state() == "FINISHED"


def test_the_next_slot_is_the_next_event(kit):
    """next_event() is the start of the next slot when nothing else is to happen."""
    kit.launch(slots(hourly()))
    assert kit.service.next_event() == kit.clock.now + HOUR


def test_a_held_poll_is_answered_as_the_slot_starts(kit):
    """A long poll gets the task of a slot that starts meanwhile."""
    kit.launch(slots(hourly(startDateTime=stamp(seconds=45))))
    poll = kit.hold()
    kit.move(44)
    assert poll.resume() is None
    kit.move(1)
    assert poll.resume() is not None


def test_slots_over_which_the_time_jumps_are_made_in_their_order(kit):
    """After a jump of the service's time each slot was made at its own time."""
    kit.launch(slots(hourly()))
    kit.service.jump(2 * HOUR)
    assert sorted(kit.runs()) == [at("A", hours=n) for n in range(3)]
    assert kit.fields(at("A", hours=1))["@actualStartTime"] == stamp(hours=1)


# Where a schedule starts and ends


def test_the_first_activation_starts_a_schedule_at_a_whole_second(kit):
    """FIRST_ACTIVATION_DATE_TIME is the activation without its fraction of a second."""
    kit.move(5.75)
    kit.launch(slots(hourly(startAt="FIRST_ACTIVATION_DATE_TIME")))
    assert kit.runs() == {at("A", seconds=5): READY}
    kit.move(HOUR - 0.8)
    assert len(kit.runs()) == 1
    kit.move(0.1)
    assert sorted(kit.runs()) == [at("A", seconds=5), at("A", hours=1, seconds=5)]


def test_only_the_first_activation_starts_a_schedule(kit):
    """A later activation does not move a schedule which starts at the first one."""
    kit.launch(slots(hourly(startAt="FIRST_ACTIVATION_DATE_TIME")))
    kit.move(minutes=30)
    assert kit.activate() == {}
    kit.move(minutes=30)
    assert sorted(kit.runs()) == [at("A"), at("A", hours=1)]


def test_occurrences_end_a_schedule(kit):
    """A schedule of n occurrences has n slots; after their work the pipeline is FINISHED."""
    kit.launch(slots(hourly(occurrences="2")))
    kit.finish("A")
    assert kit.state() == "SCHEDULED"
    kit.move(hours=5)
    assert sorted(kit.runs()) == [at("A"), at("A", hours=1)]
    kit.finish(at("A", hours=1))
    assert kit.state() == "FINISHED"


def test_occurrences_count_slots_of_a_timeseries_too(kit):
    """The last occurrence of a timeseries runs at the end of its slot, when no slot is to come."""
    kit.launch(slots(hourly(occurrences="2"), scheduleType="timeseries"))
    kit.move(hours=1)
    kit.finish("A")
    assert kit.state() == "SCHEDULED"
    kit.move(hours=1)
    assert kit.status(at("A", hours=1)) == READY
    kit.finish(at("A", hours=1))
    assert kit.state() == "FINISHED"
    assert len(kit.runs()) == 2


@pytest.mark.parametrize(("end", "count"), [(60, 1), (90, 2), (120, 2), (121, 3)])
def test_slots_start_before_the_end_of_a_schedule(kit, end, count):
    """A slot belongs to a schedule while it starts before the endDateTime."""
    kit.launch(slots(hourly(endDateTime=stamp(minutes=end))))
    kit.move(hours=6)
    assert len(kit.runs()) == count


def test_a_schedule_which_ends_before_it_starts_is_an_error(kit):
    """Where both dates can be read, the definition has an error and cannot be activated."""
    kit.prepare(slots(hourly()))
    wrong = slots(hourly(startDateTime=stamp(hours=3), endDateTime=stamp(hours=2)))
    assert kit.put(wrong)["errored"] is True
    assert kit.activate()["error"] == INVALID


def test_a_schedule_whose_computed_end_is_past_has_no_slots(kit):
    """Without any slot nothing is to come, so the pipeline is FINISHED by its activation."""
    end = "#{makeDateTime(2026, 1, 1, 2, 0)}"
    kit.launch(slots(hourly(startDateTime=stamp(hours=3), endDateTime=end)))
    assert kit.state() == "FINISHED"
    kit.move(days=1)
    assert kit.runs() == {}


def test_the_dates_of_a_schedule_may_be_parameters(kit):
    """A startDateTime or endDateTime that holds an expression is evaluated."""
    kit.prepare(
        slots(hourly(startDateTime="#{myStart}", endDateTime="#{myEnd}")),
        parameters={"myStart": "String", "myEnd": "String"},
        values={"myStart": stamp(hours=1), "myEnd": stamp(hours=2, minutes=1)},
    )
    assert kit.activate() == {}
    kit.move(hours=9)
    assert sorted(kit.runs()) == [at("A", hours=1), at("A", hours=2)]


def test_an_end_may_be_computed(kit):
    """Functions in an endDateTime are evaluated."""
    kit.launch(slots(hourly(endDateTime="#{plusHours(makeDateTime(2026, 1, 1, 0, 0), 3)}")))
    kit.move(hours=9)
    assert len(kit.runs()) == 3


@pytest.mark.parametrize(
    "fields",
    [
        {"period": "#{'1 minute'}"},
        {"period": "#{'4 years'}"},
        {"period": "#{myCount} minutes"},
        {"occurrences": "#{0 - 1}"},
        {"occurrences": "#{myCount - 1}"},
        {"occurrences": "#{'many'}"},
    ],
)
def test_a_computed_schedule_keeps_the_bounds(kit, fields):
    """What an expression makes of a period or a count is checked at the activation."""
    kit.prepare(slots(hourly(myCount="1") | fields))
    assert kit.activate()["error"] == INVALID
    assert kit.state() == "PENDING"
    assert kit.runs() == {}


@pytest.mark.parametrize(
    ("fields", "value"), [({"period": "#{myOne}"}, "1 minute"), ({"occurrences": "#{myOne}"}, "-1")]
)
def test_a_parameter_keeps_the_bounds_of_a_schedule(kit, fields, value):
    """A value of ActivatePipeline is checked as one of the definition."""
    kit.prepare(slots(hourly() | fields), parameters={"myOne": "String"})
    assert kit.activate(values={"myOne": value})["error"] == INVALID
    assert kit.runs() == {}


def test_schedules_of_one_pipeline_go_on_side_by_side(kit):
    """Each component has the slots of its own schedule; both must end to finish the pipeline."""
    kit.launch(
        {
            "S1": hourly(occurrences="1"),
            "S2": schedule("2 hours", occurrences="2"),
            "A": activity(schedule=Ref("S1")),
            "B": activity(schedule=Ref("S2")),
        }
    )
    kit.move(hours=3)
    assert sorted(kit.runs()) == [at("A"), at("B"), at("B", hours=2)]
    kit.finish("A", "B")
    assert kit.state() == "SCHEDULED"
    kit.finish(at("B", hours=2))
    assert kit.state() == "FINISHED"


# What is instantiated


def test_each_runnable_component_has_one_instance_in_each_slot(kit):
    """Activities, data nodes and resources have instances; Default, schedules and formats none."""
    kit.launch(
        {
            "Default": {"scheduleType": "cron"},
            "S": hourly(),
            "Csv": {"type": "CSV"},
            "Db": {"type": "RedshiftDatabase", "clusterId": "c", "username": "u", "*password": "p"},
            "Data": node(schedule=Ref("S"), dataFormat=Ref("Csv")),
            "Box": resource(schedule=Ref("S")),
            "A": on_resource(schedule=Ref("S"), input=Ref("Data")),
        }
    )
    assert sorted(kit.runs()) == sorted([at("A"), at("Box"), at("Data")])
    kit.move(hours=1)
    assert len(kit.runs()) == 6


def test_a_resource_which_nobody_uses_has_no_instance(kit):
    """Without an activity that runsOn it a resource is never made."""
    kit.launch(daily(A=activity(), Box=resource()))
    assert kit.runs() == {at("A"): READY}


def test_the_actual_start_of_an_instance_is_when_it_was_made(kit):
    """`@actualStartTime` is the time at which the instance came to be, even while it waits."""
    kit.launch(slots(hourly(), scheduleType="timeseries"))
    kit.move(hours=1, minutes=7)
    assert kit.fields(at("A"))["@actualStartTime"] == stamp()
    assert kit.fields(at("A", hours=1))["@actualStartTime"] == stamp(hours=1)


def test_an_instance_is_made_with_the_service_time_of_its_slot(kit):
    """However long nobody calls the service, a slot's instance is made when the slot starts."""
    kit.launch(slots(hourly()))
    kit.clock.move(2 * HOUR + 700)
    assert kit.fields(at("A", hours=2))["@actualStartTime"] == stamp(hours=2)
