"""CopyActivity from S3 to S3, which moto serves over HTTP."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING, cast

import anyio
import pytest
from aiobotocore.session import get_session

from aiodp import LeaseLost, Ref, TaskFailed
from aiodp._concurrency import interruptible
from aiodp.emulator import EmulatorServer
from aiodp.shell._parts import PART_BYTES
from aiodp.sql import CopyHandler
from unit.shell.kit import TOO_LONG, FakeTask, wire_object

if TYPE_CHECKING:
    from aiodp import Task

pytestmark = pytest.mark.anyio

BUCKET = "copies"
TSV = {"type": "TSV"}
CSV = {"type": "CSV", "column": ["Name STRING", "Score INT"]}


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture(scope="module")
def server():
    """One for all tests: moto keeps what is in S3 as long as this process anyway."""
    with EmulatorServer() as server:
        yield server


@pytest.fixture(scope="module")
def session():
    """One for all tests, as it takes a while to read the description of S3."""
    session = get_session()
    session.set_credentials("testing", "testing")
    return session


@pytest.fixture
def s3(server, connect):
    """A client; the bucket is empty."""
    client = connect(server, "s3")
    client.create_bucket(Bucket=BUCKET)
    for entry in client.list_objects_v2(Bucket=BUCKET).get("Contents", []):
        client.delete_object(Bucket=BUCKET, Key=entry["Key"])
    return client


@pytest.fixture
def put(s3):
    def put(objects):
        for key, body in objects.items():
            s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    return put


@pytest.fixture
def stored(s3):
    """All objects below a prefix, without it."""

    def stored(prefix):
        listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return {
            entry["Key"].removeprefix(prefix): s3.get_object(Bucket=BUCKET, Key=entry["Key"])[
                "Body"
            ].read()
            for entry in listed
        }

    return stored


@pytest.fixture
def copy(server, session, s3):
    """Copies from one node to another; a `dataFormat` is given as its fields."""

    async def copy(source, target, *, kind="CopyActivity", before=lambda _: None):
        nodes = [node("In", source), node("Out", target)]
        formats = [
            wire_object(f"{name}Format", fields["dataFormat"])
            for name, fields in (("In", source), ("Out", target))
            if "dataFormat" in fields
        ]
        fields = {"input": Ref("In"), "output": Ref("Out")}
        task = FakeTask(fields, kind=kind, nodes=nodes, asked=formats)
        before(task)
        handler = CopyHandler(session, region_name="us-east-1", s3_endpoint_url=server.endpoint)
        assert await do(handler, task) is True
        return task.statuses

    return copy


async def do(handler, task):
    with anyio.fail_after(TOO_LONG):
        return await handler(cast("Task", task))


def node(name, fields):
    reference = {"dataFormat": Ref(f"{name}Format")} if "dataFormat" in fields else {}
    return wire_object(name, {"type": "S3DataNode", **fields, **reference})


def file(key, **fields):
    return {"filePath": f"s3://{BUCKET}/{key}", **fields}


def directory(key, **fields):
    return {"directoryPath": f"s3://{BUCKET}/{key}", **fields}


def manifest(key, **fields):
    return {"manifestFilePath": f"s3://{BUCKET}/{key}", **fields}


ZIPPED = {"compression": "GZIP"}
"""As AWS's samples write it."""


# Bytes


async def test_bytes_are_copied_as_they_are(copy, put, stored):
    """Whatever they are, where neither side has a format; a directory keeps its names."""
    put({"in/a": b"\0\xff\r\n", "in/b/c//d": b"", "in/": b"", "in/e/": b"", "inside": b"no"})
    await copy(file("in/a"), file("out/x"))
    await copy(file("in/a"), directory("out/y"))
    await copy(directory("in"), directory("out/z"))
    assert stored("out/") == {
        "x": b"\0\xff\r\n",
        "y/a": b"\0\xff\r\n",
        "z/a": b"\0\xff\r\n",
        "z/b/c//d": b"",
    }


async def test_a_directory_becomes_a_file_record_by_record(copy, put, stored):
    """In the order of their keys; a last record that has no end gets one."""
    put({"in/a": b"1,2", "in/b": b"", "in/c": b"3,4\n"})
    await copy(directory("in"), file("out"))
    assert stored("out") == {"": b"1,2\n3,4\n"}


async def test_a_large_object_is_copied_in_parts(copy, put, stored):
    """And how much of it is copied is told to the service."""
    data = bytes(range(256)) * (PART_BYTES // 256) * 2 + b"end"
    put({"in": data})
    statuses = await copy(file("in"), file("out"))
    assert stored("out") == {"": data}
    assert statuses[-1] == f"copied {len(data):,} bytes"


async def test_compression_may_be_on_either_side(copy, put, stored):
    """The name of a file says it; on both sides the bytes are as they are."""
    zipped = gzip.compress(b"a,b\n")
    put({"in/a.csv": b"a,b\n", "zip/a.csv.gz": zipped, "zip/b": zipped * 2})
    await copy(directory("in"), directory("to", **ZIPPED))
    assert {key: gzip.decompress(data) for key, data in stored("to/").items()} == {
        "a.csv.gz": b"a,b\n"
    }
    await copy(directory("zip", **ZIPPED), directory("from"))
    assert stored("from/") == {"a.csv": b"a,b\n", "b": b"a,b\n" * 2}
    await copy(directory("zip", **ZIPPED), file("one", **ZIPPED))
    assert gzip.decompress(stored("one")[""]) == b"a,b\n" * 3
    await copy(file("zip/b", **ZIPPED), directory("same", **ZIPPED, dataFormat={"type": "CSV"}))
    assert stored("same/") == {"b.gz": zipped * 2}


async def test_a_manifest_names_the_files(copy, put, stored):
    """Of which those that are not mandatory may be missing (Redshift's guide)."""
    entries = [
        {"url": f"s3://{BUCKET}/in/b", "mandatory": True},
        {"url": f"S3://{BUCKET}/in/a"},
        {"url": f"s3://{BUCKET}/in/missing", "mandatory": False},
    ]
    put({"in/a": b"1", "in/b": b"2", "in/c": b"3", "m": json.dumps({"entries": entries})})
    await copy(manifest("m"), file("out"))
    await copy(manifest("m"), directory("dir"))
    assert stored("out") == {"": b"2\n1\n"}
    assert stored("dir/") == {"a": b"1", "b": b"2"}


# Records


async def test_records_are_converted_between_formats(copy, put, stored):
    """A node without a format is CSV. Each object of a directory is converted by itself."""
    put({"in/a": b"a\tb,c\n\\N\td\n", "in/b": b"e"})
    await copy(directory("in", dataFormat=TSV), directory("out"))
    assert stored("out/") == {"a": b"a,b\\,c\n\\N,d\n", "b": b"e\n"}


async def test_a_directory_is_converted_to_a_file(copy, put, stored):
    """Compressed on both sides."""
    put({"in/a": gzip.compress(b"x,1"), "in/b": gzip.compress(b"y,\\N\n")})
    statuses = await copy(
        directory("in", **ZIPPED, dataFormat=CSV), file("out", **ZIPPED, dataFormat=TSV)
    )
    assert gzip.decompress(stored("out")[""]) == b"x\t1\ny\t\\N\n"
    assert statuses[-1].startswith("copied 2 records, ")


async def test_the_same_format_is_no_conversion(copy, put, stored):
    """The guide's high-performance copy: nothing is looked at."""
    put({"in": b"a\r\nb,c"})
    await copy(file("in", dataFormat=TSV), file("out", dataFormat=dict(TSV)))
    assert stored("out") == {"": b"a\r\nb,c"}
    only_read = {"type": "RegEx", "inputRegEx": "(.)"}
    await copy(file("in", dataFormat=only_read), file("regex", dataFormat=only_read))
    assert stored("regex") == {"": b"a\r\nb,c"}


async def test_a_log_is_read_by_a_regex(copy, put, stored):
    """And written by a format of Java."""
    put({"in": b"GET /a\nPUT /b"})
    regex = {"type": "RegEx", "inputRegEx": r"(\w+) (/.*)", "outputFormat": "%2$s <- %1$-4s|"}
    await copy(file("in", dataFormat=regex), file("csv"))
    await copy(file("csv"), file("log", dataFormat=regex))
    assert stored("csv") == {"": b"GET,/a\nPUT,/b\n"}
    assert stored("log") == {"": b"/a <- GET |\n/b <- PUT |\n"}


# What goes wrong


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ({"type": "DynamoDBDataNode"}, file("out"), "In, the input of .* is a DynamoDBDataNode"),
        (file("in"), {"type": "S3DataNode"}, "Out must have either a directoryPath or a filePath"),
        (file("in"), manifest("m"), "Out: an output cannot have a manifestFilePath"),
        (file("in", dataFormat=TSV), manifest("m"), "Out: an output cannot have"),
        ({**file("in"), **manifest("m")}, file("out"), "In has a manifestFilePath and another"),
        ({"manifestFilePath": "m"}, file("out"), "In: manifestFilePath 'm' is not of the form"),
        (file("in", compression="zip"), file("out"), "In: compression must be none or gzip"),
        (file("in", dataFormat={"type": "Custom"}), file("out"), "InFormat: a Custom must have"),
        (file("in", dataFormat={"type": "RegEx"}), file("out"), "In: its format needs an inputR"),
        (file("in"), file("out", dataFormat={"type": "RegEx"}), "Out: its format needs an outputF"),
        (directory("in"), directory("in/out"), r"Out \(.*/in/out/\) is within In \(.*/in/\)"),
        (directory("in"), file("in/all"), "is within In"),
        (file("in/a"), directory("in"), "is within In"),
    ],
)
async def test_what_cannot_be_copied_is_a_bad_definition(copy, source, target, words):
    """The message names the object and the field."""
    with pytest.raises(TaskFailed, match=words) as caught:
        await copy(source, target)
    assert caught.value.error_id == "BadDefinition"


@pytest.mark.parametrize(
    ("objects", "source", "words"),
    [
        (
            {"in": b"a\nb,c\n"},
            file("in", dataFormat=CSV),
            "copies/in: record 1 has 1 fields, not 2",
        ),
        ({"in": b"a,b\r\n"}, file("in", dataFormat=CSV), "copies/in: record 1 ends with CR LF"),
        ({"in": b"a,b"}, file("in", **ZIPPED), "copies/in: is not compressed by gzip"),
        ({"in": gzip.compress(b"a")[:-1]}, file("in", **ZIPPED), "ends amid its compressed data"),
        ({"m": b"{}"}, manifest("m"), "copies/m is no manifest of the form"),
        ({"m": b'{"entries": [{"url": "x"}]}'}, manifest("m"), "'x' is not of the form"),
    ],
)
async def test_what_is_not_of_its_format_is_bad_data(copy, put, stored, objects, source, words):
    """And no object is made."""
    put(objects)
    with pytest.raises(TaskFailed, match=words) as caught:
        await copy(source, file("out"))
    assert caught.value.error_id == "BadData"
    assert stored("out") == {}


async def test_two_files_of_one_name_are_not_copied_to_a_directory(copy, put):
    """One would replace the other."""
    entries = [{"url": f"s3://{BUCKET}/{key}/same"} for key in "ab"]
    put({"a/same": b"", "b/same": b"", "m": json.dumps({"entries": entries})})
    with pytest.raises(TaskFailed, match="two of its files have the name same") as caught:
        await copy(manifest("m"), directory("out"))
    assert caught.value.error_id == "BadData"


@pytest.mark.parametrize("source", [file("missing"), manifest("missing")])
async def test_an_object_that_is_missing_fails_the_task(copy, source):
    """In S3's own words."""
    with pytest.raises(TaskFailed, match="copies/missing could not be downloaded: NoSuchKey"):
        await copy(source, file("out"))


async def test_a_field_has_one_value(copy, server, session):
    """An input, an output and a format."""
    handler = CopyHandler(session)
    task = FakeTask({"input": [Ref("In"), Ref("In")]}, kind="CopyActivity", nodes=[node("In", {})])
    with pytest.raises(TaskFailed, match="has 2 values of input, not one"):
        await do(handler, task)
    with pytest.raises(TaskFailed, match="has 0 values of input, not one"):
        await do(handler, FakeTask({}, kind="CopyActivity"))
    two = {"dataFormat": [Ref("F"), Ref("F")], **file("in")}
    formats = [wire_object("F", TSV)]
    nodes = [wire_object("In", {"type": "S3DataNode", **two}), *formats]
    with pytest.raises(TaskFailed, match="In has 2 values of dataFormat"):
        await do(handler, FakeTask({"input": Ref("In")}, kind="CopyActivity", nodes=nodes))


async def test_another_type_is_not_supported(copy):
    """The message says what is."""
    with pytest.raises(TaskFailed, match="supports CopyActivity") as caught:
        await copy(file("in"), file("out"), kind="EmrActivity")
    assert caught.value.error_id == "UnsupportedType"


async def test_a_lost_task_completes_no_object(copy, put, stored, s3):
    """Whatever its size: somebody else may have the task."""
    put({"in/a": b"small", "in/b": bytes(PART_BYTES)})
    for key in "ab":
        with pytest.raises(LeaseLost):
            await copy(
                file(f"in/{key}"),
                file("out"),
                before=lambda task: setattr(task.lost, "happened", 1),
            )
    assert stored("out") == {}
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)


async def test_an_interrupted_copy_completes_no_object(copy, put, stored, s3):
    """What is on its way is aborted, once the first bytes have been copied."""
    put({"in": bytes(2 * PART_BYTES)})
    async with interruptible() as stop:
        interrupt = {"before": lambda task: setattr(task, "update", lambda **_: stop())}
        await copy(file("in"), file("out"), **interrupt)
    assert stored("out") == {}
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET)
