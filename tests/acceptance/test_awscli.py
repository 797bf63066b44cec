"""The AWS CLI of PyPI as a foreign client, pointed at the local service by AWS_ENDPOINT_URL."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime

import pytest

from acceptance.support import RESOURCE_GROUP, SAMPLE
from aiodp.emulator import EmulatorServer, Settings

ACTIVITY = "ShellCommandActivity_HelloWorld"


@pytest.fixture
def server():
    """A server in real time and of today's date, which ``list-runs`` asks for."""
    settings = Settings(resource_worker_group=RESOURCE_GROUP, epoch=datetime.now(UTC))
    with EmulatorServer(settings=settings) as running:
        yield running


@pytest.fixture
def aws(aws_cli, clean_environment, server, tmp_path):
    """Runs ``aws datapipeline`` and returns what it printed."""
    environment = clean_environment | {
        "AWS_ENDPOINT_URL": server.endpoint,
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
        "AWS_PAGER": "",
    }

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [aws_cli, "datapipeline", *arguments],
            env=environment,
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def aws_json(aws):
    """The same for commands which print JSON."""

    return lambda *arguments: json.loads(aws(*arguments, "--output", "json"))


@pytest.fixture
def pipeline(aws, aws_json) -> str:
    """AWS's own sample: created, defined from its file, activated."""
    made = aws_json("create-pipeline", "--name", "hello", "--unique-id", "token")
    pipeline_id: str = made["pipelineId"]
    put = aws_json(
        "put-pipeline-definition",
        *("--pipeline-id", pipeline_id),
        *("--pipeline-definition", SAMPLE.as_uri()),
        *("--parameter-values", "myS3LogsPath=s3://logs"),
    )
    assert put["errored"] is False
    assert aws("activate-pipeline", "--pipeline-id", pipeline_id) == ""
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


def status(aws_json, pipeline_id: str, object_id: str) -> str:
    found = aws_json("describe-objects", "--pipeline-id", pipeline_id, "--object-ids", object_id)
    fields = {field["key"]: field for field in found["pipelineObjects"][0]["fields"]}
    value: str = fields["@status"]["stringValue"]
    return value


def test_a_run_is_listed_watched_and_canceled(aws, aws_json, pipeline):
    """The CLI lists the runs of the sample, polls its task, and cancels it by set-status."""
    task = aws_json("poll-for-task", "--worker-group", RESOURCE_GROUP)["taskObject"]
    report = aws_json("report-task-progress", "--task-id", task["taskId"])
    assert report == {"canceled": False}
    (instance,) = query(aws_json, pipeline, "INSTANCE", componentParent=ACTIVITY)
    assert query(aws_json, pipeline, "ATTEMPT", instanceParent=instance) == [task["attemptId"]]
    assert status(aws_json, pipeline, instance) == "RUNNING"
    assert ACTIVITY in aws("list-runs", "--pipeline-id", pipeline)
    runs = {run["@id"]: run for run in aws_json("list-runs", "--pipeline-id", pipeline)}
    assert runs[instance]["@status"] == "RUNNING"
    arguments = ("--pipeline-id", pipeline, "--object-ids", instance, "--status", "TRY_CANCEL")
    assert aws("set-status", *arguments) == ""
    assert aws_json("report-task-progress", "--task-id", task["taskId"]) == {"canceled": True}
    assert status(aws_json, pipeline, instance) == "CANCELED"


def test_the_definition_comes_back_as_it_was_put(aws_json, pipeline):
    """get-pipeline-definition returns the objects of the file, each with its fields."""
    stored = aws_json("get-pipeline-definition", "--pipeline-id", pipeline)
    put = {item["id"]: item for item in json.loads(SAMPLE.read_text())["objects"]}
    got = {item["id"]: item for item in stored["objects"]}
    assert got.keys() == put.keys()
    for object_id, item in put.items():
        assert got[object_id].items() >= item.items()


def test_a_pipeline_is_deactivated_and_deleted(aws, aws_json, pipeline):
    """deactivate-pipeline leaves it INACTIVE, delete-pipeline leaves no trace in the list."""
    assert aws("deactivate-pipeline", "--pipeline-id", pipeline) == ""
    described = aws_json("describe-pipelines", "--pipeline-ids", pipeline)
    fields = described["pipelineDescriptionList"][0]["fields"]
    assert {"key": "@pipelineState", "stringValue": "INACTIVE"} in fields
    assert [p["id"] for p in aws_json("list-pipelines")["pipelineIdList"]] == [pipeline]
    assert aws("delete-pipeline", "--pipeline-id", pipeline) == ""
    assert aws_json("list-pipelines")["pipelineIdList"] == []
