"""docs/hold.md has the options and exit codes of `aiodp hold`."""

from __future__ import annotations

import re
from pathlib import Path

from aiodp.cli._hold import hold
from unit.docs.options_kit import documented_options, options_of

TEXT = (Path(__file__).parents[3] / "docs" / "hold.md").read_text()


def test_all_options_are_in_the_table():
    """With all their spellings and their environment variables, and no other one."""
    assert documented_options(TEXT) == options_of(hold, "AIODP_HOLD")


def test_the_exit_codes_are_those_of_the_help():
    """Word for word."""
    in_help = re.findall(r"^  (\d+) +(.*)$", hold.epilog or "", re.MULTILINE)
    assert re.findall(r"^\| (\d+) \| (.*) \|$", TEXT, re.MULTILINE) == in_help
