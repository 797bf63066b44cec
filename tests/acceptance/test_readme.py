"""Every code block of the README is executed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from markdown_it import MarkdownIt

from aiodp.emulator import EmulatorServer, Settings

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
DEMO, TESTS, HOLD, EMULATE = SHELL
OWN = ["-o", "asyncio_default_fixture_loop_scope=function"]  # pytest-asyncio asks for it
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


@pytest.fixture(scope="module")
def server() -> Iterator[EmulatorServer]:
    """The local service, in real time, but for a poll that finds nothing."""
    with EmulatorServer(settings=Settings(poll_hold=1.0)) as running:
        yield running


def environment(server: EmulatorServer) -> dict[str, str]:
    """The environment of a user whose clients are pointed at the local service."""
    return CLEAN | {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }


def assign(server: EmulatorServer) -> str:
    [task_id] = server.service().assign()
    return str(task_id)


def test_there_is_no_block_of_another_kind():
    """A block in another language would be executed by nobody."""
    assert {info for info, _ in FENCES} == {"python", "sh"}


def queue(server: EmulatorServer) -> str:
    """Activate a pipeline of two tasks, and return their worker group."""
    activity = {"type": "ShellCommandActivity", "command": "true", "workerGroup": "readme"}
    fields = [{"key": key, "stringValue": value} for key, value in activity.items()]
    objects = [{"id": f"Work{n}", "name": f"Work{n}", "fields": fields} for n in range(2)]
    objects.append(
        {
            "id": "Default",
            "name": "Default",
            "fields": [{"key": "scheduleType", "stringValue": "ondemand"}],
        }
    )
    credentials = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    with closing(
        boto3.client(
            "datapipeline",
            endpoint_url=server.endpoint,
            region_name="us-east-1",
            **credentials,
        )
    ) as client:
        pipeline = client.create_pipeline(name="readme", uniqueId="readme")["pipelineId"]
        client.put_pipeline_definition(pipelineId=pipeline, pipelineObjects=objects)
        client.activate_pipeline(pipelineId=pipeline)
    return "readme"


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
def test_python_blocks(number, server, tmp_path):
    """Each runs as it stands, as a script that is given a task's id, or a worker's group."""
    script = tmp_path / "block.py"
    script.write_text(PYTHON[number])
    argument = queue(server) if "worker_group" in PYTHON[number] else assign(server)
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script), argument],
        env=environment(server),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    if argument == "readme":
        assert done.stdout.count("working on @Work0_") == 5
        assert done.stdout.count("working on @Work1_") == 5
        assert server.service().calls["SetTaskStatus", "ok"] >= 2


def test_the_first_use_finishes_its_task(server, tmp_path):
    """What the first block does reaches the service."""
    task_id = assign(server)
    script = tmp_path / "block.py"
    script.write_text(PYTHON[0])
    subprocess.run(
        [sys.executable, str(script), task_id], env=environment(server), timeout=60, check=True
    )
    assert server.service().task(task_id).status == "FINISHED"


def test_hold(server):
    """The shell block keeps its task and sets its status."""
    task_id = assign(server)
    subprocess.run(
        ["bash", "-euc", HOLD],
        env=environment(server) | {"TASK_ID": task_id},
        timeout=60,
        check=True,
    )
    assert server.service().task(task_id).status == "FINISHED"


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
        assert running.wait(timeout=10) == 0


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
