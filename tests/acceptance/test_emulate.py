"""``aiodp emulate`` as it is installed, in a process of its own."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from importlib.metadata import version

import boto3
import pytest

from acceptance.support import SAMPLE
from aiodp.emulator import load_definition

TOO_LONG = 20


@pytest.fixture
def emulate(aiodp, clean_environment):
    """Starts ``aiodp emulate``; gives the process, its environment lines and what it printed."""

    @contextmanager
    def start(*options: str, **environment: str):
        process = subprocess.Popen(
            [aiodp, "emulate", *options],
            env=clean_environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()

    return start


@pytest.fixture
def run(aiodp, clean_environment):
    """Runs ``aiodp`` to its end."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [aiodp, *arguments],
            env=clean_environment | environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=TOO_LONG,
        )

    return run


def greeting(process) -> str:
    """What the command prints before it waits."""
    lines = []
    for line in process.stdout:
        lines.append(line)
        if "Ctrl-C" in line:
            return "".join(lines)
    pytest.fail(f"it ended: {process.stderr.read()}")


def exports(text: str) -> dict[str, str]:
    return dict(re.findall(r"^ *export (\w+)=(\S+)$", text, re.MULTILINE))


def client_of(environment: dict[str, str]):
    return boto3.client(
        "datapipeline",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        region_name=environment["AWS_DEFAULT_REGION"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=environment["AWS_SECRET_ACCESS_KEY"],
    )


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_told_to_stop(emulate, stop):
    """It prints where it serves, serves there, and ends well within seconds of the signal."""
    with emulate("--time-scale", "60") as process:
        text = greeting(process)
        environment = exports(text)
        assert "A minute of the service lasts 1 s." in text
        client = client_of(environment)
        assert client.create_pipeline(name="n", uniqueId="u")["pipelineId"].startswith("df-")
        process.send_signal(stop)
        out, err = process.communicate(timeout=TOO_LONG)
        client.close()
    assert (process.returncode, out, err) == (0, "aiodp emulate: stopped.\n", "")


def test_it_stops_with_a_poll_held(emulate):
    """A client in a long poll does not keep the command from ending."""
    with emulate() as process:
        client = client_of(exports(greeting(process)))
        with socket.create_connection(address_of(client)) as connection:
            connection.sendall(poll_request())
            client.report_task_runner_heartbeat(taskrunnerId="1")  # time for the poll to arrive
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=5)
        client.close()
    assert process.returncode == 0


def test_each_option_is_an_environment_variable_as_well(emulate):
    """``AIODP_EMULATE_*`` set the port, the time scale and the group of the resources' tasks."""
    port = free_port()
    environment = {
        "AIODP_EMULATE_HOST": "localhost",
        "AIODP_EMULATE_PORT": str(port),
        "AIODP_EMULATE_TIME_SCALE": "120",
        "AIODP_EMULATE_RESOURCE_WORKER_GROUP": "resources",
    }
    with emulate(**environment) as process:
        text = greeting(process)
        assert f"http://localhost:{port}" in text
        assert "A minute of the service lasts 0.5 s." in text
        client = client_of(exports(text))
        pipeline_id = client.create_pipeline(name="n", uniqueId="u")["pipelineId"]
        objects, parameters, _ = load_definition(SAMPLE.read_text())
        client.put_pipeline_definition(
            pipelineId=pipeline_id,
            pipelineObjects=objects,
            parameterObjects=parameters,
            parameterValues=[{"id": "myS3LogsPath", "stringValue": "s3://logs"}],
        )
        client.activate_pipeline(pipelineId=pipeline_id)
        assert client.poll_for_task(workerGroup="resources")["taskObject"]["taskId"]
        client.close()


def test_a_port_which_is_taken_is_said_in_one_line(run):
    """A taken port ends the command with a line that says which and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = run("emulate", "--port", str(port))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr == (
        f"aiodp: port {port} of 127.0.0.1 is in use; take another, or 0 for any free one\n"
    )


@pytest.mark.parametrize(
    ("option", "value", "limit"),
    [
        ("--port", "70000", "0<=x<=65535"),
        ("--port", "http", "integer"),
        ("--time-scale", "0", "x>0"),
        ("--time-scale", "-1", "x>0"),
        ("--time-scale", "nan", "finite"),
        ("--time-scale", "inf", "finite"),
        ("--resource-worker-group", "", "empty"),
    ],
)
def test_a_bad_value_is_said_in_one_line(run, option, value, limit):
    """A bad value ends the command with exit code 2 and a line naming option, value and limit."""
    done = run("emulate", option, value)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.count("\n") == 1
    for part in (option, value, limit):
        assert part in done.stderr


def test_the_help_reads_well(run):
    """Help fits 80 columns, names each option with its variable, and each command."""
    whole, one = run("--help"), run("emulate", "--help")
    assert (whole.returncode, one.returncode) == (0, 0)
    assert max(map(len, (whole.stdout + one.stdout).splitlines())) <= 80
    for command in ("demo", "emulate", "hold"):
        assert re.search(rf"^  {command} ", whole.stdout, re.MULTILINE)
    for option in ("HOST", "PORT", "TIME_SCALE", "RESOURCE_WORKER_GROUP"):
        assert f"--{option.lower().replace('_', '-')} " in one.stdout
        assert f"AIODP_EMULATE_{option}" in " ".join(one.stdout.split())


def test_the_version_is_printed(run):
    """``--version`` prints the package's version."""
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"aiodp {version('aiodp')}\n")


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("click", []),
        ("click", ["emulate"]),
        ("moto", ["emulate"]),
        ("moto", ["demo"]),
        ("rich", ["demo"]),
    ],
)
def test_what_is_missing_is_said_with_how_to_get_it(missing, arguments):
    """Without an extra's packages the command ends with the line which installs them."""
    program = (
        "import sys\n"
        f"sys.modules[{missing!r}] = None\n"
        "from aiodp.cli import main\n"
        f"sys.argv[1:] = {arguments!r}\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert f"module {missing}" in done.stderr
    assert 'pip install "aiodp[cli,emulator]"' in done.stderr


def test_the_help_of_emulate_needs_no_moto():
    """What a command does can be read before its extra is installed."""
    program = (
        "import sys\n"
        "sys.modules['moto'] = None\n"
        "from aiodp.cli import main\n"
        "sys.argv[1:] = ['emulate', '--help']\n"
        "sys.exit(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "--time-scale" in done.stdout


def address_of(client) -> tuple[str, int]:
    host, _, port = client.meta.endpoint_url.removeprefix("http://").partition(":")
    return host, int(port)


def poll_request() -> bytes:
    body = b'{"workerGroup":"nobody"}'
    head = "POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target: DataPipeline.PollForTask\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
