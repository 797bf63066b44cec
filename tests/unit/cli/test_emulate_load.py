"""The files of `aiodp emulate --load`, `--parameters` and `--values`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from aiodp.cli._emulate.load import LoadError, check_files, read_files
from aiodp.emulator import Settings

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT = {"id": "Default", "scheduleType": "ondemand", "pipelineLogUri": "s3://logs"}
ACTIVITY = {"id": "Work", "type": "ShellCommandActivity", "workerGroup": "workers"}


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Writes a file of JSON."""

    def write(name: str, content: Any) -> Path:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


def definition(parameter: str) -> dict[str, Any]:
    return {
        "objects": [DEFAULT, ACTIVITY | {"command": f"#{{{parameter}}}"}],
        "parameters": [{"id": parameter}],
    }


def warnings(*files: Any) -> list[str]:
    return check_files(files, Settings(), activate=True)


def test_a_value_is_for_the_files_that_declare_it(write):
    """Values of one file for several definitions; a name that none of them has is reported."""
    paths = [write("a.json", definition("myA")), write("b.json", definition("myB"))]
    values = write("values.json", {"myA": "1", "myB": "2", "myC": "3"})
    assert warnings(*read_files(paths, values=values)) == [
        f"{path}: myC: It has a value, but is not declared as a parameter." for path in paths
    ]


def test_a_parameter_without_a_value_names_the_option_that_helps(write):
    """As in AWS's samples, whose values come by another file."""
    files = read_files([write("a.json", definition("myA"))])
    with pytest.raises(LoadError, match=r"myA: MISSING_VALUE: .*\. --values FILE gives"):
        warnings(*files)


def test_parameters_of_a_file_replace_those_of_the_definitions(write):
    """As `--parameter-objects` of the AWS CLI does."""
    path = write("a.json", definition("myA") | {"values": {"myA": "1"}})
    parameters = write("p.json", {"parameters": [{"id": "myA", "type": "Integer"}]})
    [file] = read_files([path], parameters)
    assert file.definition.parameter_objects == [
        {"id": "myA", "attributes": [{"key": "type", "stringValue": "Integer"}]}
    ]
    assert warnings(file) == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("parameters", "parameters: []", "must be JSON"),
        ("parameters", [], '"parameters"'),
        ("values", "myA: 1", "must be JSON"),
        ("values", [], "values are a JSON object"),
    ],
)
def test_a_file_of_another_form_is_named(write, name, content, reason):
    """Each of the files, with what it should be."""
    path = write("a.json", definition("myA"))
    other = write("other.json", content)
    with pytest.raises(LoadError, match=rf"other\.json: .*{reason}"):
        read_files([path], **{name: other})
