"""docs/validate.md says what `aiodp validate` does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from aiodp.cli._validate.command import _EXIT_CODES, validate
from aiodp.cli._validate.remarks import Format, Remark, as_json

TEXT = (Path(__file__).parents[3] / "docs" / "validate.md").read_text()


def test_the_table_has_the_options():
    """Every option of the command, and each format."""
    named = re.findall(r"^\| `(--[\w-]+) (\w+)` \|", TEXT, re.MULTILINE)
    options = {parameter.opts[0] for parameter in validate.params} - {"files"}
    assert {option for option, _ in named} == options
    assert {value for option, value in named if option == "--format"} == set(Format)


def test_the_table_has_the_exit_codes():
    """They are those of `--help`."""
    told = re.findall(r"^  (\d+)  (.+)$", _EXIT_CODES, re.MULTILINE)
    assert re.findall(r"^\| (\d+) \| (.+) \|$", TEXT, re.MULTILINE) == told


def test_the_example_for_programs_has_the_form_of_the_output():
    """The same keys."""
    [block] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    example, written = json.loads(block), json.loads(as_json([Remark(path=Path("f"), text="t")]))
    assert example.keys() == written.keys()
    assert example["findings"][0].keys() == written["findings"][0].keys()
