"""What is too large over HTTP is refused in the words of AWS, and the service goes on."""

from __future__ import annotations

import json
from contextlib import closing
from http.client import HTTPConnection

import pytest
from botocore.exceptions import ClientError

from aiodp.emulator._server import moto
from aiodp.emulator._server.body import MAX_CALL_BYTES, MAX_OTHER_BYTES
from aiodp.emulator._server.call import MAX_VALUES

LONG = 60.0


def refused(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    answer = error.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def post(server, body: bytes = b"", **headers: str) -> tuple[int, str, str]:
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=LONG)) as http:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        http.request("POST", "/", body, {"X-Amz-Target": "DataPipeline.ListPipelines"} | names)
        answer = http.getresponse()
        content = {"__type": "", "message": ""} | json.loads(answer.read())
        return answer.status, content["__type"].rpartition("#")[2], content["message"]


def test_a_client_reads_why_its_body_is_too_large(server, connect):
    """It has sent the whole body before it reads, and the connection is not reset meanwhile."""
    client = connect(server)
    for size in (MAX_CALL_BYTES, 4 * MAX_CALL_BYTES):
        with pytest.raises(ClientError, match=f"it may have {MAX_CALL_BYTES} bytes") as error:
            client.create_pipeline(name="n", uniqueId="u", description="x" * size)
        assert refused(error) == ("RequestEntityTooLargeException", 413)
    assert client.list_pipelines()["pipelineIdList"] == []


def test_what_only_claims_to_be_large_is_refused_at_once(server):
    """A chunk of ffffffffffffffff bytes, and a length of exabytes, are not waited for."""
    for headers, body in (
        ({"Transfer_Encoding": "chunked"}, b"f" * 16 + b"\r\n"),
        ({"Content_Length": "9" * 18}, b""),
    ):
        status, code, message = post(server, body, **headers)
        assert (status, code) == (413, "RequestEntityTooLargeException")
        assert str(MAX_CALL_BYTES) in message


def test_a_body_of_very_many_values_is_refused(server):
    """Each takes far more memory than it has bytes; a text may hold as many signs as it likes."""
    status, code, message = post(server, b'{"x":[' + b"{}," * MAX_VALUES + b"{}]}")
    assert (status, code) == (413, "RequestEntityTooLargeException")
    assert f"{MAX_VALUES} names and values" in message
    text = json.dumps({"marker": '{[",\\' * MAX_VALUES}).encode()
    assert post(server, text)[1] == "InvalidRequestException"  # by its length


def test_an_object_that_s3_takes_in_one_part_is_bounded(server, connect):
    """Above it S3 asks for parts as well; what a refused request sends is not kept."""
    s3 = connect(server, "s3")
    s3.create_bucket(Bucket="bucket")
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=LONG)) as http:
        http.request("PUT", "/bucket/key", b"", {"Content-Length": str(MAX_OTHER_BYTES + 1)})
        assert http.getresponse().status == 413
    assert "Contents" not in s3.list_objects_v2(Bucket="bucket")


def test_accounts_that_are_made_up_are_bounded(server, connect, monkeypatch):
    """Each is a service of its own; those which are there go on when no other may come."""
    client = connect(server)
    client.create_pipeline(name="n", uniqueId="u")
    monkeypatch.setattr(moto, "MAX_SERVICES", 3)
    accounts = [f"{n:012}" for n in range(1, 9)]
    answers = [post(server, X_Moto_Account_Id=account)[1:] for account in accounts]
    refused = ("InvalidRequestException", "This server has 3 accounts and regions, all it may")
    assert [answer == refused for answer in answers] == [False] * 2 + [True] * 6
    assert len(client.list_pipelines()["pipelineIdList"]) == 1
    url = f"/aiodp-api/clock?account={accounts[-1]}"
    with closing(HTTPConnection("127.0.0.1", server.port, timeout=LONG)) as http:
        http.request("POST", url, b'{"jump": 1}', {"Content-Type": "application/json"})
        answer = http.getresponse()
        assert (answer.status, json.loads(answer.read())["error"]) == (400, refused[1])
