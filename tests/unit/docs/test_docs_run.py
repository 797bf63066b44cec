"""docs/run.md says what `aiodp run` does."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import click
import pytest
from rich.console import Console

from aiodp._runner.dispatcher import _CLEAN_UP_TIMEOUT
from aiodp.cli._formatters import EXTRAS
from aiodp.cli._params import DEFAULT_GRACE, KILL_TO_DEADLINE
from aiodp.cli._run.background import MAX_WAITING_CALLS
from aiodp.cli._run.command import run
from aiodp.cli._run.descriptors import PER_TASK, RESERVE
from aiodp.cli._run.exit_codes import EXIT_CODES, THREADS_TIMEOUT
from aiodp.cli._run.options import MAX_GRACE, OURS
from aiodp.cli._run.session import LAST_UPLOAD_TIMEOUT
from aiodp.cli._run.table_lines import Row, table_lines
from aiodp.cli._run.task_runner_options import TASK_RUNNERS

TEXT = (Path(__file__).parents[3] / "docs" / "run.md").read_text()
WORDS = " ".join(TEXT.split())


def section(title: str) -> str:
    return TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """Return the cells of the rows of the tables of a text, heads left out."""
    lines = re.findall(r"^\| *(.*?) *\|$", text, re.MULTILINE)
    cells = [re.split(r" *(?<!\\)\| *", line) for line in lines]
    marks = [number for number, row in enumerate(cells) if set(row[0]) == {"-"}]
    heads = {number - 1 for number in marks} | set(marks)
    return [row for number, row in enumerate(cells) if number not in heads]


def parameters(options) -> list[click.Option]:
    command = click.command()(lambda: None)
    for option in options:
        option(command)
    return [parameter for parameter in command.params if isinstance(parameter, click.Option)]


def spelled(cell: str) -> set[str]:
    return set(re.findall(r"--[A-Za-z-]+", cell))


def test_all_of_task_runners_options_are_in_the_table():
    """In both spellings, and no other one."""
    documented = [
        spelled(row[0]) | spelled(row[1]) for row in rows(section("Task Runner's options"))
    ]
    assert sorted(map(sorted, documented)) == sorted(
        sorted(parameter.opts) for parameter in parameters(TASK_RUNNERS)
    )


def test_all_of_our_options_are_in_the_table_with_their_defaults():
    """What is a number there is the number here."""
    table = {row[0]: row[1] for row in rows(section("Our own options"))}
    known = {parameter.opts[0]: parameter for parameter in parameters(OURS)}
    assert {min(spelled(cell), key=len) for cell in table if "no-table" not in cell} == (
        set(known) - {"--table"}
    )
    for cell, default in table.items():
        name = min(spelled(cell), key=len)
        if name not in ("--grace", "--table") and re.fullmatch(r"\d+|text", default):
            assert str(known[name].default) == default
    assert float(table["`--grace SECONDS`"]) == DEFAULT_GRACE


def test_the_order_of_the_help_is_that_of_the_tables():
    """Task Runner's options first."""
    names = [parameter.name for parameter in run.params]
    assert names == [parameter.name for parameter in (*parameters(TASK_RUNNERS), *parameters(OURS))]


def test_the_exit_codes_are_those_of_the_help():
    """Word for word, but for the marks."""
    table = {row[0]: row[1] for row in rows(section("How it stops")) if row[0][0].isdigit()}
    lines = re.sub(r"\n {7,}", " ", EXIT_CODES)
    in_help = dict(re.findall(r"^  (\S+) +(.*)$", lines, re.MULTILINE))
    assert {code: text.replace("`", "") for code, text in table.items()} == in_help


@pytest.mark.parametrize(
    "words",
    [
        f"at most {MAX_GRACE:g}",
        f"{PER_TASK} for a task, and {RESERVE}",
        f"`grace` and {KILL_TO_DEADLINE:g} seconds before its lease ends",
        f"handlers have {_CLEAN_UP_TIMEOUT:g} s to clean up",
        f"left behind after {THREADS_TIMEOUT:g} s",
        f"in up to {LAST_UPLOAD_TIMEOUT:g} s at the end",
        f"when {MAX_WAITING_CALLS:,} do",
        ", ".join(f"`{key}`" for key in ("time", "level", "message", *EXTRAS[:-2])),
    ],
)
def test_numbers_and_names_are_the_codes(words):
    """Each is taken from where it is used."""
    assert words in WORDS


def test_the_table_is_what_80_columns_show():
    """Line by line."""
    [block] = re.findall(r"```text\n(aiodp run .*?)```", TEXT, re.DOTALL)
    row = Row(
        attempt="@Copy_2026-01-01T00:00:00_Attempt=1",
        type="ShellCommandActivity",
        state="held",
        age=12.0,
        lease_left=289.0,
        fields="percentComplete=50 attemptStatus=running",
    )
    lines, left_out = table_lines([row], Console(width=80), 20)
    assert [line.plain.rstrip() for line in lines] == block.splitlines()[1:]
    assert not left_out


def test_the_function_takes_a_task(capsys):
    """It is done with the fields that it asks for."""
    [block] = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    names: dict[str, Any] = {}
    exec(block, names)
    names["run"](SimpleNamespace(attempt_id="@Hive", fields={"hiveScript": "SELECT 1"}))
    assert capsys.readouterr().out == "doing @Hive SELECT 1\n"
