"""Every code block of the README is executed."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from acceptance.docs_kit import CLEAN, blocks, drained, environment, fences
from acceptance.support import ROOT
from aiodp.testing import ServerKit, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

FENCES = fences("README.md")
PYTESTS = [content for content in blocks("README.md", "python") if "def test_" in content]
WORKER, HEARTBEATS = (block for block in blocks("README.md", "python") if block not in PYTESTS)
DEMO, TESTS, RUN = blocks("README.md", "sh")
OWN = ["-o", "asyncio_default_fixture_loop_scope=function"]  # pytest-asyncio asks for it


@pytest.fixture(scope="module")
def server() -> Iterator[ServerKit]:
    """The local service, in real time, but for a poll that finds nothing."""
    with ServerKit(Settings(poll_hold=1.0)) as running:
        yield running


def test_the_first_screen_says_what_it_is_and_how_to_begin():
    """Forty lines have how to install it, both commands and the first program; all is short."""
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 150
    first = "\n".join(lines[:40]) + "\n"
    for text in ("pip install", DEMO, TESTS, WORKER):
        assert text in first


def test_there_is_no_block_of_another_kind():
    """A block in another language would be executed by nobody."""
    assert {info for info, _ in FENCES} == {"python", "sh"}


@pytest.mark.slow
def test_the_worker_finishes_a_task_until_it_is_drained(server, tmp_path):
    """The first block, of at most ten lines."""
    assert WORKER.count("\n") <= 10
    pipeline = server.activity("my-group", command="echo hello")
    script = tmp_path / "block.py"
    script.write_text(WORKER)
    out = drained(script, server, pipeline)
    assert "working on @" in out
    assert "echo hello" in out


def test_the_heartbeats_alone_keep_a_task(server, connect, commands, tmp_path):
    """The second block sets the status of a task that somebody else has polled."""
    pipeline = server.activity("readme-task")
    task = connect(server).poll_for_task(workerGroup="readme-task")["taskObject"]
    script = tmp_path / "block.py"
    script.write_text(HEARTBEATS)
    done = commands.run(task["taskId"], script=script, env=environment(server), timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    server.assert_finished(pipeline)


@pytest.mark.slow
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
