"""An object without a schedule which objects on several schedules need."""

from __future__ import annotations

import pytest

from aiodp.emulator import AuditKind
from aiodp.emulator._clock import JumpingClock
from aiodp.emulator._store import ServiceStore, Store
from unit.emulator.lifecycle_kit import RETRY
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    alarm,
    at,
    node,
    on_resource,
    resource,
    schedule,
    shell_precondition,
    stamp,
)

pytestmark = pytest.mark.settings(resource_worker_group="box", max_retries=0)

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"
THIRDS, HOURLY = Ref("Thirds"), Ref("Hourly")


@pytest.fixture(params=["A", "B"])
def two_schedules(request):
    """Return what makes a definition with schedules of 20 minutes and of an hour, begun together.

    The slots of A's come first, or of B's.
    """
    first = request.param

    def define(**objects):
        both = {"Thirds": schedule("20 minutes"), "Hourly": schedule("1 hour")}
        return {first: objects[first]} | both | objects

    return define


@pytest.fixture
def shared(two_schedules):
    """Return what defines an activity C which A needs each 20 minutes, and B each hour."""

    def define(default=None, **common):
        return two_schedules(
            Default={"workerGroup": "workers"} | (default or {}),
            C=activity(schedule=None, **common),
            A=activity(schedule=THIRDS, dependsOn=Ref("C")),
            B=activity(schedule=HOURLY, dependsOn=Ref("C")),
        )

    return define


def test_one_instance_serves_the_slots_which_begin_together(kit, shared):
    """Two polls get one task, whichever schedule comes first in the definition."""
    kit.launch(shared())
    assert sorted(kit.runs()) == [at("A"), at("B"), at("C")]
    kit.begin("C")
    assert kit.take() is None
    kit.service.audit.assert_single_owner()


def test_both_wait_for_the_one_instance_and_are_released_by_it(kit, shared):
    """`dependsOn` and `@waitingOn` of both name it, and its end lets both go."""
    kit.launch(shared())
    for name in ("A", "B"):
        assert kit.refs(at(name), "dependsOn") == [at("C")]
        assert kit.refs(at(name), "@waitingOn") == [at("C")]
    kit.finish("C")
    assert kit.statuses("A", "B") == [READY, READY]


def test_slots_which_begin_alone_have_an_instance_of_their_own(kit, shared):
    """C is made in each slot of either schedule, once."""
    kit.launch(shared())
    kit.move(minutes=60)
    assert sorted(kit.runs("C")) == [at("C", minutes=n) for n in (0, 20, 40, 60)]
    kit.finish(at("C", minutes=20))
    assert kit.statuses(at("A", minutes=20), at("A", minutes=40), "B") == [READY, WAITING, WAITING]


def test_a_shared_instance_ends_with_the_shorter_slot(kit, shared):
    """`@scheduledEndTime` is the same at each start that the schedules have in common."""
    kit.launch(shared())
    kit.move(minutes=60)
    for minutes in (0, 60):
        end = kit.fields(at("C", minutes=minutes))["@scheduledEndTime"]
        assert end == stamp(minutes=minutes + 20)


def test_a_shared_instance_of_style_timeseries_runs_at_the_end_of_the_shorter_slot(kit, shared):
    """It need not wait for the end of the hour, and neither must its precondition."""
    kit.launch(
        shared(scheduleType="timeseries", precondition=Ref("Pre")) | {"Pre": shell_precondition()}
    )
    kit.move(minutes=20, seconds=-1)
    assert kit.statuses("C", "Pre") == [WAITING, WAITING]
    kit.move(1)
    assert kit.statuses("C", "Pre") == [WAITING, READY]
    kit.finish("Pre")
    assert kit.status("C") == READY


def test_the_precondition_of_a_shared_instance_is_checked_once(kit, shared):
    """There is one precondition for the one activity, and one worker checks it."""
    kit.launch(shared(precondition=Ref("Pre")) | {"Pre": shell_precondition()})
    assert sorted(kit.runs("Pre")) == [at("Pre")]
    kit.finish("Pre", "C")
    assert kit.statuses("A", "B") == [READY, READY]


def test_a_precondition_of_several_objects_is_checked_for_each(kit, two_schedules):
    """A and B have a precondition of their own each, though they share its component."""
    kit.launch(
        two_schedules(
            A=activity(schedule=THIRDS, precondition=Ref("Pre")),
            B=activity(schedule=HOURLY, precondition=Ref("Pre")),
            Pre=shell_precondition(),
        )
    )
    assert sorted(kit.runs("Pre")) == [at("Pre"), f"{at('Pre')}_2"]
    assert kit.take_all() == [at("Pre"), f"{at('Pre')}_2"]


def test_data_on_two_schedules_is_there_once(kit, two_schedules):
    """A data node without a schedule is guarded once for its readers on both schedules."""
    kit.launch(
        two_schedules(
            D=node(schedule=None, precondition=Ref("Pre")),
            A=activity(schedule=THIRDS, input=Ref("D")),
            B=activity(schedule=HOURLY, input=Ref("D")),
            Pre=shell_precondition(),
        )
    )
    assert sorted(kit.runs()) == [at("A"), at("B"), at("D"), at("Pre")]
    kit.finish("Pre")
    assert kit.statuses("D", "A", "B") == ["FINISHED", READY, READY]


def test_a_shared_resource_runs_the_tasks_of_both_schedules(kit, two_schedules):
    """One instance is up until the last of both has ended; later slots have their own."""
    kit.launch(
        two_schedules(
            Box=resource(schedule=None),
            A=on_resource(schedule=THIRDS),
            B=on_resource(schedule=HOURLY),
        )
    )
    assert [kit.fields(at(name))["runsOn"] for name in ("A", "B")] == [at("Box")] * 2
    kit.move(60)
    kit.begin("B", "box")
    kit.finish("A", group="box")
    assert kit.status("Box") == "RUNNING"
    kit.finish("B", group="box")
    assert kit.status("Box") == "SHUTTING_DOWN"
    kit.move(minutes=20)
    assert kit.statuses("Box", at("Box", minutes=20)) == ["FINISHED", "RUNNING"]


def test_a_shared_resource_waits_for_no_slot_that_begins_later(kit):
    """A slot of the other schedule which begins amid its own has a resource of its own."""
    kit.launch(
        {
            "Thirds": schedule("20 minutes", occurrences="3"),
            "Halves": schedule("30 minutes", occurrences="2"),
            "Box": resource(schedule=None),
            "A": on_resource(schedule=THIRDS),
            "B": on_resource(schedule=Ref("Halves")),
        }
    )
    kit.move(minutes=21)
    kit.finish(at("A", minutes=20), group="box")
    assert kit.status(at("Box", minutes=20)) == "SHUTTING_DOWN"
    kit.move(minutes=20)
    kit.finish("A", "B", at("B", minutes=30), at("A", minutes=40), group="box")
    kit.move(60)
    assert kit.state() == "FINISHED"


def test_what_runs_once_shares_with_the_slot_that_begins_then(kit):
    """The single run of what has no schedule has the second of a slot's start in its id as well."""
    kit.launch(
        {
            "S": schedule("1 hour"),
            "C": activity(schedule=None),
            "A": activity(schedule=Ref("S"), dependsOn=Ref("C")),
            "Once": activity(schedule=None, dependsOn=Ref("C")),
        }
    )
    assert sorted(kit.runs()) == [at("A"), at("C"), at("Once")]
    kit.finish("C")
    assert kit.statuses("A", "Once") == [READY, READY]


def test_a_shared_instance_is_canceled_once(kit, shared):
    """TRY_CANCEL reaches the worker that holds it, which is the only one."""
    kit.launch(shared())
    work = kit.begin("C")
    kit.tell("TRY_CANCEL", "C")
    assert kit.report(work) == {"canceled": True}
    assert kit.statuses("C", "A", "B") == ["CANCELED", WAITING, WAITING]


def test_the_failure_of_a_shared_instance_reaches_both_schedules(kit, shared):
    """In mode cascade both fail with it, and RERUN of it takes both along."""
    kit.launch(shared({"failureAndRerunMode": "cascade"}))
    kit.fail("C")
    assert kit.statuses("A", "B") == ["CASCADE_FAILED", "CASCADE_FAILED"]
    kit.tell("RERUN", "C")
    assert kit.statuses("C", "A", "B") == [READY, WAITING, WAITING]
    kit.finish("C")
    assert kit.statuses("A", "B") == [READY, READY]


@pytest.mark.settings(max_retries=1)
def test_a_shared_instance_is_tried_again_as_one(kit, shared):
    """Its second attempt is handed out once."""
    kit.launch(shared())
    kit.fail("C")
    kit.move(RETRY)
    assert kit.get().attempt_id == f"{at('C')}_Attempt=2"
    assert kit.take() is None


def test_a_shared_instance_is_late_once(kit, shared):
    """onLateAction fires once, counted from the time at which the one instance is to run."""
    late = {"lateAfterTimeout": "10 minutes", "onLateAction": Ref("Late")}
    kit.launch(shared(scheduleType="timeseries", **late) | {"Late": alarm()})
    kit.move(minutes=30, seconds=-1)
    assert kit.fired() == []
    kit.move(minutes=19)
    assert kit.fired() == [("Late", at("C"))]


def test_a_deactivation_cancels_a_shared_instance_for_both(kit, shared):
    """The one worker is told; the slots after the next activation go on."""
    kit.launch(shared())
    work = kit.begin("C")
    kit.deactivate()
    assert kit.report(work) == {"canceled": True}
    kit.activate()
    kit.move(minutes=20)
    assert kit.status(at("C", minutes=20)) == READY


def test_the_end_of_one_schedule_leaves_the_other(kit, shared):
    """Once A has no more slots, C is made in the slots of B alone."""
    definition = shared() | {"Thirds": schedule("20 minutes", occurrences="1")}
    kit.launch(definition)
    kit.move(hours=1)
    assert sorted(kit.runs("C")) == [at("C"), at("C", hours=1)]
    assert kit.fields(at("C", hours=1))["@scheduledEndTime"] == stamp(hours=2)


def test_slots_of_both_schedules_are_skipped_together(kit, shared):
    """startTimestamp skips the shared instance as well, once."""
    kit.launch(shared(), start=1800)
    assert kit.statuses("C", "A", "B") == ["SKIPPED"] * 3
    kit.move(minutes=40)
    assert kit.status(at("C", minutes=40)) == READY


def test_an_object_that_joins_later_shares_what_is_there(kit):
    """A new object on a second schedule needs the instance which has ended already."""
    first = {"Thirds": schedule("20 minutes"), "C": activity(schedule=None)}
    first |= {"A": activity(schedule=THIRDS, dependsOn=Ref("C"))}
    kit.launch(first)
    kit.begin("C")
    more = {"Hourly": schedule("1 hour"), "B": activity(schedule=HOURLY, dependsOn=Ref("C"))}
    assert kit.put(first | more)["errored"] is False
    assert kit.activate() == {}
    assert kit.status("B") == WAITING
    kit.finish("C")
    assert kit.statuses("A", "B") == [READY, READY]


def test_a_shared_instance_outlives_a_restart(kit, tmp_path, shared):
    """The restored service has one instance, which serves both."""
    store = Store(tmp_path / "state")

    def begin():
        keeping = ServiceStore(store, "123456789012", "us-east-1")
        kit.service = keeping.begin(JumpingClock(kit.clock), 0.0, kit.service.settings, kit.outside)
        return keeping

    keeping = begin()
    kit.launch(shared())
    work = kit.begin("C")
    keeping.save()
    begin()
    assert kit.take() is None
    assert sorted(kit.runs()) == [at("A"), at("B"), at("C")]
    assert kit.end(work) == {}
    assert kit.statuses("A", "B") == [READY, READY]
    given = [event.attempt_id for event in kit.service.audit if event.kind is AuditKind.ASSIGNED]
    assert given == [f"{at('C')}_Attempt=1"]
    store.close()
