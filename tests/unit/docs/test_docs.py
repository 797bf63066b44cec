"""The documents say what the code does."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
from aiobotocore.session import get_session

from aiodp import ProgressReporter
from aiodp._core.lease import TRANSITIONS

ROOT = Path(__file__).parents[3]
DOCUMENTS = [
    "README.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    *(f"docs/{page.name}" for page in (ROOT / "docs").iterdir()),
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


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_within_the_repository_lead_somewhere(name):
    """No link to a file that is not there."""
    text = (ROOT / name).read_text()
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", text)
    for target in targets:
        assert ((ROOT / name).parent / target).exists(), target
