"""`aiodp emulate` in a process of its own."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from importlib.metadata import version
from typing import TYPE_CHECKING
from urllib.request import urlopen

import boto3
import pytest

from acceptance.support import SAMPLE
from aiodp.cli._emulate.load import load, read_files
from aiodp.emulator import Service, load_definition

if TYPE_CHECKING:
    from acceptance.commands import Commands

TOO_LONG = 40
OPTIONS = (
    "host",
    "allowed-host",
    "port",
    "time-scale",
    "epoch",
    "catch-up",
    "resource-worker-group",
    "load",
    "parameters",
    "values",
    "activate",
    "start",
    "state",
    "ui",
    "log-format",
)
FIRST = "FIRST_ACTIVATION_DATE_TIME"
DEFAULT = {"id": "Default", "scheduleType": "ondemand", "pipelineLogUri": "s3://logs/"}
ACTIVITY = {
    "id": "Work",
    "type": "ShellCommandActivity",
    "command": "#{myCommand}",
    "workerGroup": "workers",
}
DEFINITION = {
    "objects": [DEFAULT, ACTIVITY],
    "parameters": [{"id": "myCommand", "type": "String"}],
    "values": {"myCommand": "true"},
}


@pytest.fixture
def emulate(commands, clean_environment):
    """Starts `aiodp emulate`; gives the process, its environment lines and what it printed."""

    @contextmanager
    def start(*options: str, **environment: str):
        pipes = dict.fromkeys(("stdout", "stderr"), subprocess.PIPE)
        variables = clean_environment | environment
        with commands.start("emulate", *options, env=variables, **pipes) as process:
            try:
                yield process
            finally:
                process.kill()

    return start


@pytest.fixture
def run(commands: Commands, clean_environment):
    """Runs `aiodp` to its end."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return commands.run(*arguments, env=clean_environment | environment, timeout=TOO_LONG)

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
    assert (process.returncode, out) == (0, "\naiodp emulate: stopped.\n")
    assert err.count("\n") == 1  # the call


def test_it_stops_with_a_poll_held(emulate):
    """A client in a long poll does not keep the command from ending."""
    with emulate() as process:
        client = client_of(exports(greeting(process)))
        with socket.create_connection(address_of(client)) as connection:
            connection.sendall(poll_request())
            client.report_task_runner_heartbeat(taskrunnerId="1")  # time for the poll to arrive
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=TOO_LONG)
        client.close()
    assert process.returncode == 0


def test_what_is_foreign_is_escaped(emulate, run, tmp_path):
    """Names, ids and messages of files and calls print as one line, without escape codes."""
    hostile = "\n\x9b31m\u202e"
    shown = r"\n\x9b31m\u202e"
    good = definition(
        tmp_path, f"name{hostile}", objects=[DEFAULT, ACTIVITY | {f"field{hostile}": "value"}]
    )
    bad = definition(
        tmp_path, "bad", objects=[DEFAULT, ACTIVITY | {"id": f"id{hostile}", "type": "No"}]
    )
    refused = run("emulate", "--load", str(bad))
    missing = run("emulate", "--load", f"{tmp_path}/none{hostile}")
    unknown = run("emulate", f"--option{hostile}")
    with emulate("--load", str(good), "--activate") as process:
        said = greeting(process)
        host, port = address_of(client_of(exports(said)))
        with closing(HTTPConnection(host, port)) as connection:
            headers = {"X-Amz-Target": "DataPipeline.PollForTask\x9b"}
            body = json.dumps({"workerGroup": f"group{hostile}"})
            connection.request("POST", "/", body, headers)
            answer = connection.getresponse()
            assert (answer.status, bool(answer.read())) == (400, True)
            headers = {"Authorization": "AWS4-HMAC-SHA256 Credential=a/b/no\x9b/such\x9b/c, S=1"}
            connection.request("GET", "/", headers=headers)
            assert connection.getresponse().status == 500
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=TOO_LONG)
    for text in (said, out, err, refused.stderr, missing.stderr, unknown.stderr):
        assert not [char for char in text if not char.isprintable() and char != "\n"]
    assert f" SCHEDULED name{shown}\n" in said
    assert f"field{shown}" in err
    assert f"id{shown}" in refused.stderr
    assert f"none{shown}" in missing.stderr
    assert f"--option{shown}" in unknown.stderr
    assert missing.stderr.count("\n") == unknown.stderr.count("\n") == 1


def test_each_option_is_an_environment_variable_as_well(emulate):
    """`AIODP_EMULATE_*` set the port, the time scale and the group of the resources' tasks."""
    port = free_port()
    environment = {
        "AIODP_EMULATE_HOST": "localhost",
        "AIODP_EMULATE_ALLOWED_HOST": "one.example two.example",
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
        for host, status in (("one.example", 200), ("two.example", 200), ("x.example", 403)):
            with closing(HTTPConnection("localhost", port)) as connection:
                connection.request("GET", "/aiodp-api/clock", headers={"Host": host})
                assert connection.getresponse().status == status


def test_a_file_becomes_a_pipeline(emulate, tmp_path):
    """A definition file is a pipeline of its name, whose work can be polled for at once."""
    path = definition(tmp_path, "nightly.import")
    with emulate("--load", str(path), "--activate") as process:
        text = greeting(process)
        client = client_of(exports(text))
        [pipeline] = client.list_pipelines()["pipelineIdList"]
        assert pipeline["name"] == "nightly.import"
        assert f"{pipeline['id']} SCHEDULED nightly.import\n" in text
        task = client.poll_for_task(workerGroup="workers")["taskObject"]
        assert task["pipelineId"] == pipeline["id"]
        again = client.create_pipeline(name="nightly.import", uniqueId="nightly.import")
        assert again["pipelineId"] == pipeline["id"]
        client.close()


def test_what_is_loaded_waits_for_its_activation(emulate, tmp_path):
    """Several files are loaded in their order; without `--activate` they stay PENDING."""
    paths = definition(tmp_path, "one"), definition(tmp_path, "two")
    with emulate("--load", str(paths[0]), "--load", str(paths[1])) as process:
        text = greeting(process)
    assert re.findall(r"^ +df-\w+ (.+)$", text, re.MULTILINE) == ["PENDING one", "PENDING two"]


def test_files_are_named_by_the_environment_as_well(emulate, tmp_path):
    """`AIODP_EMULATE_LOAD` takes paths as PATH does, and the flags take 1."""
    paths = definition(tmp_path, "one"), definition(tmp_path, "two")
    environment = {
        "AIODP_EMULATE_LOAD": ":".join(map(str, paths)),
        "AIODP_EMULATE_ACTIVATE": "1",
        "AIODP_EMULATE_LOG_FORMAT": "off",
    }
    with emulate(**environment) as process:
        text = greeting(process)
    assert re.findall(r"^ +df-\w+ (.+)$", text, re.MULTILINE) == ["SCHEDULED one", "SCHEDULED two"]


@pytest.mark.parametrize("values", [{"myCommand": "date"}, {"values": {"myCommand": "date"}}])
def test_values_of_a_file_win_over_those_of_the_definition(emulate, tmp_path, values):
    """`--values` gives parameters other values than the definition's own."""
    path = tmp_path / "values.json"
    path.write_text(json.dumps(values))
    options = ("--load", str(definition(tmp_path, "one")), "--values", str(path), "--activate")
    with emulate(*options) as process:
        client = client_of(exports(greeting(process)))
        objects = client.poll_for_task(workerGroup="workers")["taskObject"]["objects"]
        [attempt] = [one for key, one in objects.items() if "_Attempt=" in key]
        assert {"key": "command", "stringValue": "date"} in attempt["fields"]
        client.close()


def test_parameters_and_values_may_be_in_files_of_their_own(emulate, tmp_path):
    """As `--parameter-objects` and `--parameter-values` of the AWS CLI; an unknown name is said."""
    parameters, values = tmp_path / "parameters.json", tmp_path / "values.json"
    parameters.write_text(json.dumps({"parameters": [{"id": "myCommand", "default": "date"}]}))
    values.write_text(json.dumps({"myComand": "true"}))
    path = definition(tmp_path, "one", parameters=[], values={})
    beside = ("--parameters", str(parameters), "--values", str(values))
    with emulate("--load", str(path), "--activate", *beside) as process:
        client = client_of(exports(greeting(process)))
        objects = client.poll_for_task(workerGroup="workers")["taskObject"]["objects"]
        [attempt] = [one for key, one in objects.items() if "_Attempt=" in key]
        assert {"key": "command", "stringValue": "date"} in attempt["fields"]
        client.close()
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=TOO_LONG)
    warning = err.splitlines()[0]
    assert warning.startswith(f"aiodp: warning: {path}: myComand: It has a value, but is not decl")


def test_a_definition_with_errors_is_not_served(run, tmp_path):
    """Each error is a line with the object's id, and the command ends before it serves."""
    wrong = ACTIVITY | {"dependsOn": {"ref": "Nowhere"}, "attemptTimeout": "soon"}
    path = definition(tmp_path, "wrong", objects=[DEFAULT, wrong])
    done = run("emulate", "--load", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    first, *errors = done.stderr.splitlines()
    assert first == f"aiodp: {path} has errors:"
    assert len(errors) == 2
    assert all(line.startswith("    Work: ") for line in errors)
    assert "Nowhere" in done.stderr
    assert "soon" in done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "line 1 column 2"),
        ("[]", '"objects"'),
        ('{"objects": [{}]}', '"id"'),
        ("objects: []", "YAML"),
    ],
)
def test_a_file_which_is_no_definition_is_said_in_one_line(run, tmp_path, text, reason):
    """What is no definition ends the command with a line that names the file and the reason."""
    path = tmp_path / "broken.json"
    path.write_text(text)
    done = run("emulate", "--load", str(path))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith(f"aiodp: {path}: ")
    assert reason in done.stderr


def test_a_pipeline_which_cannot_be_activated_is_said(run, tmp_path):
    """What ActivatePipeline refuses ends the command before it serves, with the reason."""
    path = definition(tmp_path, "unset", values={})
    done = run("emulate", "--load", str(path), "--activate")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"{path}: ActivatePipeline is refused: " in done.stderr
    assert "myCommand" in done.stderr


def test_a_warning_is_printed_and_it_goes_on(emulate, tmp_path):
    """What is merely odd is said on stderr; the pipeline is loaded all the same."""
    stuck = {key: value for key, value in ACTIVITY.items() if key != "workerGroup"}
    path = definition(tmp_path, "stuck", objects=[DEFAULT, stuck])
    with emulate("--load", str(path)) as process:
        assert "PENDING stuck" in greeting(process)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=TOO_LONG)
    [warning] = err.splitlines()
    assert warning.startswith(f"aiodp: warning: {path}: Work: ")
    assert "workerGroup" in warning


def test_two_files_cannot_be_one_pipeline(run, tmp_path):
    """Files of one name in two directories are refused, because one would hide the other."""
    (tmp_path / "other").mkdir()
    paths = definition(tmp_path, "same"), definition(tmp_path / "other", "same")
    done = run("emulate", "--load", str(paths[0]), "--load", str(paths[1]))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"aiodp: {paths[0]} and {paths[1]} would both be the pipeline same\n"


def test_no_run_is_ahead_of_the_real_time(emulate, tmp_path):
    """With `--catch-up` the AWS CLI's `list-runs`, which asks for starts until now, sees all."""
    now = datetime.now(UTC)
    epoch = now - timedelta(minutes=90)
    schedule = {"id": "Hourly", "type": "Schedule", "period": "1 hour", "startAt": FIRST}
    default = {"id": "Default", "scheduleType": "cron", "schedule": {"ref": "Hourly"}}
    path = definition(tmp_path, "work", objects=[default, schedule, ACTIVITY])
    scale = ("--time-scale", "1000000", "--epoch", f"{epoch:%Y-%m-%dT%H:%M:%S}", "--catch-up")
    with emulate("--load", str(path), "--activate", *scale) as process:
        text = greeting(process)
        assert f"dates begin with {epoch:%Y-%m-%dT%H:%M:%S} UTC, and never run ahead" in text
        client = client_of(exports(text))
        [pipeline] = client.list_pipelines()["pipelineIdList"]
        runs = partial(client.query_objects, pipelineId=pipeline["id"], sphere="INSTANCE")
        found = runs()["ids"]
        values = [f"{epoch:%Y-%m-%d}", f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}"]
        started = {"type": "BETWEEN", "values": values}
        selector = {"fieldName": "@actualStartTime", "operator": started}
        assert runs(query={"selectors": [selector]})["ids"][: len(found)] == found
        assert found
        client.close()


@pytest.mark.parametrize("option", ["--activate", "--values", "--parameters"])
def test_some_options_need_a_file_to_load(run, option):
    """`--activate`, `--values` and `--parameters` are of no use without `--load`, and say so."""
    value = [] if option == "--activate" else [__file__]
    done = run("emulate", option, *value)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"aiodp: {option} needs --load. See aiodp emulate --help.\n"


def test_each_call_is_a_line_of_text(emulate, tmp_path):
    """A line has the time, the operation, how long it took, the outcome, and what it was about."""
    with emulate("--load", str(definition(tmp_path, "p")), "--activate") as process:
        make_calls(client_of(exports(greeting(process))))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=TOO_LONG)
    poll, refused = err.splitlines()
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d PollForTask {15} +\d+\.\d{3}s ok workers df-\w+ @Work_\S+_Attempt=1", poll
    )
    assert re.fullmatch(
        r"\d\d:\d\d:\d\d SetTaskStatus {13} +\d+\.\d{3}s TaskNotFoundException nobodys", refused
    )


def test_each_call_is_an_object_of_json(emulate, tmp_path):
    """With `--log-format json` each line is an object, always with the same keys."""
    options = ("--load", str(definition(tmp_path, "p")), "--activate", "--log-format", "json")
    with emulate(*options) as process:
        make_calls(client_of(exports(greeting(process))))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=TOO_LONG)
    poll, refused = map(json.loads, err.splitlines())
    assert poll.keys() == refused.keys()
    assert (poll["operation"], poll["outcome"]) == ("PollForTask", "ok")
    assert (poll["worker_group"], poll["region"]) == ("workers", "us-east-1")
    assert poll["attempt_id"].startswith("@Work_")
    assert 0 <= poll["seconds"] < TOO_LONG
    assert (refused["outcome"], refused["task_id"]) == ("TaskNotFoundException", "nobodys")
    assert refused["worker_group"] is None


def test_the_log_can_be_off(emulate, tmp_path):
    """With `--log-format off` nothing is written about calls."""
    options = ("--load", str(definition(tmp_path, "p")), "--activate", "--log-format", "off")
    with emulate(*options) as process:
        make_calls(client_of(exports(greeting(process))))
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=TOO_LONG)
    assert err == ""


def test_a_pipeline_is_loaded_once(tmp_path):
    """What is loaded already stays as it is, and is not activated a second time."""
    [file] = read_files([definition(tmp_path, "one")])
    service = Service(lambda: 0.0)
    first = load(service, file, activate=False)
    second = load(service, file, activate=True)
    third = load(service, file, activate=True)
    assert (first.new, second.new, third.new) == (True, False, False)
    assert (first.state, second.state, third.state) == ("PENDING", "SCHEDULED", "SCHEDULED")
    assert first.pipeline_id == second.pipeline_id == third.pipeline_id
    made = {"pipelineId": first.pipeline_id}
    assert len(service.perform("QueryObjects", sphere="INSTANCE", **made)["ids"]) == 1
    [described] = service.perform("DescribePipelines", pipelineIds=[first.pipeline_id])[
        "pipelineDescriptionList"
    ]
    assert {"key": "@version", "stringValue": "1"} in described["fields"]


def test_to_load_spends_no_quota(tmp_path):
    """However many files are loaded, the account's quotas and counters are as they were."""
    files = read_files([definition(tmp_path, f"p{n}") for n in range(60)])
    service = Service(lambda: 0.0)
    assert all(load(service, file, activate=True).state == "SCHEDULED" for file in files)
    assert not service.calls


def test_a_restart_keeps_what_is_in_the_state_file(emulate, tmp_path):
    """A pipeline, its task and its lease outlive the process, though it is killed."""
    options = (
        "--load",
        str(definition(tmp_path, "work")),
        "--activate",
        "--state",
        str(tmp_path / "state"),
    )
    with emulate(*options) as first:
        client = client_of(exports(greeting(first)))
        task = client.poll_for_task(workerGroup="workers")["taskObject"]
        assert client.report_task_progress(taskId=task["taskId"])["canceled"] is False
        first.kill()
    with emulate(*options) as second:
        said = greeting(second)
        assert f"{task['pipelineId']} SCHEDULED work (kept)" in said
        client = client_of(exports(said))
        client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
        found = client.query_objects(pipelineId=task["pipelineId"], sphere="INSTANCE")["ids"]
        assert len(found) == 1


def test_a_state_file_which_cannot_be_used_is_said_in_one_line(emulate, run, tmp_path):
    """One which another server uses, and one which is something else."""
    used, other = tmp_path / "used", tmp_path / "other"
    other.write_text("this is no database" * 100)
    with emulate("--state", str(used)) as first:
        greeting(first)
        for path, reason in ((used, "another server uses it"), (other, "is not a state file")):
            done = run("emulate", "--state", str(path))
            assert (done.returncode, done.stdout) == (1, "")
            [line] = done.stderr.splitlines()
            assert str(path) in line
            assert reason in line


def test_the_page_is_served_where_it_says(emulate, tmp_path):
    """With `--ui` the page and its state are there, and the greeting says where."""
    with emulate("--ui", "--load", str(definition(tmp_path, "one"))) as process:
        text = greeting(process)
        [address] = re.findall(r"See what it does: (\S+)", text)
        with urlopen(address) as answer:
            assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
            assert b"Local AWS Data Pipeline" in answer.read()
        with urlopen(address.replace("/aiodp-ui/", "/aiodp-api/state")) as answer:
            [pipeline] = json.load(answer)["pipelines"]["rows"]
    assert pipeline["name"] == "one"


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
        ("--allowed-host", "http://x", "a name without a port"),
        ("--port", "70000", "0<=x<=65535"),
        ("--port", "http", "integer"),
        ("--epoch", "yesterday", "2012-12-31[T23:59:59]"),
        ("--start", "2012-02-30", "2012-12-31[T23:59:59]"),
        ("--time-scale", "0", "x>0"),
        ("--time-scale", "-1", "x>0"),
        ("--time-scale", "nan", "finite"),
        ("--time-scale", "inf", "finite"),
        ("--resource-worker-group", "", "empty"),
        ("--load", "nowhere.json", "does not exist"),
        ("--log-format", "xml", "'text', 'json', 'off'"),
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
    for option in OPTIONS:
        assert f"--{option} " in one.stdout
        variable = f"AIODP_EMULATE_{option.upper().replace('-', '_')}"
        assert variable in " ".join(one.stdout.split())


def test_the_version_is_printed(run):
    """`--version` prints the package's version."""
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, f"aiodp {version('aiodp')}\n")


@pytest.mark.parametrize(
    ("missing", "arguments"),
    [
        ("click", []),
        pytest.param("click", ["emulate"], marks=pytest.mark.slow),
        pytest.param("click", ["run"], marks=pytest.mark.slow),
        ("moto", ["emulate"]),
        pytest.param("moto", ["demo"], marks=pytest.mark.slow),
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
    extras = "cli,emulator" if arguments in (["emulate"], ["demo"]) else "cli"
    assert f'pip install "aiodp[{extras}]"' in done.stderr


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


def definition(directory, name: str, **changes):
    """A definition file of that name."""
    path = directory / f"{name}.json"
    path.write_text(json.dumps(DEFINITION | changes))
    return path


def make_calls(client) -> None:
    """A poll which gets a task, and a status which is refused."""
    assert client.poll_for_task(workerGroup="workers")["taskObject"]
    with pytest.raises(client.exceptions.TaskNotFoundException):
        client.set_task_status(taskId="nobodys", taskStatus="FINISHED")
    client.close()


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
