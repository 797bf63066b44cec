"""docs/doctor.md says what `aiodp doctor` does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from aiodp.cli._doctor import calls, clock, command, credentials, endpoint, group, log, quota
from aiodp.cli._doctor.calls import FakeNames, runner_calls
from aiodp.cli._doctor.command import doctor
from aiodp.cli._doctor.findings import Finding, Verdict, as_json
from unit.docs.options_kit import documented_options, options_of

TEXT = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text()


def test_the_table_has_the_checks_in_their_order():
    """Every check, and each of the calls, stands in the table."""
    actions = [call.action for call in runner_calls(FakeNames())]
    checks = ["region", "credentials", "endpoint", "clock", *actions, "quota"]
    checks += ["group", "log", "tasks", "handlers"]
    assert re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE) == checks


def test_the_bounds_make_what_is_promised():
    """The longest of each check: providers, DNS, the unsigned call, the signed ones, the burst."""
    bounds = (
        credentials._PROVIDERS_TIMEOUT,
        endpoint._DNS_TIMEOUT,
        endpoint._ANSWER_TIMEOUT,
        max(calls.CALL_TIMEOUT, calls._POLL_HELD_AFTER),
        quota._REPORT_TIMEOUT,
        group.GROUP_TIMEOUT,
        log.PUT_TIMEOUT,
        log.DELETE_TIMEOUT,
    )
    assert sum(bounds) == 25 < command._TOTAL_TIMEOUT
    assert "together make 25 seconds" in TEXT
    assert f"asks no longer than {group.GROUP_TIMEOUT:g} seconds" in TEXT


def test_all_options_are_in_the_table():
    """With all their spellings and our environment variables, and no other one."""
    options = options_of(doctor, "AIODP_DOCTOR")
    assert documented_options(TEXT) == options


def test_the_limit_of_pipelines_is_told():
    """Whose definitions are asked for."""
    assert f"no more than {group._MAX_PIPELINES} pipelines" in TEXT


def test_the_number_of_reports_is_told():
    """The unsigned one, the signed one, and the burst."""
    assert f"{1 + 1 + quota._REPORTS} of them ReportTaskProgress" in TEXT


def test_the_clock_s_limits_are_told():
    """Half a minute and five minutes."""
    assert f"more than {clock._WARNING_SKEW:g} s apart" in TEXT
    assert f"{clock._MAX_SKEW / 60:g} minutes or more apart" in TEXT


def test_the_example_for_programs_has_the_form_of_the_output():
    """The same keys, and the verdicts' names."""
    [block] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    written = json.loads(as_json([Finding(check="c", verdict=Verdict.FAILED, found="f")]))
    example = json.loads(block)
    assert example.keys() == written.keys()
    assert example["findings"][0].keys() == written["findings"][0].keys()
    for verdict in Verdict:
        assert f"`{verdict}`" in TEXT
