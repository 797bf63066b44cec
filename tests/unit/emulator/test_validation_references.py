"""References of a definition: where they may lead, and that they lead in no circles."""

from __future__ import annotations

import pytest

from unit.emulator.validation_kit import activity, definition, errors, machine, node, ref, schedule


@pytest.mark.parametrize(
    ("changed", "fragment"),
    [
        ({"schedule": ref("Nowhere")}, "'schedule' refers to 'Nowhere', which does not exist"),
        ({"schedule": ref("#{myOne}")}, "which does not exist"),
        ({"myOwn_one": ref("Nowhere")}, "which does not exist"),
        ({"schedule": ref("Data")}, "must be of type 'Schedule'. Found values of type 'S3Data"),
        ({"schedule": "Hourly"}, "must be of type 'Schedule'. Found values of type 'String'"),
        ({"parent": "Default"}, "must be of type 'Default'. Found values of type 'String'"),
        ({"runsOn": ref("Data")}, "must be of type 'Resource'. Found values of type 'S3DataNode'"),
        ({"input": ref("Machine")}, "must be of type 'DataNode'"),
        ({"output": ref("Hourly")}, "must be of type 'DataNode'"),
        ({"dependsOn": ref("Hourly")}, "must be of type 'RunnableObject'"),
        ({"dependsOn": ref("Machine")}, "must be of type 'RunnableObject'. Found values of type"),
        ({"dependsOn": ref("Ready")}, "must be of type 'RunnableObject'. Found values of type"),
        ({"precondition": ref("Data")}, "must be of type 'Precondition'"),
        ({"onFail": ref("Data")}, "must be of type 'Action'"),
        ({"onSuccess": ref("Base")}, "must be of type 'Action'. Found values of type 'Default'"),
        ({"attemptTimeout": ref("Data")}, "must be of type 'Period'"),
    ],
)
def test_a_reference_must_lead_to_an_object_of_its_kind(changed, fragment):
    """A reference leads to an object that exists and is of the kind which the field asks for."""
    base = {"id": "Base", "myField": "x"}
    found = errors(
        definition(
            schedule(),
            node(),
            machine(),
            {"id": "Ready", "type": "Exists"},
            base,
            activity(**({"parent": ref("Base")} | changed)),
        )
    )
    assert list(found) == ["Work"]
    assert len(found["Work"]) == 1
    assert fragment in found["Work"][0]


def test_a_circle_of_parents():
    """Objects that inherit from each other have an error each, and it says the way."""
    made = definition({"id": "A", "parent": ref("B")}, {"id": "B", "parent": ref("A")})
    text = "CIRCULAR_REFERENCE: it inherits from itself: {}."
    assert errors(made) == {"A": [text.format("A -> B -> A")], "B": [text.format("B -> A -> B")]}


def test_default_in_a_circle():
    """What Default inherits from inherits from Default, unless it has a parent of its own."""
    made = definition({"id": "Default", "parent": ref("A")}, {"id": "A"})
    assert list(errors(made)) == ["Default", "A"]


@pytest.mark.parametrize(
    "objects",
    [
        [activity("A", dependsOn=ref("A"))],
        [activity("A", dependsOn=ref("B")), activity("B", dependsOn=ref("A"))],
        [activity("A", input=ref("D"), output=ref("D")), node("D")],
        [
            activity("A", input=ref("D"), output=ref("E")),
            activity("B", input=ref("E"), output=ref("D")),
            node("D"),
            node("E"),
        ],
        [activity("A", input=ref("D")), node("D", dependsOn=ref("A"))],
        [activity("A", dependsOn=ref("D"), output=ref("D")), node("D")],
        [node("D", dependsOn=ref("E")), node("E", dependsOn=ref("D"))],
    ],
)
def test_what_would_wait_for_itself_is_an_error(objects):
    """What would wait for itself for ever, through dependsOn or data, is an error of all in it."""
    found = errors(definition(schedule(), *objects))
    assert list(found) == [item["id"] for item in objects]
    assert all(text.startswith("CIRCULAR_REFERENCE: it waits") for (text,) in found.values())


def test_what_leads_to_a_circle_is_not_in_it():
    """An object which waits for a circle has no error of its own."""
    outside = activity("Outside", dependsOn=ref("A"))
    found = errors(definition(schedule(), outside, activity("A", dependsOn=ref("A"))))
    assert list(found) == ["A"]
