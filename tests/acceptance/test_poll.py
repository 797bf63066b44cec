"""`aiodp poll`, and loops of one's own, in processes against the service over HTTP."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

from acceptance.support import ROOT
from aiodp.testing import Fault, FaultKind, ServerKit, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

TOO_LONG = 60
FENCES = [
    token.content
    for token in MarkdownIt().parse((ROOT / "docs" / "polling.md").read_text())
    if token.type == "fence"
]
PYTHON, SHELL, AWS = FENCES
POLL = frozenset({"PollForTask"})
ANSWERED = ("PollForTask", "ok")


@pytest.fixture(scope="module")
def server() -> Iterator[ServerKit]:
    """The local service, in real time, but for a poll that finds nothing."""
    with ServerKit(Settings(poll_hold=0.5)) as running:
        yield running


@pytest.fixture
def environment(server, clean_environment, aiodp):
    """The environment of a user whose clients are pointed at the local service."""
    return clean_environment | {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1",
        "PATH": f"{aiodp.parent}{os.pathsep}{os.environ['PATH']}",
    }


@pytest.fixture
def poll(commands, environment):
    """Runs `aiodp poll` to its end."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = commands.run(
            "poll", *arguments, env=environment, timeout=TOO_LONG
        )
        return done

    return run


def test_a_task_is_printed(poll, server):
    """Its id, and all of it as JSON; what a definition holds reaches no terminal as it is."""
    command = "echo 'a b' | tee c\x7f\x9b31m\u202e"
    server.activity("poll-one", command=command, tags=["one", "two"])
    done = poll("--workerGroup", "poll-one", "--hostname", "here")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.isascii()
    assert re.fullmatch(r"[ -~]+\n[ -~]+\n", done.stdout)
    first, second = done.stdout.splitlines()
    task = json.loads(second)
    assert first == task["taskId"]
    assert task["type"] == "ShellCommandActivity"
    assert task["fields"]["command"] == command
    assert task["objects"][task["attemptId"]] == task["fields"]
    assert server.task(first).reports == 0


def test_no_task_is_another_exit_code(poll):
    """Nothing is printed."""
    done = poll("--worker-group", "poll-none")
    assert (done.returncode, done.stdout, done.stderr) == (3, "", "")


@pytest.mark.parametrize(
    ("kind", "code", "words"),
    [
        (FaultKind.SERVER_ERROR, 4, "the poll failed: "),
        (FaultKind.INVALID_REQUEST, 4, "the poll was refused: "),
        (FaultKind.ACCESS_DENIED, 123, "the poll was refused: AccessDenied"),
    ],
)
def test_a_poll_that_fails_says_why(poll, server, kind, code, words):
    """Once: it is not repeated."""
    server.faults.add(Fault(kind=kind, actions=POLL, count=1))
    server.activity("poll-failing")
    done = poll("--worker-group", "poll-failing")
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith(f"aiodp: {words}")
    assert done.stderr.count("\n") == 1


def test_a_task_that_cannot_be_printed_is_a_failure(aiodp, environment, server):
    """Whoever reads the exit code must not believe that the task is in hand."""
    server.activity("poll-full")
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" poll --worker-group poll-full >/dev/full', aiodp],
        env=environment,
        capture_output=True,
        text=True,
        timeout=TOO_LONG,
        check=False,
    )
    assert done.returncode == 4
    assert done.stderr == "aiodp: the task cannot be printed: No space left on device\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing option '--worker-group'"),
        (["--worker-group="], "--worker-group must be a str of 1"),
        (["--worker-group=x", "--hostname="], "--hostname must be a str of 1"),
    ],
)
def test_wrong_use_is_refused(poll, arguments, words):
    """Before anything is sent."""
    done = poll(*arguments)
    assert done.returncode == 2
    assert words in done.stderr


def interrupt(process: subprocess.Popen[str]) -> None:
    """End a loop that goes on for ever, with all that it has started."""
    os.killpg(process.pid, signal.SIGTERM)
    process.communicate(timeout=TOO_LONG)


@pytest.mark.slow
def test_the_shell_loop_of_the_documentation_does_tasks(environment, server, tmp_path):
    """A poll that brings nothing does not end it; a task is held, and gets its status."""
    work = tmp_path / "work.sh"
    work.write_text('#!/bin/sh\nprintf "%s\\n" "$1" >> done\n')
    work.chmod(0o755)
    process = subprocess.Popen(
        ["bash", "-c", SHELL],
        env=environment | {"WORKER_GROUP": "poll-shell"},
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            polls = server.calls[ANSWERED]
            server.wait_until(lambda: server.calls[ANSWERED] > polls)
            pipeline = server.activity("poll-shell", command=r"printf '\n'")
            server.wait_finished(pipeline, timeout=TOO_LONG)
        finally:
            interrupt(process)
    lines = (tmp_path / "done").read_text().splitlines()
    assert [json.loads(line)["fields"]["command"] for line in lines] == [r"printf '\n'"]


@pytest.mark.slow
def test_the_python_loop_of_the_documentation_does_tasks(environment, server, tmp_path):
    """One after the other: each is held, and gets its status."""
    script = tmp_path / "loop.py"
    script.write_text(PYTHON)
    pipelines = [server.activity("poll-python", command="echo hello") for _ in range(2)]
    process = subprocess.Popen(
        [sys.executable, "-W", "error", script, "poll-python"],
        env=environment,
        text=True,
        start_new_session=True,
    )
    with process:
        try:
            server.wait_finished(pipelines, timeout=TOO_LONG)
        finally:
            interrupt(process)


@pytest.mark.slow
def test_the_aws_cli_polls_as_the_documentation_says(aws_cli, environment, server):
    """The command is one that it takes, and the task is in its output."""
    server.activity("poll-aws")
    path = f"{aws_cli.parent}{os.pathsep}{environment['PATH']}"
    done = subprocess.run(
        ["bash", "-euc", AWS],
        env=environment | {"WORKER_GROUP": "poll-aws", "PATH": path},
        capture_output=True,
        text=True,
        timeout=TOO_LONG,
        check=True,
    )
    assert json.loads(done.stdout)["taskObject"]["taskId"]
