"""onSuccess and onFail: which fire when, and what they do."""

from __future__ import annotations

import pytest

from unit.emulator.lifecycle_kit import RETRY
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
    assert kit.messages() == [at("A")]


@pytest.mark.settings(max_retries=0)
def test_an_alarm_may_say_what_went_wrong(kit):
    """The message is evaluated with `node`, the instance on which the alarm acts."""
    kit.launch(
        daily(
            A=activity(onFail=Ref("Bad")),
            Bad=alarm(message="#{node.@status} at #{node.@scheduledStartTime}"),
        )
    )
    kit.fail("A")
    assert kit.messages() == ["FAILED at 2026-01-01T00:00:00"]


@pytest.mark.settings(max_retries=0)
def test_an_alarm_may_quote_the_worker(kit):
    """The instance has the error of its newest attempt, so `node.errorMessage` has a value."""
    kit.launch(
        daily(
            A=activity(onFail=Ref("Bad")),
            Bad=alarm(subject="#{node.errorId}", message="#{node.errorMessage} #{node.hostname}"),
        )
    )
    kit.fail("A", errorId="Disk", errorMessage="no #{space}")
    [told] = kit.outside.published
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


@pytest.mark.settings(max_retries=0)
def test_actions_are_inherited(kit):
    """An onFail of the object Default holds for every object."""
    kit.launch(daily(Default={"onFail": Ref("Bad")}, A=activity(), B=activity(), Bad=alarm()))
    kit.fail("B")
    assert kit.fired() == [("Bad", at("B"))]


@pytest.mark.settings(max_retries=0)
def test_what_fails_by_cascade_tells_its_failure(kit):
    """onFail of a CASCADE_FAILED instance fires too."""
    kit.launch(
        daily(
            A=activity(),
            B=activity(dependsOn=Ref("A"), onFail=Ref("Bad"), failureAndRerunMode="cascade"),
            Bad=alarm(),
        )
    )
    kit.fail("A")
    assert kit.fired() == [("Bad", at("B"))]


def test_what_is_canceled_tells_nothing(kit):
    """TRY_CANCEL fires neither onFail nor onSuccess."""
    kit.launch(daily(A=activity(onFail=Ref("Bad"), onSuccess=Ref("Bad")), Bad=alarm()))
    kit.begin("A")
    kit.tell("TRY_CANCEL", "A")
    assert kit.fired() == []


@pytest.mark.settings(max_retries=0)
def test_a_resource_out_of_time_tells_its_failure(kit):
    """onFail of a TIMEDOUT resource fires; its CANCELED activity tells nothing."""
    kit.launch(
        daily(
            Box=resource(terminateAfter="1 hour", onFail=Ref("Bad")),
            A=on_resource(onFail=Ref("Bad")),
            Bad=alarm(),
        )
    )
    kit.move(hours=1)
    assert kit.status("Box") == "TIMEDOUT"
    assert kit.fired() == [("Bad", at("Box"))]


@pytest.mark.settings(max_retries=0)
def test_preconditions_have_actions(kit):
    """Runnable components of every kind have actions."""
    kit.launch(
        daily(
            A=activity(precondition=Ref("Pre")),
            Pre=shell_precondition(onFail=Ref("Bad"), onSuccess=Ref("Good")),
            Bad=alarm(),
            Good=alarm(),
        )
    )
    kit.finish("Pre")
    assert kit.fired() == [("Good", at("Pre"))]


@pytest.mark.settings(max_retries=0)
def test_a_rerun_which_succeeds_tells_its_success(kit):
    """Each end of an instance fires the action of that end."""
    kit.launch(
        daily(A=activity(onFail=Ref("Bad"), onSuccess=Ref("Good")), Bad=alarm(), Good=alarm())
    )
    kit.fail("A")
    kit.tell("RERUN", "A")
    kit.finish("A")
    assert kit.fired() == [("Bad", at("A")), ("Good", at("A"))]


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
    assert kit.messages() == ["2026-01-01T00:00:00", "2026-01-01T01:00:00"]


def test_a_brace_within_quotes_ends_no_expression(kit):
    """What can be evaluated is, beside what cannot, though its pattern has a brace."""
    message = "#{format(node.@scheduledStartTime,'yyyy}MM')} #{node.nothing}"
    kit.launch(daily(A=activity(onSuccess=Ref("Told")), Told=alarm(message=message)))
    kit.finish("A")
    assert [sent.message for sent in kit.outside.published] == ["2026}01 #{node.nothing}"]
