"""The HTTP form's own promises: connections, its end, moto beside it."""

from __future__ import annotations

import json
import logging
import math
import select
import socket
import struct
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from http.client import HTTPConnection

import boto3
import botocore.session
import moto.datapipeline.models
import moto.datapipeline.urls
import pytest
from moto import mock_aws
from moto.core.base_backend import backend_lock
from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.iam.models import iam_backends
from moto.moto_server.threaded_moto_server import ThreadedMotoServer

from acceptance.support import signed
from aiodp.emulator import EmulatorServer, Fault, FaultKind, ServiceClock, Settings, install
from aiodp.emulator._clock import ManualClock
from aiodp.emulator._server.http import Server

NEVER = Settings(poll_hold=1e6)  # a long poll which outlasts each test
LONG = 60.0
FIELDS = {
    "type": "ShellCommandActivity",
    "command": "true",
    "workerGroup": "workers",
    "scheduleType": "ondemand",
}
ACTIVITY = {
    "id": "Work",
    "name": "Work",
    "fields": [{"key": key, "stringValue": value} for key, value in FIELDS.items()],
}


@pytest.fixture
def patient():
    """A server which holds a poll longer than any test lasts."""
    with EmulatorServer(settings=NEVER) as running:
        yield running


@contextmanager
def connection(server: EmulatorServer):
    with socket.create_connection(("127.0.0.1", server.port), timeout=LONG) as one:
        yield one


def send(one: socket.socket, operation: str, **params: object) -> None:
    body = json.dumps(params).encode()
    head = f"POST / HTTP/1.1\r\nHost: here\r\nX-Amz-Target: DataPipeline.{operation}\r\n"
    one.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)


def receive(one: socket.socket) -> tuple[int, dict[str, str], bytes]:
    file = one.makefile("rb")
    status = int(file.readline().split()[1])
    headers = {}
    while line := file.readline().strip():
        name, _, value = line.decode().partition(": ")
        headers[name.lower()] = value
    return status, headers, file.read(int(headers["content-length"]))


def until(condition) -> None:
    """Wait for what another thread brings about."""
    deadline = time.monotonic() + LONG
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)


def connection_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith("aiodp-emulator")]


def test_a_connection_serves_one_request_after_the_other(server):
    """Keep-alive holds over answers, refusals, empty bodies, and requests of other services."""
    (task_id,) = server.service().assign()
    with connection(server) as one:
        send(one, "ReportTaskProgress", taskId=task_id)
        assert receive(one)[2] == b'{"canceled":false}'
        send(one, "ReportTaskProgress", taskId="never given")
        assert receive(one)[0] == 400
        send(one, "SetTaskStatus", taskId=task_id, taskStatus="FINISHED")
        assert receive(one)[::2] == (200, b"")
        one.sendall(b"GET /moto-api/ HTTP/1.1\r\nHost: here\r\n\r\n")
        assert receive(one)[0] == 200
        send(one, "ListPipelines")
        status, headers, _ = receive(one)
        assert (status, headers["content-type"]) == (200, "application/x-amz-json-1.1")
        assert headers["x-amzn-requestid"]


def test_what_is_no_json_object_is_refused(server):
    """A body which is not a JSON object is an error of the caller."""
    for body in (b"{", b"[]", b"\xff", b"[" * 100_000):
        with connection(server) as one:
            head = b"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: DataPipeline.PollForTask\r\n"
            one.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            status, _, answer = receive(one)
            assert (status, json.loads(answer)["__type"].rpartition("#")[2]) == (
                400,
                "SerializationException",
            )


def test_an_operation_the_service_does_not_have_is_refused(server):
    """An unknown operation is answered with the service's own error, on both ways in."""
    for target in ("DataPipeline.Fly", "DataPipeline_20121129.PollForTask"):
        request = urllib.request.Request(
            server.endpoint,
            data=b"{}",
            headers=signed("datapipeline") | {"X-Amz-Target": target},
        )
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        with refused.value as answer:
            assert answer.code == 400
            assert "UnknownOperationException" in answer.read().decode()


@pytest.mark.parametrize(
    "body",
    [
        b"Content-Length: -1\r\n\r\n",
        b"Content-Length: " + b"9" * 25 + b"\r\n\r\n",
        b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nno\r\n",
    ],
)
def test_a_request_without_a_sound_length_is_refused(server, body):
    """A length which cannot be is answered with 400, and the connection ends."""
    with connection(server) as one:
        one.sendall(b"POST / HTTP/1.1\r\nHost: here\r\n" + body)
        assert receive(one)[0] == 400
        assert one.recv(1) == b""


def test_half_a_request_is_none(server):
    """A client which goes amid its request has asked for nothing, and gets no answer."""
    with connection(server) as one:
        head = b"POST / HTTP/1.1\r\nHost: h\r\nX-Amz-Target: DataPipeline.ListPipelines\r\n"
        one.sendall(head + b"Content-Length: 100\r\n\r\n{}")
        one.shutdown(socket.SHUT_WR)
        assert one.recv(1) == b""
    assert not server.service().calls


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT"])
def test_operations_are_posted(server, method):
    """A request by another method does nothing: a HEAD would take a task and lose it."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=LONG)) as one:
        headers = {"X-Amz-Target": "DataPipeline.PollForTask"}
        one.request(method, "/", b'{"workerGroup":"workers"}', headers)
        assert one.getresponse().status == 400
    assert not server.service().calls


def test_the_guide_s_old_target_is_unknown_without_a_signature_too(server):
    """`DataPipeline_20121129.` is answered by this service, not by moto's S3."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=LONG)) as one:
        one.request("POST", "/", b"{}", {"X-Amz-Target": "DataPipeline_20121129.PollForTask"})
        answer = one.getresponse()
        assert answer.status == 400
        assert b"UnknownOperationException" in answer.read()


@pytest.mark.parametrize("target", ["DataPipeline", "Fly", "PollForTask"])
@pytest.mark.parametrize("signature", [{}, signed("datapipeline")], ids=["unsigned", "signed"])
def test_a_target_without_a_dot_is_no_operation(server, target, signature):
    """It is answered as any unknown operation is, and the connection goes on."""
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=LONG)) as one:
        for _ in range(2):
            one.request("POST", "/", b"{}", signature | {"X-Amz-Target": target})
            answer = one.getresponse()
            assert answer.status == 400
            body = json.loads(answer.read())
            assert body["__type"].endswith("UnknownOperationException")
            assert answer.headers["content-type"] == "application/x-amz-json-1.1"


def test_chunks_come_as_one_body_and_a_crash_as_an_error(caplog):
    """An application's chunks get a length; if it crashes the answer is 500, and the log why."""

    def application(environ, start_response):
        if environ["PATH_INFO"] == "/crash":
            raise ZeroDivisionError
        start_response("200 OK", [])
        return [b"one ", b"two"]

    server = Server("127.0.0.1", 0, application)
    server.start()
    try:
        with socket.create_connection(("127.0.0.1", server.port), timeout=LONG) as one:
            for path, status in (("/crash", 500), ("/", 200)):
                one.sendall(f"GET {path} HTTP/1.1\r\nHost: here\r\n\r\n".encode())
                answer = receive(one)
                assert answer[0] == status
        assert answer[2] == b"one two"
        assert caplog.records[0].exc_info[0] is ZeroDivisionError
    finally:
        server.stop(LONG)


def test_it_stops_at_once_whatever_is_open(monkeypatch):
    """Held polls, hanging calls and idle connections neither delay the end nor outlive it."""
    monkeypatch.setattr(
        "aiodp.emulator._server.waiting.CLIENT_CHECK_INTERVAL", 60
    )  # nothing ends by itself
    monkeypatch.setattr("aiodp.emulator._server.server.STOP_TIMEOUT", 60)
    server = EmulatorServer(settings=NEVER)
    server.start()
    address = ("127.0.0.1", server.port)
    (task_id,) = server.service().assign()
    with connection(server) as idle, connection(server) as polling, connection(server) as hung:
        send(idle, "ReportTaskProgress", taskId=task_id)
        receive(idle)
        server.service().faults.add(Fault(kind=FaultKind.HANG, actions=frozenset({"SetStatus"})))
        send(hung, "SetStatus")
        send(polling, "PollForTask", workerGroup="none")
        until(lambda: server.service().calls["SetStatus", "hang"])
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < LONG
        assert [one.recv(1) for one in (idle, polling, hung)] == [b"", b"", b""]
    assert connection_threads() == []
    with socket.create_server(address):
        """The port is free again."""


def test_it_may_be_stopped_twice_and_started_again():
    """A second stop does nothing; a second start serves again; two at once are refused."""
    server = EmulatorServer()
    server.stop()
    for _ in range(2):
        server.start()
        with pytest.raises(RuntimeError, match="runs already"):
            server.start()
        with urllib.request.urlopen(f"{server.endpoint}/moto-api/config") as answer:
            assert answer.status == 201
        server.stop()
        server.stop()
    assert repr(server) == "<EmulatorServer stopped>"


def test_a_reset_is_a_reset(server):
    """The fault RESET breaks the connection with a TCP reset, which no client takes for an end."""
    server.service().faults.add(Fault(kind=FaultKind.RESET, count=1))
    with connection(server) as one:
        send(one, "ListPipelines")
        with pytest.raises(ConnectionResetError):
            one.recv(1)


def test_a_truncated_answer_breaks_off(server):
    """Half of what was promised comes, and then the end of the connection."""
    (task_id,) = server.service().assign()
    server.service().faults.add(Fault(kind=FaultKind.TRUNCATED, count=1))
    with connection(server) as one:
        send(one, "ReportTaskProgress", taskId=task_id)
        status, headers, body = receive(one)
        assert (status, headers["content-length"]) == (200, str(len(b'{"canceled":false}')))
        assert body == b'{"cancele'
        assert one.recv(1) == b""


@pytest.fixture
def manual():
    """A server whose time is moved by hand, and its clock."""
    clock = ManualClock()
    with EmulatorServer(clock=clock, settings=Settings(quotas=None)) as running:
        yield running, clock


def test_time_may_be_moved_by_hand(manual, connect):
    """On a manual clock nothing happens by itself, and everything when it is moved."""
    server, clock = manual
    client = connect(server)
    (task_id,) = server.service().assign()
    assert client.report_task_progress(taskId=task_id)["canceled"] is False
    assert server.service().lease_deadline(task_id) == 300
    clock.advance(299)
    assert client.report_task_progress(taskId=task_id)["canceled"] is False
    server.jump(300)
    with pytest.raises(client.exceptions.TaskNotFoundException):
        client.report_task_progress(taskId=task_id)
    assert server.service("eu-west-1").now == server.service().now == 599


def test_what_is_held_hears_of_time_moved_by_hand(manual, monkeypatch):
    """A long poll and a slow answer end at once when the clock is moved past their time."""
    monkeypatch.setattr(
        "aiodp.emulator._server.waiting.CLIENT_CHECK_INTERVAL", 60
    )  # nothing ends by itself
    server, clock = manual
    slow = Fault(kind=FaultKind.SLOW, delay=30, actions=frozenset({"ListPipelines"}))
    server.service().faults.add(slow)
    with connection(server) as polling, connection(server) as slowed:
        send(slowed, "ListPipelines")
        until(lambda: server.service().calls["ListPipelines", "ok"])
        send(polling, "PollForTask", workerGroup="none")
        clock.advance(30)
        assert receive(slowed)[0] == 200
        polling.settimeout(0.05)
        with pytest.raises(TimeoutError):
            polling.recv(1)
        polling.settimeout(LONG)
        clock.advance(90)
        assert receive(polling)[::2] == (200, b"{}")


def test_a_clock_and_a_scale_are_one_too_many():
    """A clock has a pace of its own."""
    with pytest.raises(ValueError, match="either"):
        EmulatorServer(clock=ManualClock(), time_scale=60)


def test_each_service_leaps_on_its_own_and_keeps_its_time(server):
    """A leap of one region leaves the others alone; a reset does not bring it back."""
    one, other = server.service(), server.service("eu-west-1")
    one.jump(1e6)
    assert one.now > 1e6 > other.now
    one.reset()
    assert one.now > 1e6
    server.jump(1e6)
    assert one.now > 2e6 > other.now > 1e6
    for never in (EmulatorServer(), EmulatorServer(clock=ManualClock())):
        with pytest.raises(RuntimeError, match="start"):
            never.jump(5)


def test_every_operation_goes_through(server):
    """All operations of the API reach the model, which finds fault with an empty request."""
    operations = botocore.session.get_session().get_service_model("datapipeline").operation_names
    assert len(operations) == 19
    for operation in operations:
        with connection(server) as one:
            send(one, operation)
            status, _, body = receive(one)
        expected = (200, "") if operation == "ListPipelines" else (400, "InvalidRequestException")
        assert (status, json.loads(body).get("__type", "").rpartition("#")[2]) == expected
    assert {operation for operation, _ in server.service().calls} == set(operations)


@pytest.fixture
def calls(caplog):
    """What catches the log of calls; `records` are its lines."""
    caplog.set_level(logging.INFO, "aiodp.emulator.calls")
    return caplog


def test_each_call_is_a_line_in_the_log(server, calls):
    """A line says what was asked for, where, about what, how it went, and how long it took."""
    (task_id,) = server.service().assign()
    with connection(server) as one:
        send(one, "ReportTaskProgress", taskId=task_id)
        receive(one)
        send(one, "ReportTaskProgress", taskId="none")
        receive(one)
        server.service().faults.add(Fault(kind=FaultKind.GARBAGE, count=1))
        send(one, "PollForTask", workerGroup="workers")
        receive(one)
    good, bad, garbage = calls.records
    assert (good.operation, good.outcome, good.region) == ("ReportTaskProgress", "ok", "us-east-1")
    assert good.account == DEFAULT_ACCOUNT_ID
    assert good.task_id == f"{task_id[:8]}…{task_id[-8:]}"
    assert good.worker_group is None
    assert 0 <= good.seconds < LONG
    assert good.getMessage().startswith("ReportTaskProgress ok in 0.0")
    assert good.getMessage().endswith(good.task_id)
    assert (bad.outcome, bad.task_id) == ("TaskNotFoundException", "none")
    assert (garbage.outcome, garbage.worker_group) == ("garbage", "workers")


def test_the_log_tells_what_was_handed_out(server, calls, connect):
    """The line of a poll names the task and the attempt; of a creation the pipeline."""
    client = connect(server)
    pipeline_id = client.create_pipeline(name="n", uniqueId="u")["pipelineId"]
    client.put_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=[ACTIVITY])
    client.activate_pipeline(pipelineId=pipeline_id)
    task = client.poll_for_task(workerGroup="workers")["taskObject"]
    assert [one.pipeline_id for one in calls.records] == [pipeline_id] * 4
    assert calls.records[-1].attempt_id == task["attemptId"]
    assert calls.records[-1].task_id
    assert calls.records[-1].worker_group == "workers"


@pytest.mark.parametrize(
    ("kind", "outcome"),
    [(FaultKind.RESET, "reset"), (FaultKind.HANG_AFTER, "hang_after"), (None, "dropped")],
)
def test_the_log_tells_what_was_not_answered(patient, calls, kind, outcome):
    """A call without an answer is logged when its connection ends, with the reason."""
    if kind is not None:
        patient.service().faults.add(Fault(kind=kind))
    with connection(patient) as one:
        send(one, "PollForTask", workerGroup="workers")
        until(lambda: calls.records or len(connection_threads()) == 2)
    until(lambda: calls.records)
    assert [record.outcome for record in calls.records] == [outcome]


def test_a_line_of_the_log_stays_a_line(server, calls):
    """Names from outside cannot make lines of their own, nor endless ones."""
    with connection(server) as one:
        send(one, "PollForTask", workerGroup="a\nb\x1b[31m", hostname=5)
        receive(one)
        send(one, "PollForTask", workerGroup="x" * 1000, hostname=5)
        receive(one)
        send(one, "PollForTask", workerGroup=["list"])
        receive(one)
    assert [record.worker_group for record in calls.records] == [
        "a\\nb\\x1b[31m",
        "xxxxxxxx…xxxxxxxx",
        None,
    ]


def test_a_log_which_nobody_reads_is_not_put_together(server, monkeypatch, caplog):
    """Without a reader the calls' data is not even looked at."""
    caplog.set_level(logging.WARNING, logger="aiodp.emulator.calls")
    monkeypatch.setattr("aiodp.emulator._server.call_log.about", None)
    with connection(server) as one:
        send(one, "ListPipelines")
        assert receive(one)[0] == 200


def test_a_poll_whose_client_has_gone_takes_no_task(patient, connect):
    """A task which arrives after a client broke its connection goes to the next poll."""
    client = connect(patient)
    with connection(patient) as gone:
        send(gone, "PollForTask", workerGroup="workers")
        until(lambda: len(connection_threads()) == 2)
    pipeline_id = client.create_pipeline(name="n", uniqueId="u")["pipelineId"]
    client.put_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=[ACTIVITY])
    client.activate_pipeline(pipelineId=pipeline_id)
    assert client.poll_for_task(workerGroup="workers")["taskObject"]["pipelineId"] == pipeline_id
    until(lambda: patient.service().calls["PollForTask", "abandoned"] == 1)


def test_of_many_held_polls_each_task_goes_to_one(patient, connect):
    """Twenty polls are held; five tasks come; five polls get one each, and no two the same."""
    client = connect(patient)
    pipeline_id = client.create_pipeline(name="n", uniqueId="u")["pipelineId"]
    objects = [ACTIVITY | {"id": f"Work{n}", "name": f"Work{n}"} for n in range(5)]
    client.put_pipeline_definition(pipelineId=pipeline_id, pipelineObjects=objects)
    with ExitStack() as stack:
        polls = [stack.enter_context(connection(patient)) for _ in range(20)]
        for one in polls:
            send(one, "PollForTask", workerGroup="workers")
        until(lambda: len(connection_threads()) == 22)
        client.activate_pipeline(pipelineId=pipeline_id)
        until(lambda: patient.service().calls["PollForTask", "ok"] == 5)
        until(lambda: len(select.select(polls, [], [], 0)[0]) == 5)
        answers = [json.loads(receive(one)[2]) for one in select.select(polls, [], [], 0)[0]]
    attempts = {answer["taskObject"]["attemptId"] for answer in answers}
    assert len(attempts) == 5
    patient.service().audit.assert_single_owner()


def test_the_thread_of_a_client_which_has_gone_ends(patient):
    """Clients which give up on held polls leave nothing behind, though no work ever comes."""
    with connection(patient) as gone:
        send(gone, "PollForTask", workerGroup="workers")
        until(lambda: len(connection_threads()) == 2)
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: len(connection_threads()) == 1)
    until(lambda: patient.service().calls["PollForTask", "abandoned"] == 1)


def test_a_taken_port_says_so(server):
    """The error names the port and what to do."""
    with pytest.raises(OSError, match=f"port {server.port} of 127.0.0.1 is in use; take another"):
        EmulatorServer(port=server.port).start()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"port": 65536}, "between 0 and 65535, not 65536"),
        ({"port": -1}, "between 0 and 65535, not -1"),
        ({"time_scale": 0}, "above 0, not 0"),
        ({"time_scale": float("inf")}, "above 0, not inf"),
    ],
)
def test_impossible_options_are_refused(options, message):
    """A value that cannot be is refused when the server is made, by its limit."""
    with pytest.raises(ValueError, match=message):
        EmulatorServer(**options)


def test_only_this_machine_is_let_in_by_default(server):
    """The port is bound on the loopback address alone."""
    assert server._server.socket.getsockname()[0] == "127.0.0.1"


def test_s3_stands_beside_it(server, connect):
    """The rest of moto answers on the same port."""
    s3 = connect(server, "s3")
    s3.create_bucket(Bucket="bucket")
    body = b"x" * 200_000
    s3.put_object(Bucket="bucket", Key="key", Body=body)
    assert s3.head_object(Bucket="bucket", Key="key")["ContentLength"] == len(body)
    assert s3.get_object(Bucket="bucket", Key="key")["Body"].read() == body


def test_a_chunked_body_is_read_whole(server, connect):
    """A request without a length, in chunks, arrives; the connection serves the next one."""
    connect(server, "s3").create_bucket(Bucket="bucket")
    http = HTTPConnection("127.0.0.1", server.port, timeout=LONG)
    with closing(http):
        chunks = iter([b"one ", b"two"])
        http.request("PUT", "/bucket/key", chunks, signed("s3"), encode_chunked=True)
        with http.getresponse() as put:
            assert put.status == 200
            put.read()
        http.request("GET", "/bucket/key", headers=signed("s3"))
        with http.getresponse() as got:
            assert got.read() == b"one two"


def test_motos_reset_resets_the_service_and_drops_what_is_held(patient, connect):
    """After `POST /moto-api/reset` no pipeline is left, and no poll of the old time."""
    client = connect(patient)
    client.create_pipeline(name="n", uniqueId="u")
    with connection(patient) as polling:
        send(polling, "PollForTask", workerGroup="none")

        def dropped() -> bool:
            """Reset; a poll that has not arrived yet is held afterwards, until the next reset."""
            reset = urllib.request.Request(f"{patient.endpoint}/moto-api/reset", method="POST")
            urllib.request.urlopen(reset).close()
            return bool(select.select([polling], [], [], 0.1)[0])

        until(dropped)
        assert polling.recv(1) == b""
    assert client.list_pipelines()["pipelineIdList"] == []
    assert patient.service().calls == {("ListPipelines", "ok"): 1}


def test_a_request_waits_for_motos_reset_to_end(server):
    """Moto empties its backends one by one under a lock; no request sees one that is half made."""
    iam = iam_backends[DEFAULT_ACCOUNT_ID]["aws"]
    with connection(server) as one:
        send(one, "ListPipelines")  # from here on moto has all that a request needs
        assert receive(one)[0] == 200
        with backend_lock:
            state, iam.__dict__ = iam.__dict__, {}
            send(one, "ListPipelines")
            assert select.select([one], [], [], 0.2)[0] == []
            iam.__dict__ = state
        assert receive(one)[0] == 200


def test_accounts_and_regions_are_apart(server, connect):
    """What one region or account has, another has not; each is to be had as a model."""
    connect(server).create_pipeline(name="n", uniqueId="u")
    elsewhere = connect(server, region_name="eu-central-1")
    assert elsewhere.list_pipelines()["pipelineIdList"] == []
    assert server.service().calls["CreatePipeline", "ok"] == 1
    assert server.service("eu-central-1").calls["ListPipelines", "ok"] == 1
    other = {"X-Amz-Target": "DataPipeline.ListPipelines", "X-Moto-Account-Id": "111122223333"}
    urllib.request.urlopen(urllib.request.Request(server.endpoint, b"{}", other)).close()
    assert server.service(account="111122223333").calls == {("ListPipelines", "ok"): 1}
    assert server.service().calls["ListPipelines", "ok"] == 0


@pytest.mark.slow
def test_cloudformation_makes_pipelines_of_the_model(server, connect):
    """A stack's pipeline is created, defined and activated in the service."""
    fields = [{"Key": key, "StringValue": value} for key, value in FIELDS.items()]
    template = {
        "Resources": {
            "Pipe": {
                "Type": "AWS::DataPipeline::Pipeline",
                "Properties": {
                    "Name": "pipe",
                    "Activate": True,
                    "PipelineObjects": [{"Id": "Work", "Name": "Work", "Fields": fields}],
                },
            }
        }
    }
    stacks = connect(server, "cloudformation")
    stacks.create_stack(StackName="stack", TemplateBody=json.dumps(template))
    resource = stacks.list_stack_resources(StackName="stack")["StackResourceSummaries"][0]
    task = connect(server).poll_for_task(workerGroup="workers")["taskObject"]
    assert task["pipelineId"] == resource["PhysicalResourceId"]


def test_install_serves_moto_in_process_and_is_undone():
    """Within `install` moto's own mock speaks the whole service; afterwards moto has its own."""
    before = moto.datapipeline.models.datapipeline_backends, moto.datapipeline.urls.url_paths
    with install(ServiceClock(), Settings(poll_hold=0)) as emulation, mock_aws():
        client = boto3.client("datapipeline", region_name="us-east-1")
        (task_id,) = emulation.service("123456789012", "us-east-1").assign()
        assert client.report_task_progress(taskId=task_id)["canceled"] is False
        assert "taskObject" not in client.poll_for_task(workerGroup="workers")
        with pytest.raises(client.exceptions.TaskNotFoundException):
            client.report_task_progress(taskId="none")
        client.close()
    after = moto.datapipeline.models.datapipeline_backends, moto.datapipeline.urls.url_paths
    assert all(one is other for one, other in zip(before, after, strict=True))


def test_install_serves_motos_own_server():
    """Within `install` moto's own server speaks the whole service."""
    with install(ServiceClock(), Settings(poll_hold=0)):
        server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        server.start()
        try:
            host, port = server.get_host_and_port()
            client = boto3.client(
                "datapipeline",
                endpoint_url=f"http://{host}:{port}",
                region_name="us-east-1",
                aws_access_key_id="testing",
                aws_secret_access_key="testing",
            )
            assert "taskObject" not in client.poll_for_task(workerGroup="workers")
            client.close()
        finally:
            server.stop()


def test_of_two_installed_the_last_serves_in_whatever_order_they_end():
    """Servers may overlap; each has its own model, and moto's own comes back after the last."""
    before = moto.datapipeline.models.datapipeline_backends
    one, other = EmulatorServer(), EmulatorServer()
    one.start()
    other.start()
    one.service().assign()
    assert not other.service().audit
    one.stop()
    assert moto.datapipeline.models.datapipeline_backends is not before
    other.stop()
    assert moto.datapipeline.models.datapipeline_backends is before


def test_it_delays_no_call(server):
    """Of hundreds of calls, eight at a time, the fastest takes less than a delay of TCP (40 ms)."""
    (task_id,) = server.service().assign()
    server.service().faults.add(Fault(kind=FaultKind.THROTTLE))

    def work(_: int) -> float:
        with connection(server) as one:
            fastest = math.inf
            for _ in range(100):
                began = time.monotonic()
                send(one, "ReportTaskProgress", taskId=task_id)
                receive(one)
                fastest = min(fastest, time.monotonic() - began)
        return fastest

    with ThreadPoolExecutor(8) as pool:
        assert max(pool.map(work, range(8))) < 0.04
