"""What can be changed in a pipeline which was activated."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiodp.emulator._definition.validation import activation_errors
from aiodp.emulator._definition.validation.edits import only_moves_end
from unit.emulator.validation_kit import activity, definition, edit_errors, node, ref, schedule

if TYPE_CHECKING:
    from aiodp.emulator._definition.components import Definition

WORK: dict[str, Any] = {"input": ref("Data"), "output": ref("Out")}
ACTIVE = definition(schedule(), activity(**WORK), node(), node("Out"))


def changed(
    *more: dict[str, Any], of_schedule: dict[str, Any] | None = None, **of_work: Any
) -> Definition:
    work = activity(**WORK | of_work)
    return definition(schedule(**of_schedule or {}), work, node(), node("Out"), *more)


@pytest.mark.parametrize(
    ("latest", "at", "fragment"),
    [
        (definition(schedule(), activity(**WORK), node("Out")), "Data", "removed"),
        (changed(of_schedule={"period": "2 hours"}), "Hourly", "'period' cannot be changed"),
        (
            changed(of_schedule={"startDateTime": "2026-01-02T00:00:00"}),
            "Hourly",
            "the start cannot be changed",
        ),
        (
            changed(of_schedule={"startDateTime": None, "startAt": "FIRST_ACTIVATION_DATE_TIME"}),
            "Hourly",
            "the start cannot be changed",
        ),
        (changed(input=None), "Work", "the reference 'input' cannot be changed"),
        (changed(output=ref("Data")), "Work", "the reference 'output' cannot be changed"),
        (changed(precondition=ref("Out")), "Work", "'precondition' cannot be changed"),
        (
            changed(activity("New", output=ref("Data"))),
            "New",
            "'output' of a new object refers to 'Data'",
        ),
    ],
)
def test_changes_of_an_activated_pipeline_that_are_refused(latest, at, fragment):
    """Objects stay, and so do periods, starts and references; new ones write to new ones."""
    (error,) = edit_errors(ACTIVE, latest)
    assert error["id"] == at
    assert len(error["errors"]) == 1
    assert fragment in error["errors"][0]
    assert f"{at}: {error['errors'][0]}" in activation_errors(latest, ACTIVE)


def test_changes_of_an_activated_pipeline_that_are_allowed():
    """Values change, ends move, and objects are added which read what is there."""
    latest = definition(
        schedule(endDateTime="2027-01-01T00:00:00"),
        activity(input=ref("Data"), output=ref("Out"), command="false", retryDelay="3 minutes"),
        node(filePath="s3://bucket/other"),
        node("Out"),
        activity("New", input=ref("Out"), output=ref("More")),
        node("More"),
    )
    assert edit_errors(ACTIVE, latest) == []
    assert activation_errors(latest, ACTIVE) == []


def test_a_parameter_cannot_change_a_period():
    """A period which a parameter gives is as fixed as one that is written."""
    made = definition(
        schedule(period="#{myPeriod}"),
        parameters=[{"id": "myPeriod"}],
        values={"myPeriod": "1 hour"},
    )
    other = made.with_values([{"id": "myPeriod", "stringValue": "2 hours"}])
    assert [item["id"] for item in edit_errors(made, other)] == ["Hourly"]


def test_a_value_which_is_given_again_at_the_activation():
    """A period whose parameter has no value yet may turn out to be the same."""
    made = definition(schedule(period="#{myPeriod}"), parameters=[{"id": "myPeriod"}])
    values = [{"id": "myPeriod", "stringValue": "1 hour"}]
    assert edit_errors(made.with_values(values), made) == []
    assert activation_errors(made.with_values(values), made.with_values(values)) == []


def test_an_expression_is_a_start_like_another():
    """A start which is evaluated cannot be replaced by another expression."""
    before = definition(schedule(startDateTime="#{makeDate(2026,1,1)}"))
    after = definition(schedule(startDateTime="#{makeDate(2026,1,2)}"))
    assert [item["id"] for item in edit_errors(before, after)] == ["Hourly"]
    assert edit_errors(before, before) == []


@pytest.mark.parametrize(
    ("fields", "only_end"),
    [
        ({}, True),
        ({"occurrences": "5"}, True),
        ({"occurrences": None, "endDateTime": "2030-01-01T00:00:00"}, True),
        ({"period": "2 hours"}, False),
        ({"name": "other"}, False),
        ({"myField": "x"}, False),
    ],
)
def test_what_a_finished_pipeline_takes(fields, only_end):
    """Nothing but the end of Schedules may differ."""
    before = definition(schedule(occurrences="2"), activity())
    after = definition(schedule(**({"occurrences": "2"} | fields)), activity())
    assert only_moves_end(before, after) is only_end


def test_a_finished_pipeline_takes_no_more_objects():
    """An added object, or another command, is more than an end."""
    before = definition(schedule(), activity())
    assert not only_moves_end(before, definition(schedule(), activity(), node()))
    assert not only_moves_end(before, definition(schedule(), activity(command="false")))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"period": "1 hour"}, {"period": "1 HOUR"}),
        ({"period": "1 hour"}, {"period": "1 hours"}),
        ({"period": "1 hour"}, {"period": "60 minutes"}),
        ({"period": "7 days"}, {"period": "1 week"}),
        ({"startAt": "FIRST_ACTIVATION_DATE_TIME"}, {"startAt": "first_activation_date_time"}),
    ],
)
def test_the_same_in_other_words_is_no_change(before, after):
    """A period is compared by its length, an enumeration in any case."""
    start = {"startDateTime": None} if "startAt" in before else {}
    old = definition(schedule(**start | before), activity())
    new = definition(schedule(**start | after), activity())
    assert edit_errors(old, new) == []
    assert activation_errors(new, old) == []


@pytest.mark.parametrize("period", ["61 minutes", "1 day"])
def test_another_length_is_a_change(period):
    """However it is written, another period is refused."""
    (error,) = edit_errors(ACTIVE, changed(of_schedule={"period": period}))
    assert error["id"] == "Hourly"
