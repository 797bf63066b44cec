"""Runtime fields, each only where the guide's pages of objects list it."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    after,
    at,
    daily,
    guarded,
    key_exists,
    node,
    on_demand,
    on_resource,
    resource,
    schedule,
    shell_precondition,
    slots,
    stamp,
)

RUNS = ("@latestRunTime", "@latestCompletedRunTime", "@nextRunTime")


def some(kit, name, *keys):
    """Return some fields of an object, `None` for what it has not."""
    fields = kit.fields(name)
    return [fields.get(key) for key in keys]


def test_a_component_tells_of_its_runs(kit):
    """The slots that were scheduled last, that completed last, and that come next."""
    kit.launch(daily(A=activity(), B=after("A")))
    assert some(kit, "A", *RUNS) == [stamp(), None, stamp(days=1)]
    kit.move(days=1)
    kit.finish(at("A", days=1))
    assert some(kit, "A", *RUNS) == [stamp(days=1), stamp(days=1), stamp(days=2)]
    kit.finish("A")
    assert some(kit, "A", *RUNS) == [stamp(days=1), stamp(days=1), stamp(days=2)]
    assert some(kit, "B", *RUNS) == [stamp(days=1), None, stamp(days=2)]
    assert some(kit, "Daily", *RUNS) == [None, None, None]


def test_the_next_run_is_a_slot_also_while_the_past_is_made_up_for(kit):
    """It is the time of the slot, not the time at which it will be made."""
    kit.launch(slots(schedule("1 hour", startDateTime=stamp(hours=-3))))
    assert some(kit, "A", *RUNS) == [stamp(hours=-3), None, stamp(hours=-2)]


def test_a_component_without_slots_to_come_has_no_next_run(kit):
    """On demand, after the last slot, and while the pipeline is not active."""
    kit.launch(on_demand(A=activity()))
    assert some(kit, "A", *RUNS) == [stamp(), None, None]
    kit.launch(slots(schedule(occurrences="1")))
    assert some(kit, "A", *RUNS) == [stamp(), None, None]
    kit.launch(slots(schedule()))
    kit.deactivate()
    assert some(kit, "A", "@nextRunTime") == [None]


def test_skipped_slots_are_no_runs(kit):
    """A start later than the first slot leaves SKIPPED instances behind."""
    kit.prepare(slots(schedule("1 hour")))
    kit.move(hours=2)
    kit.activate(start=1.5 * 3600)
    assert some(kit, "A", *RUNS) == [stamp(hours=2), None, stamp(hours=3)]


def test_a_component_tells_when_it_was_deactivated_and_finished(kit):
    """`@lastDeactivatedTime` and `@finishedTime` are those of its pipeline."""
    kit.launch(
        slots(
            schedule(occurrences="1"),
        )
    )
    kit.move(5)
    kit.deactivate()
    kit.move(5)
    kit.activate()
    assert some(kit, "A", "@lastDeactivatedTime", "@finishedTime") == [stamp(seconds=5), None]
    kit.finish("A")
    assert kit.state() == "FINISHED"
    assert some(kit, "A", "@finishedTime") == [stamp(seconds=10)]


def test_runs_tell_when_they_finished(kit):
    """Instances and attempts of activities, data nodes and resources have `@finishedTime`."""
    kit.launch(daily(A=activity(input=Ref("D"), precondition=Ref("P")), D=node(), P=key_exists()))
    kit.outside.objects |= {"s3://bucket/ready"}
    kit.move(200)
    kit.finish("A")
    ended = {
        name: some(kit, name, "@finishedTime", "@actualEndTime") for name in kit.query("INSTANCE")
    }
    assert ended[at("A")] == [stamp(seconds=200)] * 2
    assert ended[at("D")] == [stamp()] * 2
    assert ended[at("P")] == [None, stamp(seconds=120)]
    assert some(kit, f"{at('A')}_Attempt=1", "@finishedTime") == [stamp(seconds=200)]


def test_a_schedule_tells_when_it_was_first_activated(kit):
    """`@firstActivationTime` is a field of Schedule alone."""
    kit.prepare(daily(A=activity()))
    assert some(kit, "Daily", "@firstActivationTime") == [None]
    kit.move(5)
    kit.activate()
    kit.move(5)
    kit.activate()
    assert some(kit, "Daily", "@firstActivationTime") == [stamp(seconds=5)]
    assert some(kit, "A", "@firstActivationTime") == [None]


@pytest.mark.parametrize("kind", ["Ec2Resource", "EmrCluster"])
def test_a_resource_tells_why_it_failed(kit, kind):
    """`@failureReason` tells of what the service did; a cancellation has a reason of its own."""
    kit.launch(daily(A=on_resource(), Box=resource(type=kind, terminateAfter="10 minutes")))
    kit.move(minutes=10)
    assert kit.status("Box") == "TIMEDOUT"
    assert "terminateAfter" in kit.fields(at("Box"))["@failureReason"]
    kit.launch(daily(A=on_resource(), Box=resource(type=kind)))
    kit.tell("TRY_CANCEL", "Box")
    assert some(kit, at("Box"), "@failureReason") == [None]


def test_an_object_tells_what_is_wrong_with_it(kit):
    """`@error` is what the last PutPipelineDefinition found in an object."""
    kit.prepare({})
    answer = kit.put(daily(A=activity(retryDelay="soon"), B=activity()))
    [wrong] = answer["validationErrors"]
    assert some(kit, "A", "@error") == ["; ".join(wrong["errors"])]
    assert some(kit, "B", "@error") == [None]
    kit.put(daily(A=activity()))
    assert some(kit, "A", "@error") == [None]
    kit.activate()
    kit.put(daily(A=activity(retryDelay="soon")))  # not active, so no component is shown as it says
    assert some(kit, "A", "@error") == [None]


def test_a_precondition_which_the_service_checks_counts_its_tries(kit):
    """`currentRetryCount` and `lastRetryTime`, of the four types that list them."""
    kit.launch(guarded(key_exists()))
    assert some(kit, at("Pre"), "currentRetryCount", "lastRetryTime") == ["1", stamp()]
    kit.move(RETRY + 1)
    assert some(kit, at("Pre"), "currentRetryCount", "lastRetryTime") == ["2", stamp(seconds=RETRY)]
    kit.pause("Pre")
    kit.move(RETRY)
    assert some(kit, at("Pre"), "currentRetryCount") == ["2"]
    kit.resume("Pre")
    kit.outside.objects |= {"s3://bucket/ready"}
    kit.move(RETRY)
    assert kit.status("Pre") == "FINISHED"
    kit.tell("RERUN", "Pre")
    assert some(kit, at("Pre"), "currentRetryCount") == ["1"]
    kit.launch(guarded(shell_precondition()))
    assert some(kit, at("Pre"), "currentRetryCount", "lastRetryTime") == [None, None]


def test_a_pipeline_names_its_creator(kit):
    """`pipelineCreator` is the account, as in the example of the AWS CLI."""
    kit.prepare(daily(A=activity()))
    record = kit.record()
    assert record["pipelineCreator"] == record["@userId"] == record["@accountId"]


RETRY = 120
