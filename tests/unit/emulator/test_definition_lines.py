"""Where things stand in a definition file."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aiodp.emulator._definition.files import FileError, load_definition, load_values
from aiodp.emulator._definition.lines import Lines, Part

TEXT = r"""
{"objects": [
  {"id": "A", "name": "x",
   "command": "echo \"{[,:]}\" \\",
   "nested": {"id": "B",
              "command": 1},
   "step": ["one",
            "two"],
   "step": "three"}, {"type": "CSV", "id":
   "B"},
  {"command": "second", "id": "A\u0021"}
 ],
 "parameters": [
  {"id": "myOne",
   "type": "String"}],
 "values": {"myOne":
   ["x", "y"], "A": "no object"}}
"""


@pytest.mark.parametrize(
    ("part", "item_id", "key", "line"),
    [
        (Part.OBJECT, "A", None, 3),
        (Part.OBJECT, "A", "id", 3),
        (Part.OBJECT, "A", "command", 4),
        (Part.OBJECT, "A", "nested", 5),
        (Part.OBJECT, "A", "step", 7),
        (Part.OBJECT, "A", "missing", 3),
        (Part.OBJECT, "B", None, 9),
        (Part.OBJECT, "B", "type", 9),
        (Part.OBJECT, "A!", "command", 11),
        (Part.OBJECT, "C", "command", None),
        (Part.PARAMETER, "myOne", None, 14),
        (Part.PARAMETER, "myOne", "type", 15),
        (Part.PARAMETER, "A", None, None),
        (Part.VALUE, "myOne", None, 16),
        (Part.VALUE, "A", None, 17),
        (Part.VALUE, "myTwo", None, None),
    ],
)
def test_lines_of_a_definition(part, item_id, key, line):
    """The line of a key; of the object, where it has no such key; none of what is not there."""
    assert Lines(TEXT).of(part, item_id, key) == line


def test_of_several_objects_with_an_id_the_last_counts():
    """As in the definition itself."""
    text = '{"objects": [{"id": "A"},\n{"id": "A"}]}'
    assert Lines(text).of(Part.OBJECT, "A") == 2


@pytest.mark.parametrize("text", ['{"values":\n{"myOne": 1}}', '{\n"myOne": 1}'])
def test_lines_of_a_file_of_values(text):
    """With its wrapping, or without."""
    assert Lines(text).of(Part.VALUE, "myOne") == 2


NAMES = st.text(max_size=8)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), NAMES)
VALUES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner), st.dictionaries(NAMES, inner)), max_leaves=6
)


@settings(max_examples=25)
@given(st.lists(st.dictionaries(NAMES, VALUES, min_size=1), min_size=1), st.booleans())
def test_each_key_of_each_object_is_found(objects, ascii_only):
    """Whatever the values are: with a line for each key of an object, all keys are told apart."""
    numbered = [{"id": str(n)} | item | {"id": str(n)} for n, item in enumerate(objects)]
    rows = [
        [json.dumps({key: item[key]}, ensure_ascii=ascii_only)[1:-1] for key in item]
        for item in numbered
    ]
    text = '{"objects": [{\n' + "},{\n".join(",\n".join(lines) for lines in rows) + "}]}"
    lines, line = Lines(text), 1
    for item in numbered:
        for key in item:
            line += 1
            assert lines.of(Part.OBJECT, item["id"], key) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"objects": [\n{"id": "A",\n"command": null}]}', 3),
        ('{"objects": [\n{"id": "A",\n"command": {"ref": 1}}]}', 3),
        ('{"objects": [\n{"id": "A",\n"name": ["x"]}]}', 3),
        ('{"objects": [\n{"id": "A"},\n{"name": "x"}]}', 3),
        ('{"objects": [],\n"parameters": [\n{"id": "myOne", "type":\nnull}]}', 3),
        ('{"objects": [],\n"values": {\n"myOne": null}}', 3),
    ],
)
def test_what_is_no_definition_is_placed(text, line):
    """An error of the form of a file says where it is."""
    with pytest.raises(FileError) as caught:
        load_definition(text)
    assert caught.value.place is not None
    assert Lines(text).place(caught.value.place) == line


@pytest.mark.parametrize("text", ["[]", '{"objects": {}}', '{"objects": [], "parameters": {}}'])
def test_what_is_wrong_as_a_whole_has_no_place(text):
    """There is no line to name."""
    with pytest.raises(FileError) as caught:
        load_definition(text)
    assert caught.value.place is None
    with pytest.raises(FileError):
        load_values("[]")
