"""Every code block of the README is executed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from markdown_it import MarkdownIt

from aiodp.testing import ServerKit, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FENCES = [
    (token.info, token.content)
    for token in MarkdownIt().parse((ROOT / "README.md").read_text())
    if token.type == "fence"
]
PYTESTS = [content for info, content in FENCES if info == "python" and "def test_" in content]
PYTHON = [content for info, content in FENCES if info == "python" and content not in PYTESTS]
SHELL = [content for info, content in FENCES if info == "sh"]
DEMO, TESTS, RUN, HOLD, EMULATE = SHELL
RUNNER, LOOP, *PYTHON = PYTHON
OWN = ["-o", "asyncio_default_fixture_loop_scope=function"]  # pytest-asyncio asks for it
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


@pytest.fixture(scope="module")
def server() -> Iterator[ServerKit]:
    """The local service, in real time, but for a poll that finds nothing."""
    with ServerKit(Settings(poll_hold=1.0)) as running:
        yield running


def environment(server: ServerKit) -> dict[str, str]:
    """The environment of a user whose clients are pointed at the local service."""
    return CLEAN | {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def test_there_is_no_block_of_another_kind():
    """A block in another language would be executed by nobody."""
    assert {info for info, _ in FENCES} == {"python", "sh"}


TWO_TYPES = {
    "objects": [
        {"id": "Default", "scheduleType": "ondemand", "workerGroup": "readme"},
        {"id": "Source", "type": "S3DataNode", "filePath": "s3://bucket/key"},
        {"id": "Target", "type": "S3DataNode", "filePath": "s3://bucket/copy"},
        {"id": "Shell", "type": "ShellCommandActivity", "command": "echo hello"},
        {
            "id": "Copy",
            "type": "CopyActivity",
            "input": {"ref": "Source"},
            "output": {"ref": "Target"},
        },
    ]
}


@pytest.mark.slow
def test_the_runner_does_its_tasks_until_it_is_drained(server, tmp_path):
    """The first block finishes a task of each type, and ends well at SIGTERM."""
    pipeline = server.pipeline(TWO_TYPES)
    script = tmp_path / "block.py"
    script.write_text(RUNNER)
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-u", str(script), "readme"],
        env=environment(server),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            server.wait_finished(pipeline, timeout=60)
            running.send_signal(signal.SIGTERM)
            out, err = running.communicate(timeout=60)
        finally:
            running.kill()
    assert running.returncode == 0, err
    assert "working on @Shell_" in out
    assert "echo hello" in out
    assert "from s3://bucket/key" in out
    assert "Traceback" not in err


def test_run(server, tmp_path):
    """The shell block does two shell commands, keeps their output, and ends."""
    pipelines = [server.activity("readme-run", command="echo hello") for _ in range(2)]
    subprocess.run(
        ["bash", "-euc", RUN],
        env=environment(server) | {"WORKER_GROUP": "readme-run", "OUTPUT": str(tmp_path)},
        timeout=60,
        check=True,
    )
    server.assert_finished(pipelines)
    outputs = list(tmp_path.rglob("StdOutput"))
    assert [path.read_text() for path in outputs] == ["hello\n"] * 2


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(PYTESTS)))
def test_pytest_blocks(number, tmp_path):
    """Each passes as it stands, as a test module of a project which installed aiodp and boto3."""
    module = tmp_path / "test_block.py"
    module.write_text(PYTESTS[number])
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-W",
            "error",
            "-p",
            "no:cacheprovider",
            *OWN,
            module,
        ],
        env=CLEAN,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "1 passed" in done.stdout


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_blocks(number, commands, tmp_path):
    """Each that brings its own service runs as it stands, as a script."""
    script = tmp_path / "block.py"
    script.write_text(PYTHON[number])
    done = commands.run(script=script, env=CLEAN, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_a_loop_of_ones_own_finishes_its_task(server, commands, tmp_path):
    """The second block polls again after a poll without a task."""
    script = tmp_path / "block.py"
    script.write_text(LOOP)
    with commands.start("readme-loop", script=script, env=environment(server)) as running:
        try:
            polls = server.calls["PollForTask", "ok"]
            server.wait_until(lambda: server.calls["PollForTask", "ok"] > polls)
            server.wait_finished(server.activity("readme-loop"), timeout=60)
        finally:
            running.kill()


def test_poll_and_hold(server):
    """The shell block gets a task, keeps it and sets its status."""
    variables = environment(server) | {"WORKER_GROUP": "readme-hold"}
    pipeline = server.activity("readme-hold")
    command = ["bash", "-euc", HOLD]
    subprocess.run(command, env=variables, timeout=60, check=True)
    server.assert_finished(pipeline)


def test_emulate(server):
    """The shell block serves until it is interrupted."""
    with subprocess.Popen(
        ["bash", "-euc", f"exec {EMULATE}"],
        env=environment(server),
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        said = ""
        while "AWS_ENDPOINT_URL=" not in said:
            line = running.stdout.readline()
            assert line, f"it ended after saying {said!r}"
            said += line
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 0


def test_the_first_two_commands_are_what_ci_runs():
    """`.ci/run` executes the demo and the tests exactly as the README gives them."""
    script = (ROOT / ".ci" / "run").read_text()
    start = script.index("block() {")
    function = script[start : script.index("\n}", start) + 2]
    for number, command in ((1, DEMO), (2, TESTS)):
        extracted = subprocess.run(
            ["bash", "-euc", f"{function}\nblock {number}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
        assert extracted.stdout == command
        assert command.count("\n") == 1, "one command, on one line"
    assert 'bash -euo pipefail -c "$demo"' in script
    assert 'bash -euo pipefail -c "$tests"' in script
