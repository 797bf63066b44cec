"""When the processes of a session have ended, what they are granted, and how an end is told."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from aiodp._process.exits import describe_exit, time_to_stop
from aiodp._process.session import is_running, send_to_session

TOO_LONG = 60

GRACE = 10.0
NOW = 1_000.0


def granted(*, left: float, canceled: bool = False) -> float:
    """What a command gets, of a task whose lease has so many seconds left."""
    task = SimpleNamespace(deadline=NOW + left, canceled=SimpleNamespace(is_set=lambda: canceled))
    return time_to_stop(task, GRACE, NOW)


def test_a_lost_task_s_command_gets_the_grace_while_the_lease_allows_it():
    """The safety margin is longer than the grace, so usually all of it."""
    assert granted(left=15) == GRACE


@pytest.mark.parametrize("left", [5.0, 0.5])
def test_the_grace_is_cut_when_the_loss_was_noticed_late(left):
    """After a suspended laptop, say: dead before the deadline is what counts."""
    assert 0 < granted(left=left) < left


def test_no_grace_is_left_after_the_deadline():
    """Somebody else may have the task already: killed at once."""
    assert granted(left=-3600) == 0


def test_a_canceled_task_s_command_always_gets_the_grace():
    """Nobody else gets a canceled task, so its command may clean up, however old the lease."""
    assert granted(left=-3600, canceled=True) == GRACE


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-9, "killed by SIGKILL"),
        (-40, "killed by signal 40"),
    ],
)
def test_the_end_of_a_command_is_described(code, text):
    """Signals by their names, if they have any."""
    assert describe_exit(code) == text


@pytest.fixture
def start():
    """Starts a command in a session of its own, and ends it after the test."""
    started = []

    def start(*command):
        process = subprocess.Popen(command, start_new_session=True)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_session_runs_until_its_process_has_ended(start):
    """A signal reaches it."""
    process = start("sleep", "1000")
    assert is_running(process.pid)
    send_to_session(process.pid, signal.SIGTERM)
    assert process.wait(TOO_LONG) == -signal.SIGTERM
    assert not is_running(process.pid)


def test_a_process_that_nobody_has_waited_for_does_not_run(start):
    """It is a zombie, which the system lists and takes signals for."""
    process = start("true")
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    os.killpg(process.pid, 0)
    assert not is_running(process.pid)


def test_a_process_runs_though_its_first_thread_has_ended(start):
    """The system calls it a zombie like one that has ended."""
    process = start(
        sys.executable,
        "-c",
        "import ctypes, threading, time\n"
        "threading.Thread(target=time.sleep, args=(1000,)).start()\n"
        "ctypes.CDLL(None).pthread_exit(None)",
    )
    until = time.monotonic() + TOO_LONG
    while Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z":
        assert time.monotonic() < until
        time.sleep(0.01)
    assert is_running(process.pid)
