"""What the service sees of moto's S3, DynamoDB and SNS, and what it sends there."""

from __future__ import annotations

import json
import logging
import threading
import time
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from moto import mock_aws
from moto.core.base_backend import BackendDict, backend_lock
from moto.core.models import DEFAULT_ACCOUNT_ID

from aiodp.emulator import EmulatorServer, ServiceClock, Settings, install, load_definition
from aiodp.emulator._server.outbox import Outbox
from aiodp.emulator._server.outside_moto import MotoOutside

if TYPE_CHECKING:
    from collections.abc import Iterator

    from aiodp.emulator import Outside

LONG = 60.0
KEYS = {
    "AttributeDefinitions": [
        {"AttributeName": "a", "AttributeType": "S"},
        {"AttributeName": "b", "AttributeType": "S"},
    ],
    "KeySchema": [
        {"AttributeName": "a", "KeyType": "HASH"},
        {"AttributeName": "b", "KeyType": "RANGE"},
    ],
    "BillingMode": "PAY_PER_REQUEST",
}
ITEM = {"a": {"S": "1"}, "b": {"S": "2"}}


@pytest.fixture
def aws() -> Iterator[None]:
    with mock_aws():
        yield


@pytest.fixture
def outbox() -> Iterator[Outbox]:
    made = Outbox()
    yield made
    made.close(LONG)


@pytest.fixture
def outside(aws: None, outbox: Outbox) -> Outside:
    return MotoOutside(DEFAULT_ACCOUNT_ID, "us-east-1", outbox)


def client(service: str) -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


def test_objects_of_s3(outside):
    """Keys and prefixes are seen while they are there; a deleted version is not."""
    assert not outside.s3_key_exists("bucket", "a/b")
    assert not outside.s3_prefix_not_empty("bucket", "a/")
    s3 = client("s3")
    s3.create_bucket(Bucket="bucket")
    s3.put_bucket_versioning(Bucket="bucket", VersioningConfiguration={"Status": "Enabled"})
    assert not outside.s3_prefix_not_empty("bucket", "")
    s3.put_object(Bucket="bucket", Key="a/b", Body=b"")
    assert outside.s3_key_exists("bucket", "a/b")
    assert not outside.s3_key_exists("bucket", "a/")
    assert outside.s3_prefix_not_empty("bucket", "a/")
    assert not outside.s3_prefix_not_empty("bucket", "b/")
    s3.delete_object(Bucket="bucket", Key="a/b")
    assert not outside.s3_key_exists("bucket", "a/b")
    assert not outside.s3_prefix_not_empty("bucket", "a/")


def test_tables_of_dynamodb(outside):
    """A table is seen, and whether anything is in it, also after its last item has gone."""
    assert not outside.dynamodb_table_exists("table")
    assert not outside.dynamodb_data_exists("table")
    dynamodb = client("dynamodb")
    dynamodb.create_table(TableName="table", **KEYS)
    assert outside.dynamodb_table_exists("table")
    assert not outside.dynamodb_data_exists("table")
    dynamodb.put_item(TableName="table", Item=ITEM)
    assert outside.dynamodb_data_exists("table")
    dynamodb.delete_item(TableName="table", Key=ITEM)
    assert not outside.dynamodb_data_exists("table")


def test_looking_makes_nothing(outside):
    """A question about what is not there leaves moto as it was."""
    outside.dynamodb_table_exists("table")
    outside.s3_key_exists("bucket", "key")
    used = {one.service_name for one in BackendDict._instances}  # type: ignore[misc]
    assert not used & {"s3", "dynamodb"}


def test_questions_do_not_wait_for_moto(outside):
    """While moto resets, it holds its lock and waits for the service, which must not wait too."""
    client("s3").create_bucket(Bucket="bucket")

    def ask() -> None:
        for bucket in ("bucket", "none"):
            outside.s3_key_exists(bucket, "key")
            outside.s3_prefix_not_empty(bucket, "key")
        outside.dynamodb_data_exists("table")
        outside.dynamodb_table_exists("table")
        outside.publish("topic", "subject", "message")

    asking = threading.Thread(target=ask, daemon=True)
    with backend_lock:
        asking.start()
        asking.join(LONG)
        assert not asking.is_alive()


def test_messages_reach_their_topic(outside, outbox):
    """A message arrives in a queue which is subscribed, with its subject."""
    sns, sqs = client("sns"), client("sqs")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    queue = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    names = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=names["QueueArn"])
    outside.publish(topic, "late", "it is late")
    outbox.close(LONG)
    [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
    body = json.loads(message["Body"])
    assert (body["Subject"], body["Message"]) == ("late", "it is late")
    outside.publish(topic, "after", "the end")
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)


@pytest.mark.parametrize(
    "topic", ["arn:aws:sns:us-east-1:123456789012:none", "no arn", "", "arn:aws:sns:mars:1:t"]
)
def test_a_topic_which_is_not_there_is_a_warning(outside, outbox, caplog, topic):
    """A message for nobody is logged; it breaks nothing, and does not stop those after it."""
    sns = client("sns")
    good = sns.create_topic(Name="alarms")["TopicArn"]
    outside.publish(topic, "s", "m")
    outside.publish(good, "s", "m")
    outbox.close(LONG)
    [record] = [one for one in caplog.records if one.name == "aiodp.emulator"]
    assert record.levelno == logging.WARNING


def test_sending_waits_for_nobody(outbox):
    """What is sent while the receiver is busy is sent afterwards, in its order."""
    go, sent = threading.Event(), []
    outbox.put(lambda: go.wait(LONG))
    for number in range(5):
        outbox.put(lambda number=number: sent.append(number))
    assert sent == []
    go.set()
    outbox.close(LONG)
    assert sent == [0, 1, 2, 3, 4]


def definition(**activity: Any) -> dict[str, Any]:
    work = {
        "id": "Work",
        "type": "ShellCommandActivity",
        "command": "true",
        "workerGroup": "workers",
        "scheduleType": "ondemand",
    }
    there = {"id": "There", "type": "S3KeyExists", "s3Key": "s3://inbox/ready"}
    alarm = {
        "id": "Alarm",
        "type": "SnsAlarm",
        "role": "role",
        "topicArn": f"arn:aws:sns:us-east-1:{DEFAULT_ACCOUNT_ID}:alarms",
        "subject": "news",
        "message": "of #{node.name}",
    }
    return {"objects": [work | activity, there, alarm]}


def activate(pipelines: Any, content: dict[str, Any]) -> str:
    objects, _, _ = load_definition(json.dumps(content))
    pipeline_id: str = pipelines.create_pipeline(name="n", uniqueId="u")["pipelineId"]
    put = pipelines.put_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=objects)
    assert not put["errored"], put["validationErrors"]
    pipelines.activate_pipeline(pipelineId=pipeline_id)
    return pipeline_id


def test_a_precondition_waits_for_moto_s_s3(connect):
    """Work whose precondition asks for an object begins when the object is put into moto's S3."""
    with EmulatorServer(settings=Settings(quotas=None, poll_hold=0.0)) as server:
        pipelines, s3 = connect(server), connect(server, "s3")
        s3.create_bucket(Bucket="inbox")
        activate(pipelines, definition(precondition={"ref": "There"}))
        assert "taskObject" not in pipelines.poll_for_task(workerGroup="workers")
        s3.put_object(Bucket="inbox", Key="ready", Body=b"")
        server.jump(121)
        assert "taskObject" in pipelines.poll_for_task(workerGroup="workers")


def listen(server: EmulatorServer, connect: Any) -> Any:
    """Return what receives the messages of the alarms' topic."""
    sns, sqs = connect(server, "sns"), connect(server, "sqs")
    topic = sns.create_topic(Name="alarms")["TopicArn"]
    queue = sqs.create_queue(QueueName="alarms")["QueueUrl"]
    endpoint = f"arn:aws:sqs:us-east-1:{DEFAULT_ACCOUNT_ID}:alarms"
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=endpoint)

    def receive() -> Any:
        deadline = time.monotonic() + LONG
        while time.monotonic() < deadline:
            for message in sqs.receive_message(QueueUrl=queue).get("Messages", ()):
                return json.loads(message["Body"])["Message"]
        pytest.fail("no message came")

    return receive


def test_an_alarm_is_published_in_moto_s_sns(connect):
    """An alarm arrives in a queue of moto's SQS, with its expressions evaluated."""
    with EmulatorServer(settings=Settings(quotas=None)) as server:
        receive, pipelines = listen(server, connect), connect(server)
        activate(pipelines, definition(onSuccess={"ref": "Alarm"}))
        task_id = pipelines.poll_for_task(workerGroup="workers")["taskObject"]["taskId"]
        pipelines.set_task_status(taskId=task_id, taskStatus="FINISHED")
        assert receive().startswith("of @Work_")


def test_an_alarm_rings_though_nobody_calls(connect):
    """What is late is told at its time: the service does not wait for the next call."""
    late = {
        "scheduleType": "cron",
        "schedule": {"ref": "Daily"},
        "lateAfterTimeout": "10 minutes",
        "onLateAction": {"ref": "Alarm"},
    }
    content = definition(**late)
    content["objects"].append(
        {
            "id": "Daily",
            "type": "Schedule",
            "period": "1 day",
            "startAt": "FIRST_ACTIVATION_DATE_TIME",
            "occurrences": "1",
        }
    )
    with EmulatorServer(time_scale=60, settings=Settings(quotas=None)) as server:
        receive = listen(server, connect)
        activate(connect(server), content)
        server.jump(590)
        assert receive().startswith("of @Work_")


def test_install_sees_the_mocks_of_its_process(aws):
    """Under `mock_aws` the service looks into the same S3 as everybody."""
    with install(ServiceClock(), Settings(quotas=None, poll_hold=0)) as emulation:
        client("s3").create_bucket(Bucket="inbox")
        client("s3").put_object(Bucket="inbox", Key="ready", Body=b"")
        pipelines = client("datapipeline")
        activate(pipelines, definition(precondition={"ref": "There"}))
        emulation.clock.jump(121)
        assert "taskObject" in pipelines.poll_for_task(workerGroup="workers")


def test_one_thread_looks_after_all_services():
    """However many accounts a server meets, what is due by itself needs one thread."""
    with EmulatorServer() as server:
        for number in range(50):
            server.service(account=f"{number:012}").assign()
        names = [thread.name for thread in threading.enumerate()]
        assert names.count("aiodp-ticker") == 1
    assert "aiodp-ticker" not in [thread.name for thread in threading.enumerate()]
