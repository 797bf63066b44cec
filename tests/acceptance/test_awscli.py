"""The AWS CLI of PyPI as a foreign client, pointed at the local service by AWS_ENDPOINT_URL."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from acceptance.support import CREDENTIALS, RESOURCE_GROUP, SAMPLE, kept_environment
from aiodp.emulator import EmulatorServer, ManualClock, Settings, load_definition

pytestmark = pytest.mark.slow  # the AWS CLI is installed first, for these tests alone

MACHINE = "EC2Resource_HelloWorld"
ACTIVITY = "ShellCommandActivity_HelloWorld"
STAGING = Path(__file__).with_name("samples") / "shellcommand-s3-staging.json"
PROCESS = Path(__file__).with_name("aws_process.py")
GREP: dict[str, Any] = {
    "objects": [
        {
            "id": "Default",
            "scheduleType": "cron",
            "failureAndRerunMode": "cascade",
            "schedule": {"ref": "DefaultSchedule"},
        },
        {
            "id": "DefaultSchedule",
            "type": "Schedule",
            "period": "1 Day",
            "occurrences": "1",
            "startAt": "FIRST_ACTIVATION_DATE_TIME",
        },
        {"id": "EC2ResourceObj", "type": "Ec2Resource", "terminateAfter": "1 Hour"},
        {"id": "S3InputLocation", "type": "S3DataNode", "directoryPath": "s3://logs/in"},
        {"id": "S3OutputLocation", "type": "S3DataNode", "directoryPath": "s3://logs/out"},
        {
            "id": "ShellCommandActivityObj",
            "type": "ShellCommandActivity",
            "runsOn": {"ref": "EC2ResourceObj"},
            "stage": "true",
            "input": {"ref": "S3InputLocation"},
            "output": {"ref": "S3OutputLocation"},
            "command": "grep -rc GET ${INPUT1_STAGING_DIR}/* > ${OUTPUT1_STAGING_DIR}/output.txt",
        },
    ]
}
"""The pipeline whose runs AWS lists in the CLI's own example of `list-runs`."""


@pytest.fixture
def clock() -> ManualClock:
    """The service's time, which the tests move: nothing happens while the CLI starts up."""
    return ManualClock()


@pytest.fixture
def epoch() -> datetime:
    """The service's date: of today, which `list-runs` asks for, and never in its future."""
    return datetime.now(UTC).replace(microsecond=0) - timedelta(hours=2)


@pytest.fixture
def server(clock, epoch):
    settings = Settings(resource_worker_group=RESOURCE_GROUP, epoch=epoch)
    with EmulatorServer(clock=clock, settings=settings) as running:
        yield running


@pytest.fixture
def stamp(epoch):
    """How a time is written that is so many seconds after the start."""

    return lambda seconds=0: f"{epoch + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}"


@pytest.fixture(scope="module")
def aws_process(aws_cli):
    """The AWS CLI, which is started once for all its commands."""
    with subprocess.Popen(
        [aws_cli.with_name("python"), PROCESS],
        env=kept_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process


@pytest.fixture
def call_aws(aws_process, server, tmp_path):
    """Runs `aws datapipeline` to its end."""
    environment = CREDENTIALS | {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_PAGER": "",
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = ["datapipeline", *arguments]
        print(json.dumps([command, environment]), file=aws_process.stdin, flush=True)
        return subprocess.CompletedProcess(command, **json.loads(aws_process.stdout.readline()))

    return run


@pytest.fixture
def aws(call_aws):
    """Runs a command which succeeds, and returns what it printed."""

    def run(*arguments: str) -> str:
        done = call_aws(*arguments)
        assert done.returncode == 0, done.stderr
        printed: str = done.stdout
        return printed

    return run


@pytest.fixture
def aws_json(aws):
    """The same for commands which print JSON."""

    return lambda *arguments: json.loads(aws(*arguments, "--output", "json"))


@pytest.fixture
def refused(call_aws):
    """Runs a command which the service refuses, and returns what the CLI says of it."""

    def run(*arguments: str) -> str:
        done = call_aws(*arguments)
        assert done.returncode != 0, done.stdout
        said: str = done.stderr
        return said

    return run


@pytest.fixture
def make(aws, aws_json):
    """Creates a pipeline, defines it from a file, activates it, and returns its id."""

    def run(file, *values: str) -> str:
        pipeline_id: str = aws_json("create-pipeline", "--name", "p", "--unique-id", file.stem)[
            "pipelineId"
        ]
        given = ("--parameter-values", *values) if values else ()
        put = aws_json(
            "put-pipeline-definition",
            *("--pipeline-id", pipeline_id),
            *("--pipeline-definition", file.as_uri()),
            *given,
        )
        assert put["errored"] is False, put
        assert aws("activate-pipeline", "--pipeline-id", pipeline_id) == ""
        return pipeline_id

    return run


@pytest.fixture
def pipeline(make) -> str:
    """AWS's own sample, activated."""
    pipeline_id: str = make(SAMPLE, "myS3LogsPath=s3://logs")
    return pipeline_id


def query(aws_json, pipeline_id: str, sphere: str, **refs: str) -> list[str]:
    selectors = [
        {"fieldName": f"@{name}", "operator": {"type": "REF_EQ", "values": [value]}}
        for name, value in refs.items()
    ]
    found = aws_json(
        "query-objects",
        *("--pipeline-id", pipeline_id, "--sphere", sphere),
        *("--objects-query", json.dumps({"selectors": selectors})),
    )
    ids: list[str] = found["ids"]
    return ids


def fields(aws_json, pipeline_id: str, object_id: str, *options: str) -> dict[str, str]:
    named = ("--pipeline-id", pipeline_id, "--object-ids", object_id)
    found = aws_json("describe-objects", *named, *options)
    return {
        field["key"]: field.get("stringValue", field.get("refValue"))
        for field in found["pipelineObjects"][0]["fields"]
    }


def state(aws_json, pipeline_id: str) -> str:
    described = aws_json("describe-pipelines", "--pipeline-ids", pipeline_id)
    [only] = described["pipelineDescriptionList"]
    [value] = [one["stringValue"] for one in only["fields"] if one["key"] == "@pipelineState"]
    return str(value)


def lines(printed: str) -> list[str]:
    """Return the lines without the blanks which pad them."""
    return [line.rstrip() for line in printed.splitlines()]


def listing(scheduled: str, *runs: tuple[str, ...]) -> list[str]:
    """Return the lines of list-runs for runs of (name, status, started and, perhaps, ended).

    The CLI sorts them by id, and cuts what is longer than its columns.
    """
    expected = [
        f"       {'Name':50}  {'Scheduled Start':19}  Status",
        f"       {'ID':50}  {'Started':19}  Ended",
        "-" * 99,
    ]
    for number, (name, status, *times) in enumerate(runs, start=1):
        expected += [
            f"{number:4}.  {name:50}  {scheduled}  {status}",
            f"       {f'@{name}_{scheduled}':50.50}  {'  '.join(times)}",
            "",
        ]
    return expected


@pytest.mark.parametrize("epoch", [datetime(2015, 4, 12, 17, 33, 2, tzinfo=UTC)])
def test_list_runs_prints_what_aws_shows(aws, make, stamp, tmp_path):
    """The runs, their order, statuses and ids of AWS's own example, in the CLI's own columns.

    There each run started some seconds after its slot, which is what that service took that day.
    """
    file = tmp_path / "grep.json"
    file.write_text(json.dumps(GREP))
    pipeline_id = make(file)
    day = ("--start-interval", "2015-04-12,2015-04-13")
    assert lines(aws("list-runs", "--pipeline-id", pipeline_id, *day)) == listing(
        "2015-04-12T17:33:02",
        ("EC2ResourceObj", "CREATING", stamp()),
        ("S3InputLocation", "FINISHED", stamp(), stamp()),
        ("S3OutputLocation", "WAITING_ON_DEPENDENCIES", stamp()),
        ("ShellCommandActivityObj", "WAITING_FOR_RUNNER", stamp()),
    )


def test_many_runs_are_listed(aws, server, stamp):
    """More runs than the service describes in one call, where that is what the CLI relies on."""
    with server.service() as service:
        service.assign(30)
        [pipeline_id] = {event.pipeline_id for event in service.audit}
    names = sorted((f"Activity{n}" for n in range(1, 31)), key=lambda name: f"@{name}_")
    runs = [(name, "WAITING_FOR_RUNNER", stamp()) for name in names]
    assert lines(aws("list-runs", "--pipeline-id", pipeline_id)) == listing(stamp(), *runs)


def test_the_sample_runs_to_its_end(aws, aws_json, refused, pipeline, clock, stamp):
    """The CLI watches AWS's sample from its activation until the pipeline is FINISHED."""
    data = [(name, "FINISHED", stamp(), stamp()) for name in ("OutputData2", "OutputData")]

    def shown(machine: tuple[str, ...], activity: tuple[str, ...]) -> None:
        printed = lines(aws("list-runs", "--pipeline-id", pipeline))
        machine, activity = (MACHINE, *machine), (ACTIVITY, *activity)
        assert printed == listing(stamp(), machine, *data, activity)

    shown(("CREATING", stamp()), ("WAITING_FOR_RUNNER", stamp()))
    clock.advance(60)
    task = aws_json("poll-for-task", "--worker-group", RESOURCE_GROUP)["taskObject"]
    report = aws_json("report-task-progress", "--task-id", task["taskId"])
    assert report == {"canceled": False}
    shown(("RUNNING", stamp()), ("RUNNING", stamp()))
    clock.advance(40)
    aws("set-task-status", "--task-id", task["taskId"], "--task-status", "FINISHED")
    shown(("SHUTTING_DOWN", stamp()), ("FINISHED", stamp(), stamp(100)))
    clock.advance(30)
    shown(("FINISHED", stamp(), stamp(130)), ("FINISHED", stamp(), stamp(100)))
    assert state(aws_json, pipeline) == "FINISHED"
    rerun = ("--object-ids", f"@{ACTIVITY}_{stamp()}", "--status", "RERUN")
    assert "InvalidRequestException" in refused("set-status", "--pipeline-id", pipeline, *rerun)


def test_a_run_is_watched_and_canceled(aws, aws_json, pipeline, clock, stamp):
    """The CLI finds a run by queries, evaluates expressions of it, and cancels it by set-status."""
    clock.advance(60)
    task = aws_json("poll-for-task", "--worker-group", RESOURCE_GROUP)["taskObject"]
    assert aws_json("report-task-progress", "--task-id", task["taskId"]) == {"canceled": False}
    (instance,) = query(aws_json, pipeline, "INSTANCE", componentParent=ACTIVITY)
    assert query(aws_json, pipeline, "ATTEMPT", instanceParent=instance) == [task["attemptId"]]
    assert instance == f"@{ACTIVITY}_{stamp()}"
    text = "#{name} of #{format(@scheduledStartTime, 'YYYY-MM-dd')}"
    evaluated = aws_json(
        "evaluate-expression",
        *("--pipeline-id", pipeline, "--object-id", instance, "--expression", text),
    )
    assert evaluated == {"evaluatedExpression": f"{instance} of {stamp()[:10]}"}
    logs = fields(aws_json, pipeline, instance, "--evaluate-expressions")["pipelineLogUri"]
    assert logs == "s3://logs/HelloWorld"
    cancel = ("--object-ids", instance, "--status", "TRY_CANCEL")
    assert aws("set-status", "--pipeline-id", pipeline, *cancel) == ""
    assert aws_json("report-task-progress", "--task-id", task["taskId"]) == {"canceled": True}
    assert fields(aws_json, pipeline, instance)["@status"] == "CANCELED"


def test_the_second_sample_waits_for_its_data(aws, aws_json, make, clock, stamp):
    """The staging sample's activity follows its input; rerun, it is there for another poll."""
    values = ("myS3LogsPath=s3://logs", "myS3StagingPath=s3://staging")
    pipeline_id = make(STAGING, *values)
    activity = "Shell_Command_Staging_Activity"
    assert lines(aws("list-runs", "--pipeline-id", pipeline_id)) == listing(
        stamp(),
        ("New_EC2Instance", "CREATING", stamp()),
        ("New_S3_Datanode", "FINISHED", stamp(), stamp()),
        (activity, "WAITING_FOR_RUNNER", stamp()),
    )
    clock.advance(60)
    task = aws_json("poll-for-task", "--worker-group", RESOURCE_GROUP)["taskObject"]
    given = {field["key"]: field for field in task["objects"][task["attemptId"]]["fields"]}
    assert given["command"]["stringValue"] == "bash -x ${INPUT1_STAGING_DIR}/bashscript.sh $1"
    assert given["input"]["refValue"] in task["objects"]
    instance = f"@{activity}_{stamp()}"
    for status in ("TRY_CANCEL", "RERUN"):
        named = ("--pipeline-id", pipeline_id, "--object-ids", instance, "--status", status)
        aws("set-status", *named)
    running = ("--pipeline-id", pipeline_id, "--status", "waiting_for_runner,running")
    assert activity in aws("list-runs", *running)
    clock.advance(60)  # the machine shut down with its only activity, and is made again
    task = aws_json("poll-for-task", "--worker-group", RESOURCE_GROUP)["taskObject"]
    assert task["attemptId"] == f"{instance}_Attempt=2"


@pytest.mark.parametrize("file", [SAMPLE, STAGING])
def test_the_samples_are_valid(aws_json, file):
    """validate-pipeline-definition finds no error in either sample, and stores neither."""
    pipeline_id = aws_json("create-pipeline", "--name", "p", "--unique-id", "u")["pipelineId"]
    objects, parameters, _ = load_definition(file.read_text())
    values = [{"id": one["id"], "stringValue": "s3://bucket"} for one in parameters]
    answer = aws_json(
        "validate-pipeline-definition",
        *("--pipeline-id", pipeline_id, "--pipeline-objects", json.dumps(objects)),
        *("--parameter-objects", json.dumps(parameters)),
        *("--parameter-values", json.dumps(values)),
    )
    assert answer["errored"] is False, answer
    assert aws_json("get-pipeline-definition", "--pipeline-id", pipeline_id)["objects"] == []


def test_what_is_wrong_in_a_definition_is_printed(aws_json, refused, tmp_path):
    """put-pipeline-definition prints the errors by object; activation of such a one is refused."""
    file = tmp_path / "broken.json"
    activity = GREP["objects"][-1] | {"runsOn": {"ref": "Nothing"}}
    file.write_text(json.dumps({"objects": [*GREP["objects"][:-1], activity]}))
    pipeline_id = aws_json("create-pipeline", "--name", "p", "--unique-id", "u")["pipelineId"]
    named = ("--pipeline-id", pipeline_id)
    put = aws_json("put-pipeline-definition", *named, "--pipeline-definition", file.as_uri())
    assert put["errored"] is True
    [wrong] = put["validationErrors"]
    assert wrong["id"] == "ShellCommandActivityObj"
    assert any("Nothing" in text for text in wrong["errors"])
    assert "InvalidRequestException" in refused("activate-pipeline", *named)


def test_the_definition_comes_back_as_it_was_put(aws_json, pipeline):
    """get-pipeline-definition returns the objects of the file, each with its fields."""
    stored = aws_json("get-pipeline-definition", "--pipeline-id", pipeline)
    put = {item["id"]: item for item in json.loads(SAMPLE.read_text())["objects"]}
    got = {item["id"]: item for item in stored["objects"]}
    assert got.keys() == put.keys()
    for object_id, item in put.items():
        assert got[object_id].items() >= item.items()


def test_a_pipeline_is_deactivated_and_deleted(aws, aws_json, refused, pipeline, stamp):
    """deactivate-pipeline leaves it INACTIVE, delete-pipeline leaves no trace in the list."""
    assert aws("deactivate-pipeline", "--pipeline-id", pipeline) == ""
    assert state(aws_json, pipeline) == "INACTIVE"
    machine = fields(aws_json, pipeline, f"@{MACHINE}_{stamp()}")
    assert machine["@status"] == "CANCELED"
    assert [p["id"] for p in aws_json("list-pipelines")["pipelineIdList"]] == [pipeline]
    assert aws("delete-pipeline", "--pipeline-id", pipeline) == ""
    assert aws_json("list-pipelines")["pipelineIdList"] == []
    assert "PipelineDeletedException" in refused("list-runs", "--pipeline-id", pipeline)


def test_tags_are_added_and_removed(aws, aws_json):
    """add-tags and remove-tags show in describe-pipelines."""
    pipeline_id = aws_json("create-pipeline", "--name", "p", "--unique-id", "u")["pipelineId"]
    named = ("--pipeline-id", pipeline_id)
    assert aws("add-tags", *named, "--tags", "key=a,value=1", "key=b,value=2") == ""
    assert aws("remove-tags", *named, "--tag-keys", "a") == ""
    described = aws_json("describe-pipelines", "--pipeline-ids", pipeline_id)
    assert described["pipelineDescriptionList"][0]["tags"] == [{"key": "b", "value": "2"}]
