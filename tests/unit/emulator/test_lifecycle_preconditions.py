"""Preconditions: their instances, and the checks which the service makes itself."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import RETRY
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    at,
    daily,
    guarded,
    key_exists,
    node,
    schedule,
    shell_precondition,
)

WAITING, READY = "WAITING_ON_DEPENDENCIES", "WAITING_FOR_RUNNER"
TERMINAL = {"FINISHED", "FAILED", "CANCELED", "CASCADE_FAILED", "TIMEDOUT"}
READY_KEY = "s3://bucket/ready"


# Instances


def test_a_precondition_has_an_instance_for_what_it_guards(kit):
    """It is instantiated in the slot of the guarded object, to which its `node` refers."""
    kit.launch(guarded(key_exists()))
    assert sorted(kit.runs()) == [at("A"), at("Pre")]
    assert kit.refs(at("Pre"), "node") == [at("A")]
    assert kit.fields(at("A"))["precondition"] == at("Pre")
    assert kit.refs(at("A"), "@waitingOn") == [at("Pre")]


def test_each_guarded_object_has_an_instance_of_its_own(kit):
    """The first guarded object's has the plain id; further ones end with _2, _3."""
    kit.launch(
        daily(
            A=activity(precondition=Ref("Pre")),
            B=activity(precondition=Ref("Pre")),
            C=activity(precondition=Ref("Pre")),
            Pre=key_exists(),
        )
    )
    ids = [at("Pre"), f"{at('Pre')}_2", f"{at('Pre')}_3"]
    assert sorted(kit.runs("Pre")) == ids
    nodes = [kit.fields(instance_id)["node"] for instance_id in ids]
    assert sorted(nodes) == [at("A"), at("B"), at("C")]
    for instance_id, guarded_by_it in zip(ids, nodes, strict=True):
        assert kit.fields(guarded_by_it)["precondition"] == instance_id


def test_a_precondition_which_guards_nothing_has_no_instance(kit):
    """Preconditions exist through who refers to them only."""
    kit.launch(daily(A=activity(), Pre=key_exists()))
    assert sorted(kit.runs()) == [at("A")]


def test_each_slot_has_its_own_preconditions(kit):
    """The instance of each slot is guarded anew."""
    kit.launch(
        {
            "S": schedule("1 hour"),
            "A": activity(schedule=Ref("S"), precondition=Ref("Pre")),
            "Pre": key_exists(),
        }
    )
    kit.move(hours=1)
    assert sorted(kit.runs("Pre")) == [at("Pre"), at("Pre", hours=1)]


# Those which the service checks


def test_what_is_there_lets_the_activity_go(kit):
    """A precondition which is true at its first check is FINISHED at once."""
    kit.outside.objects.add(READY_KEY)
    kit.launch(guarded(key_exists()))
    assert kit.statuses("Pre", "A") == ["FINISHED", READY]


def test_what_is_not_there_is_looked_for_again(kit):
    """A check which is not true is repeated after retryDelay, 2 minutes by default."""
    kit.launch(guarded(key_exists()))
    kit.move(10)
    kit.outside.objects.add(READY_KEY)
    kit.move(RETRY - 11)
    assert kit.status("A") == WAITING
    assert kit.status("Pre") not in TERMINAL
    kit.move(1)
    assert kit.statuses("Pre", "A") == ["FINISHED", READY]


@pytest.mark.parametrize(
    ("given", "delay"), [("1 minute", RETRY), ("5 minutes", 300), ("1 hour", 3600)]
)
def test_the_object_says_how_often_it_is_checked(kit, given, delay):
    """retryDelay of the precondition holds, from 2 minutes up."""
    kit.launch(guarded(key_exists(retryDelay=given)))
    kit.outside.objects.add(READY_KEY)
    kit.move(delay - 1)
    assert kit.status("Pre") != "FINISHED"
    kit.move(1)
    assert kit.status("Pre") == "FINISHED"


def test_checks_go_on_for_as_long_as_it_takes(kit):
    """A check which is not true costs no try."""
    kit.launch(guarded(key_exists()))
    kit.move(hours=10)
    kit.outside.objects.add(READY_KEY)
    kit.move(RETRY)
    assert kit.statuses("Pre", "A") == ["FINISHED", READY]


def test_preconditions_of_the_service_have_no_tasks(kit):
    """What the service checks itself is never handed to a worker."""
    kit.launch(guarded(key_exists()))
    kit.move(hours=1)
    assert kit.take_all() == []


@pytest.mark.parametrize(
    ("precondition", "make_true"),
    [
        (key_exists("s3://bucket/a/b"), lambda out: out.objects.add("s3://bucket/a/b")),
        (
            {"type": "S3PrefixNotEmpty", "role": "R", "s3Prefix": "s3://bucket/a/"},
            lambda out: out.objects.add("s3://bucket/a/b/c"),
        ),
        (key_exists("S3N://bucket/a/b"), lambda out: out.objects.add("s3://bucket/a/b")),
        (
            {"type": "DynamoDBTableExists", "role": "R", "tableName": "t"},
            lambda out: out.tables.update(t=0),
        ),
        (
            {"type": "DynamoDBDataExists", "role": "R", "tableName": "t"},
            lambda out: out.tables.update(t=1),
        ),
    ],
    ids=["key", "prefix", "scheme", "table", "data"],
)
def test_the_service_knows_four_checks(kit, precondition, make_true):
    """S3 keys and prefixes, and tables of DynamoDB and what is in them."""
    kit.launch(guarded(precondition))
    kit.move(RETRY)
    assert kit.status("A") == WAITING
    make_true(kit.outside)
    kit.move(RETRY)
    assert kit.statuses("Pre", "A") == ["FINISHED", READY]


def test_an_empty_table_has_no_data(kit):
    """DynamoDBDataExists needs an item, not only a table; S3KeyExists the key, not a longer one."""
    kit.outside.tables["t"] = 0
    kit.outside.objects.add(f"{READY_KEY}-not")
    kit.launch(
        daily(
            A=activity(precondition=[Ref("Data"), Ref("Key")]),
            Data={"type": "DynamoDBDataExists", "role": "R", "tableName": "t"},
            Key=key_exists(),
        )
    )
    kit.move(hours=1)
    assert kit.status("Data") != "FINISHED"
    assert kit.status("Key") != "FINISHED"


def test_every_precondition_must_hold(kit):
    """With several preconditions all must be FINISHED."""
    kit.outside.objects.add("s3://bucket/one")
    kit.launch(
        daily(
            A=activity(precondition=[Ref("P1"), Ref("P2")]),
            P1=key_exists("s3://bucket/one"),
            P2=key_exists("s3://bucket/two"),
        )
    )
    assert kit.statuses("P1", "A") == ["FINISHED", WAITING]
    assert kit.refs(at("A"), "@waitingOn") == [at("P2")]
    kit.outside.objects.add("s3://bucket/two")
    kit.move(RETRY)
    assert kit.status("A") == READY


def test_a_key_may_come_from_the_slot(kit):
    """Expressions in the key are evaluated for the instance."""
    kit.outside.objects.add("s3://bucket/2026-01-01")
    key = "s3://bucket/#{format(@scheduledStartTime, 'YYYY-MM-dd')}"
    kit.launch(guarded(key_exists(key)))
    assert kit.status("Pre") == "FINISHED"


def test_a_timeseries_is_checked_from_the_end_of_its_slot(kit):
    """The first check is when the guarded instance's time has come, not before."""
    kit.outside.objects.add(READY_KEY)
    kit.launch(
        {
            "S": schedule("1 hour"),
            "A": activity(schedule=Ref("S"), precondition=Ref("Pre"), scheduleType="timeseries"),
            "Pre": key_exists(),
        }
    )
    kit.move(3599)
    assert kit.status("Pre") != "FINISHED"
    kit.move(1)
    assert kit.statuses("Pre", "A") == ["FINISHED", READY]


def test_dependencies_are_waited_for_as_well(kit):
    """A precondition which holds does not make up for a dependency."""
    kit.outside.objects.add(READY_KEY)
    kit.launch(
        daily(
            A=activity(),
            B=activity(dependsOn=Ref("A"), precondition=Ref("Pre")),
            Pre=key_exists(),
        )
    )
    assert kit.statuses("Pre", "B") == ["FINISHED", WAITING]
    kit.finish("A")
    assert kit.status("B") == READY


def test_a_data_node_waits_for_its_producer_and_its_precondition(kit):
    """Neither the one nor the other is enough."""
    kit.outside.objects.add(READY_KEY)
    kit.launch(
        daily(
            Maker=activity(output=Ref("Data")), Data=node(precondition=Ref("Pre")), Pre=key_exists()
        )
    )
    assert kit.statuses("Pre", "Data") == ["FINISHED", WAITING]
    kit.finish("Maker")
    assert kit.status("Data") == "FINISHED"


# Ends of what is guarded


ENDS = [("TRY_CANCEL", "CANCELED"), ("MARK_FINISHED", "FINISHED")]
CHECKS = [key_exists(), shell_precondition()]


@pytest.mark.parametrize("mode", ["none", "cascade"])
@pytest.mark.parametrize("precondition", CHECKS, ids=["service", "runner"])
@pytest.mark.parametrize(("word", "end"), ENDS)
def test_the_end_of_what_is_guarded_ends_its_preconditions(kit, word, end, precondition, mode):
    """Whatever the failure mode, an open precondition is CANCELED with it; the pipeline ends."""
    kit.launch(
        {
            "Default": {"failureAndRerunMode": mode},
            "S": schedule("1 hour", occurrences="1"),
            "A": activity(schedule=Ref("S"), precondition=Ref("Pre")),
            "Pre": precondition,
        }
    )
    assert kit.tell(word, "A") == {}
    assert kit.statuses("A", "Pre") == [end, "CANCELED"]
    assert kit.state() == "FINISHED"
    kit.move(2 * RETRY)
    assert kit.take() is None


@pytest.mark.parametrize(("word", "end"), ENDS)
def test_the_worker_which_checks_is_told_of_the_end(kit, word, end):
    """A precondition which runs is canceled under its worker's hands."""
    kit.launch(guarded(shell_precondition()))
    work = kit.begin("Pre")
    kit.tell(word, "A")
    assert kit.report(work) == {"canceled": True}
    assert kit.statuses("A", "Pre") == [end, "CANCELED"]


def test_a_precondition_which_holds_stays_finished(kit):
    """Only open preconditions are canceled."""
    kit.outside.objects.add(READY_KEY)
    kit.launch(guarded(key_exists()))
    kit.tell("TRY_CANCEL", "A")
    assert kit.statuses("A", "Pre") == ["CANCELED", "FINISHED"]


@pytest.mark.parametrize("mode", ["none", "cascade"])
def test_a_rerun_of_what_never_ran_checks_its_preconditions_again(kit, mode):
    """What was canceled while it waited waits again, for the preconditions which ended with it."""
    kit.launch(guarded(key_exists(), failureAndRerunMode=mode))
    kit.tell("TRY_CANCEL", "A")
    kit.tell("RERUN", "A")
    assert kit.statuses("A", "Pre") == [WAITING, "RUNNING"]
    kit.outside.objects.add(READY_KEY)
    kit.move(RETRY)
    assert kit.statuses("Pre", "A") == ["FINISHED", READY]
    kit.finish("A")


def test_a_rerun_of_what_never_ran_has_its_runner_check_again(kit):
    """A precondition of a task runner gets another attempt."""
    kit.launch(guarded(shell_precondition()))
    kit.begin("Pre")
    kit.tell("TRY_CANCEL", "A")
    kit.hands.clear()
    kit.tell("RERUN", "A")
    assert kit.status("A") == WAITING
    work = kit.begin("Pre")
    assert work.attempt_id == f"{at('Pre')}_Attempt=2"
    kit.end(work)
    assert kit.status("A") == READY


@pytest.mark.settings(retry_delay=0.0)
def test_a_check_takes_time_even_without_a_delay(kit):
    """Without any retry delay what does not hold is looked at each second, not for ever at once."""
    kit.launch(guarded(key_exists()))
    assert kit.service.next_event() == kit.clock.now + 1
    kit.outside.objects.add(READY_KEY)
    kit.move(1)
    assert kit.status("Pre") == "FINISHED"
