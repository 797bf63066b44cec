"""The documents say what the code does."""

from __future__ import annotations

import ast
import inspect
import math
import re
from dataclasses import fields
from itertools import pairwise
from pathlib import Path

import pytest
from aiobotocore.session import get_session

from aiodp import ProgressReporter, ReportKind, RunEnd, RunnerStatistics, Statistics
from aiodp._core.lease import TRANSITIONS

ROOT = Path(__file__).parents[3]
DOCUMENTS = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    *(
        page.relative_to(ROOT).as_posix()
        for folder in ("docs", "examples")
        for page in sorted((ROOT / folder).rglob("*.md"))
    ),
]
LEASES = (ROOT / "docs" / "leases.md").read_text()


def test_the_diagram_is_drawn_from_the_table():
    """Each transition of the core stands in the diagram, and no other."""
    lines = re.findall(r"^    (\w+) --> (\w+): (\w+)$", LEASES, re.MULTILINE)
    drawn = {(before, event): after for before, after, event in lines}
    assert drawn == {
        (state.name, event.name): after.name for (state, event), after in TRANSITIONS.items()
    }


def test_the_table_of_knobs_names_the_defaults():
    """The defaults in the documentation are the ones of the constructor."""
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\d.]+) s \|", LEASES, re.MULTILINE))
    timing = ProgressReporter(get_session())._timing
    assert {name: float(value) for name, value in rows.items()} == {
        name: getattr(timing, name) for name in timing.__slots__ if name != "max_lease"
    }
    assert timing.max_lease == math.inf
    assert "| `max_lease` | None |" in LEASES


@pytest.mark.parametrize("values", [Statistics, RunnerStatistics, ReportKind, RunEnd])
def test_every_statistic_is_documented_where_it_is_defined(values):
    """Each field, and each key of those that are mappings, has a text of its own."""
    [definition] = ast.parse(inspect.getsource(values)).body
    assert isinstance(definition, ast.ClassDef)
    _, *body = definition.body  # without the text of the class
    documented = [name_of(before) for before, after in pairwise(body) if is_text(after)]
    assert documented == [name_of(statement) for statement in body if not is_text(statement)]


def is_text(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def name_of(statement: ast.stmt) -> str:
    """Return the name that an assignment gives a value or a type to."""
    return ast.unparse(statement).partition("=")[0].partition(":")[0].strip()


def test_the_tables_of_statistics_have_every_field():
    """In the order of the dataclasses; the kinds of failures are all that there are."""
    text = (ROOT / "docs" / "statistics.md").read_text()
    for values, section in zip(
        (Statistics, RunnerStatistics), text.split("\n## ")[1:], strict=True
    ):
        rows = re.findall(r"^\| `(\w+)` \| ", section, re.MULTILINE)
        assert rows == [values.__name__, *(field.name for field in fields(values))]
    [failed] = re.findall(r"^\| `failed` .*", text, re.MULTILINE)
    assert set(re.findall("`([a-z_]+)`", failed)) - {"failed"} == set(ReportKind) - {
        ReportKind.OK,
        ReportKind.THROTTLED,
    }


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_within_the_repository_lead_somewhere(name):
    """No link to a file that is not there."""
    text = (ROOT / name).read_text()
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    for target in targets:
        assert ((ROOT / name).parent / target).exists(), target
