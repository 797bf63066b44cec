"""The pages that show how something is done: their commands, programs and files are real."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]
from markdown_it import MarkdownIt

from aiodp import RunEnd, RunnerStatistics, Statistics
from aiodp.cli._main import cli

ROOT = Path(__file__).parents[3]
PAGES = [
    *("ci", "fastapi", "index", "kubernetes"),
    *("leaving-the-jar", "observing", "troubleshooting", "tutorial"),
]
COMMANDS_OF = [*PAGES, "doctor", "run", "validate"]
LANGUAGES = {"sh", "python", "yaml", "text", "json"}


def text(page: str) -> str:
    return (ROOT / "docs" / f"{page}.md").read_text()


def blocks(page: str, *languages: str) -> list[str]:
    tokens = MarkdownIt().parse(text(page))
    return [one.content for one in tokens if one.type == "fence" and one.info in languages]


COMMANDS = [
    found[1]
    for page in COMMANDS_OF
    for block in blocks(page, "sh", "yaml")
    for found in re.finditer(r"^(?:kubectl .* -- |\s*- run: )?(aiodp .*)$", block, re.MULTILINE)
]
FILES = {"~/credentials.json": "credentials.json", "pipelines/*.json": "pipeline.json"}
"""Where this test has what the shell would find."""


@pytest.mark.parametrize("page", PAGES)
def test_there_is_no_block_of_another_kind(page):
    """A block in another language would be looked at by nobody."""
    fences = [token for token in MarkdownIt().parse(text(page)) if token.type == "fence"]
    assert {token.info for token in fences} <= LANGUAGES


@pytest.mark.parametrize("command_line", COMMANDS)
def test_the_commands_are_ones_that_aiodp_takes(command_line, tmp_path, monkeypatch):
    """With their options; files that they name are there."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pipeline.json").write_text("{}")
    (tmp_path / "credentials.json").write_text('{"access-id": "any", "private-key": "any"}')
    line = command_line
    for shown, here in FILES.items():
        line = line.replace(shown, here)
    program, name, *arguments = shlex.split(line)
    command = cli.get_command(cli.make_context(program, [name]), name)
    assert command is not None
    with command.make_context(name, arguments):
        pass


def test_there_are_commands():
    """The expressions above find what they look for."""
    assert len(COMMANDS) >= 12


def test_the_program_for_fastapi_is_the_example():
    """Whole, but for its docstring; that it works, the tests of the examples show."""
    [block] = blocks("fastapi", "python")
    assert (ROOT / "examples" / "embedded_in_fastapi.py").read_text().endswith(block)


def test_the_lines_for_kubernetes_are_those_of_the_file():
    """What the page quotes stands in the example."""
    [block] = blocks("kubernetes", "yaml")
    assert block in (ROOT / "examples" / "kubernetes" / "runner.yaml").read_text()


def test_the_job_for_ci_can_be_read():
    """It is YAML, and each of its steps uses or runs something."""
    [block] = blocks("ci", "yaml")
    [job] = yaml.safe_load(block)["jobs"].values()
    assert all(step.keys() & {"uses", "run"} for step in job["steps"])


def test_what_is_worth_an_alarm_exists():
    """Each name is a statistic, and each end one of a task."""
    rows = re.findall(r"^\| (`.+`) \|", text("observing"), re.MULTILINE)
    names = set(re.findall(r"`(\w+)", " ".join(rows)))
    assert names <= {
        field.name for kind in (Statistics, RunnerStatistics) for field in fields(kind)
    }
    assert set(re.findall(r'\["(.+?)"\]', " ".join(rows))) <= set(RunEnd)


def test_the_old_command_and_the_new_one_have_the_same_options():
    """Nothing but the program changes for who leaves the jar."""
    [jar] = blocks("leaving-the-jar", "text")
    _, taken, *_ = blocks("leaving-the-jar", "sh")
    assert jar.partition(".jar ")[2] == taken.partition("aiodp run ")[2]
