"""Every code block of the page about the local service is executed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
from markdown_it import MarkdownIt

from acceptance.support import ROOT
from acceptance.test_moto_own import FAULTS
from aiodp.emulator import EmulatorServer, ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE: Final = (ROOT / "docs" / "local-service.md").read_text()
FENCES: Final = [(one.info, one.content) for one in MarkdownIt().parse(PAGE) if one.type == "fence"]
PYTHON: Final = [content for info, content in FENCES if info == "python"]
START, CLIENTS, CATCH_UP, CONTROL = (content for info, content in FENCES if info == "sh")
ANSWERS: Final = next(content for info, content in FENCES if info == "json").splitlines()
PORT: Final = "5005"
ELIDED: Final = re.compile(r"\.\.\.|df-\w+|\d\d:\d\d:\d\d|\d\d\d\d-\d\d-\d\d")
"""What differs from one service to the next: ids and dates."""
needs_curl = pytest.mark.skipif(shutil.which("curl") is None, reason="the examples use curl")


@pytest.fixture
def served() -> Iterator[EmulatorServer]:
    """A server with the page, whose time stands still."""
    with EmulatorServer(clock=ManualClock(), ui=True) as running:
        yield running


@pytest.fixture
def shell(clean_environment: dict[str, str]) -> Callable[..., str]:
    """Runs a block, with another port in it; gives what it printed."""

    def run(block: str, port: int, *, path: Path | None = None) -> str:
        first = [str(path)] if path else []
        paths = os.pathsep.join([*first, str(Path(sys.executable).parent), os.environ["PATH"]])
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block.replace(PORT, str(port))],
            env=clean_environment | {"PATH": paths, "NO_PROXY": "127.0.0.1"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def test_there_is_no_block_of_another_kind():
    """Diagrams, log lines and JSON are compared with the code; a block of another kind is not."""
    assert {info for info, _ in FENCES} == {"sh", "python", "mermaid", "json", "text"}


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_python_blocks(number, commands, clean_environment, tmp_path):
    """Each runs as it stands, as a program, and its assertions hold."""
    script = tmp_path / "block.py"
    script.write_text(PYTHON[number])
    assert "assert " in PYTHON[number]
    environment = clean_environment | {"NO_PROXY": "127.0.0.1"}
    done = commands.run(script=script, cwd=tmp_path, env=environment, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
@pytest.mark.parametrize(("block", "a_minute"), [(START, "1 s"), (CATCH_UP, "0.0167 s")])
def test_the_command_serves_until_it_is_interrupted(clean_environment, aiodp, block, a_minute):
    """The block starts the service, which says where it is."""
    path = f"{aiodp.parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        ["bash", "-euc", "exec " + block.replace(PORT, "0")],
        env=clean_environment | {"PATH": path},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        said = ""
        while "Ctrl-C" not in said:
            line = running.stdout.readline()
            assert line, f"it ended after saying {said!r}"
            said += line
        running.send_signal(signal.SIGINT)
        assert running.wait(timeout=60) == 0
    assert "export AWS_ENDPOINT_URL=http://127.0.0.1:" in said
    assert f"A minute of the service lasts {a_minute}" in said


@pytest.mark.slow
def test_the_environment_leads_clients_to_it(served, shell, aws_cli):
    """After the exports the AWS CLI finds the service."""
    assert json.loads(shell(CLIENTS, served.port, path=aws_cli.parent)) == {"pipelineIdList": []}


@needs_curl
def test_the_control_paths_answer_as_documented(served, shell, connect):
    """Each curl prints what the page says, but for times, ids and dates."""
    heartbeat = {"taskrunnerId": "runner-1", "workerGroup": "w", "hostname": "h"}
    connect(served).report_task_runner_heartbeat(**heartbeat)
    lines = shell(CONTROL, served.port).splitlines()
    assert [likeness(json.loads(line)) for line in lines] == [
        likeness(json.loads(line)) for line in ANSWERS
    ]


def likeness(value: Any) -> Any:
    """Return what of a JSON value is the same in all services."""
    match value:
        case dict():
            return {key: likeness(one) for key, one in value.items()}
        case list():
            return [likeness(one) for one in value]
        case float():
            return "a time"
        case str() if value.endswith(":1"):
            return "a task id"
        case str():
            return ELIDED.sub("*", value)
    return value


@needs_curl
def test_the_paths_of_the_index_and_of_the_page_answer(served, shell):
    """`GET /aiodp-api/` is there, and so is the state which the page shows."""
    root = f"http://127.0.0.1:{PORT}/aiodp-api/"
    assert "paths" in json.loads(shell(f"curl -s {root}", served.port))
    assert "pipelines" in json.loads(shell(f"curl -s {root}state", served.port))


def test_moto_s_tests_which_do_not_pass_are_named():
    """The table has exactly those which fail."""
    listed = re.findall(r"^\| `(test_\w+)` \|", PAGE, re.MULTILINE)
    assert listed == list(FAULTS)
