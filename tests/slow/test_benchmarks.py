"""The benchmarks' smallest settings, so that they cannot rot."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from acceptance.commands import Commands

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def environment(tmp_path):
    """Nobody's AWS configuration."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
    nowhere = str(tmp_path / "none")
    return environment | {"AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere}


@pytest.fixture
def run(commands: Commands, environment):
    """Runs a benchmark to its end; returns what it printed."""

    def run(name: str, *arguments: str) -> str:
        done = commands.run(*arguments, script=BENCHMARKS / name, env=environment, timeout=100)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


@pytest.fixture
def run_apart(environment):
    """Runs a benchmark of the memory in a new interpreter, which holds nothing of others."""

    def run(name: str, *arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-W", "error", BENCHMARKS / name, *arguments],
            check=False,
            capture_output=True,
            text=True,
            env=environment,
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    return run


def test_the_hour_is_measured_printed_kept_and_drawn(run, tmp_path):
    """A few tasks are held by loops and reporter alike, each with a call a minute and task."""
    results, plot = tmp_path / "hold.json", tmp_path / "hold.svg"
    table = run("hold.py", "--tasks", "3", "--lease", "300", "900", "--results", str(results))
    assert table.count("|     3 |    3 (100%) |      0.0% |         3 (100%) |") == 2
    kept = json.loads(results.read_text())
    assert len(kept) == 4
    assert all(one["kept"] == 3 and 180 <= one["calls"] <= 190 for one in kept)
    run("plot.py", "--results", str(results), "--to", str(plot))
    assert plot.read_text().startswith("<?xml")


def test_memory_is_counted(run_apart):
    """The figures come out, and a tracked task brings nothing that runs."""
    printed = run_apart("memory.py", "--tasks", "500")
    assert printed.startswith("500 tasks held, ")
    assert printed.endswith("holds\n")


def test_the_local_service_is_measured_in_memory_and_with_its_state_in_a_file(run):
    """A few leases and calls: each call is answered, and no lease is lost."""
    few = ("--leases", "20", "--rate", "20", "--seconds", "0.5")
    table = run("emulator.py", *few, "--instances", "300", "--activations", "20")
    assert table.count("calls/s") == 4
    assert table.count("{'ok': 10}") == 4
    assert "\n300 instances are listed in " in table
    assert "\n20 activations on demand, " in table


def test_heartbeats_are_measured_beside_long_polls(run):
    """Few tasks and polls: no lease is lost, and only on one client do reports wait for polls."""
    few = ("--tasks", "10", "--polls", "12", "--rounds", "1")
    printed = run("polls.py", *few, "--seconds", "2.2", "--time-scale", "30")
    rows = [line.split("|") for line in printed.splitlines() if "|    " in line]
    median = {row[1].strip(): float(row[3].replace(",", "")) for row in rows if row[1].strip()}
    assert len(median) == 4
    assert median["all on one client"] > 2 * median["beside the polls"]
    assert printed.count(", beside the polls / ") == 6
    assert printed.endswith("holds\n")


def test_a_campaign_of_faults_is_run_and_any_run_of_it_repeated(run):
    """A few runs break no promise; one by itself makes the same calls in another process."""
    printed = run("faults.py", "--runs", "8", "--seed", "4", "--processes", "2")
    assert printed.endswith("0 runs broke a promise\n")
    assert run("faults.py", "--only", "6") == run("faults.py", "--only", "6")


def test_the_memory_of_a_day_is_counted(run_apart):
    """In a few hours tasks come and go, and leave nothing behind."""
    printed = run_apart("scale.py", "--hours", "4", "--rounds", "0")
    assert printed.startswith("4 virtual hours, 4")
    assert printed.endswith("holds\n")


def test_a_report_from_a_thread_is_measured(run):
    """The ratio comes out; that it is small is measured by longer runs."""
    few = ("--tasks", "5", "--rounds", "1", "--seconds", "0.6", "--max-ratio", "100")
    assert run("own_thread.py", *few).endswith("holds\n")


def test_a_report_is_measured_beside_the_largest_definitions(run_apart):
    """All of them are answered as they should be, and the service stays small."""
    printed = run_apart("large.py", "--reports", "60", "--later", "60")
    assert printed.count("memory") == 2
