"""What tasks and options ask for, and what is refused."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from aiobotocore.session import get_session

from aiodp import TaskFailed
from aiodp.shell import CommandFailed, ShellHandler
from unit.shell.kit import FakeTask, handle

pytestmark = pytest.mark.anyio

PACKAGE = Path(inspect.getfile(ShellHandler)).parent
DOCUMENT = (Path(__file__).parents[3] / "docs" / "shell.md").read_text()
SOURCES = "".join(path.read_text() for path in PACKAGE.glob("*.py"))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "neither"),
        ({"command": "true", "scriptUri": "s3://b/k"}, "both"),
        ({"command": ["a", "b"]}, "2 values"),
        ({"scriptUri": "/bin/true"}, "not of the form s3://BUCKET/KEY"),
        ({"scriptUri": "s3://bucket"}, "no key"),
        ({"command": "true", "stage": "perhaps"}, "stage must be true or false, not 'perhaps'"),
        ({"command": "true", "stdout": "/tmp/out"}, "needs a workerGroup"),
        ({"command": "true", "stderr": "s3:///x"}, "not of the form"),
        ({"command": "true", "scriptArgument": "a\0b"}, "scriptArgument"),
        ({"command": "true", "scriptArgument": "\ud800"}, "scriptArgument"),
        ({"command": "true", "stdout": "a\0", "workerGroup": "g"}, "can be no path"),
    ],
)
async def test_a_bad_definition_fails_the_task(run, fields, words, tmp_path):
    """Nothing is run, and nothing is made."""
    with pytest.raises(TaskFailed, match=words) as caught:
        await run(**fields)
    assert caught.value.error_id == "BadDefinition"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["EmrActivity", ""])
async def test_another_type_is_not_supported(run, kind):
    """The message says what is."""
    with pytest.raises(TaskFailed, match="supports ShellCommandActivity") as caught:
        await run(kind=kind, command="true")
    assert caught.value.error_id == "UnsupportedType"


@pytest.mark.parametrize("place", ["there/out", "/absolute"])
async def test_streams_go_to_local_files_of_a_worker_group(run, tmp_path, place):
    """A relative path is one below the output directory."""
    path = tmp_path / place if place.startswith("there") else tmp_path / "other"
    given = place if place.startswith("there") else str(path)
    with pytest.raises(CommandFailed):
        await run(command="echo hi; exit 1", stdout=given, workerGroup="group")
    assert path.read_text() == "hi\n"


async def test_a_copy_that_fails_does_not_fail_the_task(run, tmp_path, caplog):
    """It is a warning in the log."""
    assert await run(command="true", stdout=str(tmp_path), workerGroup="group") is True
    assert "its output was not copied" in caplog.text
    assert await run(command="true", pipelineLogUri="#{myLogs}") is True
    assert "pipelineLogUri '#{myLogs}' is not of the form" in caplog.text


@pytest.mark.parametrize(
    "evil", ["../../../up", "..", ".", "a/b", "/etc", "nul\0", "x" * 300, "é" * 200, "\ud800", "~"]
)
async def test_no_id_leaves_the_output_directory(tmp_path, evil):
    """Whatever ids hold, each is one name of a legal length; the streams are kept."""
    output = tmp_path / "a" / "b" / "output"
    command = {"command": "echo hi"}
    await handle(FakeTask(command, attempt_id=evil, pipeline_id=evil), output)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"StdOutput", "StdError"}
    for path in files:
        assert len(path.relative_to(output).parts) == 6


async def test_similar_ids_have_directories_of_their_own(tmp_path):
    """What makes an id fit to be a name makes no two the same."""
    await handle(FakeTask({"command": "echo 1"}, attempt_id="a/b"), tmp_path)
    [first] = tmp_path.rglob("StdOutput")
    name = first.parent.name
    for count, other in enumerate(["a_b", "a\\b", name], 2):
        await handle(FakeTask({"command": "echo 2"}, attempt_id=other), tmp_path)
        assert len([*tmp_path.rglob("StdOutput")]) == count
    assert first.read_text() == "1\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"output": ""}, "output must be the path of a directory, not ''"),
        ({"output": "/dev/null"}, "output must be a directory, which '/dev/null' is not"),
        ({"log_uri": "https://x"}, "log_uri: 'https://x' is not of the form s3://BUCKET/KEY"),
        ({"log_uri": 3}, "log_uri must be a str"),
        ({"region_name": ""}, "region_name must be a region such as 'eu-west-1', not ''"),
        ({"s3_endpoint_url": "localhost:1"}, "not 'localhost:1'"),
        ({"s3_endpoint_url": "http://h:x"}, "not 'http://h:x'"),
        ({"grace": -1}, "grace must be from 0 to 86,400 s, but is -1 s"),
        ({"grace": timedelta(days=2)}, "but is 172800 s"),
        ({"grace": "10"}, "not '10'"),
        ({"max_output": -1}, "at least 0, not -1"),
        ({"max_output": 1.5}, "whole number of bytes"),
        ({"environment": {"A=B": ""}}, "'A=B' cannot be the name of a variable"),
        ({"environment": {"A": 1}}, "A must be a str without NUL, not 1"),
        ({"environment": ["A"]}, "must be a mapping"),
    ],
)
def test_options_are_checked(options, words):
    """The message names the value and what is allowed."""
    with pytest.raises(ValueError, match="".join(words)):
        ShellHandler(get_session(), **options)


def test_the_document_names_each_parameter_with_its_default():
    """In a row of its own."""
    rows = dict(re.findall(r"^\| `(\w+)` \| (.*?) \|", DOCUMENT, re.MULTILINE))
    defaults = {
        name: parameter.default
        for name, parameter in inspect.signature(ShellHandler).parameters.items()
        if parameter.default not in (inspect.Parameter.empty, None)
    }
    assert defaults == {
        "output": rows["output"].strip('`"'),
        "grace": float(rows["grace"].removesuffix(" s")),
        "max_output": int(rows["max_output"].removesuffix(" MiB")) * 2**20,
        "keep_work": rows["keep_work"] != "`False`",
    }
    assert rows["log_uri"] == rows["environment"] == "none"


def test_the_document_names_each_way_to_fail():
    """The `errorId` of each failure in the sources has a row."""
    error_ids = set(re.findall(r'error_id="(\w+)"', SOURCES))
    assert len(error_ids) == 5
    for error_id in error_ids:
        assert f"\n| `{error_id}` | " in DOCUMENT


def test_it_needs_neither_the_command_line_nor_the_emulator():
    """A worker without extras has it."""
    code = "import sys, aiodp.shell; sys.exit(bool({'click', 'rich', 'moto'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True)
