"""`aiodp run` as process 1, as in a container: of a namespace of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from acceptance.support import kept_environment
from aiodp.testing import ServerKit, Settings

UNSHARE = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")
TASKS = 5
TOO_LONG = 120
ORPHANS = "for n in 1 2 3; do (setsid sleep 0.1 &); (sleep 1000 &); done; sleep 0.3"
"""Leaves processes whose parents have ended: some end by themselves, some with the task."""
COUNT = 'echo $(cat /proc/[0-9]*/status | grep -c "^State:.Z") zombies >&2; exit 1'


def can_unshare() -> bool:
    """Return whether this user may make a namespace of processes."""
    try:
        return not subprocess.run((*UNSHARE, "true"), capture_output=True, check=False).returncode
    except OSError:
        return False


pytestmark = [
    pytest.mark.skipif(not can_unshare(), reason="no namespace can be made: see unshare(1)"),
    pytest.mark.slow,
]


@pytest.fixture
def kit():
    with ServerKit(Settings(quotas=None)) as kit:
        yield kit


@pytest.fixture
def start(kit, tmp_path):
    """Starts `aiodp run` as process 1."""

    @contextmanager
    def begin(*arguments):
        access = ("--access-id", "testing", "--secret-key", "testing", "--region", kit.region_name)
        where = ("--worker-group", "workers", "--endpoint", kit.endpoint, "--log-format", "json")
        process = subprocess.Popen(
            [*UNSHARE, sys.executable, "-m", "aiodp", "run", *access, *where, *arguments],
            cwd=tmp_path,
            env=kept_environment() | {"AWS_EC2_METADATA_DISABLED": "true"},
            stderr=subprocess.PIPE,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()

    return begin


def test_it_ends_also_where_ends_of_children_are_ignored():
    """As behind an entry point that has ignored SIGCHLD, which programs inherit."""
    ignore = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN)"
    ignored = (sys.executable, "-c", f"{ignore}; os.execv(sys.argv[1], sys.argv[1:])")
    command = (*UNSHARE, *ignored, sys.executable, "-m", "aiodp", "--version")
    process = subprocess.run(command, capture_output=True, timeout=TOO_LONG, check=False)
    assert process.returncode == 0
    assert process.stdout.startswith(b"aiodp")


def test_orphans_of_commands_are_reaped_and_cost_no_grace(kit, start):
    """Nobody waits for one, and no zombie is left when the last command counts them."""
    for _ in range(TASKS):
        kit.activity(command=ORPHANS)
    last = kit.activity(command=COUNT, maximumRetries="0")
    with start("--tasks", "1", "--max-tasks", str(TASKS + 1), "--grace", "25") as process:
        told = [json.loads(line) for line in process.communicate(timeout=TOO_LONG)[1].splitlines()]
    seconds = [one["seconds"] for one in told if one["status"] == "FINISHED"]
    assert len(seconds) == TASKS
    assert max(seconds) < 25
    assert last.runs[0].error.split()[-2:] == ["0", "zombies"], last.runs[0].error


def test_a_signal_to_process_1_drains_the_runner(kit, start, tmp_path):
    """It is heard, the task in hand ends with its status, and the exit code is the runner's."""
    pipeline = kit.activity(command="sleep 1")
    with start("--tasks", "1") as process:
        kit.wait_until(lambda: pipeline.runs[0].status == "RUNNING", timeout=TOO_LONG)
        [init] = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(init), signal.SIGTERM)
        err = process.communicate(timeout=TOO_LONG)[1]
    assert process.returncode == 0, err
    assert pipeline.runs[0].status == "FINISHED"


def test_the_exit_code_of_wrong_use_is_the_commands(start):
    """Process 1 ends as the command does."""
    with start("--tasks", "0") as process:
        err = process.communicate(timeout=TOO_LONG)[1]
    assert process.returncode == 2, err
