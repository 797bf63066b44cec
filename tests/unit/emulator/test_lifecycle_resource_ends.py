"""Ends of a resource before its work is done: out of time, or set by SetStatus."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import RETRY
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    key_exists,
    node,
    on_resource,
    resource,
    schedule,
    shell_precondition,
)

pytestmark = pytest.mark.settings(resource_worker_group="box")

CASCADE = {"Default": {"failureAndRerunMode": "cascade"}}


def guarded(precondition, **fields):
    """Return a definition of an activity on a resource, behind a precondition."""
    return daily(Box=resource(**fields), A=on_resource(precondition=Ref("Pre")), Pre=precondition)


def test_a_resource_out_of_time_is_not_brought_back_by_a_retry(kit):
    """A precondition between two checks is CANCELED with its resource, and checked no more."""
    kit.launch(guarded(shell_precondition(retryDelay="2 hours"), terminateAfter="1 hour"))
    kit.move(60)
    kit.end(kit.begin("Pre", "box"), "FALSE")
    kit.move(hours=1)
    ended = ["TIMEDOUT", "CANCELED", "CANCELED"]
    assert kit.statuses("Box", "Pre", "A") == ended
    first = kit.fields(at("Box"))["@resourceId"]
    kit.move(hours=9)
    assert kit.statuses("Box", "Pre", "A") == ended
    assert kit.fields(at("Box"))["@resourceId"] == first
    assert kit.query("ATTEMPT") == [f"{at('Pre')}_Attempt=1"]


def test_a_resource_out_of_time_ends_the_precondition_which_runs_on_it(kit):
    """The worker which checks a precondition is told that it is canceled."""
    kit.launch(guarded(shell_precondition(), terminateAfter="1 hour"))
    kit.move(60)
    work = kit.begin("Pre", "box")
    kit.move(hours=1)
    assert kit.report(work) == {"canceled": True}
    assert kit.statuses("Box", "Pre", "A") == ["TIMEDOUT", "CANCELED", "CANCELED"]


def test_a_resource_out_of_time_ends_what_it_checks_of_data(kit):
    """The precondition of a data node, which runs for its reader, is CANCELED as well."""
    kit.launch(
        daily(
            Box=resource(terminateAfter="1 hour"),
            A=on_resource(input=Ref("Data")),
            Data=node(precondition=Ref("Pre")),
            Pre=shell_precondition(),
        )
    )
    kit.move(60)
    kit.end(kit.begin("Pre", "box"), "FALSE")
    kit.move(hours=1)
    assert kit.statuses("Box", "Pre", "A") == ["TIMEDOUT", "CANCELED", "CANCELED"]
    kit.move(hours=1)
    assert kit.status("Box") == "TIMEDOUT"


def test_what_shuts_down_is_not_out_of_time(kit):
    """terminateAfter ends with the work: a resource which shuts down comes to its own end."""
    kit.launch(daily(Box=resource(terminateAfter="1 hour"), A=on_resource()))
    kit.move(3590)
    kit.finish("A", group="box")
    assert kit.status("Box") == "SHUTTING_DOWN"
    kit.move(20)
    assert kit.status("Box") == "SHUTTING_DOWN"
    kit.move(10)
    assert kit.status("Box") == "FINISHED"


@pytest.mark.parametrize(("after", "up"), [(0, "CREATING"), (60, "RUNNING")])
def test_marking_a_resource_finished_ends_its_work(kit, after, up):
    """What was to run on a resource which SetStatus finishes is CANCELED, and not offered."""
    kit.launch(
        daily(
            Box=resource(),
            A=on_resource(),
            B=on_resource(dependsOn=Ref("A")),
            C=on_resource(precondition=Ref("Pre")),
            Pre=key_exists(),
            Elsewhere=activity(precondition=Ref("Own")),
            Own=shell_precondition(),
        )
    )
    kit.move(after)
    assert kit.status("Box") == up
    assert kit.tell("MARK_FINISHED", "Box") == {}
    assert kit.status("Box") == "FINISHED"
    assert kit.statuses("A", "B", "C", "Pre") == ["CANCELED"] * 4
    kit.move(2 * RETRY)
    assert kit.take("box") is None
    assert kit.status("Box") == "FINISHED"
    kit.finish("Own", "Elsewhere")


def test_a_worker_on_a_resource_which_is_marked_finished_is_told(kit):
    """The task which it holds is canceled."""
    kit.launch(daily(Box=resource(), A=on_resource()))
    kit.move(60)
    work = kit.begin("A", "box")
    kit.tell("MARK_FINISHED", "Box")
    assert kit.report(work) == {"canceled": True}
    assert kit.status("A") == "CANCELED"


def test_the_end_of_a_marked_resource_cascades(kit):
    """Those behind the canceled activity fail with it, in mode cascade; the pipeline ends."""
    kit.launch(
        CASCADE
        | {
            "S": schedule("1 hour", occurrences="1"),
            "Box": resource(schedule=Ref("S")),
            "A": on_resource(schedule=Ref("S")),
            "B": activity(schedule=Ref("S"), dependsOn=Ref("A")),
        }
    )
    kit.tell("MARK_FINISHED", "Box")
    assert kit.statuses("A", "B") == ["CANCELED", "CASCADE_FAILED"]
    assert kit.state() == "FINISHED"


def test_a_resource_stays_for_the_preconditions_it_has_to_run(kit):
    """Its last activity has ended, but a data node's precondition still goes to it."""
    weekly = {"W": schedule("1 day"), "B": activity(schedule=Ref("W"), input=Ref("D"))}
    boxed = daily(Box=resource(), A=on_resource(output=Ref("D")), D=node(precondition=Ref("Pre")))
    kit.launch(weekly | boxed | {"Pre": shell_precondition()})
    kit.move(60)
    kit.end(kit.begin("Pre", "box"), "FALSE")
    kit.finish("A", group="box")
    kit.move(RETRY)
    assert kit.status("Box") == "RUNNING"
    kit.finish("Pre", group="box")
    assert kit.statuses("Box", "Pre", "D") == ["SHUTTING_DOWN", "FINISHED", "FINISHED"]
