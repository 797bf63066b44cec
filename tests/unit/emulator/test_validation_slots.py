"""Every field of every documented type takes what its slot type says, and refuses all else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from aiodp.emulator._definition.components import Definition
from aiodp.emulator._definition.object_types import TYPES, BaseType
from aiodp.emulator._definition.slot_types import (
    CHOICES,
    MULTIPLE,
    REFERENCES,
    SlotType,
    slot_type,
)
from aiodp.emulator._definition.validation import findings
from aiodp.emulator._definition.validation.parts import Severity
from unit.emulator.validation_kit import activity, definition, errors, ref, schedule

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Values = list[dict[str, str]]
Case = tuple[str, Values]
"""A field, and its values as the API has them."""

GOOD: dict[SlotType, tuple[str, ...]] = {
    SlotType.BOOLEAN: ("true", "false", "TRUE"),
    SlotType.DATE_TIME: ("2027-01-01T00:00:00",),
    SlotType.DOUBLE: ("0.1", ".25", "1", "1.0"),
    SlotType.INTEGER: ("1", "5"),
    SlotType.PERIOD: ("15 minutes", "2 Hours", "1 week"),
    SlotType.STRING: ("text", "text with blanks", "1"),
}
BAD: dict[SlotType, tuple[str, ...]] = {
    SlotType.BOOLEAN: ("maybe", "1", "yes", "true false"),
    SlotType.DATE_TIME: ("tomorrow", "2027-01-01", "2027-13-01T00:00:00"),
    SlotType.DOUBLE: ("half", "0.05", "1.1", "-0.5", "0,5"),
    SlotType.ENUMERATION: ("nonsense", "1", "true"),
    SlotType.INTEGER: ("many", "-1", "1.5", "0x10"),
    SlotType.PERIOD: ("soon", "-5", "0 hours", "1.5 hours"),
    SlotType.STRING: (),
}
BASES = {
    BaseType.ACTION: "Terminate",
    BaseType.DATABASE: "JdbcDatabase",
    BaseType.DATA_FORMAT: "CSV",
    BaseType.DATA_NODE: "S3DataNode",
    BaseType.PRECONDITION: "Exists",
    BaseType.RESOURCE: "Ec2Resource",
    "Default": "CSV",
    "RunnableObject": "ShellCommandActivity",
}
"""A type which is one of these, for references to it."""
OTHERS = [{"id": name, "type": name} for name in sorted(TYPES)]
EXCEPT = {("Ec2Resource", "runsOn"), ("EmrCluster", "runsOn")}
EXCEPT |= {("Ec2Resource", "workerGroup"), ("EmrCluster", "workerGroup")}
"""Documented as not allowed."""


def slots(name: str) -> Iterator[tuple[str, SlotType]]:
    """Yield each field of a documented type with its slot type."""
    for key in sorted(TYPES[name].fields - {"type"}):
        slot = slot_type(name, key)
        assert slot is not None
        yield key, slot


def refusals(name: str, cases: Sequence[Case]) -> Iterator[tuple[Case, list[str]]]:
    """Yield for each case the errors about its field, of an object that has its values in it."""
    objects = [
        *definition(*OTHERS).objects,
        *(_object(n, name, *cases[n]) for n in range(len(cases))),
    ]
    found: dict[str, list[str]] = {}
    for item in findings(Definition(objects=objects, parameter_objects=[], parameter_values=[])):
        if item.severity is Severity.ERROR:
            found.setdefault(f"{item.id} {item.key}", []).append(item.text)
    for n, (key, values) in enumerate(cases):
        yield (key, values), found.get(f"{n} {key}", [])


def _object(n: int, name: str, key: str, values: Values) -> dict[str, Any]:
    fields = [{"key": "type", "stringValue": name}, *({"key": key} | value for value in values)]
    if key == "onLateAction":
        fields.append({"key": "lateAfterTimeout", "stringValue": "1 hour"})
    return {"id": str(n), "name": str(n), "fields": fields}


def string(value: str) -> dict[str, str]:
    return {"stringValue": value}


def good(key: str, slot: SlotType) -> Values:
    """Return values of a field as they should be."""
    if slot is SlotType.REFERENCE:
        expected = REFERENCES[key]
        return [{"refValue": BASES.get(expected, str(expected))}]
    if slot is SlotType.ENUMERATION:
        choices = CHOICES[key] - {"ondemand"}  # which is for all of a pipeline or none
        return [string(value) for choice in choices for value in (choice, choice.upper())]
    if key.endswith("BidPrice"):
        return [string(value) for value in ("0.10", "19.99", "OnDemandPrice")]
    return [string(value) for value in GOOD[slot]]


def bad(key: str, slot: SlotType) -> Values:
    """Return values of a field as they must not be."""
    if slot is SlotType.REFERENCE:
        wrong = {"refValue": "Property" if REFERENCES[key] != "Property" else "CSV"}
        return [string("text"), *([wrong] if REFERENCES[key] != "Default" else [])]
    values = ("0", "20", "cheap") if key.endswith("BidPrice") else BAD[slot]
    return [{"refValue": "CSV"}, *map(string, values)]


@pytest.mark.parametrize("name", sorted(TYPES))
def test_right_values_are_accepted(name):
    """Nothing is wrong with a value that the guide allows."""
    cases = [
        (key, [value])
        for key, slot in slots(name)
        for value in good(key, slot)
        if (name, key) not in EXCEPT
    ]
    assert [case for case in refusals(name, cases) if case[1]] == []


@pytest.mark.parametrize("name", sorted(TYPES))
def test_wrong_values_are_refused(name):
    """An error names the object, the field, and the value or what kind of value it is."""
    cases = [(key, [value]) for key, slot in slots(name) for value in bad(key, slot)]
    passed = []
    for (key, [value]), texts in refusals(name, cases):
        ((kind, given),) = value.items()
        shown = given if kind == "stringValue" else "Found values of type 'CSV'"
        if slot_type(name, key) is SlotType.REFERENCE:
            shown = "Found values of type '"
        elif slot_type(name, key) is SlotType.DATE_TIME and kind == "stringValue":
            shown = "must be a literal datetime value"  # the service's own words
        if not any(f"'{key}'" in text and shown in text for text in texts):
            passed.append((key, value, texts))
    assert passed == []


@pytest.mark.parametrize("name", sorted(TYPES))
def test_several_values_are_for_some_fields(name):
    """Two values of a field that takes one are an error, which names both."""
    cases = [(key, good(key, slot)[:1] * 2) for key, slot in slots(name)]
    for (key, [value, _]), texts in refusals(name, cases):
        (given,) = value.values()
        text = f"INVALID_FIELD_VALUE: '{key}' takes one value, not '{given}', '{given}'."
        if key.startswith("*"):
            text = f"INVALID_FIELD_VALUE: '{key}' takes one value."
        assert (text in texts) == (key not in MULTIPLE)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_a_value_is_either_a_string_or_a_reference(name):
    """A field with stringValue and refValue at once is an error."""
    cases = [(key, [{"stringValue": "text", "refValue": "CSV"}]) for key, _ in slots(name)]
    for (key, _), texts in refusals(name, cases):
        assert f"INVALID_FIELD_VALUE: '{key}' has both stringValue and refValue." in texts


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        (
            {"workerGroup": ref("Csv")},
            "'workerGroup' values must be of type 'String'. Found values of type 'CSV'",
        ),
        (
            {"stage": "maybe"},
            "INVALID_FIELD_VALUE: 'stage' value must be true or false, not 'maybe'.",
        ),
        (
            {"command": ["a", "b"]},
            "INVALID_FIELD_VALUE: 'command' takes one value, not 'a', 'b'.",
        ),
        (
            {"type": ref("Csv")},
            "'type' values must be of type 'String'. Found values of type 'CSV'",
        ),
        (
            {"schedule": [ref("Hourly"), ref("Hourly")]},
            "INVALID_FIELD_VALUE: 'schedule' takes one value, not 'Hourly', 'Hourly'.",
        ),
    ],
)
def test_the_words_of_an_error(fields, text):
    """An error names the field and what is there."""
    csv = {"id": "Csv", "type": "CSV"}
    assert errors(definition(schedule(), csv, activity(**fields))) == {"Work": [text]}


@pytest.mark.parametrize("key", ["stage", "*stage"])
def test_encrypted_values_are_not_shown(key):
    """No error shows the value of an encrypted parameter or field."""
    fields: dict[str, Any] = {"*workerGroup": ["hunter2", "hunter2"], "workerGroup": None}
    fields[key] = "#{*mySecret}" if key == "stage" else "hunter2"
    made = definition(
        schedule(),
        activity(**fields),
        parameters=[{"id": "*mySecret"}],
        values={"*mySecret": "hunter2"},
    )
    assert set(errors(made)["Work"]) == {
        "INVALID_FIELD_VALUE: '*workerGroup' takes one value.",
        f"INVALID_FIELD_VALUE: '{key}' value must be of type 'Boolean'.",
    }


def test_a_list_parameter_is_for_fields_that_take_lists():
    """What a parameter gives counts as if it stood there."""
    made = definition(
        schedule(),
        activity(command="echo #{myWords}", scriptArgument="#{myWords}"),
        parameters=[{"id": "myWords"}],
        values={"myWords": ["a", "b"]},
    )
    text = "INVALID_FIELD_VALUE: 'command' takes one value, not 'echo a', 'echo b'."
    assert errors(made) == {"Work": [text]}


def test_fields_which_nobody_documents_may_be_anything():
    """The user's own fields take strings and references, one or many."""
    fields: dict[str, Any] = {"myList": [ref("Hourly"), "text"], "color": [ref("Hourly"), "red"]}
    assert errors(definition(schedule(), activity(**fields))) == {}


def test_a_cluster_may_last_a_number_of_hours():
    """That is what its page says; other periods have a unit."""
    cluster = {"id": "Cluster", "type": "EmrCluster", "terminateAfter": "2"}
    machine = {"id": "Machine", "type": "Ec2Resource", "terminateAfter": "2"}
    assert list(errors(definition(cluster, machine))) == ["Machine"]
    assert list(errors(definition(cluster | {"terminateAfter": "0"}))) == ["Cluster"]


def test_a_region_may_have_underscores():
    """Samples of the guide have `us_west_1`; the page of RdsDatabase takes any text."""
    table = {"id": "T", "type": "DynamoDBDataNode", "tableName": "t", "region": "us_west_1"}
    database = {
        "id": "D",
        "type": "RdsDatabase",
        "region": "mars",
        "username": "u",
        "*password": "p",
        "rdsInstanceId": "i",
    }
    assert errors(definition(table, database)) == {}
