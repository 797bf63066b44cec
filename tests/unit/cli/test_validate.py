"""`aiodp validate`: what it finds in files, and where."""

from __future__ import annotations

import json
import sys
from importlib.resources import files
from pathlib import Path

import pytest
from click.testing import CliRunner

from aiodp.cli._main import cli

STAGING = Path(__file__).parents[2] / "acceptance" / "samples" / "shellcommand-s3-staging.json"
FAULTY = """\
{"objects": [
  {"id": "Default", "pipelineLogUri": "s3://logs", "scheduleType": "ondemand"},
  {"id": "Work",
   "type": "ShellCommandActivity",
   "command": "true",
   "stage": "maybe"}]}
"""
SOUND = """\
{"objects": [
  {"id": "Default", "pipelineLogUri": "#{myLogs}", "scheduleType": "ondemand"},
  {"id": "Work", "type": "ShellCommandActivity", "command": "true", "workerGroup": "w",
   "attemptTimeout": "#{myTimeout}"}],
 "parameters": [
  {"id": "myLogs"},
  {"id": "myTimeout", "default": "1 hour"}],
 "values": {
  "myLogs": "s3://logs"}}
"""


@pytest.fixture
def write(tmp_path):
    """Writes a file, and gives its path."""

    def write(text, name="FILE"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.fixture
def validate(tmp_path):
    """Runs the command; gives the exit code, and the lines of the output without the folder."""

    def validate(*arguments, **environment):
        words = ["validate", *map(str, arguments)]
        done = CliRunner().invoke(cli, words, env=environment, standalone_mode=False)
        code = getattr(done.exception, "exit_code", None) or done.return_value
        return code, done.output.replace(f"{tmp_path}/", "").splitlines()

    return validate


def test_each_finding_has_its_object_its_field_and_its_line(validate, write):
    """A line each, in the order of the file, and one which counts them."""
    code, lines = validate(write(FAULTY))
    assert lines == [
        (
            "FILE:3: warning: Work: 'runsOn' and 'workerGroup' are missing: "
            "its tasks stay in WAITING_FOR_RUNNER."
        ),
        (
            "FILE:6: error: Work.stage: INVALID_FIELD_VALUE: 'stage' value must be true or false, "
            "not 'maybe'."
        ),
        "1 file, 1 error, 1 warning.",
    ]
    assert code == 1


def test_a_missing_field_is_named(validate, write):
    """On the line of its object."""
    _, lines = validate(write('{"objects": [\n{"id": "S", "type": "Schedule",\n"startAt": "x"}]}'))
    assert "FILE:2: error: S.period: MISSING_FIELD: 'period' is missing." in lines


def test_findings_for_programs(validate, write):
    """One JSON object, with the same."""
    code, [line] = validate(write(FAULTY), AIODP_VALIDATE_FORMAT="json")
    told = json.loads(line)
    assert code == 1
    assert told["ok"] is False
    assert [one["severity"] for one in told["findings"]] == ["warning", "error"]
    assert told["findings"][1] == {
        "file": "FILE",
        "line": 6,
        "severity": "error",
        "object": "Work",
        "parameter": None,
        "field": "stage",
        "text": "INVALID_FIELD_VALUE: 'stage' value must be true or false, not 'maybe'.",
    }


def test_sound_definitions(validate, write):
    """Those that AWS publishes as samples, with warnings, and one without any."""
    hello = files("aiodp.cli").joinpath("samples/helloworld.json").read_bytes()
    code, lines = validate(write(SOUND), write(hello, "hello"), STAGING)
    assert code == 0
    assert all(": warning: " in line for line in lines[:-1])
    assert lines[-1].startswith("3 files, 0 errors, ")
    assert validate(write(SOUND)) == (0, ["1 file, 0 errors, 0 warnings."])
    assert validate("--format", "json", write(SOUND)) == (0, ['{"ok": true, "findings": []}'])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"objects":\n []', "FILE:2: error: Expecting ',' delimiter: line 2 column 4 (char 15)"),
        ("[]", 'FILE: error: a definition is a JSON object with a list of "objects"'),
        (
            '{"objects": [\n{"id": "A",\n "step": null}]}',
            "FILE:3: error: A.step: object 'A': 'step' must be a text, a number or true or false",
        ),
        (b"\xff", "FILE: error: it is not UTF-8: invalid start byte"),
        ('{"objects": [{"id": "A",\n"name": ""}]}', "FILE:2: error: A.name: MISSING_FIELD"),
        ('{"objects": [\n{"id": "", "name": "x"}]}', "FILE:2: error: .id: MISSING_FIELD"),
        (
            json.dumps({"objects": [], "values": {"myList": ["x"] * 1001}}),
            "FILE: error: ",
        ),
    ],
)
def test_what_the_service_would_not_even_store(validate, write, text, words):
    """A file of another form, an empty field, a definition that is too large."""
    code, lines = validate(write(text))
    assert lines[0].startswith(words)
    assert (code, lines[1:]) == (1, ["1 file, 1 error, 0 warnings."])


def test_parameters_and_values_may_be_in_files_of_their_own(validate, write):
    """Each finding is in the file that has what it is about; it is told once."""
    parameters = write('{"parameters": [\n{"id": "myLogs",\n"type": "Boolean"}]}', "P")
    values = write('{"myLogs": "s3://logs",\n"myOther": "x"}', "V")
    one, two = write(SOUND, "1"), write(SOUND, "2")
    code, lines = validate(one, two, "--parameters", parameters, "--values", values)
    unknown = "warning: Work.attemptTimeout: 'attemptTimeout': 'myTimeout' is neither a field nor"
    unknown += " a parameter."
    assert code == 1
    assert [line.partition(" INVALID")[0] for line in lines] == [
        f"1:4: {unknown}",
        "P:3: error: parameter myLogs.type:",
        "V:2: warning: value of myOther: It has a value, but is not declared as a parameter.",
        f"2:4: {unknown}",
        "2 files, 1 error, 3 warnings.",
    ]


def test_values_of_another_file_override_those_of_the_definition(validate, write):
    """What a value makes wrong is said of the field which it is for."""
    code, lines = validate(write(SOUND), "--values", write('{"myTimeout": "soon"}', "V"))
    assert code == 1
    assert lines[0].startswith("FILE:4: error: Work.attemptTimeout: INVALID_FIELD_VALUE")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("--values", "V: error: values are a JSON object, a value for each parameter"),
        ("--parameters", 'V: error: a file of parameters is a JSON object with a list of "param'),
    ],
)
def test_a_file_beside_which_is_none(validate, write, option, words):
    """Then nothing else is said."""
    code, lines = validate(write(FAULTY), option, write("[]", "V"))
    assert lines[0].startswith(words)
    assert (code, len(lines)) == (1, 2)


def test_what_is_not_printable_is_escaped(validate, write):
    """An id cannot write lines of its own, nor to the terminal."""
    _, lines = validate(write('{"objects": [{"id": "A\\n\\u009b", "type": "CSV", "color": "x"}]}'))
    assert lines[0].startswith("FILE:1: warning: A\\n\\x9b.color: 'color' is not a field of CSV")


def test_a_file_that_cannot_be_read(validate, write, monkeypatch):
    """It is a finding like others."""
    path = write(SOUND)

    def fail(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", fail)
    assert validate(path) == (1, ["FILE: error: Permission denied", "1 file, 1 error, 0 warnings."])


@pytest.mark.parametrize("arguments", [[], ["missing"]])
def test_wrong_usage(validate, arguments):
    """No file, and one that is not there."""
    assert validate(*arguments)[0] == 2


def test_a_missing_library_is_named(write, monkeypatch):
    """Expressions need the extra `emulator`."""
    monkeypatch.setitem(sys.modules, "lark", None)
    monkeypatch.delitem(
        sys.modules, "aiodp.emulator._definition.expressions.grammar", raising=False
    )
    path = write(SOUND.replace("#{myTimeout}", "#{'never read before'}"))
    done = CliRunner().invoke(cli, ["validate", str(path)], standalone_mode=False)
    assert "validate needs the module lark; install what is missing" in str(done.exception)


def test_what_no_call_can_hold_is_an_error(write, validate):
    """The service refuses the whole call for it: it must not pass here."""
    path = write(
        r"""{"objects": [
  {"id": "Default", "name": "\u0001", "scheduleType": "ondemand"},
  {"id": "Work", "type": "ShellCommandActivity", "workerGroup": "w",
   "command": "\u0002"}],
 "parameters": [
  {"id": "myOne",
   "description": "\u0003"}],
 "values": {
  "myOne": "\u0004"}}
"""
    )
    code, lines = validate(path)
    illegal = [line for line in lines if "not legal in XML" in line]
    assert code == 1
    assert [line.split(": ")[0] for line in illegal] == [f"FILE:{n}" for n in (2, 4, 7, 9)]
