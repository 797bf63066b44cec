"""onSuccess and onFail: which fire when, and what they do."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import RETRY, Lifecycle
from unit.emulator.lifecycle_objects import (
    Ref,
    activity,
    alarm,
    at,
    daily,
    on_resource,
    resource,
    schedule,
    shell_precondition,
)


@pytest.fixture
def kit():
    return Lifecycle()


@pytest.fixture
def once():
    """A service in which nothing is retried."""
    return Lifecycle(max_retries=0)


def messages(kit):
    return [one.message for one in kit.outside.published]


def test_success_is_told(kit):
    """onSuccess fires when the instance is FINISHED, to the topic, with subject and message."""
    kit.launch(
        daily(A=activity(onSuccess=Ref("Good")), Good=alarm(subject="done: #{node.@status}"))
    )
    kit.begin("A")
    assert kit.outside.published == []
    kit.finish("A")
    [told] = kit.outside.published
    assert told.topic_arn == "arn:aws:sns:us-east-1:123456789012:topic"
    assert told.subject == "done: FINISHED"
    assert told.message == at("A")
    assert kit.fired() == [("Good", at("A"))]


def test_failure_is_told_when_all_tries_are_spent(kit):
    """onFail fires with the instance, not with each attempt (dp-how-tasks-scheduled)."""
    kit.launch(
        daily(A=activity(onFail=Ref("Bad"), onSuccess=Ref("Good")), Bad=alarm(), Good=alarm())
    )
    for _ in range(3):
        assert kit.fired() == []
        kit.fail("A")
        kit.move(RETRY)
    assert kit.fired() == [("Bad", at("A"))]
    assert messages(kit) == [at("A")]


def test_an_alarm_may_say_what_went_wrong(once):
    """The message is evaluated with `node`, the instance on which the alarm acts."""
    once.launch(
        daily(
            A=activity(onFail=Ref("Bad")),
            Bad=alarm(message="#{node.@status} at #{node.@scheduledStartTime}"),
        )
    )
    once.fail("A")
    assert messages(once) == ["FAILED at 2026-01-01T00:00:00"]


def test_an_alarm_may_quote_the_worker(once):
    """The instance has the error of its newest attempt, so `node.errorMessage` has a value."""
    once.launch(
        daily(
            A=activity(onFail=Ref("Bad")),
            Bad=alarm(subject="#{node.errorId}", message="#{node.errorMessage} #{node.hostname}"),
        )
    )
    once.fail("A", errorId="Disk", errorMessage="no #{space}")
    [told] = once.outside.published
    assert told.subject == "Disk"
    assert told.message == "no #{space} worker.example.com"


def test_an_alarm_which_cannot_be_evaluated_is_published_as_it_is_written(kit):
    """What has no value stays as it is written; the other texts are not touched."""
    broken = "#{node.noSuchField} is done"
    kit.launch(
        daily(
            A=activity(onSuccess=Ref("Good")),
            Good=alarm(subject="#{node.@status}", message=broken),
        )
    )
    kit.finish("A")
    [told] = kit.outside.published
    assert told.subject == "FINISHED"
    assert told.message.startswith(broken)


def test_all_actions_of_a_list_fire(kit):
    """A field with several actions fires each of them."""
    kit.launch(daily(A=activity(onSuccess=[Ref("G1"), Ref("G2")]), G1=alarm(), G2=alarm()))
    kit.finish("A")
    assert sorted(kit.fired()) == [("G1", at("A")), ("G2", at("A"))]


def test_actions_are_inherited(once):
    """An onFail of the object Default holds for every object."""
    once.launch(daily(Default={"onFail": Ref("Bad")}, A=activity(), B=activity(), Bad=alarm()))
    once.fail("B")
    assert once.fired() == [("Bad", at("B"))]


def test_what_fails_by_cascade_tells_its_failure(once):
    """onFail of a CASCADE_FAILED instance fires too."""
    once.launch(
        daily(
            A=activity(),
            B=activity(dependsOn=Ref("A"), onFail=Ref("Bad"), failureAndRerunMode="cascade"),
            Bad=alarm(),
        )
    )
    once.fail("A")
    assert once.fired() == [("Bad", at("B"))]


def test_what_is_canceled_tells_nothing(kit):
    """TRY_CANCEL fires neither onFail nor onSuccess."""
    kit.launch(daily(A=activity(onFail=Ref("Bad"), onSuccess=Ref("Bad")), Bad=alarm()))
    kit.begin("A")
    kit.tell("TRY_CANCEL", "A")
    assert kit.fired() == []


def test_a_resource_out_of_time_tells_its_failure(once):
    """onFail of a TIMEDOUT resource fires; its CANCELED activity tells nothing."""
    once.launch(
        daily(
            Box=resource(terminateAfter="1 hour", onFail=Ref("Bad")),
            A=on_resource(onFail=Ref("Bad")),
            Bad=alarm(),
        )
    )
    once.move(hours=1)
    assert once.status("Box") == "TIMEDOUT"
    assert once.fired() == [("Bad", at("Box"))]


def test_preconditions_have_actions(once):
    """Runnable components of every kind have actions."""
    once.launch(
        daily(
            A=activity(precondition=Ref("Pre")),
            Pre=shell_precondition(onFail=Ref("Bad"), onSuccess=Ref("Good")),
            Bad=alarm(),
            Good=alarm(),
        )
    )
    once.finish("Pre")
    assert once.fired() == [("Good", at("Pre"))]


def test_a_rerun_which_succeeds_tells_its_success(once):
    """Each end of an instance fires the action of that end."""
    once.launch(
        daily(A=activity(onFail=Ref("Bad"), onSuccess=Ref("Good")), Bad=alarm(), Good=alarm())
    )
    once.fail("A")
    once.tell("RERUN", "A")
    once.finish("A")
    assert once.fired() == [("Bad", at("A")), ("Good", at("A"))]


def test_a_slot_fires_its_own_actions(kit):
    """The action of each instance is evaluated for that instance."""
    kit.launch(
        {
            "S": schedule("1 hour"),
            "A": activity(schedule=Ref("S"), onSuccess=Ref("Good")),
            "Good": alarm(message="#{node.@scheduledStartTime}"),
        }
    )
    kit.move(hours=1)
    kit.finish("A", at("A", hours=1))
    assert messages(kit) == ["2026-01-01T00:00:00", "2026-01-01T01:00:00"]


def test_a_brace_within_quotes_ends_no_expression(kit):
    """What can be evaluated is, beside what cannot, though its pattern has a brace."""
    message = "#{format(node.@scheduledStartTime,'yyyy}MM')} #{node.nothing}"
    kit.launch(daily(A=activity(onSuccess=Ref("Told")), Told=alarm(message=message)))
    kit.finish("A")
    assert [one.message for one in kit.outside.published] == ["2026}01 #{node.nothing}"]
