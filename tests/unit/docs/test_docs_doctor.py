"""docs/doctor.md says what `aiodp doctor` does."""

from __future__ import annotations

import json
import re
from pathlib import Path

from aiodp.cli._doctor import calls as _doctor_calls
from aiodp.cli._doctor import clock as _doctor_clock
from aiodp.cli._doctor import credentials as _doctor_credentials
from aiodp.cli._doctor import endpoint as _doctor_endpoint
from aiodp.cli._doctor import quota
from aiodp.cli._doctor.calls import MadeUp, _needs
from aiodp.cli._doctor.findings import Finding, Verdict, as_json

TEXT = (Path(__file__).parents[3] / "docs" / "doctor.md").read_text()


def test_the_table_has_the_checks_in_their_order():
    """Every check, and each of the calls, stands in the table."""
    calls = [need.action for need in _needs(MadeUp())]
    checks = ["region", "credentials", "endpoint", "clock", *calls, "quota", "tasks"]
    assert re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE) == checks


def test_the_bounds_make_what_is_promised():
    """The longest of each check: providers, DNS, the unsigned call, the signed ones, the burst."""
    bounds = (
        _doctor_credentials._PATIENCE,
        _doctor_endpoint._DNS_PATIENCE,
        _doctor_endpoint._PATIENCE,
        max(_doctor_calls.PATIENCE, _doctor_calls._HELD),
        quota._PATIENCE,
    )
    assert sum(bounds) == 15
    assert "together make 15 seconds" in TEXT


def test_the_number_of_reports_is_told():
    """The unsigned one, the signed one, and the burst."""
    assert f"{1 + 1 + quota._CALLS} of them ReportTaskProgress" in TEXT


def test_the_clock_s_limits_are_told():
    """Half a minute and five minutes."""
    assert f"more than {_doctor_clock._DOUBTFUL:g} s apart" in TEXT
    assert f"{_doctor_clock._REFUSED / 60:g} minutes or more apart" in TEXT


def test_the_example_for_programs_has_the_form_of_the_output():
    """The same keys, and the verdicts' names."""
    [block] = re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)
    told = json.loads(as_json([Finding(check="c", verdict=Verdict.FAILED, found="f")]))
    example = json.loads(block)
    assert example.keys() == told.keys()
    assert example["findings"][0].keys() == told["findings"][0].keys()
    for verdict in Verdict:
        assert f"`{verdict}`" in TEXT
