"""onLateAction: what is late, and what Terminate does about it."""

from __future__ import annotations

import pytest

from aiodp.emulator import LateIf
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    alarm,
    at,
    daily,
    on_demand,
    on_resource,
    resource,
    schedule,
)

TERMINATE = {"type": "Terminate"}


def late(**fields):
    """Return a definition whose activity must be done an hour after its slot's time."""
    own = {"lateAfterTimeout": "1 hour", "onLateAction": Ref("Late")} | fields
    return {
        "S": schedule("2 hours"),
        "A": activity(schedule=Ref("S"), **own),
        "Late": alarm(message="late: #{node.name}"),
    }


# Lateness


def test_what_is_not_done_in_time_is_late(kit):
    """onLateAction fires lateAfterTimeout after a cron slot's start, while it runs, once."""
    kit.launch(late())
    kit.begin("A")
    kit.move(3599)
    assert kit.fired() == []
    kit.move(1)
    assert kit.messages() == [f"late: {at('A')}"]
    kit.move(minutes=50)
    assert kit.fired() == [("Late", at("A"))]


def test_what_was_never_taken_is_late(kit):
    """An instance which waits for a runner, or for dependencies, is late as well."""
    kit.launch(
        late()
        | {
            "B": activity(schedule=Ref("S"), dependsOn=Ref("A"))
            | {"lateAfterTimeout": "90 minutes", "onLateAction": Ref("Late")}
        }
    )
    kit.move(minutes=95)
    assert kit.fired() == [("Late", at("A")), ("Late", at("B"))]


def test_what_is_done_in_time_is_not_late(kit):
    """Nothing fires for an instance which is FINISHED by then."""
    kit.launch(late())
    kit.move(3599)
    kit.finish("A")
    kit.move(minutes=30)
    assert kit.fired() == []


def test_what_ended_late_was_told_once(kit):
    """Finishing late does not fire again, and does not take it back."""
    kit.launch(late())
    kit.begin("A")
    kit.move(hours=1, minutes=10)
    kit.finish("A")
    kit.move(minutes=40)
    assert kit.fired() == [("Late", at("A"))]


def test_a_timeseries_is_late_from_the_end_of_its_slot(kit):
    """lateAfterTimeout counts from the slot's end, when a timeseries is to run."""
    kit.launch(late(scheduleType="timeseries"))
    kit.move(3 * 3600 - 1)
    assert kit.fired() == []
    kit.move(1)
    assert kit.fired() == [("Late", at("A"))]


@pytest.mark.settings(late_if=LateIf.NOT_STARTED)
def test_late_may_mean_not_started(kit):
    """late_if=NOT_STARTED, the other reading of the guide, spares what runs by then."""
    kit.launch(late())
    kit.begin("A")
    kit.move(hours=1)
    assert kit.fired() == []
    kit.move(hours=2)
    assert kit.fired() == [("Late", at("A", hours=2))]


def test_a_run_on_demand_is_never_late(kit):
    """lateAfterTimeout is not used with ondemand (dp-object-shellcommandactivity)."""
    kit.launch(
        on_demand(A=activity(lateAfterTimeout="1 hour", onLateAction=Ref("Late")), Late=alarm())
    )
    kit.move(hours=9)
    assert kit.fired() == []


def test_a_past_slot_is_late_as_it_is_made(kit):
    """An instance whose time was over before it was made is late at once."""
    kit.launch(late() | {"S": schedule("6 hours", startDateTime="2025-12-31T20:00:00")})
    assert kit.fired() == [("Late", at("A", hours=-4))]


def test_a_slot_made_long_after_its_time_is_late_when_it_is_made(kit):
    """A backfilled instance cannot be late before there is one: the audit never goes back."""
    kit.launch(late() | {"S": schedule("2 hours", startDateTime="2025-12-31T16:00:00")})
    start = kit.clock()
    kit.move(minutes=10)
    fired = [
        (event.instance_id, event.at - start)
        for event in kit.service.audit
        if event.detail == "Late"
    ]
    assert fired == [(at("A", hours=2 * n - 8), 300.0 * n) for n in range(3)]
    times = [event.at for event in kit.service.audit]
    assert times == sorted(times)


@pytest.mark.settings(max_retries=0)
def test_what_failed_is_late_too(kit):
    """An instance which did not finish in time is late, even if it failed before."""
    kit.launch(late(onFail=Ref("Bad")) | {"Bad": alarm()})
    kit.fail("A")
    kit.move(hours=1)
    assert kit.fired() == [("Bad", at("A")), ("Late", at("A"))]


def test_a_rerun_which_is_not_done_in_time_is_late(kit):
    """What counts is whether the instance is FINISHED at that time, not whether it ever was."""
    kit.launch(late())
    kit.finish("A")
    kit.move(minutes=10)
    kit.tell("RERUN", "A")
    kit.begin("A")
    kit.move(minutes=50)
    assert kit.fired() == [("Late", at("A"))]


# Terminate


def test_terminate_cancels_what_is_late(kit):
    """A Terminate as onLateAction cancels the instance, as TRY_CANCEL does."""
    kit.launch(late() | {"Late": TERMINATE})
    work = kit.begin("A")
    kit.move(hours=1)
    assert kit.status("A") == "CANCELED"
    assert kit.report(work) == {"canceled": True}
    assert kit.fired() == [("Late", at("A"))]


def test_terminate_cancels_what_never_started(kit):
    """It cancels what still waits, which is then never handed out."""
    kit.launch(late() | {"Late": TERMINATE})
    kit.move(hours=1)
    assert kit.status("A") == "CANCELED"
    assert kit.take() is None


def test_terminate_does_not_touch_what_has_ended(kit):
    """As onSuccess it has nothing left to cancel."""
    kit.launch(daily(A=activity(onSuccess=Ref("Stop")), Stop=TERMINATE))
    kit.finish("A")
    assert kit.status("A") == "FINISHED"
    assert kit.fired() == [("Stop", at("A"))]


def test_terminate_fails_those_behind_it(kit):
    """What Terminate cancels cascades as any canceled instance does."""
    kit.launch(
        late()
        | {
            "Late": TERMINATE,
            "B": activity(schedule=Ref("S"), dependsOn=Ref("A"), failureAndRerunMode="cascade"),
        }
    )
    kit.move(hours=1)
    assert kit.statuses("A", "B") == ["CANCELED", "CASCADE_FAILED"]


def test_terminate_of_a_late_resource_cancels_its_work(kit):
    """A resource has onLateAction like everything that runs."""
    kit.launch(
        daily(
            Box=resource(lateAfterTimeout="2 hours", onLateAction=Ref("Stop")),
            A=on_resource(),
            Stop=TERMINATE,
        )
    )
    kit.move(hours=2)
    assert kit.statuses("Box", "A") == ["CANCELED", "CANCELED"]
