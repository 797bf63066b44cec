"""What is odd in a definition, though its pipeline can be activated."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from unit.emulator.validation_kit import (
    activity,
    definition,
    errors,
    machine,
    node,
    ref,
    schedule,
    warnings,
)


def test_a_plain_definition_has_no_warnings():
    """A plain definition has no warnings."""
    default = {"id": "Default", "pipelineLogUri": "s3://logs"}
    made = definition(default, schedule(), activity(input=ref("Data")), node(), machine())
    assert warnings(made) == {}
    assert errors(made) == {}


@pytest.mark.parametrize(
    ("changed", "fragment"),
    [
        ({"workerGroup": None}, "its tasks stay in WAITING_FOR_RUNNER"),
        ({"runsOn": ref("Machine")}, "'workerGroup' is ignored"),
        ({"schedule": None}, "'schedule' is missing"),
        ({"maximumRetries": "6"}, "'maximumRetries' is above 5"),
        ({"maxActiveInstances": "6"}, "'maxActiveInstances' is above 5"),
        ({"retryDelay": "1 minute"}, "'retryDelay' is below 2 minutes"),
        ({"color": "red"}, "'color' is not a field of ShellCommandActivity"),
        ({"mycolor": "red"}, "'mycolor' is not a field of ShellCommandActivity"),
        (
            {"comand": "x"},
            "'comand' is not a field of ShellCommandActivity. Did you mean 'command'?",
        ),
        ({"workergrup": "w"}, "ShellCommandActivity. Did you mean 'workerGroup'?"),
        ({"*onSucces": "x"}, "ShellCommandActivity. Did you mean 'onSuccess'?"),
        ({"@status": "FINISHED"}, "'@status' is a field which only the service sets"),
        ({"stdout": "#{myPath}"}, "'stdout': 'myPath' is neither a field nor a parameter"),
        ({"command": "#{node.command}"}, "'command': 'node' is for preconditions and actions"),
        ({"name": "#{myName}", "myName": "x"}, "'name' is used as it is"),
    ],
)
def test_each_oddity_of_an_activity_is_one_warning(changed, fragment):
    """Each oddity of an activity is one warning, and no error."""
    made = definition(schedule(), machine(), activity(**changed))
    found = warnings(made)
    assert list(found) == ["Work"]
    assert len(found["Work"]) == 1
    assert fragment in found["Work"][0]
    assert errors(made) == {}


def test_no_more_than_some_words_are_looked_up():
    """A definition of wrong words alone does not hold up the service."""
    fields = {f"comand{n}": "x" for n in range(100)}
    [found] = warnings(definition(schedule(), activity(**fields))).values()
    assert len(found) == 100
    assert 0 < len([text for text in found if "Did you mean" in text]) <= 20


def test_a_script_may_have_arguments():
    """The guide advises against it, yet definitions of AWS have it: it is not odd."""
    work = activity(command=None, scriptUri="s3://b/s.sh", scriptArgument="x")
    assert warnings(definition(schedule(), work)) == {}


BACKFILL = (
    "{} has 'failureAndRerunMode' field set to 'cascade' and you are about to create a backfill "
    "with scheduleStartTime 2026-01-01T00:00:00. This can result in rapid creation of pipeline "
    "objects in case of failures."
)


@pytest.mark.parametrize("mode", ["cascade", "CASCADE"])
def test_cascade_and_a_backfill(mode):
    """The service's own words, once for each object that says cascade."""
    default = {"id": "Default", "failureAndRerunMode": mode, "pipelineLogUri": "s3://logs"}
    own = activity("Own", name="My own", failureAndRerunMode=mode)
    careful = activity("Careful", failureAndRerunMode="none")
    made = definition(default, schedule(), activity(), activity("More"), own, careful)
    later = datetime(2026, 1, 1, 0, 0, 1, tzinfo=UTC)
    assert warnings(made, later) == {
        "Default": [BACKFILL.format("Default")],
        "Own": [BACKFILL.format("My own")],
    }
    assert warnings(made, datetime(2026, 1, 1, tzinfo=UTC)) == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"schedule": None},
        {"schedule": None, "scheduleType": "ondemand"},
        {"schedule": ref("First")},
        {"schedule": ref("Open")},
        {"failureAndRerunMode": "none"},
    ],
)
def test_no_backfill_or_no_cascade(fields):
    """What has no start in the past, or does not cascade, is not warned of."""
    first = {"id": "First", "type": "Schedule", "period": "1 hour"}
    first |= {"startAt": "FIRST_ACTIVATION_DATE_TIME"}
    open_start = {
        "id": "Open",
        "type": "Schedule",
        "period": "1 hour",
        "startDateTime": "#{myStart}",
    }
    work = activity(**({"failureAndRerunMode": "cascade"} | fields))
    made = definition(first, open_start, schedule(), work)
    found = warnings(made, datetime(2027, 1, 1, tzinfo=UTC)).get("Work", [])
    assert not any("backfill" in text for text in found)


def test_an_inherited_worker_group_may_be_overridden():
    """A workerGroup of Default beside a runsOn of the activity's own is not odd."""
    default = {"id": "Default", "workerGroup": "w", "pipelineLogUri": "s3://logs"}
    work = activity(workerGroup=None, runsOn=ref("Machine"))
    assert warnings(definition(default, schedule(), machine(), work)) == {}


@pytest.mark.parametrize("fields", [{"myField": "x"}, {"my_field": "x"}, {"stage": "true"}])
def test_documented_fields_and_the_users_own_give_no_warning(fields):
    """Fields of the user's own, and documented ones, are not odd."""
    assert warnings(definition(schedule(), activity(**fields))) == {}


def test_a_field_marked_as_encrypted_is_the_same_field():
    """A field marked as encrypted is the same field."""
    made = definition(node(**{"*filePath": "s3://b/k", "*myPassword": "x"}, filePath=None))
    assert warnings(made) == {}
    assert errors(made) == {}


def test_the_service_s_own_warnings():
    """Two warnings are known word by word from the service."""
    made = definition({"id": "Default"}, machine(terminateAfter=None))
    assert warnings(made) == {
        "Default": [
            (
                "'pipelineLogUri'is missing. It is recommended to set this value on Default object "
                "for better troubleshooting."
            )
        ],
        "Machine": [
            (
                "'terminateAfter' is missing. It is recommended to set this to avoid leaving "
                "resource running for long duration."
            )
        ],
    }


def test_missing_roles_give_a_warning():
    """IAM roles, which the local service has no use for, are missed with a warning."""
    assert len(warnings(definition(machine(role=None, resourceRole=None)))["Machine"]) == 2


def test_an_object_without_a_type():
    """An object without a type is odd, unless others inherit from it."""
    base = {"id": "Base"}
    assert list(warnings(definition(base))) == ["Base"]
    leaf = node(parent=ref("Base"))
    assert warnings(definition(base, leaf)) == {}


def test_on_demand_belongs_on_default():
    """An ondemand of a single object is odd, and so is a lateness that cannot be."""
    work = activity(schedule=None, scheduleType="ondemand", lateAfterTimeout="1 hour")
    assert len(warnings(definition(work))["Work"]) == 2
    default = {"id": "Default", "scheduleType": "ondemand", "pipelineLogUri": "s3://logs"}
    assert warnings(definition(default, activity(schedule=None))) == {}


def test_an_alarm_may_speak_of_its_node():
    """`node` is what a precondition or an action is for."""
    alarm = {
        "id": "Alarm",
        "type": "SnsAlarm",
        "role": "r",
        "topicArn": "arn:aws:sns:us-east-1:1:t",
        "subject": "#{node.@id}",
        "message": "#{node.name}",
    }
    assert warnings(definition(alarm)) == {}
