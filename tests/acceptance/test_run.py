"""`aiodp run` in a process of its own, against the service over HTTP, with moto's S3 beside it."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import os
import pty
import re
import signal
import socket
import subprocess
import threading
import time
from contextlib import closing, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from acceptance.fake_aws import metadata_at
from acceptance.support import RESOURCE_GROUP, ROOT, SAMPLE
from aiodp._process.echoes import ECHO_WINDOW
from aiodp.cli._run.handlers import has_sql
from aiodp.emulator import AuditKind, Fault, FaultKind, load_definition
from aiodp.sql import CopyHandler, SqlHandler

GROUP = "wg"
TOO_LONG = 60
STAGING = Path(__file__).with_name("samples") / "shellcommand-s3-staging.json"
POLL = frozenset({"PollForTask"})
BREAKING_OFF = (128 + signal.SIGTERM, 128 + signal.SIGINT)
GATED = "touch begun; while [ ! -e $HOME/go ]; do sleep 0.05; done; echo passed"
"""Begins, and ends when it may."""
FAILING = "echo fine; printf 'first\\nno \\033[31mtable\\n' >&2; exit 3"
"""Fails with a code for the terminal."""
HANDLERS = """
import logging, multiprocessing, pathlib, sys, threading, time
import anyio
from aiodp import Task

log = logging.getLogger(__name__)
place = pathlib.Path(__file__).parent

def greet(task):
    log.warning("greeting %s", task.type)
    print("hello", task.attempt_id)

async def stuck(task):
    (place / "begun").touch()
    time.sleep(1000)

def in_thread(task):
    (place / "begun").touch()
    time.sleep(1000)

def leave_thread(task):
    threading.Thread(target=time.sleep, args=(1000,)).start()

def with_children(task):
    context = multiprocessing.get_context("fork")
    for _ in range(3):
        child = context.Process(target=time.sleep, args=(1000,))
        child.start()
        child.terminate()
        child.join(20)
        assert child.exitcode == -15

def foreign(task):
    text = "\\x1b]0;title\\x07\\x9b31m\\u202e"
    task.update(note=text[6:].replace("\\x07", ""))
    print("printed", text)
    sys.stderr.write(f"written {text}\\n")
    log.warning("logged %s", text)
    raise ValueError(f"raised {text}")

async def gated(task):
    task.update(percentComplete=42)
    print("to stdout")
    (place / "begun").touch()
    while not (place / "go").exists():
        await anyio.sleep(0.05)
"""


@pytest.fixture
def service(server):
    return server.service()


@pytest.fixture
def environment(server, clean_environment, tmp_path):
    """Points to the server, which runs thirty times as fast."""
    return clean_environment | {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AIODP_RUN_WORKER_GROUP": GROUP,
        "AIODP_RUN_TIME_SCALE": "30",
        "HOME": str(tmp_path),
    }


@pytest.fixture
def activate(service):
    """Makes a pipeline of one activity, or of a definition, and activates it; returns its id."""
    count = iter(range(1000))

    def make(definition: str | None = None, values: dict[str, str] | None = None, **fields: str):
        activity = {"type": "ShellCommandActivity", "workerGroup": GROUP, "maximumRetries": "0"}
        alone = {"id": "Work", "scheduleType": "ondemand"} | activity | fields
        objects, parameters, _ = load_definition(definition or json.dumps({"objects": [alone]}))
        name = f"p{next(count)}"
        pipeline_id: str = service.perform("CreatePipeline", name=name, uniqueId=name)["pipelineId"]
        put = service.perform(
            "PutPipelineDefinition",
            pipelineId=pipeline_id,
            pipelineObjects=objects,
            parameterObjects=parameters,
            parameterValues=[
                {"id": key, "stringValue": value} for key, value in (values or {}).items()
            ],
        )
        assert not put["errored"], put
        service.perform("ActivatePipeline", pipelineId=pipeline_id)
        return pipeline_id

    return make


@pytest.fixture
def start(commands, environment, tmp_path):
    """Starts `aiodp run` in a directory of its own."""

    @contextmanager
    def begin(*arguments: str, streams: dict[str, Any] | None = None, **more: str):
        pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        process = commands.start(
            "run", *arguments, cwd=tmp_path, env=environment | more, **pipes | (streams or {})
        )
        with process:
            try:
                yield process
            finally:
                process.kill()  # guards end the commands

    return begin


@pytest.fixture
def run(start):
    """Runs `aiodp run` to its end."""

    def to_end(*arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
        with start(*arguments, **more) as process:
            out, err = process.communicate(timeout=TOO_LONG)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    return to_end


@pytest.fixture
def handlers(tmp_path):
    """A module of handlers in the runner's directory; returns its name."""
    (tmp_path / "mine.py").write_text(HANDLERS)
    return "mine"


def eventually(condition) -> None:
    """Return as soon as the condition holds; fail if it does not."""
    deadline = time.monotonic() + TOO_LONG
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def signal_until_it_ends(process) -> None:
    """Send one signal after the other until the process has ended."""
    signals = itertools.cycle((signal.SIGTERM, signal.SIGINT))

    def ended() -> bool:
        with suppress(subprocess.TimeoutExpired):
            process.wait(0.1)
            return True
        process.send_signal(next(signals))
        return False

    eventually(ended)


def free_port() -> int:
    """Return a port on which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


def probe(port, path):
    """Return the status and the text of a path of `--health`."""
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=TOO_LONG)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode().strip()


def statuses(service) -> list[str]:
    return [event.detail for event in service.audit if event.kind is AuditKind.STATUS]


def attempt_of(service, pipeline_id: str) -> tuple[str, dict[str, str]]:
    """Return the id and the fields of a pipeline's last attempt."""
    query = service.perform("QueryObjects", pipelineId=pipeline_id, sphere="ATTEMPT")
    answer = service.perform("DescribeObjects", pipelineId=pipeline_id, objectIds=query["ids"])
    last = answer["pipelineObjects"][-1]
    return last["id"], {one["key"]: one.get("stringValue", "") for one in last["fields"]}


def until(process, words: str) -> str:
    """Read stderr up to the line that holds some words; return the line."""
    for line in process.stderr:
        if words in line:
            return str(line)
    raise AssertionError(f"it never said {words!r}")


def runner_log(tmp_path: Path) -> str:
    logs = sorted((tmp_path / "output" / "logs").glob("Task Runner.log.*"))
    return "".join(one.read_text() for one in logs)


# AWS's samples


@pytest.mark.slow
def test_aws_samples_run_to_their_end(run, activate, service, server, connect, tmp_path):
    """Data is staged from S3, and logs lie where Task Runner puts them, here and in S3."""
    s3 = connect(server, "s3")
    for bucket in ("logs", "staging"):
        s3.create_bucket(Bucket=bucket)
    s3.put_object(Bucket="staging", Key="in/bashscript.sh", Body=b'echo "got $1"\n')
    hello = activate(SAMPLE.read_text(), {"myS3LogsPath": "s3://logs/h"})
    values = {"myS3LogsPath": "s3://logs/s", "myS3StagingPath": "s3://staging/in"}
    staged = activate(STAGING.read_text(), values)

    done = run("--workerGroup", RESOURCE_GROUP, "--max-tasks", "2")

    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert statuses(service) == ["FINISHED", "FINISHED"]
    for pipeline, component, root, text in (
        (hello, "ShellCommandActivity_HelloWorld", "h/HelloWorld", "Hello World!\n"),
        (staged, "Shell_Command_Staging_Activity", "s", "got hello\n"),
    ):
        attempt, _ = attempt_of(service, pipeline)
        instance = attempt.rpartition("_Attempt=")[0]
        path = f"{pipeline}/{component}/{instance}/{attempt}/StdOutput"
        assert (tmp_path / "output" / "logs" / path).read_text() == text
        assert s3.get_object(Bucket="logs", Key=f"{root}/{path}")["Body"].read().decode() == text


# Exit codes


@pytest.mark.parametrize(("command", "code"), [("echo done", 0), (FAILING, 1)])
@pytest.mark.parametrize("asked", [["--once"], ["--max-tasks", "1"]])
def test_the_exit_code_tells_how_the_task_ended(
    run, activate, service, tmp_path, command, code, asked
):
    """0 if it is FINISHED, 1 if it is not; then a warning has the end and the path of StdError."""
    pipeline_id = activate(command=command)
    ended = run(*asked)
    assert ended.returncode == code
    assert statuses(service) == [("FINISHED", "FAILED")[code]]
    warnings = [line for line in ended.stderr.splitlines() if " WARNING " in line]
    assert len(warnings) == code
    for line in warnings:
        attempt, fields = attempt_of(service, pipeline_id)
        assert f"{attempt} of {pipeline_id} (task " in line
        assert "): FAILED: CommandFailed: " in line
        [path] = tmp_path.glob("output/logs/df-*/*/*/*/StdError")
        assert line.endswith(rf"no \x1b[31mtable\nits stderr is in {path}")
        assert line.isprintable()
        assert "its stderr is in" not in fields["errorMessage"]


@pytest.mark.slow
def test_a_status_in_doubt_is_5(run, activate, service):
    """It was applied, its answer was lost, and nobody may ask for the attempt: neither is it 1."""
    activate(command="true")
    for kind, action, count in (
        (FaultKind.RESET_AFTER, "SetTaskStatus", 1),
        (FaultKind.ACCESS_DENIED, "DescribeObjects", None),
    ):
        service.faults.add(Fault(kind=kind, actions=frozenset({action}), count=count))
    done = run("--once")
    assert done.returncode == 5
    assert statuses(service) == ["FINISHED"]
    assert "FINISHED was sent without an answer and may be set" in done.stderr
    assert "others may have it" not in done.stderr


@pytest.mark.slow
def test_once_without_a_task_is_3(run):
    """The poll was answered, and brought nothing."""
    assert run("--once").returncode == 3


@pytest.mark.parametrize("kind", [FaultKind.ACCESS_DENIED, FaultKind.SERVER_ERROR])
def test_once_with_a_poll_that_fails_is_4(run, service, kind):
    """And why is said."""
    service.faults.add(Fault(kind=kind, actions=POLL))
    done = run("--once")
    assert done.returncode == 4
    assert "polls fail" in done.stderr
    assert "Traceback" not in done.stderr


def test_failing_polls_do_not_end_it(start, service, activate):
    """The next one may succeed: so it is for hours, and for the error that seemed for ever."""
    service.faults.add(Fault(kind=FaultKind.ACCESS_DENIED, actions=POLL, count=4))
    activate(command="true")
    with start("--max-tasks", "1") as process:
        until(process, "polls fail (configuration)")
        until(process, "polls succeed again")
        process.communicate(timeout=TOO_LONG)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no AWS credentials were found"),
        ({"AWS_SECRET_ACCESS_KEY": ""}, "Partial credentials"),
        ({"AIODP_RUN_REGION": "no region"}, "no region"),
    ],
)
def test_a_configuration_that_allows_no_client_is_123(run, service, broken, words, tmp_path):
    """It is said at once, and nothing is sent."""
    nowhere = str(tmp_path / "none")
    files = {"AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere}
    done = run(**files, **broken)
    assert done.returncode == 123
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not service.calls


def test_keys_that_the_service_refuses_are_123(run, service):
    """It is said at once, with what to do, and nothing is polled for."""
    service.faults.add(Fault(kind=FaultKind.EXPIRED_TOKEN))
    done = run()
    assert done.returncode == 123
    assert "ExpiredTokenException" in done.stderr
    assert "Renew the credentials." in done.stderr
    assert "Traceback" not in done.stderr
    assert not [key for key in service.calls if key[0] == "PollForTask"]


@pytest.mark.slow
def test_a_metadata_service_may_begin_later(start, activate, service, tmp_path):
    """Without other credentials its own are waited for, which is said."""
    activate(command="true")
    nowhere = str(tmp_path / "none")
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))  # and does not listen yet: a connection is refused
        port = listening.getsockname()[1]
        machine = {
            "AWS_ACCESS_KEY_ID": "",
            "AWS_SECRET_ACCESS_KEY": "",
            "AWS_CONFIG_FILE": nowhere,
            "AWS_SHARED_CREDENTIALS_FILE": nowhere,
            "AWS_EC2_METADATA_DISABLED": "false",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT": f"http://127.0.0.1:{port}",
        }
        with start("--max-tasks", "1", **machine) as process:
            until(process, "no AWS credentials yet")
            with metadata_at(listening):
                process.communicate(timeout=TOO_LONG)
    assert process.returncode == 0
    assert statuses(service) == ["FINISHED"]


def test_a_fault_of_its_own_is_125(aiodp, environment, tmp_path):
    """What nobody thought of is no traceback on the terminal alone: it is logged."""
    code = """
import sys
from aiodp import TaskRunner
from aiodp.cli import main

async def break_down(self, **_):
    raise RuntimeError("boom")

TaskRunner.run = break_down
sys.argv = ["aiodp", "run"]
sys.exit(main())
"""
    done = subprocess.run(
        [Path(aiodp).with_name("python"), "-c", code],
        cwd=tmp_path,
        env=environment,
        check=False,
        capture_output=True,
        text=True,
        timeout=TOO_LONG,
    )
    assert done.returncode == 125
    assert "CRITICAL a fault in aiodp run itself" in done.stderr
    assert "RuntimeError: boom" in runner_log(tmp_path)


@pytest.mark.slow
def test_a_status_that_is_refused_while_it_stops_is_1(start, activate, service, tmp_path):
    """Somebody must look after the task, whose work is done."""
    activate(command=GATED)
    with start() as process:
        until(process, ": begun")
        process.send_signal(signal.SIGTERM)
        until(process, "draining")
        status = frozenset({"SetTaskStatus"})
        service.faults.add(Fault(kind=FaultKind.INVALID_REQUEST, actions=status))
        (tmp_path / "go").touch()
        process.communicate(timeout=TOO_LONG)
    assert process.returncode == 1


@pytest.mark.slow
def test_a_canceled_task_is_no_success(start, activate, service, tmp_path):
    """Its owner took it back, so what was counted on is not done."""
    pipeline_id = activate(command=GATED)
    with start("--max-tasks", "1") as process:
        until(process, ": begun")
        service.perform("DeactivatePipeline", pipelineId=pipeline_id)
        process.communicate(timeout=TOO_LONG)
    assert process.returncode == 1
    assert statuses(service) == []


def test_wrong_use_is_one_line(run, service):
    """Exit code 2, and where to read on."""
    done = run("--tasks", "none")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "See aiodp run --help." in done.stderr
    assert not service.calls


@pytest.mark.slow
def test_few_open_files_mean_fewer_tasks_at_once(aiodp, environment, activate, tmp_path):
    """None of the tasks fails for want of a descriptor, and a warning says what to raise."""
    fields = {"type": "ShellCommandActivity", "workerGroup": GROUP, "maximumRetries": "0"}
    one = fields | {"scheduleType": "ondemand", "command": "sleep 0.3"}
    activate(json.dumps({"objects": [one | {"id": f"Work{number}"} for number in range(30)]}))
    limited = ["sh", "-c", 'ulimit -n 200 && exec "$0" "$@"', aiodp, "run"]
    done = subprocess.run(
        [*limited, "--tasks", "60", "--max-tasks", "30"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=TOO_LONG,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tasks received: 30 (30 FINISHED)" in done.stderr
    assert done.stderr.count("tasks at once, not 60: the limit of open files") == 1


# Handlers


def test_a_handler_does_the_tasks_of_its_type(run, activate, service, handlers):
    """Found in the current directory; its log and its output are to be seen."""
    activate(type="HiveActivity", hiveScript="x")
    activate(command="echo shell")
    done = run("--max-tasks", "2", "--handler", f"HiveActivity={handlers}:greet")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("hello @Work_")
    assert "WARNING  greeting HiveActivity" in done.stderr
    assert statuses(service) == ["FINISHED", "FINISHED"]


def test_a_handler_without_a_type_takes_shell_commands_too(run, activate, handlers):
    """Whatever has no other."""
    activate(command="echo shell")
    done = run("--once", "--handler", f"{handlers}:greet")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("hello @Work_")


def test_a_task_that_nobody_can_do_fails_with_advice(run, activate, service):
    """Its owner reads in the console what is missing here."""
    pipeline_id = activate(type="HiveActivity", hiveScript="x")
    assert run("--once").returncode == 1
    _, fields = attempt_of(service, pipeline_id)
    assert fields["errorId"] == "UnsupportedType"
    assert "--handler HiveActivity=PACKAGE.MODULE:FUNCTION" in fields["errorMessage"]


def test_other_types_are_left_to_who_can_do_them(run, activate, service):
    """Beside a runner that can, nothing fails; what nobody can do stays in the queue."""
    left = activate(type="HiveActivity", hiveScript="x")
    done = activate(command="true")
    ran = run("--max-tasks", "1", "--unsupported", "leave")
    assert ran.returncode == 0, ran.stderr
    assert re.search(r"types: .*Exists.*; others are left to other runners;", ran.stderr)
    assert "is left to other runners" in ran.stderr
    statuses = [attempt_of(service, pipeline_id)[1]["@status"] for pipeline_id in (left, done)]
    assert statuses == ["WAITING_FOR_RUNNER", "FINISHED"]


def test_leaving_what_a_handler_takes_is_wrong_use(run, handlers):
    """A handler for all types leaves nothing to others."""
    ran = run("--unsupported", "leave", "--handler", f"{handlers}:greet")
    assert ran.returncode == 2
    assert "--unsupported leave leaves nothing" in ran.stderr


@pytest.mark.slow
def test_probes_and_systemd_see_it_work_and_drain(start, activate, tmp_path):
    """Ready while it polls, live to the end; systemd hears of both in one process."""
    activate(command=GATED)
    port = free_port()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(TOO_LONG)
        with start("--health", str(port), NOTIFY_SOCKET=str(tmp_path / "notify")) as process:
            assert "READY=1" in systemd.recv(1000).decode()
            eventually(lambda: "aiodp_tasks_running 1.0" in probe(port, "/metrics")[1])
            assert probe(port, "/ready") == (200, "ok")
            process.send_signal(signal.SIGTERM)
            eventually(lambda: probe(port, "/ready") == (503, "it is draining"))
            assert probe(port, "/live") == (200, "ok")
            while "STOPPING=1" not in systemd.recv(1000).decode():
                pass
            (tmp_path / "go").touch()
            assert process.wait(TOO_LONG) == 0


def test_an_address_that_is_taken_is_wrong_use(run):
    """Nothing is sent."""
    with closing(socket.create_server(("127.0.0.1", 0))) as other:
        done = run("--once", "--health", str(other.getsockname()[1]))
    assert done.returncode == 2
    assert "Address already in use" in done.stderr


def test_children_that_a_handler_ends_are_no_signals_to_the_runner(run, activate, handlers):
    """Forked by multiprocessing and terminated: they obey, and nobody else is meant."""
    activate(command="true")
    done = run("--once", "--handler", f"{handlers}:with_children")
    assert done.returncode == 0, done.stderr
    assert "SIGTERM" not in done.stderr


BROKEN_LOGGING = """
import logging

class Shipper(logging.Handler):
    def emit(self, record):
        raise ConnectionError("the log shipper is down")

logging.basicConfig(level=logging.INFO, handlers=[Shipper()])
logging.getLogger("aiodp").addHandler(Shipper())

def succeed(task):
    logging.getLogger(__name__).warning("working")
"""


def test_a_log_handler_that_raises_fails_no_task_and_takes_no_line(run, activate, tmp_path):
    """Not from the package, nor from botocore, nor from the task's own code."""
    (tmp_path / "broken.py").write_text(BROKEN_LOGGING)
    activate(command="true")
    activate(command="true")
    done = run("--max-tasks", "2", "--handler", "broken:succeed")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("ConnectionError: the log shipper is down") == 1
    for text in (done.stderr, runner_log(tmp_path)):
        assert "tasks received: 2 (2 FINISHED)" in text
        assert "working" in text


@pytest.mark.slow
def test_a_handlers_thread_does_not_hold_up_the_end(run, activate, handlers):
    """A thread that goes on for ever is left behind, and all is told before."""
    activate(command="true")
    done = run("--once", "--handler", f"{handlers}:leave_thread")
    assert done.returncode == 0, done.stderr
    assert "tasks received: 1 (1 FINISHED)" in done.stderr


@pytest.mark.slow
def test_the_recipe_of_the_documentation(aiodp, clean_environment, tmp_path):
    """Both blocks of "Try it without AWS", as they stand but for the port."""
    text = (ROOT / "docs" / "run.md").read_text().split("## Try it without AWS", 1)[1]
    serve, work = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[:2]
    activity = {
        "id": "A",
        "type": "ShellCommandActivity",
        "command": "echo hello",
        "scheduleType": "ondemand",
        "runsOn": {"ref": "R"},
    }
    resource = {"id": "R", "type": "Ec2Resource"}
    (tmp_path / "pipeline.json").write_text(json.dumps({"objects": [activity, resource]}))
    path = f"{aiodp.parent}{os.pathsep}{clean_environment['PATH']}"
    options = {"cwd": tmp_path, "env": clean_environment | {"PATH": path}, "text": True}
    serve = serve.replace("5055", "0")
    with subprocess.Popen(
        ["bash", "-c", f"exec {serve}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, **options
    ) as serving:
        try:
            assert serving.stdout is not None
            port = re.search(r":(\d+)$", serving.stdout.readline().strip())
            assert port is not None
            work = work.replace("5055", port[1])
            done = subprocess.run(
                ["bash", "-euc", work],
                capture_output=True,
                timeout=TOO_LONG,
                check=False,
                **options,
            )
        finally:
            serving.kill()
    assert done.returncode == 0, done.stderr
    assert "hello" in next(tmp_path.rglob("StdOutput")).read_text()
    assert "S3 is AWS's" not in done.stderr


@pytest.mark.slow
def test_it_says_that_s3_is_another_matter(run, environment, server):
    """Data Pipeline alone on this machine, and S3 of AWS: that is hardly meant."""
    del environment["AWS_ENDPOINT_URL"]
    done = run("--once", "--endpoint", server.endpoint)
    assert "S3 is AWS's" in done.stderr


# Signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_drains(start, activate, service, tmp_path, number):
    """The task in hand comes to its own end, no other one is begun, and that is 0."""
    activate(command=GATED)
    with start("--tasks", "1") as process:
        until(process, ": begun")
        process.send_signal(number)
        until(process, f"{number.name}: draining")
        activate(command="echo another")
        (tmp_path / "go").touch()
        process.communicate(timeout=TOO_LONG)
    assert process.returncode == 0
    assert statuses(service) == ["FINISHED"]


def test_a_hangup_right_after_another_signal_means_the_same(start, activate, service, tmp_path):
    """A terminal that is closed, or systemd, sends both: the task in hand is not interrupted."""
    activate(command=GATED)
    with start("--tasks", "1") as process:
        until(process, ": begun")
        process.send_signal(signal.SIGTERM)
        until(process, "SIGTERM: draining")
        process.send_signal(signal.SIGHUP)
        (tmp_path / "go").touch()
        process.communicate(timeout=TOO_LONG)
    assert process.returncode == 0
    assert statuses(service) == ["FINISHED"]


@pytest.mark.slow
def test_a_signal_ends_an_idle_runner(start):
    """Nothing is in hand: it ends within the seconds that a poll's answer may take."""
    with start() as process:
        until(process, "works on")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TOO_LONG)
    assert process.returncode == 0


def test_a_signal_ends_the_wait_for_credentials(start, tmp_path):
    """Nothing is begun yet, so it has stopped as it was asked to."""
    (tmp_path / "process").write_text("#!/bin/sh\necho $$ > pid\nexec sleep 60\n")
    (tmp_path / "process").chmod(0o700)
    config = tmp_path / "config"
    config.write_text(f"[default]\ncredential_process = {tmp_path}/process\n")
    variables = {
        "AWS_ACCESS_KEY_ID": "",
        "AWS_SECRET_ACCESS_KEY": "",
        "AWS_CONFIG_FILE": str(config),
    }
    with start(**variables) as process:
        eventually(lambda: pid_in(tmp_path / "pid"))
        process.send_signal(signal.SIGTERM)
        until(process, "stopped; tasks received: 0")
        with suppress(ProcessLookupError):  # its parent may have ended it, on its way out
            os.kill(pid_in(tmp_path / "pid"), signal.SIGKILL)
        process.wait(TOO_LONG)
    assert process.returncode == 0


def test_a_drain_that_takes_too_long_interrupts(start, activate, service):
    """The task fails, which is told: 0."""
    pipeline_id = activate(command=GATED)
    with start("--drain-timeout", "0.2") as process:
        until(process, ": begun")
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TOO_LONG)
    assert process.returncode == 0
    assert statuses(service) == ["FAILED"]
    assert attempt_of(service, pipeline_id)[1]["errorId"] == "RunnerStopped"


@pytest.mark.parametrize("handler", ["stuck", "in_thread"])
def test_handlers_that_hang_do_not_outlast_the_drain_by_much(
    start, activate, handlers, tmp_path, handler
):
    """Not even one that blocks the event loop: one signal is enough, and it is a failure."""
    hasty = f"import aiodp.cli._run.session as s\ns._INTERRUPTED_TIMEOUT = 0.2\nfrom {handlers} "
    (tmp_path / "hasty.py").write_text(f"{hasty} import *\n")
    activate(command="true")
    with start("--drain-timeout", "0.1", "--handler", f"hasty:{handler}") as process:
        eventually((tmp_path / "begun").exists)
        process.send_signal(signal.SIGTERM)
        process.wait(TOO_LONG)
    assert process.returncode == 1


def test_a_second_signal_interrupts(start, activate, service, tmp_path):
    """The command is ended, its task FAILED, and the signal's number is in the exit code."""
    activate(command=f"echo $$ > $HOME/pid; {GATED}")
    with start() as process:
        eventually(lambda: pid_in(tmp_path / "pid"))
        process.send_signal(signal.SIGTERM)
        until(process, "draining")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=TOO_LONG)
    assert process.returncode == 130
    assert statuses(service) == ["FAILED"]
    assert not alive(pid_in(tmp_path / "pid"))


def test_a_third_signal_ends_it_at_once(start, activate, handlers, tmp_path):
    """A handler that goes on and on is not waited for, and the last signal is the exit code's."""
    activate(command="true")
    with start("--handler", f"{handlers}:in_thread") as process:
        eventually((tmp_path / "begun").exists)
        process.send_signal(signal.SIGTERM)
        until(process, "SIGTERM: draining")
        time.sleep(ECHO_WINDOW)
        process.send_signal(signal.SIGTERM)
        until(process, "SIGTERM: the tasks are interrupted")
        process.send_signal(signal.SIGINT)
        process.wait(TOO_LONG)
    assert process.returncode == 130


def test_three_signals_are_heard_though_a_handler_blocks_the_event_loop(
    start, activate, handlers, tmp_path
):
    """Nothing but the signals' own handler runs any more; which one it hears last is open."""
    activate(command="true")
    with start("--handler", f"{handlers}:stuck") as process:
        eventually((tmp_path / "begun").exists)
        signal_until_it_ends(process)
    assert process.returncode in BREAKING_OFF


@pytest.mark.slow
def test_no_command_outlives_the_third_signal(start, activate, tmp_path):
    """A guard ends what hears nothing, when nobody else is left to do so."""
    deaf = 'trap "" TERM; echo $$ > $HOME/pid; while :; do sleep 0.1; done'
    activate(command=deaf)
    with start("--grace", "0.4") as process:
        eventually(lambda: pid_in(tmp_path / "pid"))
        signal_until_it_ends(process)
    assert process.returncode in BREAKING_OFF
    eventually(lambda: not alive(pid_in(tmp_path / "pid")))


@pytest.mark.slow
def test_what_nohup_ignores_stays_ignored(aiodp, environment, tmp_path):
    """SIGHUP ignored from the start asks for nothing."""
    script = 'trap "" HUP; exec "$0" run'
    process = subprocess.Popen(
        ["sh", "-c", script, aiodp],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        until(process, "works on")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=TOO_LONG)
    assert process.returncode == 0
    assert "SIGTERM: draining" in err
    assert "SIGHUP" not in err


def test_it_is_not_suspended(start, activate, service, tmp_path):
    """Ctrl-Z would stop the heartbeats and leave the commands running: it is not obeyed."""
    activate(command=GATED)
    with start("--max-tasks", "1") as process:
        until(process, ": begun")
        process.send_signal(signal.SIGTSTP)
        until(process, "not suspended")
        (tmp_path / "go").touch()
        process.communicate(timeout=TOO_LONG)
    assert process.returncode == 0
    assert statuses(service) == ["FINISHED"]


@pytest.mark.slow
def test_the_service_may_end_it(run, service):
    """Its heartbeat is answered by terminate."""
    service.perform("ReportTaskRunnerHeartbeat", taskrunnerId="me", workerGroup=GROUP)
    service.terminate("me")
    done = run("--taskrunnerId", "me")
    assert done.returncode == 0
    assert "the service tells this task runner to terminate" in done.stderr


def pid_in(path: Path) -> int:
    return int(path.read_text() or 0) if path.exists() else 0


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


# The log


def test_its_log_is_in_a_file_as_task_runners(run, activate, tmp_path):
    """The path is printed at the start, and each line has Task Runner's form."""
    pipeline_id = activate(command="true")
    done = run("--once", "--taskrunnerId", "me")
    path = re.search(
        r"log: (.*/output/logs/Task Runner\.log\.[\d-]{13})$", done.stderr, re.MULTILINE
    )
    assert path
    assert (tmp_path / path[1]).exists()
    start = r"\d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d,\d{3} \[(INFO|WARNING)\] \([^)]+\) \S+ \S+: ."
    lines = runner_log(tmp_path).splitlines()
    assert all(re.match(start, line) for line in lines)
    assert [line for line in lines if f" {pipeline_id} " in line and ": FINISHED" in line]


@pytest.mark.slow
def test_it_says_in_one_line_what_it_does(run, server):
    """Whose tasks, where, by which name, and where to look."""
    done = run("--once", "--taskrunnerId", "me", "--output", "out", "--region", "eu-west-1")
    [line] = [one for one in done.stderr.splitlines() if "works on" in one]
    where = f"in eu-west-1 at {server.endpoint}, 2 tasks at once; "
    sql = ", ".join(["", *SqlHandler.types, *CopyHandler.types]) if has_sql() else ""
    types = f"types: ShellCommandActivity, ShellCommandPrecondition, Exists{sql}; others fail"
    assert f"task runner me works on {GROUP} {where}{types}; output: out; log: " in line
    assert "/out/logs/Task Runner.log." in line


def test_json_lines_are_json_and_nothing_else(run, activate, handlers, service):
    """Each line of stderr is an object; what a record knows is in it."""
    pipeline_id = activate(command="true")
    service.faults.add(Fault(kind=FaultKind.THROTTLE, actions=POLL, count=1))
    done = run("--max-tasks", "1", "--log-format", "json", "--handler", f"{handlers}:greet")
    told = [json.loads(line) for line in done.stderr.splitlines()]
    [end] = [one for one in told if one["status"]]
    assert (end["level"], end["status"], end["pipeline"]) == ("INFO", "FINISHED", pipeline_id)
    assert (end["type"], end["seconds"] > 0) == ("ShellCommandActivity", True)
    assert [one["kind"] for one in told if one["kind"]] == ["throttled"]
    [greeting] = [one for one in told if one["message"] == "greeting ShellCommandActivity"]
    for key in ("task", "task_digest", "pipeline", "attempt"):  # of a foreign logger, in a thread
        assert greeting[key] == end[key]


def test_its_log_goes_to_s3_at_the_end(run, activate, server, connect, tmp_path):
    """As it is on the disk, below the runner's own name."""
    s3 = connect(server, "s3")
    s3.create_bucket(Bucket="logs")
    pipeline_id = activate(command="echo done")
    assert run("--once", "--logUri", "s3://logs/x", "--taskrunnerId", "a/b").returncode == 0
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket="logs")["Contents"]]
    [key] = [key for key in keys if "Task Runner" in key]
    assert re.fullmatch(r"x/a_b~\w+/Task Runner\.log\.[\d-]{13}", key)
    assert s3.get_object(Bucket="logs", Key=key)["Body"].read().decode() == runner_log(tmp_path)
    assert [key for key in keys if key.startswith(f"x/{pipeline_id}/")]  # the task's own


def test_a_log_that_cannot_be_pushed_is_a_warning(run, activate):
    """There is no such bucket; the task is done all the same."""
    activate(command="true")
    done = run("--once", "--log-uri", "s3://nowhere")
    assert done.returncode == 0
    assert re.search("WARNING  the log was not pushed: s3://nowhere/.*NoSuchBucket", done.stderr)


def test_keys_are_neither_logged_nor_handed_on(run, activate, tmp_path):
    """Those of the command line are the runner's own: no command sees them."""
    activate(command="env")
    given = {"AIODP_RUN_ACCESS_ID": "AKID", "AIODP_RUN_SECRET_KEY": "topsecret"}
    done = run("--once", **given)
    assert done.returncode == 0
    [out] = (tmp_path / "output" / "logs").glob("df-*/*/*/*/StdOutput")
    for text in (done.stderr, runner_log(tmp_path), out.read_text()):
        assert "topsecret" not in text
        assert "AKID" not in text
    assert "AWS_ACCESS_KEY_ID=testing" in out.read_text()  # the environment's


# The table


def read_all(descriptor: int) -> str:
    def read() -> bytes:
        try:
            return os.read(descriptor, 65536)
        except OSError:  # Linux's way to say that the other side was closed
            return b""

    return b"".join(iter(read, b"")).decode()


@contextmanager
def terminal():
    ours, theirs = pty.openpty()
    try:
        yield ours, theirs
    finally:
        os.close(ours)
        with suppress(OSError):
            os.close(theirs)


def test_a_terminal_shows_a_table(start, activate, handlers, service, tmp_path):
    """The task in hand with what it reported, totals, and the log above."""
    activate(command="true")
    handler = ["--handler", f"{handlers}:gated"]
    seen = ""
    with terminal() as (ours, theirs):
        streams = {"stderr": theirs, "text": False}
        more = {"TERM": "xterm-256color", "COLUMNS": "200", "LINES": "24"}
        with start("--max-tasks", "1", *handler, streams=streams, **more) as process:
            os.close(theirs)
            deadline = time.monotonic() + TOO_LONG
            while "percentComplete=42" not in plain(seen):
                assert time.monotonic() < deadline
                seen += os.read(ours, 65536).decode(errors="replace")
            (tmp_path / "go").touch()
            seen += read_all(ours)
            out = process.stdout.read()
            process.wait(TOO_LONG)
    assert (process.returncode, out) == (0, b"to stdout\n")
    text = plain(seen)
    row = r"@Work_\S+_Attempt=1 +ShellCommandActivity +held +\d+ s +\d+ s +percentComplete=42"
    assert re.search(row, text)
    assert re.search(r"aiodp run  \d+ polls, 1 finished, 0 failed, 0 canceled, 0 lost", text)
    assert "INFO     task runner" in text
    assert "stopped; tasks received: 1 (1 FINISHED)" in text
    assert seen.endswith("\x1b[?25h") or "\x1b[?25h" in seen[-200:]  # the cursor is back
    assert statuses(service) == ["FINISHED"]


@pytest.mark.parametrize("given", ["--table", "--no-table"])
def test_nothing_foreign_reaches_a_terminal(start, activate, handlers, given):
    """Of what handlers print, write, log and raise, each control code is escaped."""
    activate(command="true")
    handler = ["--handler", f"{handlers}:foreign"]
    with terminal() as (ours, theirs):
        streams = {"stdout": theirs, "stderr": theirs, "text": False}
        more = {"TERM": "xterm", "COLUMNS": "200", "LINES": "24"}
        with start("--once", given, *handler, streams=streams, **more) as process:
            os.close(theirs)
            text = plain(read_all(ours))
            process.wait(TOO_LONG)
    assert process.returncode == 1
    assert [char for char in text if not char.isprintable() and char != "\n"] == []
    for where in ("printed", "written", "logged", "raised"):
        assert rf"{where} \x1b]0;title\x07\x9b31m\u202e" in text


@pytest.mark.parametrize("given", [["--no-table"], ["--table", "--log-format", "json"]])
def test_a_terminal_shows_plain_lines_if_that_is_asked_for(start, activate, given):
    """No table, and no code for the cursor."""
    activate(command="true")
    with terminal() as (ours, theirs):
        streams = {"stderr": theirs, "text": False}
        with start("--once", *given, streams=streams, TERM="xterm") as process:
            os.close(theirs)
            text = read_all(ours)
            process.wait(TOO_LONG)
    assert process.returncode == 0
    assert ": FINISHED" in text
    assert "\x1b" not in text.removesuffix("\x1b[?25h")
    assert "aiodp run  " not in text


def test_no_table_without_a_terminal(run, activate):
    """Not even if one is asked for, and rich is told to take anything for a terminal."""
    activate(command="true")
    done = run("--once", "--table", FORCE_COLOR="1", TERM="xterm")
    assert done.returncode == 0
    assert ": FINISHED" in done.stderr
    assert "\x1b" not in done.stderr


def plain(written: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written).replace("\r", "")


# Proxy


class Proxy(BaseHTTPRequestHandler):
    """Forwards requests of those who know the password."""

    protocol_version = "HTTP/1.1"
    password = "us:er:p@ss/word"
    asked: list[str]

    def forward(self) -> None:
        expected = "Basic " + base64.b64encode(self.password.encode()).decode()
        self.asked.append(self.headers.get("X-Amz-Target") or self.path)
        if self.headers.get("Proxy-Authorization") != expected:
            self.send_error(407)
            return
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        with closing(http.client.HTTPConnection(parts.netloc, timeout=TOO_LONG)) as connection:
            connection.request(self.command, target, body, dict(self.headers))
            answer = connection.getresponse()
            content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        with suppress(BrokenPipeError):  # the end of a call is not always waited for
            self.wfile.write(content)

    do_GET = do_PUT = do_POST = forward  # noqa: N815 - http.server's names

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def proxy():
    """A proxy on this machine; returns its port, and what it was asked for."""
    asked: list[str] = []
    handler = type("Handler", (Proxy,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port, asked
        server.shutdown()
        thread.join()


def test_all_calls_go_through_the_proxy(run, activate, proxy, server, connect, tmp_path):
    """Data Pipeline's and S3's; the password is in the request, and in no log."""
    connect(server, "s3").create_bucket(Bucket="logs")
    activate(command="true")
    port, asked = proxy
    name, password = "us", "er:p@ss/word"
    given = ["--proxyHost", "127.0.0.1", "--proxyPort", str(port), "--proxyUsername", name]
    done = run("--once", *given, "--logUri", "s3://logs", AIODP_RUN_PROXY_PASSWORD=password)
    assert done.returncode == 0, done.stderr
    assert {"DataPipeline.PollForTask", "DataPipeline.SetTaskStatus"} <= set(asked)
    assert "Task%20Runner.log" in asked[-1]
    assert "not pushed" not in done.stderr
    assert password not in done.stderr + runner_log(tmp_path)


def test_a_proxy_that_refuses_is_said_without_the_password(run, proxy, tmp_path):
    """The poll fails; neither a log nor the message shows what was given."""
    port, _ = proxy
    given = ["--proxyHost", "127.0.0.1", "--proxyPort", str(port), "--proxyUsername", "us"]
    done = run("--once", *given, "--proxyPassword", "not/this")
    assert done.returncode == 4
    for text in (done.stderr, runner_log(tmp_path)):
        assert "polls fail" in text
        assert "not/this" not in text
        assert "not%2Fthis" not in text


def test_it_needs_nothing_of_the_emulator(aiodp, environment):
    """A machine that runs tasks needs no moto."""
    code = "import aiodp.cli._run, sys; sys.exit('moto' in sys.modules or 'lark' in sys.modules)"
    python = Path(aiodp).with_name("python")
    subprocess.run([python, "-c", code], env=environment, check=True)
