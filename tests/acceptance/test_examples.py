"""Each example does what it says, as it stands, in a process of its own."""

from __future__ import annotations

import configparser
import json
import os
import pty
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

from acceptance.support import ROOT
from aiodp._process.echoes import ECHO_WINDOW
from aiodp.cli._main import cli
from aiodp.emulator import EmulatorServer, Settings
from aiodp.testing import AuditKind

EXAMPLES = ROOT / "examples"
UNIT = EXAMPLES / "systemd" / "aiodp-runner.service"
INSTALLED = "/opt/aiodp/bin/aiodp"
GROUP = "examples"
TOO_LONG = 60


@pytest.fixture(scope="module")
def server():
    """The local service in real time, but for a poll that finds nothing."""
    with EmulatorServer(settings=Settings(poll_hold=1.0)) as running:
        yield running


@pytest.fixture
def environment(server, clean_environment, tmp_path):
    """The environment of a user whose clients are pointed at the local service."""
    nowhere = str(tmp_path / "none")
    return clean_environment | {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": nowhere,
        "AWS_SHARED_CREDENTIALS_FILE": nowhere,
        "NO_PROXY": "127.0.0.1",
    }


@pytest.fixture
def start(commands, environment, tmp_path):
    """Starts an example, or another command, whose output goes to a file; kills what is left."""

    @contextmanager
    def start(*arguments: str, **more: str | None):
        variables = {k: v for k, v in {**environment, **more}.items() if v is not None}
        log = tmp_path / "log"
        with log.open("w") as file:
            options = {"env": variables, "cwd": tmp_path}
            streams = {"stdout": file.fileno(), "stderr": file.fileno()}
            if arguments[0].endswith(".py"):
                script, *rest = arguments
                process = commands.start(*rest, script=script, **options, **streams)
            else:
                process = subprocess.Popen(arguments, **options, **streams)
        with process:
            try:
                yield process, log
            finally:
                process.kill()

    return start


def example(name: str, *arguments: str) -> list[str]:
    return [str(EXAMPLES / name), *arguments]


def eventually(condition, log) -> None:
    """Return as soon as the condition holds; fail with the log if it does not."""
    deadline = time.monotonic() + TOO_LONG
    while not condition():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


def queue(connect, server, name: str, command: str = "echo some words") -> str:
    """Activate a pipeline of one task, and return its id."""
    work = {"type": "ShellCommandActivity", "command": command, "workerGroup": f"{GROUP}-{name}"}
    objects = [
        {"id": i, "name": i, "fields": [{"key": k, "stringValue": v} for k, v in fields.items()]}
        for i, fields in {"Default": {"scheduleType": "ondemand"}, "Work": work}.items()
    ]
    client = connect(server)
    pipeline = client.create_pipeline(name=name, uniqueId=name)["pipelineId"]
    client.put_pipeline_definition(pipelineId=pipeline, pipelineObjects=objects)
    client.activate_pipeline(pipelineId=pipeline)
    return str(pipeline)


def attempt(connect, server, pipeline: str) -> dict[str, str]:
    """Return the fields of the pipeline's only attempt."""
    client = connect(server)
    ids = client.query_objects(pipelineId=pipeline, sphere="ATTEMPT")["ids"]
    if not ids:
        return {}
    [described] = client.describe_objects(pipelineId=pipeline, objectIds=ids)["pipelineObjects"]
    fields = {field["key"]: field.get("stringValue", "") for field in described["fields"]}
    return fields | {"id": described["id"]}


def stop(process, log) -> None:
    """Send SIGTERM; the process ends as well as it should."""
    process.send_signal(signal.SIGTERM)
    assert process.wait(TOO_LONG) == 0, log.read_text()
    assert "Traceback" not in log.read_text()


def test_every_example_is_here():
    """A further file needs a test."""
    files = {
        str(path.relative_to(EXAMPLES))
        for path in EXAMPLES.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert files == {
        "README.md",
        "beside_other_work.py",
        "container/Containerfile",
        "container/README.md",
        "embedded_in_aiohttp.py",
        "embedded_in_fastapi.py",
        "existing_coroutine.py",
        "kubernetes/runner.yaml",
        "plain_function.py",
        "systemd/README.md",
        "systemd/aiodp-runner.service",
    }


# In a web application


def free_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


IN_TERMINAL = (
    "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)
"""Makes stdin the terminal that controls the process."""
CTRL_C = b"\x03"


@contextmanager
def uvicorn(environment, folder, port: str, **more: str | None):
    """Serve the FastAPI example in a terminal; give the process, the other end of that, the log."""
    command = ["uvicorn", "embedded_in_fastapi:app", "--port", port]
    variables = {k: v for k, v in {**environment, **more}.items() if v is not None}
    ours, theirs = pty.openpty()
    log = folder / "log"
    with os.fdopen(ours, "wb", buffering=0) as terminal, log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, "-c", IN_TERMINAL, "-m", *command],
            env=variables,
            cwd=EXAMPLES,
            stdin=theirs,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
        os.close(theirs)
        with process:
            try:
                yield process, terminal, log
            finally:
                process.kill()


def look(port: str) -> dict[str, Any]:
    """Return what the application says of its tasks; nothing while it cannot."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/tasks", timeout=TOO_LONG) as answer:
            told: dict[str, Any] = json.load(answer)
            return told
    except (HTTPError, URLError, ConnectionError):
        return {}


@pytest.mark.slow
def test_embedded_in_aiohttp(start, connect, server):
    """It shows its task, and at SIGTERM ends only once that has."""
    pipeline = queue(connect, server, "aiohttp")
    port = free_port()
    arguments = example("embedded_in_aiohttp.py", f"{GROUP}-aiohttp", port)
    with start(*arguments) as (process, log):
        eventually(lambda: look(port).get("tasks"), log)
        [task] = look(port)["tasks"]
        assert task == {
            "attempt": attempt(connect, server, pipeline)["id"],
            "type": "ShellCommandActivity",
            "state": "held",
        }
        stop(process, log)
    assert attempt(connect, server, pipeline)["@status"] == "FINISHED"


@pytest.mark.slow
def test_embedded_in_aiohttp_counts_what_has_ended(start, connect, server):
    """The statistics are there after the task, too."""
    queue(connect, server, "counts")
    port = free_port()
    arguments = example("embedded_in_aiohttp.py", f"{GROUP}-counts", port)
    with start(*arguments) as (process, log):
        eventually(lambda: look(port).get("ended") == {"FINISHED": 1}, log)
        assert look(port)["tasks"] == []
        stop(process, log)


def test_the_application_ends_with_its_worker(start):
    """Without a region there is no worker, so there is no application, and the reason is said."""
    arguments = example("embedded_in_aiohttp.py", GROUP, free_port())
    with start(*arguments, AWS_DEFAULT_REGION=None) as (process, log):
        assert process.wait(TOO_LONG) == 1
    assert "ReportRejected" in log.read_text()


@pytest.mark.slow
def test_embedded_in_fastapi_ends_at_ctrl_c(environment, connect, server, tmp_path):
    """One signal: the server stops, the task in hand ends with its status, and the exit code is 0.

    The handler is uvicorn's, which no runner takes away.
    """
    pipeline = queue(connect, server, "fastapi")
    port = free_port()
    group = {"WORKER_GROUP": f"{GROUP}-fastapi"}
    with uvicorn(environment, tmp_path, port, **group) as (process, terminal, log):
        eventually(lambda: look(port).get("tasks"), log)
        assert look(port)["statistics"]["received"] == 1
        terminal.write(CTRL_C)
        assert process.wait(TOO_LONG) == 0, log.read_text()
    text = log.read_text()
    assert text.index("SIGINT: draining") < text.index("Application shutdown complete")
    assert "Traceback" not in text
    assert attempt(connect, server, pipeline)["@status"] == "FINISHED"


@pytest.mark.slow
def test_the_fastapi_application_does_not_start_without_a_worker(environment, tmp_path):
    """Without a region uvicorn ends, and the log says why."""
    missing = {"WORKER_GROUP": GROUP, "AWS_DEFAULT_REGION": None}
    with uvicorn(environment, tmp_path, free_port(), **missing) as (process, _, log):
        assert process.wait(TOO_LONG) == 3
    text = log.read_text()
    assert (
        "ReportRejected: no client for Data Pipeline could be made: You must specify a reg" in text
    )
    assert "Application startup failed" in text


# Beside other work


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_beside_other_work(start, connect, server, number):
    """A signal ends the other work; the program ends without an error when its task has."""
    name = f"beside-{number}"
    pipeline = queue(connect, server, name)
    with start(*example("beside_other_work.py", f"{GROUP}-{name}")) as (process, log):
        eventually(lambda: "1 tasks in hand" in log.read_text(), log)
        process.send_signal(number)
        assert process.wait(TOO_LONG) == 0, log.read_text()
    assert "Traceback" not in log.read_text()
    assert attempt(connect, server, pipeline)["@status"] == "FINISHED"


# Plain functions and coroutines


@pytest.mark.slow
def test_plain_function(start, connect, server):
    """The task is FINISHED, and the worker ends at SIGTERM."""
    pipeline = queue(connect, server, "plain")
    with start(*example("plain_function.py", f"{GROUP}-plain")) as (process, log):
        eventually(
            lambda: attempt(connect, server, pipeline).get("@status") == "FINISHED",
            log,
        )
        stop(process, log)


@pytest.mark.slow
def test_plain_function_is_stopped_by_a_second_signal(start, connect, server):
    """The thread looks at `raise_if_ended`, so the task is FAILED and the process ends."""
    pipeline = queue(connect, server, "stopped")
    with start(*example("plain_function.py", f"{GROUP}-stopped")) as (process, log):
        eventually(lambda: ": begun" in log.read_text(), log)
        process.send_signal(signal.SIGTERM)
        eventually(lambda: "draining" in log.read_text(), log)
        time.sleep(ECHO_WINDOW)
        stop(process, log)
    fields = attempt(connect, server, pipeline)
    assert (fields["@status"], fields["errorId"]) == ("FAILED", "RunnerStopped")


@pytest.mark.slow
def test_existing_coroutine_in_a_worker(start, connect, server):
    """The coroutine gets what it needs of the task."""
    pipeline = queue(connect, server, "coroutine", command="three words here")
    arguments = example("existing_coroutine.py", "worker", f"{GROUP}-coroutine")
    with start(*arguments) as (process, log):
        eventually(
            lambda: attempt(connect, server, pipeline).get("@status") == "FINISHED",
            log,
        )
        stop(process, log)
    assert "has 3 words" in log.read_text()


@pytest.mark.slow
def test_existing_coroutine_for_one_task(start, server):
    """The reporter keeps the task, and the coroutine's end is told."""
    service = server.service()
    [task_id] = service.assign()
    with start(*example("existing_coroutine.py", "task", task_id)) as (process, log):
        assert process.wait(TOO_LONG) == 0, log.read_text()
    assert "the text has 4 words" in log.read_text()
    assert service.task(task_id).status == "FINISHED"
    assert service.task(task_id).reports >= 1


@pytest.mark.slow
def test_existing_coroutine_for_a_task_that_is_canceled(start, server):
    """No status, no traceback: the reason in a line."""
    service = server.service()
    [task_id] = service.assign()
    service.cancel(task_id)
    with start(*example("existing_coroutine.py", "task", task_id)) as (process, log):
        assert process.wait(TOO_LONG) == 0, log.read_text()
    assert "canceled" in log.read_text()
    assert "Traceback" not in log.read_text()
    assert service.task(task_id).told_canceled
    assert not list(service.audit.of(task_id, AuditKind.STATUS))


# The unit of systemd

SECTIONS = {
    "Unit": {"Description", "Documentation", "Wants", "After"},
    "Service": {
        *("Type", "User", "EnvironmentFile", "ExecStart", "StateDirectory", "WorkingDirectory"),
        *("UMask", "KillMode", "TimeoutStopSec", "Restart", "RestartSec", "OOMPolicy"),
        *("RestartPreventExitStatus", "NoNewPrivileges", "CapabilityBoundingSet", "PrivateTmp"),
        *("PrivateDevices", "ProtectSystem", "ProtectHome", "ProtectClock", "ProtectHostname"),
        *("ProtectControlGroups", "ProtectKernelLogs", "ProtectKernelModules", "LockPersonality"),
        *("ProtectKernelTunables", "RestrictAddressFamilies", "RestrictRealtime"),
        *("RestrictSUIDSGID", "WatchdogSec"),
    },
    "Install": {"WantedBy"},
}
"""Options that systemd.unit(5), systemd.service(5), systemd.exec(5) and systemd.kill(5) have."""


@pytest.fixture
def unit():
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment]
    parser.read_string(UNIT.read_text())
    return parser


@pytest.fixture
def command(unit, tmp_path, aiodp):
    """What systemd would start, installed here, with its variables and specifiers filled in."""
    words = shlex.split(unit["Service"]["ExecStart"])
    assert words[0] == INSTALLED
    given = {"${WORKER_GROUP}": f"{GROUP}-systemd", "%S": str(tmp_path)}
    filled = [re.sub(r"\$\{\w+\}|%S", lambda found: given[found[0]], word) for word in words]
    return [str(aiodp), *filled[1:]]


def test_the_unit_has_options_that_there_are(unit):
    """No option is misspelt, which systemd would ignore."""
    assert {name: set(unit[name]) for name in unit.sections()} == SECTIONS


def test_systemd_accepts_the_unit(tmp_path):
    """Where systemd is there, it finds nothing to say about the unit, but for where aiodp is."""
    checker = shutil.which("systemd-analyze")
    text = UNIT.read_text()
    assert text.count(f"ExecStart={INSTALLED} ") == 1
    if checker is None:
        return
    file = tmp_path / UNIT.name
    file.write_text(text.replace(f"ExecStart={INSTALLED} ", f"ExecStart={sys.executable} "))
    done = subprocess.run(
        [checker, "verify", file], capture_output=True, text=True, check=False, timeout=TOO_LONG
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_s_command_has_the_options_of_aiodp_run(command):
    """`aiodp run` takes them with these values."""
    run = cli.get_command(None, command[1])  # type: ignore[arg-type]
    assert run is not None
    context = run.make_context("run", command[2:])
    assert context.params["worker_group"] == f"{GROUP}-systemd"
    assert context.params["drain_timeout"] == 500


def test_the_unit_leaves_time_to_drain(unit, command):
    """Nothing is killed before the drain's limit and the handlers' 30 seconds have passed."""
    drain = float(command[command.index("--drain-timeout") + 1])
    assert float(unit["Service"]["TimeoutStopSec"]) >= drain + 100


@pytest.mark.slow
def test_the_unit_s_command_works(start, command, connect, server):
    """It does a task, and ends at the signal that systemd sends, with what systemd calls clean."""
    pipeline = queue(connect, server, "systemd")
    with start(*command) as (process, log):
        eventually(
            lambda: attempt(connect, server, pipeline).get("@status") == "FINISHED",
            log,
        )
        stop(process, log)


@pytest.mark.slow
def test_the_unit_does_not_start_again_what_cannot_work(unit, start, command):
    """The exit codes that it names are those of `aiodp run` for wrong usage and no client."""
    prevented = unit["Service"]["RestartPreventExitStatus"].split()
    with start(*command, "--tasks", "none") as (process, _):
        assert str(process.wait(TOO_LONG)) in prevented
    with start(*command, "--region", "no region") as (process, log):
        assert str(process.wait(TOO_LONG)) in prevented, log.read_text()
