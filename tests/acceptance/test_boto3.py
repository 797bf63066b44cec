"""Boto3 as a foreign client, with its own defaults, retries included."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from acceptance.support import RESOURCE_GROUP, SAMPLE
from aiodp.emulator import Fault, FaultKind, load_definition
from shapes import AnswerCheck

ACTIVITY = "ShellCommandActivity_HelloWorld"
WORK = {"id": "Work", "type": "ShellCommandActivity", "command": "true", "workerGroup": "workers"}


@pytest.fixture
def client(server, connect):
    """A client each of whose answers is checked against botocore's model of the API."""
    made = connect(server)
    AnswerCheck().watch(made)
    return made


@pytest.fixture
def pipeline(client) -> str:
    """AWS's own sample, activated."""
    pipeline_id: str = client.create_pipeline(name="hello", uniqueId="1")["pipelineId"]
    objects, parameters, values = load_definition(SAMPLE.read_text())
    put = client.put_pipeline_definition(
        pipelineId=pipeline_id,
        pipelineObjects=objects,
        parameterObjects=parameters,
        parameterValues=[*values, {"id": "myS3LogsPath", "stringValue": "s3://logs"}],
    )
    assert put["errored"] is False, put
    client.activate_pipeline(pipelineId=pipeline_id)
    return pipeline_id


def poll(client, worker_group: str = RESOURCE_GROUP) -> dict[str, Any]:
    """Poll until there is a task; a window of two minutes takes two long polls of 90 s."""
    for _ in range(3):
        answer = client.poll_for_task(workerGroup=worker_group, hostname="here")
        if "taskObject" in answer:
            task: dict[str, Any] = answer["taskObject"]
            return task
    pytest.fail("no task in three long polls")


def fields(client, pipeline_id: str, object_id: str) -> dict[str, str]:
    found = client.describe_objects(pipelineId=pipeline_id, objectIds=[object_id])
    return {
        field["key"]: field.get("stringValue", field.get("refValue"))
        for field in found["pipelineObjects"][0]["fields"]
    }


def instances(client, pipeline_id: str) -> list[str]:
    parent = {"type": "REF_EQ", "values": [ACTIVITY]}
    found = client.query_objects(
        pipelineId=pipeline_id,
        sphere="INSTANCE",
        query={"selectors": [{"fieldName": "@componentParent", "operator": parent}]},
    )
    ids: list[str] = found["ids"]
    return ids


def test_a_task_of_the_sample_goes_from_poll_to_finished(client, pipeline):
    """The sample's activity is handed out, reported on, finished, and found FINISHED."""
    task = poll(client)
    assert task["pipelineId"] == pipeline
    attempt = task["objects"][task["attemptId"]]
    assert {"key": "command", "stringValue": "echo 'Hello World!'"} in attempt["fields"]
    report = client.report_task_progress(
        taskId=task["taskId"], fields=[{"key": "percentComplete", "stringValue": "50"}]
    )
    assert report["canceled"] is False
    attempt_id = task["attemptId"]
    assert fields(client, pipeline, attempt_id)["@status"] == "RUNNING"
    assert fields(client, pipeline, attempt_id)["percentComplete"] == "50"
    client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    assert fields(client, pipeline, attempt_id)["@status"] == "FINISHED"
    (instance,) = instances(client, pipeline)
    assert fields(client, pipeline, instance)["@status"] == "FINISHED"


@pytest.mark.slow
def test_a_canceled_instance_is_told_to_its_worker(client, pipeline):
    """SetStatus TRY_CANCEL is answered to the next report as canceled."""
    task = poll(client)
    assert client.report_task_progress(taskId=task["taskId"])["canceled"] is False
    client.set_status(
        pipelineId=pipeline, objectIds=instances(client, pipeline), status="TRY_CANCEL"
    )
    assert client.report_task_progress(taskId=task["taskId"])["canceled"] is True
    (instance,) = instances(client, pipeline)
    assert fields(client, pipeline, instance)["@status"] == "CANCELED"


@pytest.mark.slow
def test_a_deactivated_pipeline_cancels_what_runs(client, pipeline):
    """DeactivatePipeline cancels by default, and the pipeline becomes INACTIVE."""
    task = poll(client)
    client.report_task_progress(taskId=task["taskId"])
    client.deactivate_pipeline(pipelineId=pipeline)
    assert client.report_task_progress(taskId=task["taskId"])["canceled"] is True
    described = client.describe_pipelines(pipelineIds=[pipeline])["pipelineDescriptionList"][0]
    assert {"key": "@pipelineState", "stringValue": "INACTIVE"} in described["fields"]


@pytest.mark.slow
def test_a_deleted_pipeline_is_gone(client, pipeline):
    """After DeletePipeline no list shows it, and a held task is refused by its name."""
    task = poll(client)
    client.delete_pipeline(pipelineId=pipeline)
    assert client.list_pipelines()["pipelineIdList"] == []
    with pytest.raises(client.exceptions.PipelineDeletedException):
        client.report_task_progress(taskId=task["taskId"])


@pytest.mark.slow
@pytest.mark.usefixtures("pipeline")
def test_a_silent_worker_loses_its_task_to_another(client):
    """A task which nobody acknowledges for two minutes is handed out anew, its old id is dead."""
    first = poll(client)
    second = poll(client)
    assert second["attemptId"] == first["attemptId"]
    assert second["taskId"] != first["taskId"]
    with pytest.raises(client.exceptions.TaskNotFoundException):
        client.report_task_progress(taskId=first["taskId"])
    assert client.report_task_progress(taskId=second["taskId"])["canceled"] is False


@pytest.mark.slow
def test_an_empty_queue_answers_no_task_after_the_long_poll(server, client):
    """PollForTask without work is held for its 90 s and then carries no task."""
    started = server.service().now
    assert "taskObject" not in client.poll_for_task(workerGroup="nobody-works-here")
    assert server.service().now - started >= 90


@pytest.mark.slow
def test_work_wakes_a_held_poll(server, client):
    """A held poll gets work the moment there is some: at 120 s, not at its end at 180 s."""
    (task_id,) = server.service().assign()
    started = server.service().now
    assert poll(client, "workers")["taskId"] != task_id
    assert 115 < server.service().now - started < 150


@pytest.fixture
def s3(server, connect):
    """A client of the S3 beside the service, which has a bucket."""
    made = connect(server, "s3")
    made.create_bucket(Bucket="bucket")
    yield made
    made.delete_object(Bucket="bucket", Key="ready")
    made.delete_bucket(Bucket="bucket")


def run_on_demand(client, *objects: dict[str, Any]) -> str:
    """Create and activate a pipeline of these objects of a definition file; return its id."""
    pipeline_id: str = client.create_pipeline(name="p", uniqueId="p")["pipelineId"]
    default = {"id": "Default", "scheduleType": "ondemand", "role": "any"}
    text = json.dumps({"objects": [default, *objects]})
    put = client.put_pipeline_definition(
        pipelineId=pipeline_id, pipelineObjects=load_definition(text)[0]
    )
    assert put["errored"] is False, put
    client.activate_pipeline(pipelineId=pipeline_id)
    return pipeline_id


@pytest.mark.slow
def test_an_object_in_s3_releases_what_waits_for_it(server, client, s3):
    """An activity waits for S3KeyExists, which the service itself looks for in moto's S3."""
    exists = {"id": "Ready", "type": "S3KeyExists", "s3Key": "s3://bucket/ready"}
    run_on_demand(client, exists, WORK | {"precondition": {"ref": "Ready"}})
    assert "taskObject" not in client.poll_for_task(workerGroup="workers")
    s3.put_object(Bucket="bucket", Key="ready", Body=b"")
    assert poll(client, "workers")["attemptId"].startswith("@Work_")
    assert server.service().now >= 120  # it looks every two minutes


@pytest.fixture
def topic(server, connect):
    """A topic of the SNS beside the service."""
    sns = connect(server, "sns")
    arn: str = sns.create_topic(Name="alarms")["TopicArn"]
    yield arn
    sns.delete_topic(TopicArn=arn)


@pytest.fixture
def messages(server, connect, topic):
    """Waits for the messages which come to the topic."""
    sqs = connect(server, "sqs")
    queue = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
    arn = asked["Attributes"]["QueueArn"]
    connect(server, "sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    yield lambda: [
        json.loads(one["Body"])
        for one in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    ]
    sqs.delete_queue(QueueUrl=queue)


def test_an_alarm_goes_through_sns(client, topic, messages):
    """OnSuccess publishes its SnsAlarm to moto's SNS, with the fields of what succeeded."""
    texts = {"subject": "Done", "message": "#{node.name} is done"}
    alarm = {"id": "Alarm", "type": "SnsAlarm", "topicArn": topic} | texts
    run_on_demand(client, alarm, WORK | {"onSuccess": {"ref": "Alarm"}})
    task = poll(client, "workers")
    client.set_task_status(taskId=task["taskId"], taskStatus="FINISHED")
    [message] = messages()
    instance = task["attemptId"].removesuffix("_Attempt=1")
    assert (message["Subject"], message["Message"]) == ("Done", f"{instance} is done")


@pytest.mark.parametrize("kind", [FaultKind.SERVER_ERROR, FaultKind.THROTTLE, FaultKind.RESET])
def test_its_own_retries_get_over_a_passing_fault(server, client, kind):
    """What boto3 retries by itself, it retries here as well, and then gets its answer."""
    (task_id,) = server.service().assign()
    server.service().faults.add(Fault(kind=kind, count=1))
    answer = client.report_task_progress(taskId=task_id)
    assert answer["canceled"] is False
    assert answer["ResponseMetadata"]["RetryAttempts"] == 1


@pytest.mark.parametrize(
    ("operation", "params", "code"),
    [
        ("describe_objects", {"pipelineId": "df-NONE", "objectIds": ["x"]}, "PipelineNotFound"),
        ("report_task_progress", {"taskId": "none"}, "TaskNotFound"),
        ("set_task_status", {"taskId": "none", "taskStatus": "BAD"}, "InvalidRequest"),
        ("report_task_progress", {"taskId": "x" * 2049}, "InvalidRequest"),
    ],
)
def test_refusals_have_the_names_of_the_model(client, operation, params, code):
    """What the service refuses arrives as the exception which the API reference names."""
    with pytest.raises(ClientError) as refused:
        getattr(client, operation)(**params)
    assert refused.value.response["Error"]["Code"] == code + "Exception"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert refused.value.response["Error"]["Message"]
