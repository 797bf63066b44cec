"""SetStatus of instances: MARK_FINISHED, TRY_CANCEL, and what is refused."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import INVALID, NOT_FOUND, Lifecycle
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    after,
    alarm,
    at,
    daily,
    key_exists,
    node,
    on_resource,
    resource,
)

pytestmark = pytest.mark.settings(max_retries=0)

READY = "WAITING_FOR_RUNNER"
CASCADE = {"Default": {"failureAndRerunMode": "cascade"}}


# MARK_FINISHED and TRY_CANCEL


def test_a_running_task_is_marked_finished(kit):
    """MARK_FINISHED ends a running instance: its worker is told it is canceled."""
    kit.launch(daily(A=activity(), B=after("A")))
    work = kit.begin("A")
    assert kit.tell("MARK_FINISHED", "A") == {}
    assert kit.statuses("A", "B") == ["FINISHED", READY]
    assert kit.report(work) == {"canceled": True}
    assert kit.end(work, "FAILED")["error"] == NOT_FOUND
    assert kit.status("A") == "FINISHED"


@pytest.mark.parametrize("before", ["FINISHED", "FAILED", "CANCELED"])
def test_what_has_ended_is_marked_finished(kit, before):
    """MARK_FINISHED makes FINISHED of every terminal status."""
    kit.launch(daily(A=activity()))
    if before == "CANCELED":
        kit.tell("TRY_CANCEL", "A")
    else:
        kit.end(kit.begin("A"), before)
    assert kit.status("A") == before
    assert kit.tell("MARK_FINISHED", "A") == {}
    assert kit.status("A") == "FINISHED"
    assert kit.fields(at("A"))["@healthStatus"] == "HEALTHY"


def test_what_waits_is_marked_finished(kit):
    """An instance that waits on dependencies is FINISHED at once, and never handed out."""
    kit.launch(daily(A=activity(), B=after("A"), C=after("B")))
    kit.tell("MARK_FINISHED", "B")
    assert kit.statuses("B", "C") == ["FINISHED", READY]
    kit.finish("A", "C")
    assert kit.take_all() == []


def test_what_is_offered_is_marked_finished(kit):
    """An attempt which waits for a runner is not handed out after MARK_FINISHED."""
    kit.launch(daily(A=activity()))
    kit.tell("MARK_FINISHED", "A")
    assert kit.take_all() == []
    assert kit.status("A") == "FINISHED"


def test_between_two_attempts_nothing_comes_after_mark_finished():
    """A retry which was to come does not."""
    kit = Lifecycle()
    kit.launch(daily(A=activity()))
    kit.fail("A")
    kit.tell("MARK_FINISHED", "A")
    kit.move(hours=1)
    assert kit.take_all() == []
    assert kit.status("A") == "FINISHED"


def test_what_failed_by_cascade_is_marked_finished(kit):
    """MARK_FINISHED of a CASCADE_FAILED instance leaves those behind it as they are."""
    kit.launch(CASCADE | daily(A=activity(), B=after("A"), C=after("B")))
    kit.fail("A")
    kit.tell("MARK_FINISHED", "B")
    assert kit.statuses("A", "B", "C") == ["FAILED", "FINISHED", "CASCADE_FAILED"]
    assert "@cascadeFailedOn" not in kit.fields(at("B"))
    kit.tell("RERUN", "C")
    assert kit.status("C") == READY


def test_marking_what_is_finished_changes_nothing(kit):
    """MARK_FINISHED of a FINISHED instance succeeds: its end stays, its action fires no more."""
    kit.launch(daily(A=activity(onSuccess=Ref("Good")), Good=alarm()))
    kit.finish("A")
    before = kit.fields(at("A"))
    kit.move(hours=1)
    assert kit.tell("MARK_FINISHED", "A") == {}
    assert kit.fields(at("A")) == before
    assert kit.fired() == [("Good", at("A"))]


@pytest.mark.settings(resource_worker_group="box")
@pytest.mark.parametrize("name", ["Data", "Ready", "Box"])
@pytest.mark.parametrize(
    ("told", "status"), [("MARK_FINISHED", "FINISHED"), ("TRY_CANCEL", "CANCELED")]
)
def test_instances_of_all_kinds_are_ended(kit, name, told, status):
    """Data nodes, preconditions and resources have statuses as activities have."""
    kit.launch(
        daily(
            Data=node(precondition=Ref("Ready")),
            Ready=key_exists(),
            Box=resource(),
            A=on_resource(),
        )
    )
    assert kit.tell(told, name) == {}
    assert kit.status(name) == status


@pytest.mark.parametrize("end", ["FINISHED", "FAILED"])
def test_what_has_ended_is_not_canceled(kit, end):
    """TRY_CANCEL succeeds on a terminal instance, and changes nothing."""
    kit.launch(daily(A=activity()))
    kit.end(kit.begin("A"), end)
    assert kit.tell("TRY_CANCEL", "A") == {}
    assert kit.status("A") == end


def test_between_two_attempts_an_instance_is_canceled():
    """A retry which was to come does not come after TRY_CANCEL."""
    kit = Lifecycle()
    kit.launch(daily(A=activity()))
    kit.fail("A")
    kit.tell("TRY_CANCEL", "A")
    kit.move(hours=1)
    assert kit.status("A") == "CANCELED"
    assert len(kit.query("ATTEMPT")) == 1


# What SetStatus refuses


def test_attempts_have_no_status_to_set(kit):
    """The id of an attempt is no object of SetStatus."""
    kit.launch(daily(A=activity()))
    assert kit.tell("TRY_CANCEL", f"{at('A')}_Attempt=1")["error"] == INVALID
    assert kit.status("A") == READY


@pytest.mark.parametrize("names", [("@A_2031-01-01T00:00:00",), ("A", "@Unknown")])
def test_unknown_ids_are_refused(kit, names):
    """An id which the pipeline does not have is refused, with the whole call."""
    kit.launch(daily(A=activity()))
    assert kit.tell("TRY_CANCEL", *names)["error"] == INVALID
    assert kit.status("A") == READY


def test_components_and_instances_are_not_mixed(kit):
    """objectIds are all components or all instances (the API reference of SetStatus)."""
    kit.launch(daily(A=activity()))
    for status in ("PAUSE", "TRY_CANCEL"):
        answer = kit.call(
            "SetStatus", pipelineId=kit.pipeline_id, objectIds=["A", at("A")], status=status
        )
        assert answer["error"] == INVALID


@pytest.mark.parametrize("status", ["PAUSE", "RESUME", "CANCEL", "FINISHED", "TRY_RERUN"])
def test_other_words_are_refused(kit, status):
    """Instances know TRY_CANCEL, RERUN and MARK_FINISHED, and nothing else."""
    kit.launch(daily(A=activity()))
    assert kit.tell(status, "A")["error"] == INVALID


@pytest.mark.parametrize("status", ["try_cancel", "Try_Cancel"])
def test_the_words_are_of_any_case(kit, status):
    """A sample of the API reference sends its word in lower case."""
    kit.launch(daily(A=activity()))
    assert kit.tell(status, "A") == {}
    assert kit.status("A") == "CANCELED"


def test_a_finished_pipeline_has_no_status_to_set(kit):
    """SetStatus of a FINISHED pipeline is refused (the API reference of SetStatus)."""
    kit.launch({"A": activity(schedule=None)})
    kit.finish("A")
    assert kit.state() == "FINISHED"
    assert kit.tell("RERUN", "A")["error"] == INVALID
    assert kit.status("A") == "FINISHED"
