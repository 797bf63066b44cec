"""docs/polling.md says what `aiodp.poll` and `aiodp poll` do."""

from __future__ import annotations

import re
from pathlib import Path

from aiodp import TaskObject
from aiodp._aws import runner_transport
from aiodp._core.objects import read_assignment
from aiodp.cli._poll import poll
from aiodp.cli._poll.command import EXIT_CODES, as_json
from aiodp.testing import MemoryKit
from unit.docs.options_kit import documented_options, options_of

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "polling.md").read_text()


def test_all_options_are_in_the_table():
    """With all their spellings and their environment variables, and no other one."""
    assert documented_options(TEXT) == options_of(poll, "AIODP_POLL")


def test_the_exit_codes_are_those_of_the_help():
    """Word for word."""
    in_help = re.findall(r"^  (\d+) +(.*)$", EXIT_CODES, re.MULTILINE)
    assert re.findall(r"^\| (\d+) \| (.*) \|$", TEXT, re.MULTILINE) == in_help


def test_the_members_of_a_task_object_are_in_the_table():
    """All that is public."""
    table = TEXT.partition("| member of a `TaskObject`")[2].partition("\n\n")[0]
    firsts = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    named = {name for cell in firsts for name in re.findall(r"`(\w+)`", cell)}
    assert named == {name for name in dir(TaskObject) if not name.startswith("_")}


def test_the_members_of_the_json_are_told():
    """In their order."""
    kit = MemoryKit()
    kit.activity()
    answer = kit.service.perform("PollForTask", workerGroup="workers")["taskObject"]
    printed = as_json(read_assignment(answer, 0.0))
    assert list(printed) == re.findall(r"`(\w+)`", TEXT.partition("The object has ")[2])[:6]


def test_read_timeouts_are_above_the_ninety_seconds_of_a_poll():
    """The one of the client, and the one that is to be given to the AWS CLI wherever it polls."""
    assert runner_transport._READ_TIMEOUT > 90
    assert f"reads for {runner_transport._READ_TIMEOUT:g} seconds" in TEXT
    for page in ("docs/polling.md", "docs/local-service.md"):
        assert "--cli-read-timeout 100" in (ROOT / page).read_text()
