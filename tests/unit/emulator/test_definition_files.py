"""Definition files and files of values, as people write them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aiodp.emulator._definition.files import load_definition, load_values


def test_a_file_becomes_the_api_s_form():
    """Keys are sorted, references and lists translated, names default to ids."""
    text = json.dumps(
        {
            "objects": [
                {"id": "A", "b": ["x", {"ref": "B"}], "a": {"ref": "B"}, "c": 1, "d": True},
                {"id": "B", "name": "Bee"},
            ],
            "parameters": [{"id": "myP", "type": "String", "allowedValues": ["x", "y"]}],
            "values": {"myP": ["x", "y"]},
        }
    )
    objects, parameters, values = load_definition(text)
    assert objects == [
        {
            "id": "A",
            "name": "A",
            "fields": [
                {"key": "a", "refValue": "B"},
                {"key": "b", "stringValue": "x"},
                {"key": "b", "refValue": "B"},
                {"key": "c", "stringValue": "1"},
                {"key": "d", "stringValue": "true"},
            ],
        },
        {"id": "B", "name": "Bee", "fields": []},
    ]
    assert parameters == [
        {
            "id": "myP",
            "attributes": [
                {"key": "allowedValues", "stringValue": "x"},
                {"key": "allowedValues", "stringValue": "y"},
                {"key": "type", "stringValue": "String"},
            ],
        }
    ]
    assert values == [{"id": "myP", "stringValue": "x"}, {"id": "myP", "stringValue": "y"}]


def test_a_key_that_is_there_twice_is_a_list():
    """The guide's samples repeat keys; no value is lost, and lists are flat."""
    objects, _, _ = load_definition(
        '{"objects": [{"id": "A", "step": "1", "step": ["2", "3"], "step": {"ref": "B"}}]}'
    )
    assert objects[0]["fields"] == [
        {"key": "step", "stringValue": "1"},
        {"key": "step", "stringValue": "2"},
        {"key": "step", "stringValue": "3"},
        {"key": "step", "refValue": "B"},
    ]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "Expecting value"),
        ("objects:\n  - id: A\n", "JSON.*YAML"),
        ("---\nobjects: []\n", "JSON.*YAML"),
        ("[]", '"objects"'),
        ("{}", '"objects"'),
        ('{"objects": 1}', '"objects"'),
        ('{"objects": [], "objects": []}', '"objects"'),
        ('{"objects": [], "parameters": {}}', '"parameters"'),
        ('{"objects": [], "values": []}', "values are"),
        ('{"objects": [1]}', 'one "id"'),
        ('{"objects": [{"name": "x"}]}', 'one "id".*name'),
        ('{"objects": [{"id": "A", "id": "B"}]}', 'one "id"'),
        ('{"objects": [{"id": "A", "name": ["a"]}]}', "object 'A': \"name\""),
        ('{"objects": [{"id": "A", "x": null}]}', "object 'A': 'x'"),
        ('{"objects": [{"id": "A", "x": {"y": "z"}}]}', "object 'A': 'x'"),
        ('{"objects": [{"id": "A", "x": {"ref": 1}}]}', "object 'A': 'x'.*ref"),
        ('{"objects": [{"id": "A", "x": {"ref": "B", "ref": "C"}}]}', "object 'A': 'x'.*ref"),
        ('{"objects": [{"id": "A", "x": [["y"]]}]}', "object 'A': 'x'"),
        ('{"objects": [], "parameters": [{"id": "myP", "type": {}}]}', "parameter 'myP': 'type'"),
        ('{"objects": [], "values": {"myP": null}}', "value of 'myP'"),
        ('{"objects": ' + "[" * 100_000, "nested too deep"),
    ],
)
def test_what_is_no_definition_is_refused(text, named):
    """Text which is no definition raises ValueError, which names the object and the key."""
    with pytest.raises(ValueError, match=named):
        load_definition(text)


@pytest.mark.parametrize(
    "text",
    [
        '{"values": {"myA": "x", "myB": ["1", 2]}}',
        '{"myA": "x", "myB": ["1", 2]}',
        '{"myA": "x", "myB": "1", "myB": 2}',
    ],
)
def test_a_file_of_values(text):
    """Values stand in a mapping, or in that alone; lists and repeated keys are several values."""
    assert load_values(text) == [
        {"id": "myA", "stringValue": "x"},
        {"id": "myB", "stringValue": "1"},
        {"id": "myB", "stringValue": "2"},
    ]


@pytest.mark.parametrize("text", ["", "[]", '{"values": 1}', '{"myA": {"ref": "B"}}', '"x"'])
def test_what_is_no_file_of_values_is_refused(text):
    """Other text raises ValueError."""
    with pytest.raises(ValueError, match=r".+"):
        load_values(text)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "name", "ref", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(["objects", "parameters", "values"]), JSON))
def test_any_json_is_read_or_refused(document):
    """Whatever JSON it is, the outcome is the API's form or a ValueError."""
    try:
        objects, parameters, values = load_definition(json.dumps(document))
    except ValueError:
        return
    assert all(isinstance(item["id"], str) for item in [*objects, *parameters, *values])
