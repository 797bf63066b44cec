"""The shell handler in a task runner, with pipelines of the local service and S3 beside it."""

from __future__ import annotations

import anyio
import pytest
from aiobotocore.session import get_session

from aiodp import TaskRunner
from aiodp.shell import ShellHandler
from aiodp.testing import ServerKit, Status, scaled
from unit.shell.kit import TOO_LONG, filled, group_alive

pytestmark = pytest.mark.anyio

SPEED = 30
BUCKET = "data"
REGION = "us-east-1"
DEFAULT = {
    "id": "Default",
    "scheduleType": "ondemand",
    "workerGroup": "shell",
    "pipelineLogUri": f"s3://{BUCKET}/logs",
    "maximumRetries": "0",
}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def kit():
    with ServerKit(time_scale=SPEED) as kit:
        yield kit


@pytest.fixture
def s3(kit, connect):
    client = connect(kit.server, "s3")
    client.create_bucket(Bucket=BUCKET)
    return client


@pytest.fixture
def read(s3):
    return lambda key: s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode()


@pytest.fixture
def working(kit, tmp_path):
    """Runs a task runner while something is waited for."""

    async def working(wait):
        session = get_session()
        session.set_credentials("testing", "testing")
        handler = ShellHandler(
            session, output=tmp_path, s3_endpoint_url=kit.endpoint, region_name=REGION
        )
        runner = TaskRunner(
            session,
            worker_group="shell",
            handler=handler,
            endpoint_url=kit.endpoint,
            handle_signals=False,
            region_name=REGION,
            **scaled(SPEED),
        )
        with anyio.fail_after(TOO_LONG):
            async with anyio.create_task_group() as group:
                group.start_soon(runner.run)
                result = await wait
                runner.stop()
        return result

    return working


@pytest.mark.slow
async def test_a_pipeline_from_data_to_data(kit, s3, working, read):
    """Preconditions hold, data is staged, two activities follow one another, logs are uploaded."""
    s3.put_object(Bucket=BUCKET, Key="in/numbers", Body=b"3\n1\n2\n")
    pipeline = kit.pipeline(
        {
            "objects": [
                DEFAULT,
                {"id": "In", "type": "S3DataNode", "directoryPath": f"s3://{BUCKET}/in"}
                | {"precondition": {"ref": "There"}},
                {"id": "There", "type": "Exists"},
                {"id": "Sorted", "type": "S3DataNode", "directoryPath": f"s3://{BUCKET}/sorted"},
                {"id": "Ready", "type": "ShellCommandPrecondition", "command": "test ready"},
                {
                    "id": "Sort",
                    "type": "ShellCommandActivity",
                    "stage": "true",
                    "input": {"ref": "In"},
                    "output": {"ref": "Sorted"},
                    "precondition": {"ref": "Ready"},
                    "command": "sort $1 $INPUT1_STAGING_DIR/numbers >$OUTPUT1_STAGING_DIR/numbers",
                    "scriptArgument": "-r",
                },
                {
                    "id": "Show",
                    "type": "ShellCommandActivity",
                    "stage": "true",
                    "input": {"ref": "Sorted"},
                    "command": "cat $INPUT1_STAGING_DIR/*",
                },
            ]
        }
    )
    runs = await working(kit.finished(pipeline))
    assert read("sorted/numbers") == "3\n2\n1\n"
    [show] = [run for run in runs if run.component_id == "Show"]
    instance = f"Show/{show.instance_id}/{show.instance_id}_Attempt=1"
    assert read(f"logs/{pipeline.id}/{instance}/StdOutput") == "3\n2\n1\n"


@pytest.mark.slow
async def test_a_failure_is_reported_to_the_service(kit, s3, working, connect):
    """The exit code and the end of stderr are in the attempt's fields."""
    s3.head_bucket(Bucket=BUCKET)
    work = {"id": "Work", "type": "ShellCommandActivity", "command": "echo no >&2; exit 4"}
    pipeline = kit.pipeline({"objects": [DEFAULT, work]})
    [run] = await working(kit.ended(pipeline))
    assert run.status is Status.FAILED
    attempt = f"{run.instance_id}_Attempt=1"
    described = connect(kit.server).describe_objects(pipelineId=pipeline.id, objectIds=[attempt])
    fields = {f["key"]: f.get("stringValue") for f in described["pipelineObjects"][0]["fields"]}
    assert fields["errorId"] == "CommandFailed"
    assert fields["errorMessage"] == (
        "the command failed with exit code 4; the end of its stderr:\nno"
    )
    assert fields["errorStackTrace"] == "no"


@pytest.mark.slow
async def test_a_canceled_activity_is_ended(kit, s3, working, tmp_path):
    """The service cancels, the next heartbeat says so, and nothing of the command is left."""
    s3.head_bucket(Bucket=BUCKET)
    pid = tmp_path / "pid"
    command = f"echo $$ >{pid}; sleep 1000 & sleep 1000"
    work = {"id": "Work", "type": "ShellCommandActivity", "command": command}
    pipeline = kit.pipeline({"objects": [DEFAULT, work]})

    async def cancel():
        await kit.until(filled(pid))
        pipeline.deactivate()
        return await kit.ended(pipeline)

    [run] = await working(cancel())
    assert run.status is Status.CANCELED
    assert not group_alive(int(pid.read_text()))
