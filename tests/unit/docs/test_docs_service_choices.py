"""What the page says of AWS's silences is what the service does, row by row."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from unit.docs import (  # noqa: F401 - they fill PROOFS
    docs_choices_control,
    docs_choices_schedules,
    docs_choices_work,
)
from unit.docs.docs_choices import PROOFS

PAGE: Final = (Path(__file__).parents[3] / "docs" / "local-service.md").read_text()
SECTION: Final = PAGE.partition("\n## Where AWS is silent")[2].partition("\n## ")[0]
ROWS: Final = re.findall(r"^\| (.+) \| .+ \| .+ \|$", SECTION, re.MULTILINE)[1:]


@pytest.mark.parametrize("row", ROWS)
def test_each_row_is_what_the_service_does(row):
    """Each question of the table is asked, and answered as the table says."""
    [proof] = [proof for question, proof in PROOFS.items() if row.startswith(question)]
    proof()


def test_every_row_has_a_proof_of_its_own():
    """There are as many as rows."""
    assert len(PROOFS) == len(ROWS) > 0
